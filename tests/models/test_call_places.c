/*
 * Whom a signaling controller believes about where the voice of a call is: a POTS signaling gateway may name a trunk
 * gateway of the operator, with signaling at itself; everybody else has both at one address. Patent [0094]-[0095].
 */
#include "tests/models/call_rig.h"
#include "models/directory.h"

#define SG1_IP 0x0a000040u
#define SC2_IP 0x0a000041u
#define HE1_IP 0x0a000042u
#define TG_IP 0x0a000043u
#define PSTN_NUMBER "2125550001"

struct server { /* one of the operator's, with tickets of its own making */
	struct call_rig *rig;
	struct node *node;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct sip_endpoint *sip;
	struct sip_leg *leg;
	struct sdp place;         /* that it answers with */
	unsigned invited, answered, over;
	int status, ready;
};

static bool on_invited(void *ctx, struct sip_leg *leg, const struct sip_message *invite, const struct udp_from *from)
{
	struct server *s = ctx;
	char body[512], proof[CALL_PROOF_LEN];
	struct text t = { body, sizeof body, 0, false };
	struct sdp offer;
	key_handle key;

	s->invited++;
	s->leg = leg;
	sip_leg_set_owner(leg, s);
	ck_assert(sdp_parse(invite->body, &offer));
	key = call_key_unwrap(from->sa, offer.key);
	ck_assert(call_key_proof(s->sm, key, offer.spi, proof));
	sm_destroy_key(s->sm, key);
	sdp_write(&t, &s->place, 1);
	text_put(&t, "", 1);
	sip_leg_answer(leg, 200, proof, body);
	return true;
}

static void on_progress(struct sip_leg *leg, const struct sip_message *response)
{
	(void)leg, (void)response;
}

static void on_answered(struct sip_leg *leg, const struct sip_message *response)
{
	struct server *s = sip_leg_owner(leg);

	(void)response;
	s->answered++;
	sip_leg_ack(leg, "");
}

static void gone(struct sip_leg *leg)
{
	struct server *s = sip_leg_owner(leg);

	s->over++;
	s->leg = NULL;
	sip_leg_release(leg);
}

static void on_rejected(struct sip_leg *leg, int status)
{
	((struct server *)sip_leg_owner(leg))->status = status;
	gone(leg);
}

static void on_acknowledged(struct sip_leg *leg, const struct sip_message *ack)
{
	(void)leg;
	ck_assert_ptr_nonnull(ack);
}

static void on_hung_up(struct sip_leg *leg, const struct sip_message *bye)
{
	(void)bye;
	gone(leg);
}

static void on_ended(struct sip_leg *leg, bool timed_out)
{
	(void)timed_out;
	gone(leg);
}

static const struct sip_owner server_owner = {
	.invited = on_invited, .progress = on_progress, .answered = on_answered, .rejected = on_rejected,
	.acknowledged = on_acknowledged, .hung_up = on_hung_up, .ended = on_ended,
};

static void on_ready(void *ctx, bool ready)
{
	((struct server *)ctx)->ready = ready;
}

static void server_make(struct server *s, struct call_rig *r, const char *name, const char *principal, uint32_t ip)
{
	struct key_management_owner owner = { .ctx = s };
	struct backend_config config = { .principal = principal, .self_issue = true };

	*s = (struct server){ .rig = r };
	s->node = node_new(r->sim, name);
	iface_new(s->node, r->link, "eth0", NULL, ip, 24);
	s->sm = world_module(r->world, s->node, "module");
	s->ipsec = ipsec_new(s->node, s->sm, true);
	s->km = key_management_new(s->node, s->ipsec, principal, world_server_key(r->world, s->sm, principal), &owner);
	key_management_reset(s->km);
	config.node = s->node;
	config.ipsec = s->ipsec;
	config.km = s->km;
	s->backend = backend_new(&config);
	s->sip = sip_endpoint_new(s->node, s->ipsec, &server_owner, s);
	sip_endpoint_reset(s->sip);
	directory_service_add(world_directory(r->world), principal, ip);
	backend_ensure(s->backend, r->sc->ifaces->ip, on_ready, s);
	call_rig_run(r, NS_PER_S);
	ck_assert_int_eq(s->ready, 1);
}

static void server_free(struct server *s)
{
	sip_endpoint_free(s->sip);
	backend_free(s->backend);
	key_management_free(s->km);
	ipsec_free(s->ipsec);
	sm_free(s->sm);
}

/* A call for the callee, with voice at a place. */
static void offer(struct server *s, struct sdp place)
{
	const struct association *a = ipsec_find(s->ipsec, s->rig->sc->ifaces->ip, LABEL_SERVER);
	char body[512], key[CALL_KEY_TEXT_LEN];
	struct text t = { body, sizeof body, 0, false };
	struct sip_invite invite = { .peer_ip = s->rig->sc->ifaces->ip, .call_id = "call-1;s", .from_user = PSTN_NUMBER,
		                     .to_user = s->rig->client[CALLEE].number, .headers = HEADER_CALL ": call-1\r\n",
		                     .body = body };
	key_handle subkey = sm_generate_des3(s->sm, "call.subkey");

	ck_assert(call_key_wrap(a, subkey, key));
	sm_destroy_key(s->sm, subkey);
	place.port = 20000;
	place.spi = 0x4000;
	place.key = span_of(key);
	sdp_write(&t, &place, 1);
	text_put(&t, "", 1);
	s->leg = sip_leg_invite(s->sip, &invite, s);
	call_rig_run(s->rig, NS_PER_S);
}

struct bench {
	struct call_rig rig;
	struct server sg, sc2, he;
};

static void bench_make(struct bench *b)
{
	struct directory *directory;

	call_rig_make(&b->rig);
	directory = world_directory(b->rig.world);
	server_make(&b->sg, &b->rig, "sg1", "sg/sg1", SG1_IP);
	server_make(&b->sc2, &b->rig, "sc2", "sc/sc2", SC2_IP);
	server_make(&b->he, &b->rig, "he1", "he/he1", HE1_IP);
	directory_service_add(directory, "tg/tg1", TG_IP);
	directory_prefix_add(directory, "212", "sg/sg1");
}

static void bench_free(struct bench *b)
{
	ck_assert_uint_eq(b->rig.illegal_steps, 0);
	server_free(&b->sg);
	server_free(&b->sc2);
	server_free(&b->he);
	call_rig_end(&b->rig);
}

START_TEST(a_gateway_names_a_trunk_gateway)
{
	struct bench b;

	bench_make(&b);
	offer(&b.sg, (struct sdp){ .ip = TG_IP, .signaling_ip = SG1_IP });
	ck_assert_uint_eq(b.rig.client[CALLEE].invited, 1);
	ck_assert_uint_eq(b.sg.answered, 1);
	sip_leg_end(b.sg.leg, "");
	call_rig_run(&b.rig, NS_PER_S);
	ck_assert_int_eq(sc_get(&b.rig, "calls"), 0);
	b.sg.place = (struct sdp){ .ip = TG_IP, .port = 16384, .signaling_ip = SG1_IP };
	ck_assert_ptr_nonnull(client_dial(&b.rig.client[CALLER], "call-2", NULL, PSTN_NUMBER));
	call_rig_run(&b.rig, NS_PER_S);
	ck_assert_uint_eq(b.sg.invited, 1);
	ck_assert_uint_eq(b.rig.client[CALLER].answered, 1);
	ck_assert_uint_eq(refused(&b.rig, "sc.media_offer"), 0);
	sip_leg_end(b.rig.client[CALLER].leg, "");
	call_rig_run(&b.rig, NS_PER_S);
	ck_assert_int_eq(sc_get(&b.rig, "calls"), 0);
	ck_assert_int_eq(sc_get(&b.rig, "call_keys"), 0);
	bench_free(&b);
}
END_TEST

static const struct {
	bool sc2; /* a controller says it, else the gateway */
	uint32_t ip, signaling_ip;
} bad_places[] = {
	{ false, TG_IP, 0 },            /* nobody who would speak for it */
	{ false, TG_IP, SC2_IP },       /* another than itself */
	{ false, SG1_IP, SG1_IP },        /* no trunk gateway */
	{ false, HE1_IP, SG1_IP },
	{ false, 0x0a000012, SG1_IP },   /* a customer's address */
	{ true, TG_IP, SC2_IP },        /* it is no gateway */
	{ true, 0x0a000012, SC2_IP },
};

START_TEST(a_place_that_is_not_its_own_is_refused)
{
	struct server *who;
	struct bench b;

	bench_make(&b);
	who = bad_places[_i].sc2 ? &b.sc2 : &b.sg;
	offer(who, (struct sdp){ .ip = bad_places[_i].ip, .signaling_ip = bad_places[_i].signaling_ip });
	ck_assert_int_eq(who->status, 488);
	ck_assert_uint_eq(refused(&b.rig, "sc.media_offer"), 1);
	ck_assert_uint_eq(b.rig.client[CALLEE].invited, 0);
	if (!bad_places[_i].sc2) { /* in an answer it is as bad */
		b.sg.place = (struct sdp){ .ip = bad_places[_i].ip, .port = 16384,
			                   .signaling_ip = bad_places[_i].signaling_ip };
		client_dial(&b.rig.client[CALLER], "call-2", NULL, PSTN_NUMBER);
		call_rig_run(&b.rig, NS_PER_S);
		ck_assert_uint_eq(b.rig.client[CALLER].answered, 0);
		ck_assert_int_eq(b.rig.client[CALLER].status, 488);
		ck_assert_uint_eq(refused(&b.rig, "sc.media_offer"), 2);
	}
	ck_assert_int_eq(sc_get(&b.rig, "calls"), 0);
	ck_assert_int_eq(sc_get(&b.rig, "call_keys"), 0);
	bench_free(&b);
}
END_TEST

START_TEST(a_customer_names_nobody_else)
{
	struct bench b;
	struct client *c;
	char body[256];
	struct text t = { body, sizeof body, 0, false };
	struct sip_invite invite = { .call_id = "call-1", .to_user = PSTN_NUMBER, .headers = HEADER_CALL ": call-1\r\n",
		                     .body = body };

	bench_make(&b);
	c = &b.rig.client[MALLORY];
	client_secure(c);
	sdp_write(&t, &(struct sdp){ .ip = c->ip, .port = 16384, .signaling_ip = SG1_IP }, 1);
	text_put(&t, "", 1);
	invite.peer_ip = b.rig.sc->ifaces->ip;
	invite.from_user = c->number;
	c->leg = sip_leg_invite(c->sip, &invite, c);
	call_rig_run(&b.rig, NS_PER_S);
	ck_assert_int_eq(c->status, 488);
	ck_assert_uint_eq(refused(&b.rig, "sc.media_offer"), 1);
	ck_assert_uint_eq(b.sg.invited, 0);
	bench_free(&b);
}
END_TEST

START_TEST(other_servers_offer_no_calls)
{
	struct bench b;

	bench_make(&b);
	offer(&b.he, (struct sdp){ .ip = TG_IP, .signaling_ip = HE1_IP });
	ck_assert_int_eq(b.he.status, 403);
	ck_assert_uint_eq(refused(&b.rig, "sc.check_controller"), 1);
	ck_assert_uint_eq(b.rig.client[CALLEE].invited, 0);
	bench_free(&b);
}
END_TEST

static Suite *call_places_suite(void)
{
	Suite *suite = suite_create("places of voice");
	TCase *places = tcase_create("places");

	tcase_set_timeout(places, 120);
	tcase_add_test(places, a_gateway_names_a_trunk_gateway);
	tcase_add_loop_test(places, a_place_that_is_not_its_own_is_refused, 0, sizeof bad_places / sizeof *bad_places);
	tcase_add_test(places, a_customer_names_nobody_else);
	tcase_add_test(places, other_servers_offer_no_calls);
	suite_add_tcase(suite, places);
	return suite;
}

int main(void)
{
	return rig_main(call_places_suite());
}
