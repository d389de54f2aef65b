/*
 * SIP legs: whole dialogs of two endpoints, either side ending them at every moment, every pair of frames lost, copies that come late,
 * bad networks, restarts; owners that end and release legs from inside every callback; what is refused and how it is answered.
 *
 * Whatever happens: each owner hears one last word of its leg, and no leg is left behind.
 */
#include "tests/models/rig.h"
#include "models/sip_leg.h"

enum told { INVITED, PROGRESS, ANSWERED, REJECTED, ACKNOWLEDGED, CANCELLED, HUNG_UP, ENDED, TOLD_COUNT };
enum deed { NOTHING, END, RELEASE, END_RELEASE, DEED_COUNT };

struct user { /* who has an endpoint, and one leg at a time */
	struct call *call;
	struct sip_endpoint *sip;
	struct sip_leg *leg;
	unsigned told[TOLD_COUNT];
	int status;            /* of a rejection */
	bool no_ack, timed_out;
	enum told at;          /* where it does its deed */
	enum deed deed;
	struct event timer;    /* when it ends the leg */
};

struct call {
	struct rig rig;
	struct user user[2];   /* 0 calls 1 */
	int answer;            /* 1's final status; 0: none */
	sim_ns answer_after_ns;
	struct event answer_timer;
	bool ignore;           /* 1 takes no INVITE */
	unsigned invites;
};

static const char body[] = "v=0\r\nc=IN IP4 10.0.1.1\r\nm=audio 5004 RTP/AVP 0\r\n";
static const char *const clear[] = { "backend.ipsec=off", NULL };

static unsigned last_words(const struct user *u)
{
	return u->told[REJECTED] + u->told[HUNG_UP] + u->told[ENDED];
}

static void let_go(struct user *u)
{
	struct sip_leg *leg = u->leg;

	u->leg = NULL;
	if (leg)
		sip_leg_release(leg);
}

static struct user *hear(struct sip_leg *leg, enum told what)
{
	struct user *u = sip_leg_owner(leg);

	ck_assert_ptr_nonnull(u); /* a released leg tells nothing */
	ck_assert_ptr_eq(u->leg, leg);
	ck_assert_uint_eq(last_words(u), 0);
	ck_assert(sip_leg_node(leg) == u->call->rig.end[u - u->call->user].node);
	u->told[what]++;
	return u;
}

static void act(struct user *u, enum told what)
{
	if (u->leg && u->at == what && (u->deed == END || u->deed == END_RELEASE))
		sip_leg_end(u->leg, "a deed");
	if (u->at == what && (u->deed == RELEASE || u->deed == END_RELEASE))
		let_go(u);
}

static void on_answer_timer(struct sim *sim, struct event *event)
{
	struct call *c = event_owner(event, struct call, answer_timer);

	(void)sim;
	if (c->user[1].leg)
		sip_leg_answer(c->user[1].leg, c->answer, "X-Proof: 1\r\n", c->answer < 300 ? body : "");
}

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	struct user *u = ctx;
	struct call *c = u->call;

	ck_assert_uint_eq(from->src, sip_leg_peer(leg));
	c->invites++;
	if (c->ignore || u->leg || last_words(u))
		return false;
	ck_assert(span_is(sip_user(invite->from), "100") && span_is(invite->body, body));
	u->leg = leg;
	sip_leg_set_owner(leg, u);
	u->told[INVITED]++;
	if (c->answer) {
		sip_leg_answer(leg, 180, "", "");
		if (c->answer_after_ns)
			sim_after(c->rig.sim, &c->answer_timer, c->answer_after_ns, on_answer_timer, "answer");
		else
			on_answer_timer(c->rig.sim, &c->answer_timer);
	}
	act(u, INVITED);
	return true;
}

static void on_progress(struct sip_leg *leg, const struct sip_message *response)
{
	ck_assert_int_eq(response->status, 180);
	act(hear(leg, PROGRESS), PROGRESS);
}

static void on_answered(struct sip_leg *leg, const struct sip_message *response)
{
	struct user *u = hear(leg, ANSWERED);

	ck_assert(span_is(response->body, body) && span_is(sip_header(response, "X-Proof"), "1"));
	if (!(u->at == ANSWERED && u->deed))
		sip_leg_ack(leg, "X-Proof: 2\r\n");
	act(u, ANSWERED);
}

static void on_rejected(struct sip_leg *leg, int status)
{
	struct user *u = hear(leg, REJECTED);

	u->status = status;
	act(u, REJECTED);
	let_go(u);
}

static void on_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	struct user *u = hear(leg, ACKNOWLEDGED);

	u->no_ack = ack == NULL;
	if (ack && u->call->user[0].told[ANSWERED] && !u->call->user[0].deed) /* else the caller ended before the answer came */
		ck_assert(span_is(sip_header(ack, "X-Proof"), "2"));
	act(u, ACKNOWLEDGED);
}

static void on_cancelled(struct sip_leg *leg)
{
	act(hear(leg, CANCELLED), CANCELLED);
}

static void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	struct user *u = hear(leg, HUNG_UP);

	ck_assert(bye->method == SIP_BYE);
	act(u, HUNG_UP);
	let_go(u);
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	struct user *u = hear(leg, ENDED);

	u->timed_out = timed_out;
	act(u, ENDED);
	let_go(u);
}

static const struct sip_owner owner = {
	.invited = on_invited, .progress = on_progress, .answered = on_answered, .rejected = on_rejected,
	.acknowledged = on_acknowledged, .cancelled = on_cancelled, .hung_up = on_hung_up, .ended = on_ended,
};

/* sets NULL: a CTA and its controller under ESP; clear: two servers in clear, where copies get past ESP's replay window. */
static void call_make(struct call *c, const struct link_params *params, uint64_t seed, const char *const *sets)
{
	memset(c, 0, sizeof *c);
	rig_make(&c->rig, params, seed, sets != NULL, sets);
	if (!sets)
		rig_associate(&c->rig);
	c->answer = 200;
	c->answer_after_ns = NS_PER_S;
	for (int i = 0; i < 2; i++) {
		c->user[i].call = c;
		c->user[i].sip = sip_endpoint_new(c->rig.end[i].node, c->rig.end[i].ipsec, &owner, &c->user[i]);
		sip_endpoint_reset(c->user[i].sip);
	}
}

static void call_free(struct call *c)
{
	sim_cancel(c->rig.sim, &c->answer_timer);
	for (int i = 0; i < 2; i++) {
		sim_cancel(c->rig.sim, &c->user[i].timer);
		sip_endpoint_free(c->user[i].sip);
	}
	rig_free(&c->rig, NULL);
}

static void dial(struct call *c)
{
	struct sip_invite invite = { .peer_ip = c->rig.end[1].ip, .call_id = "call-1@test", .from_user = "100", .to_user = "200",
		                     .headers = "X-Call: 1\r\n", .body = body };

	c->user[0].leg = sip_leg_invite(c->user[0].sip, &invite, &c->user[0]);
	ck_assert_ptr_nonnull(c->user[0].leg);
	ck_assert_str_eq(sip_leg_call_id(c->user[0].leg), "call-1@test");
	ck_assert_ptr_null(sip_leg_invite(c->user[0].sip, &invite, NULL)); /* a Call-ID is one leg's */
}

static void on_end_timer(struct sim *sim, struct event *event)
{
	struct user *u = event_owner(event, struct user, timer);

	(void)sim;
	if (u->leg)
		sip_leg_end(u->leg, "over \xc3\xbc");
}

/* When a user ends its leg; what the plot has said before stands. */
static void end_at(struct call *c, unsigned user, sim_ns at_ns)
{
	if (event_pending(&c->user[user].timer))
		return;
	sim_at(c->rig.sim, &c->user[user].timer, at_ns, on_end_timer, "hang_up");
}

/* Runs until nothing can come any more: both have had their last word, and no leg is left. */
static void run_to_the_end(struct call *c, const char *what, unsigned a, unsigned b)
{
	rig_run_for(&c->rig, 400 * NS_PER_S);
	for (int i = 0; i < 2; i++) {
		struct user *u = &c->user[i];

		ck_assert_msg(!u->leg, "%s %u %u: user %d has a leg in state %d", what, a, b, i, u->leg ? sip_leg_state(u->leg) : 0);
		ck_assert_msg(last_words(u) == 1 || !u->told[INVITED] || u->deed, "%s %u %u: user %d", what, a, b, i);
		ck_assert_msg(sip_leg_count(u->sip) == 0, "%s %u %u: user %d has %u legs", what, a, b, i, sip_leg_count(u->sip));
	}
}

/* Plain dialogs */

START_TEST(either_side_may_hang_up)
{
	for (unsigned who = 0; who < 2; who++) {
		struct call c;

		call_make(&c, &rig_clean, who, NULL);
		dial(&c);
		end_at(&c, who, 10 * NS_PER_S);
		rig_run_for(&c.rig, 5 * NS_PER_S);
		ck_assert_int_eq(sip_leg_state(c.user[0].leg), LEG_CONFIRMED);
		ck_assert_int_eq(sip_leg_state(c.user[1].leg), LEG_CONFIRMED);
		run_to_the_end(&c, "hang-up", who, 0);
		ck_assert_uint_eq(c.user[0].told[PROGRESS], 1);
		ck_assert_uint_eq(c.user[0].told[ANSWERED], 1);
		ck_assert_uint_eq(c.user[1].told[ACKNOWLEDGED], 1);
		ck_assert_uint_eq(c.user[who].told[ENDED], 1);
		ck_assert(!c.user[who].timed_out);
		ck_assert_uint_eq(c.user[!who].told[HUNG_UP], 1);
		ck_assert_uint_eq(c.rig.refused.total, 0);
		ck_assert_uint_eq(c.rig.sent.total, 6); /* INVITE, 180, 200, ACK, BYE, 200 */
		ck_assert_uint_eq(c.rig.esp_frames, 6);
		ck_assert_uint_eq(c.rig.covered, 6);
		call_free(&c);
	}
}
END_TEST

START_TEST(a_rejection_says_why)
{
	static const int statuses[] = { 403, 404, 480, 486, 488, 500, 503, 603 };

	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		struct call c;

		call_make(&c, &rig_clean, i, NULL);
		c.answer = statuses[i];
		dial(&c);
		run_to_the_end(&c, "rejection", (unsigned)statuses[i], 0);
		ck_assert_uint_eq(c.user[0].told[REJECTED], 1);
		ck_assert_int_eq(c.user[0].status, statuses[i]);
		ck_assert_uint_eq(c.user[1].told[ENDED], 1);
		ck_assert(!c.user[1].timed_out);
		ck_assert_uint_eq(c.rig.sent.total, 4); /* INVITE, 180, status, ACK */
		call_free(&c);
	}
}
END_TEST

START_TEST(who_takes_no_call_says_503)
{
	struct call c;

	call_make(&c, &rig_clean, 1, NULL);
	c.ignore = true;
	dial(&c);
	run_to_the_end(&c, "no call", 0, 0);
	ck_assert_int_eq(c.user[0].status, 503);
	call_free(&c);
}
END_TEST

/* Losses */

enum plot { CALLER_HANGS_UP, CALLEE_HANGS_UP, BOTH_HANG_UP, CALLER_CANCELS, CALLEE_REJECTS, CALLEE_ENDS_AT_ONCE, PLOT_COUNT };

static void plot(struct call *c, enum plot which)
{
	dial(c);
	if (which == CALLER_HANGS_UP || which == BOTH_HANG_UP)
		end_at(c, 0, 100 * NS_PER_S);
	if (which == CALLEE_HANGS_UP || which == BOTH_HANG_UP)
		end_at(c, 1, 100 * NS_PER_S);
	if (which == CALLER_CANCELS) {
		c->answer_after_ns = 100 * NS_PER_S;
		end_at(c, 0, NS_PER_S);
	}
	if (which == CALLEE_REJECTS)
		c->answer = 486;
	if (which == CALLEE_ENDS_AT_ONCE) { /* before the ACK can be there */
		c->user[1].at = INVITED;
		c->user[1].deed = END;
		c->answer_after_ns = 0;
	}
}

/* How it must come out, whatever is lost. */
static void assert_outcome(const struct call *c, enum plot which, const char *what, unsigned a, unsigned b)
{
	static const struct {
		enum told last[2];
		unsigned answered;
	} outcomes[PLOT_COUNT] = {
		[CALLER_HANGS_UP] = { { ENDED, HUNG_UP }, 1 }, [CALLEE_HANGS_UP] = { { HUNG_UP, ENDED }, 1 },
		[BOTH_HANG_UP] = { { ENDED, ENDED }, 1 },      [CALLER_CANCELS] = { { ENDED, ENDED }, 0 },
		[CALLEE_REJECTS] = { { REJECTED, ENDED }, 0 }, [CALLEE_ENDS_AT_ONCE] = { { HUNG_UP, ENDED }, 1 },
	};

	for (int i = 0; i < 2; i++) {
		/* When both hang up, the loss of one BYE makes the other's the first. */
		bool other = which == BOTH_HANG_UP && c->user[i].told[HUNG_UP] == 1;

		ck_assert_msg(c->user[i].told[outcomes[which].last[i]] == 1 || other, "%s %u %u: plot %d user %d", what, a, b, which, i);
	}
	ck_assert_msg(c->user[0].told[ANSWERED] == outcomes[which].answered, "%s %u %u: plot %d", what, a, b, which);
	ck_assert_uint_eq(c->invites, 1);
}

/* Something said behind the answer is heard once, also when the ACK before it is lost. */

static unsigned informed_count;

static void on_informed(struct sip_leg *leg, const struct sip_message *info)
{
	(void)leg;
	ck_assert(span_is(sip_header(info, "X-Event"), "answered"));
	informed_count++;
}

START_TEST(what_is_told_behind_the_answer_is_heard_once)
{
	struct sip_owner hearing = owner;

	hearing.informed = on_informed;
	for (unsigned i = 0; i < 9; i++)
		for (unsigned j = i; j < 9; j++) {
			struct call c;

			call_make(&c, &rig_clean, 1, NULL);
			sip_endpoint_free(c.user[1].sip);
			c.user[1].sip = sip_endpoint_new(c.rig.end[1].node, c.rig.end[1].ipsec, &hearing, &c.user[1]);
			sip_endpoint_reset(c.user[1].sip);
			c.rig.take_mask = UINT64_C(1) << i | UINT64_C(1) << j;
			informed_count = 0;
			dial(&c);
			while (!c.user[0].told[ANSWERED])
				rig_run_for(&c.rig, 10 * NS_PER_MS);
			sip_leg_inform(c.user[0].leg, "X-Event: answered\r\n");
			end_at(&c, 0, 100 * NS_PER_S);
			run_to_the_end(&c, "told", i, j);
			ck_assert_msg(informed_count == 1, "%u %u: heard %u times", i, j, informed_count);
			ck_assert_uint_eq(c.rig.refused.total, 0);
			call_free(&c);
		}
}
END_TEST

START_TEST(any_two_frames_may_be_lost)
{
	for (enum plot which = 0; which < PLOT_COUNT; which++)
		for (unsigned i = 0; i < 11; i++)
			for (unsigned j = i; j < 11; j++) {
				struct call c;

				call_make(&c, &rig_clean, 1, NULL);
				c.rig.take_mask = UINT64_C(1) << i | UINT64_C(1) << j;
				plot(&c, which);
				run_to_the_end(&c, "lost", i, j);
				assert_outcome(&c, which, "lost", i, j);
				ck_assert(!c.user[0].timed_out && !c.user[1].timed_out && !c.user[1].no_ack);
				ck_assert_msg(c.rig.refused.total == 0, "%s", c.rig.refused.line[0].word);
				call_free(&c);
			}
}
END_TEST

START_TEST(a_bad_network_changes_no_outcome)
{
	for (enum plot which = 0; which < PLOT_COUNT; which++)
		for (uint64_t seed = 0; seed < 60; seed++) {
			struct call c;

			call_make(&c, &rig_bad, seed, clear);
			plot(&c, which);
			run_to_the_end(&c, "bad", (unsigned)seed, 0);
			assert_outcome(&c, which, "bad", (unsigned)seed, 0);
			call_free(&c);
		}
}
END_TEST

static sim_ns copy_after_ns;

static void copy_late(struct rig *rig, struct packet *frame, struct iface *from, struct iface *to)
{
	link_inject(rig->line.link[0], from, to, packet_copy(frame), copy_after_ns);
}

START_TEST(copies_that_come_late_change_nothing)
{
	static const sim_ns delays[] = { 0, NS_PER_MS, 11 * NS_PER_MS, 700 * NS_PER_MS,
		                         2 * NS_PER_S }; /* a copy and the copy of its answer find the legs still there */

	for (enum plot which = 0; which < PLOT_COUNT; which++)
		for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
			struct call c;

			call_make(&c, &rig_clean, i, clear);
			copy_after_ns = delays[i];
			c.rig.alter = copy_late;
			plot(&c, which);
			run_to_the_end(&c, "late", (unsigned)i, 0);
			assert_outcome(&c, which, "late", (unsigned)i, 0);
			ck_assert_msg(c.rig.refused.total == 0, "plot %d delay %zu: %s", which, i, c.rig.refused.line[0].word);
			call_free(&c);
		}
}
END_TEST

/* Long after the legs are gone an INVITE comes again: a call that nobody confirms, and that ends. */
START_TEST(a_copy_of_another_day_ends_too)
{
	struct call c;

	call_make(&c, &rig_clean, 1, clear);
	copy_after_ns = 200 * NS_PER_S;
	c.rig.alter = copy_late;
	plot(&c, CALLER_HANGS_UP);
	run_to_the_end(&c, "another day", 0, 0);
	ck_assert_uint_ge(c.invites, 2);
	ck_assert_uint_gt(book_count(&c.rig.refused, "sip.no_dialog"), 0);
	call_free(&c);
}
END_TEST

/* Crossings: one-way delay is 5 ms, the answer leaves at about 1005 ms */

START_TEST(ends_that_cross_answers)
{
	for (unsigned who = 1; who <= 3; who++) /* bit 0: the caller ends, bit 1: the callee */
		for (unsigned at_ms = 985; at_ms <= 1035; at_ms++)
			for (unsigned lost = 0; lost < 8; lost++) {
				struct call c;

				call_make(&c, &rig_clean, at_ms, NULL);
				c.rig.take_mask = lost ? UINT64_C(1) << (lost + 1) : 0;
				dial(&c);
				for (unsigned u = 0; u < 2; u++)
					if (who >> u & 1)
						end_at(&c, u, at_ms * NS_PER_MS + NS_PER_MS / 3);
				run_to_the_end(&c, "crossing", at_ms, lost);
				ck_assert_msg(c.rig.refused.total == 0, "%u at %u ms, lost %u: %s", who, at_ms, lost,
				              c.rig.refused.line[0].word);
				ck_assert(!c.user[0].timed_out && !c.user[1].timed_out);
				call_free(&c);
			}
}
END_TEST

START_TEST(ends_before_any_answer)
{
	for (unsigned at_us = 0; at_us < 12000; at_us += 500)
		for (unsigned lost = 0; lost < 6; lost++) {
			struct call c;

			call_make(&c, &rig_clean, at_us, NULL);
			c.answer_after_ns = 100 * NS_PER_S;
			c.rig.take_mask = lost ? UINT64_C(1) << (lost - 1) : 0;
			dial(&c);
			end_at(&c, 0, at_us * NS_PER_US);
			run_to_the_end(&c, "early end", at_us, lost);
			ck_assert_uint_eq(c.user[0].told[ENDED], 1);
			ck_assert_uint_eq(c.user[1].told[CANCELLED], 1);
			ck_assert_uint_eq(c.rig.refused.total, 0);
			call_free(&c);
		}
}
END_TEST

/* Time-outs */

START_TEST(nobody_there_is_408)
{
	struct call c;

	call_make(&c, &rig_clean, 1, NULL);
	c.rig.take_all = true;
	dial(&c);
	rig_run_for(&c.rig, SIP_TIMEOUT_NS - 1);
	ck_assert_uint_eq(c.user[0].told[REJECTED], 0);
	run_to_the_end(&c, "nobody", 0, 0);
	ck_assert_int_eq(c.user[0].status, 408);
	ck_assert_uint_eq(book_count(&c.rig.sent, "INVITE"), 7); /* 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s */
	call_free(&c);
}
END_TEST

static void gone_after(struct call *c, sim_ns at_ns)
{
	sim_run(c->rig.sim, at_ns);
	c->rig.take_all = true;
}

START_TEST(no_ack_ends_the_callees_leg)
{
	struct call c;

	call_make(&c, &rig_clean, 1, NULL);
	dial(&c);
	gone_after(&c, NS_PER_S);
	end_at(&c, 0, 10 * NS_PER_S);
	run_to_the_end(&c, "no ACK", 0, 0);
	ck_assert(c.user[1].no_ack);
	ck_assert(c.user[1].timed_out); /* nor does the BYE arrive */
	ck_assert(c.user[0].timed_out); /* nor the CANCEL */
	call_free(&c);
}
END_TEST

START_TEST(farewells_to_nobody_time_out)
{
	struct call c;

	call_make(&c, &rig_clean, 1, NULL);
	dial(&c);
	gone_after(&c, 5 * NS_PER_S);
	end_at(&c, 0, 10 * NS_PER_S);
	end_at(&c, 1, 10 * NS_PER_S);
	rig_run_for(&c.rig, 5 * NS_PER_S + SIP_TIMEOUT_NS - 1);
	ck_assert_uint_eq(last_words(&c.user[0]), 0);
	run_to_the_end(&c, "nobody", 0, 0);
	ck_assert(c.user[0].timed_out && c.user[1].timed_out);
	ck_assert_uint_eq(book_count(&c.rig.sent, "BYE"), 2 * 11); /* 0, .5, 1.5, 3.5, 7.5, 11.5 ... 31.5 s: T2 holds it down */
	call_free(&c);
}
END_TEST

/* Restarts: one side forgets all; the other finds out at the latest when it ends its leg */

START_TEST(either_side_may_restart_at_any_moment)
{
	for (unsigned who = 0; who < 2; who++)
		for (unsigned at_ms = 0; at_ms < 1100; at_ms += at_ms < 30 || at_ms >= 995 ? 1 : 193) {
			struct call c;
			struct user *gone;

			call_make(&c, &rig_clean, at_ms, NULL);
			dial(&c);
			sim_run(c.rig.sim, at_ms * NS_PER_MS);
			gone = &c.user[who];
			sip_endpoint_reset(gone->sip);
			gone->leg = NULL;
			memset(gone->told, 0, sizeof gone->told);
			end_at(&c, !who, 50 * NS_PER_S);
			rig_run_for(&c.rig, 49 * NS_PER_S);
			end_at(&c, who, 60 * NS_PER_S);
			run_to_the_end(&c, "restart", who, at_ms);
			call_free(&c);
		}
}
END_TEST

/* Owners */

static void release_in(struct call *c, unsigned mask)
{
	for (unsigned u = 0; u < 2; u++)
		if (mask >> u & 1) {
			c->user[u].deed = RELEASE; /* its last word is its own */
			c->user[u].at = TOLD_COUNT;
			let_go(&c->user[u]);
		}
}

static void release_at(enum plot which, unsigned mask, sim_ns at_ns, bool seen[2][LEG_STATE_COUNT])
{
	struct call c;

	call_make(&c, &rig_clean, 1, NULL);
	plot(&c, which);
	sim_run(c.rig.sim, at_ns);
	for (unsigned u = 0; u < 2; u++)
		if (c.user[u].leg)
			seen[u][sip_leg_state(c.user[u].leg)] = true;
	release_in(&c, mask);
	end_at(&c, 0, 200 * NS_PER_S);
	run_to_the_end(&c, "release", which, mask);
	ck_assert_uint_eq(c.rig.refused.total, 0);
	call_free(&c);
}

/* At moments that meet every state of both sides, one or both let go; what stays behind hears of it, and nothing leaks. */
START_TEST(a_leg_may_be_released_in_every_state)
{
	static const sim_ns windows_ms[][2] = { { 1, 25 }, { 990, 1030 }, { 99990, 100030 } };
	bool seen[2][LEG_STATE_COUNT] = { { false } };

	for (enum plot which = 0; which < PLOT_COUNT - 1; which++)
		for (unsigned mask = 1; mask <= 3; mask++)
			for (unsigned w = 0; w < sizeof windows_ms / sizeof windows_ms[0]; w++)
				for (sim_ns at_ms = windows_ms[w][0]; at_ms < windows_ms[w][1]; at_ms += 3)
					release_at(which, mask, at_ms * NS_PER_MS, seen);
	for (unsigned u = 0; u < 2; u++)
		for (enum leg_state s = 0; s < LEG_ENDED; s++) {
			bool callers = s == LEG_CALLING || s == LEG_PROCEEDING || s == LEG_CANCELLING;
			bool callees = s == LEG_INCOMING || s == LEG_ANSWERED;

			ck_assert_msg(seen[u][s] == !(u ? callers : callees), "user %u state %d", u, s);
		}
}
END_TEST

START_TEST(an_owner_may_end_and_release_from_inside)
{
	for (enum plot which = 0; which < PLOT_COUNT - 1; which++)
		for (unsigned who = 0; who < 2; who++)
			for (enum told at = 0; at < TOLD_COUNT; at++)
				for (enum deed deed = END; deed < DEED_COUNT; deed++) {
					struct call c;

					call_make(&c, &rig_clean, 1, NULL);
					c.user[who].at = at;
					c.user[who].deed = deed;
					plot(&c, which);
					end_at(&c, !who, 150 * NS_PER_S);
					run_to_the_end(&c, "inside", at, deed);
					ck_assert_uint_eq(c.rig.refused.total, 0);
					if (c.user[0].told[ANSWERED]) /* no BYE without an ACK before it */
						ck_assert_uint_ge(book_count(&c.rig.sent, "ACK"), 1);
					call_free(&c);
				}
}
END_TEST

START_TEST(what_does_not_fit_is_500_or_no_leg)
{
	static char big[SIP_MESSAGE_MAX];
	struct sip_invite invite = { .call_id = "2", .from_user = "100", .to_user = "200", .headers = "", .body = big };
	struct call c;

	memset(big, 'x', sizeof big - 1);
	call_make(&c, &rig_clean, 1, NULL);
	c.answer = 0;
	invite.peer_ip = c.rig.end[1].ip;
	ck_assert_ptr_null(sip_leg_invite(c.user[0].sip, &invite, NULL));
	ck_assert_uint_eq(sip_leg_count(c.user[0].sip), 0);
	dial(&c);
	rig_run_for(&c.rig, NS_PER_S / 10);
	sip_leg_answer(c.user[1].leg, 200, "", big);
	run_to_the_end(&c, "too long", 0, 0);
	ck_assert_int_eq(c.user[0].status, 500);
	call_free(&c);
}
END_TEST

/* Hostile and stray messages, from a plain socket in the caller's place */

static void say(struct sink *sink, uint32_t to, const char *text)
{
	struct packet *packet = packet_new(sink->socket.node->sim, (uint32_t)strlen(text));

	memcpy(packet_append(packet, (uint32_t)strlen(text)), text, strlen(text));
	sink->count = 0;
	udp_send(&sink->socket, 0, to, SIP_PORT, packet);
}

static int status_in(const struct sink *sink)
{
	struct sip_message m;

	return sink->count && sip_parse(sink->bytes, sink->len, &m) && !m.request ? m.status : 0;
}

#define HEAD(method, from_tag, to_tag, id, cseq) \
	method " sip:200@10.0.1.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1;branch=z9hG4bKx\r\nFrom: <sip:100@10.0.1.1>;tag=" from_tag \
	"\r\nTo: <sip:200@10.0.1.2>" to_tag "\r\nCall-ID: " id "\r\nCSeq: " cseq " " method "\r\n\r\n"
#define RESPONSE(status, from_tag, to_tag, id, cseq, method) \
	"SIP/2.0 " status " x\r\nVia: SIP/2.0/UDP 10.0.1.2;branch=z9hG4bKx\r\nFrom: <sip:200@10.0.1.2>;tag=" from_tag \
	"\r\nTo: <sip:100@10.0.1.1>;tag=" to_tag "\r\nCall-ID: " id "\r\nCSeq: " cseq " " method "\r\n\r\n"
#define TEN "0123456789"
#define SEVENTY TEN TEN TEN TEN TEN TEN TEN

/* In this order, to one endpoint that has taken the INVITE of call a and says nothing of its own. */
static const struct {
	const char *text, *check;
	int status;
} strays[] = {
	{ "", "sip.malformed", 0 },
	{ "hello\r\n\r\n", "sip.malformed", 0 },
	{ HEAD("BYE", "f", ";tag=t", "no", "2"), "sip.no_dialog", 481 },
	{ HEAD("CANCEL", "f", "", "no", "1"), "sip.no_dialog", 481 },
	{ HEAD("ACK", "f", ";tag=t", "no", "1"), "sip.no_dialog", 0 },
	{ HEAD("ACK", "f", ";tag=none", "no", "1"), NULL, 0 },
	{ HEAD("INVITE", "f", ";tag=t", "no", "1"), "sip.no_dialog", 0 },
	{ HEAD("OPTIONS", "f", "", "no", "1"), "sip.no_dialog", 0 },
	{ RESPONSE("200", "f", "t", "no", "1", "INVITE"), "sip.no_dialog", 0 },
	{ HEAD("INVITE", SEVENTY, "", "no", "1"), "sip.malformed", 400 },
	{ HEAD("INVITE", "f", "", SEVENTY SEVENTY, "1"), NULL, 503 },
	{ HEAD("INVITE", "f;" SEVENTY SEVENTY SEVENTY SEVENTY SEVENTY SEVENTY SEVENTY SEVENTY SEVENTY SEVENTY SEVENTY SEVENTY SEVENTY
	       SEVENTY SEVENTY SEVENTY SEVENTY, "", "no", "1"), "sip.malformed", 0 }, /* no answer would have room */
	{ HEAD("INVITE", "f", "", "a", "1"), NULL, 0 },
	{ HEAD("INVITE", "f", "", "a", "1"), NULL, 100 },
	{ HEAD("INVITE", "g", "", "a", "1"), "sip.unexpected", 0 },
	{ HEAD("INVITE", "f", "", "a", "2"), "sip.unexpected", 0 },
	{ HEAD("BYE", "f", ";tag=t", "a", "2"), "sip.unexpected", 481 },
	{ HEAD("BYE", "f", "", "a", "2"), "sip.unexpected", 481 },
	{ HEAD("ACK", "f", ";tag=t", "a", "1"), "sip.unexpected", 0 },
	{ HEAD("CANCEL", "g", "", "a", "1"), "sip.unexpected", 481 },
	{ HEAD("CANCEL", "f", "", "a", "2"), "sip.unexpected", 481 },
	{ HEAD("INFO", "f", "", "a", "2"), "sip.unexpected", 481 }, /* RFC 2976 section 2.2 */
	{ RESPONSE("200", "t", "f", "a", "1", "INVITE"), "sip.unexpected", 0 },
	{ RESPONSE("200", "t", "f", "a", "1", "BYE"), "sip.unexpected", 0 },
	{ HEAD("CANCEL", "f", "", "a", "1"), NULL, 487 }, /* after the 200 of the CANCEL itself */
};

static void stray_begin(struct call *c, struct sink **sink)
{
	call_make(c, &rig_clean, 1, clear);
	c->answer = 0;
	sip_endpoint_free(c->user[0].sip);
	c->user[0].sip = NULL;
	*sink = sink_new(c->rig.end[0].node, SIP_PORT);
}

static bool take_any(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	(void)invite, (void)from;
	sip_leg_set_owner(leg, ctx);
	((struct user *)ctx)->leg = leg;
	return true;
}

START_TEST(strays_are_refused_by_name)
{
	struct sip_owner easy = owner;
	struct call c;
	struct sink *sink;

	easy.invited = take_any;
	stray_begin(&c, &sink);
	sip_endpoint_free(c.user[1].sip);
	c.user[1].sip = sip_endpoint_new(c.rig.end[1].node, c.rig.end[1].ipsec, &easy, &c.user[1]);
	sip_endpoint_reset(c.user[1].sip);
	for (size_t i = 0; i < sizeof strays / sizeof strays[0]; i++) {
		memset(&c.rig.refused, 0, sizeof c.rig.refused);
		say(sink, c.rig.end[1].ip, strays[i].text);
		rig_run_for(&c.rig, 100 * NS_PER_MS);
		ck_assert_msg(status_in(sink) == strays[i].status, "row %zu: %d", i, status_in(sink));
		ck_assert_msg(c.rig.refused.total == (strays[i].check != NULL), "row %zu: %s", i, c.rig.refused.line[0].word);
		if (strays[i].check)
			ck_assert_str_eq(c.rig.refused.line[0].word, strays[i].check);
	}
	udp_unbind(&sink->socket);
	free(sink);
	rig_run_for(&c.rig, 100 * NS_PER_S);
	ck_assert_uint_eq(sip_leg_count(c.user[1].sip), 0);
	call_free(&c);
}
END_TEST

START_TEST(responses_of_no_transaction_are_refused)
{
	struct call c;
	struct sink *sink;
	struct sip_message invite;
	char text[600], tag[32];

	call_make(&c, &rig_clean, 1, clear);
	sip_endpoint_free(c.user[1].sip);
	c.user[1].sip = NULL;
	sink = sink_new(c.rig.end[1].node, SIP_PORT);
	dial(&c);
	rig_run_for(&c.rig, 100 * NS_PER_MS);
	ck_assert(sip_parse(sink->bytes, sink->len, &invite));
	span_copy(invite.from_tag, tag, sizeof tag);
	static const struct {
		const char *status, *from_tag, *cseq, *method;
	} rows[] = {
		{ "200", "wrong", "1", "INVITE" }, { "200", NULL, "2", "INVITE" }, { "200", NULL, "1", "BYE" },
		{ "200", NULL, "0", "BYE" },       { "200", NULL, "1", "CANCEL" }, { "200", NULL, "1", "ACK" },
		{ "486", NULL, "2", "INVITE" },    { "180", NULL, "7", "INVITE" }, { "200", NULL, "1", "NONSENSE" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(text, sizeof text, "SIP/2.0 %s x\r\nVia: SIP/2.0/UDP 10.0.1.1;branch=z\r\nFrom: <sip:100@a>;tag=%s\r\n"
		         "To: <sip:200@b>;tag=t\r\nCall-ID: call-1@test\r\nCSeq: %s %s\r\n\r\n", rows[i].status,
		         rows[i].from_tag ? rows[i].from_tag : tag, rows[i].cseq, rows[i].method);
		memset(&c.rig.refused, 0, sizeof c.rig.refused);
		say(sink, c.rig.end[0].ip, text);
		rig_run_for(&c.rig, 50 * NS_PER_MS);
		ck_assert_msg(book_count(&c.rig.refused, "sip.unexpected") == 1, "row %zu", i);
		ck_assert_int_eq(sip_leg_state(c.user[0].leg), LEG_CALLING);
	}
	udp_unbind(&sink->socket);
	free(sink);
	call_free(&c);
}
END_TEST

/* A callee of our own making: it has the INVITE, says what it is told to, and notes the last method it heard. */
static void answer_as_callee(struct call *c, struct sink *sink, const char *from_tag, const char *cseq, const char *method)
{
	char text[600];

	snprintf(text, sizeof text, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.1.1;branch=z\r\nFrom: <sip:100@a>;tag=%s\r\n"
	         "To: <sip:200@b>;tag=t\r\nCall-ID: call-1@test\r\nCSeq: %s %s\r\nX-Proof: 1\r\nContent-Length: %zu\r\n\r\n%s",
	         from_tag, cseq, method, sizeof body - 1, body);
	say(sink, c->rig.end[0].ip, text);
	rig_run_for(&c->rig, 100 * NS_PER_MS);
}

static enum sip_method heard(const struct sink *sink, char tag[32])
{
	struct sip_message m;

	ck_assert(sip_parse(sink->bytes, sink->len, &m));
	if (tag)
		span_copy(m.from_tag, tag, 32);
	return m.method;
}

static struct sink *callee_begin(struct call *c, char tag[32])
{
	struct sink *sink;

	call_make(c, &rig_clean, 1, clear);
	sip_endpoint_free(c->user[1].sip);
	c->user[1].sip = NULL;
	sink = sink_new(c->rig.end[1].node, SIP_PORT);
	dial(c);
	rig_run_for(&c->rig, 100 * NS_PER_MS);
	ck_assert_int_eq(heard(sink, tag), SIP_INVITE);
	return sink;
}

START_TEST(only_the_answer_to_the_bye_ends_it)
{
	struct call c;
	char tag[32];
	struct sink *sink = callee_begin(&c, tag);

	answer_as_callee(&c, sink, tag, "1", "INVITE");
	ck_assert_int_eq(heard(sink, NULL), SIP_ACK);
	sip_leg_end(c.user[0].leg, "");
	rig_run_for(&c.rig, 100 * NS_PER_MS);
	ck_assert_int_eq(heard(sink, NULL), SIP_BYE);
	answer_as_callee(&c, sink, tag, "1", "BYE");
	ck_assert_uint_eq(book_count(&c.rig.refused, "sip.unexpected"), 1);
	ck_assert_uint_eq(c.user[0].told[ENDED], 0);
	answer_as_callee(&c, sink, tag, "2", "BYE");
	ck_assert_uint_eq(c.user[0].told[ENDED], 1);
	udp_unbind(&sink->socket);
	free(sink);
	call_free(&c);
}
END_TEST

/* Given up after 32 s; the answer of a callee that was slow is confirmed and ended, so that it does not talk to nobody. */
START_TEST(an_answer_after_giving_up_is_ended)
{
	struct call c;
	char tag[32];
	struct sink *sink = callee_begin(&c, tag);

	rig_run_for(&c.rig, SIP_TIMEOUT_NS);
	ck_assert_int_eq(c.user[0].status, 408);
	answer_as_callee(&c, sink, tag, "1", "INVITE");
	ck_assert_int_eq(heard(sink, NULL), SIP_BYE);
	ck_assert_uint_eq(book_count(&c.rig.sent, "ACK"), 1);
	answer_as_callee(&c, sink, tag, "2", "BYE");
	rig_run_for(&c.rig, SIP_LINGER_NS);
	ck_assert_uint_eq(sip_leg_count(c.user[0].sip), 0);
	ck_assert_uint_eq(last_words(&c.user[0]), 1);
	udp_unbind(&sink->socket);
	free(sink);
	call_free(&c);
}
END_TEST

/* An INVITE in clear, put on the line past the sender's policy. */
START_TEST(in_clear_is_refused)
{
	static const char text[] = HEAD("INVITE", "f", "", "clear", "1");
	uint8_t udp[1500];
	struct call c;
	struct raw raw;
	struct iface *from, *to;

	call_make(&c, &rig_clean, 1, NULL);
	from = c.rig.line.right[0];
	to = c.rig.line.left[1];
	raw = (struct raw){ .src = c.rig.end[0].ip, .dst = c.rig.end[1].ip, .proto = IP_PROTO_UDP, .bytes = udp };
	raw.len = raw_udp(udp, raw.src, raw.dst, SIP_PORT, SIP_PORT, (const uint8_t *)text, sizeof text - 1);
	link_inject(c.rig.line.link[0], from, to, raw_frame(from, to, &raw), 0);
	rig_run_for(&c.rig, NS_PER_S);
	ck_assert_uint_eq(book_count(&c.rig.refused, "signaling.esp"), 1);
	ck_assert_uint_eq(c.rig.refused.total, 1);
	ck_assert_uint_eq(sip_leg_count(c.user[1].sip), 0);
	call_free(&c);
}
END_TEST

START_TEST(many_legs_are_found_and_end)
{
	enum { COUNT = 500 };
	struct sip_leg *legs[COUNT];
	struct call c;
	char id[32];

	call_make(&c, &rig_clean, 1, clear);
	c.ignore = true;
	for (unsigned i = 0; i < COUNT; i++) {
		struct sip_invite invite = { .peer_ip = c.rig.end[1].ip, .call_id = id, .from_user = "100", .to_user = "200",
			                     .headers = "", .body = body };

		snprintf(id, sizeof id, "many-%u", i);
		legs[i] = sip_leg_invite(c.user[0].sip, &invite, NULL);
		ck_assert_ptr_nonnull(legs[i]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		sip_leg_release(legs[i]);
	ck_assert_uint_eq(sip_leg_count(c.user[0].sip), COUNT);
	run_to_the_end(&c, "many", 0, 0);
	ck_assert_uint_eq(c.invites, COUNT);
	call_free(&c);
}
END_TEST

static void add_hard_cases(TCase *t)
{
	tcase_add_test(t, ends_that_cross_answers);
	tcase_add_test(t, ends_before_any_answer);
	tcase_add_test(t, nobody_there_is_408);
	tcase_add_test(t, no_ack_ends_the_callees_leg);
	tcase_add_test(t, farewells_to_nobody_time_out);
	tcase_add_test(t, either_side_may_restart_at_any_moment);
	tcase_add_test(t, a_leg_may_be_released_in_every_state);
	tcase_add_test(t, an_owner_may_end_and_release_from_inside);
	tcase_add_test(t, what_does_not_fit_is_500_or_no_leg);
	tcase_add_test(t, strays_are_refused_by_name);
	tcase_add_test(t, responses_of_no_transaction_are_refused);
	tcase_add_test(t, only_the_answer_to_the_bye_ends_it);
	tcase_add_test(t, an_answer_after_giving_up_is_ended);
	tcase_add_test(t, in_clear_is_refused);
	tcase_add_test(t, many_legs_are_found_and_end);
}

int main(void)
{
	Suite *suite = suite_create("sip_leg");
	TCase *t = tcase_create("all");

	tcase_add_test(t, either_side_may_hang_up);
	tcase_add_test(t, a_rejection_says_why);
	tcase_add_test(t, who_takes_no_call_says_503);
	tcase_add_test(t, what_is_told_behind_the_answer_is_heard_once);
	tcase_add_test(t, any_two_frames_may_be_lost);
	tcase_add_test(t, a_bad_network_changes_no_outcome);
	tcase_add_test(t, copies_that_come_late_change_nothing);
	tcase_add_test(t, a_copy_of_another_day_ends_too);
	add_hard_cases(t);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
