/* A cable telephony adapter whose controller's name and address others use: what their packets can make it do. */
#include "models/wire/pktc.h"
#include "tests/models/call_rig.h"
#include "tests/models/table_walk.h"

#define MS NS_PER_MS
#define CTA_NUMBER "215-555-0199"
#define CTA_IP 0x0a000020u

extern const struct model model_cta;

struct set {
	struct call_rig r;
	struct node *cta;
	struct udp_socket forger; /* at the controller's address, not its port */
	struct rng rng;
	bool no_requests;         /* AP-REQs are taken off the line */
	unsigned requests;
};

static void hear(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	(void)socket, (void)packet, (void)from;
}

static bool is_pktc_to(const struct packet *frame, uint32_t ip)
{
	const uint8_t *p = frame->data + ETHERNET_HEADER_LEN;

	return frame->len > ETHERNET_HEADER_LEN + IP_HEADER_LEN + UDP_HEADER_LEN && p[9] == IP_PROTO_UDP && get_be32(p + 16) == ip &&
	       get_be16(p + 22) == PKTC_PORT;
}

static enum tap_verdict tap(void *ctx, struct link *link, struct iface *from, struct iface *to, struct packet *frame)
{
	struct set *s = ctx;

	(void)link, (void)from, (void)to;
	if (!is_pktc_to(frame, s->r.sc->ifaces->ip))
		return TAP_PASS;
	s->requests++;
	if (!s->no_requests)
		return TAP_PASS;
	packet_free(frame);
	return TAP_TAKEN;
}

static void set_make(struct set *s, const char *number)
{
	struct value sc, none = value_nil();
	struct arg list[] = {
		{ "controller", none }, { "kdc", none }, { "provisioned", number ? value_text(number) : none },
		{ "transport", value_text("tcp") }, { "pkinit", value_text("rsa") }, { "ticket_lifetime", value_time(7 * 86400 * NS_PER_S) },
		{ "rsa_bits", value_int(1024) }, { "codec", value_text("PCMU") }, { "auto_answer", value_time(0) },
		{ "ring_timeout", value_time(60 * NS_PER_S) }, { "media_timeout", value_time(5 * NS_PER_S) },
	};
	char error[MODEL_ERROR_LEN] = "";

	memset(s, 0, sizeof *s);
	call_rig_make(&s->r);
	sc = (struct value){ .type = VALUE_NODE, .node = s->r.sc };
	list[0].value = list[1].value = sc;
	s->cta = node_new(s->r.sim, "cta1");
	iface_new(s->cta, s->r.link, "eth0", NULL, CTA_IP, 24);
	s->cta->model = &model_cta;
	ck_assert_msg(model_cta.create(s->cta, &(struct args){ list, sizeof list / sizeof *list }, error), "%s", error);
	rng_init(&s->rng, 1, "test", "forger");
	ck_assert(udp_bind(s->r.sc, &s->forger, 0, hear, NULL));
	s->r.link->tap = tap;
	s->r.link->tap_ctx = s;
}

static void verb(struct set *s, const char *name, const char *number, struct verb_result *result)
{
	const struct verb *v = model_cta.verbs;
	struct arg arg = { "number", number ? value_text(number) : value_nil() };

	while (strcmp(v->name, name) != 0)
		v++;
	*result = (struct verb_result){ .error = "" };
	v->fn(s->cta, &(struct args){ &arg, number != NULL }, result);
	ck_assert_str_eq(result->error, "");
}

static void boot(struct set *s, const char *state)
{
	struct verb_result result;
	struct value value;

	verb(s, "boot", NULL, &result);
	call_rig_run(&s->r, 5 * NS_PER_S);
	ck_assert(model_cta.get(s->cta, "telephony", &value));
	ck_assert_str_eq(value.text.bytes, state);
}

static void set_free(struct set *s)
{
	udp_unbind(&s->forger);
	s->r.link->tap = NULL;
	call_rig_end(&s->r);
}

static void forge_frame(struct set *s, const struct pktc *frame)
{
	uint8_t bytes[PKTC_MESSAGE_MAX];
	size_t len = pktc_write(frame, bytes, sizeof bytes);
	struct packet *packet = packet_new(s->r.sim, (uint32_t)len);

	memcpy(packet_append(packet, (uint32_t)len), bytes, len);
	udp_send(&s->forger, 0, CTA_IP, PKTC_PORT, packet);
}

static void forge_wake_up(struct set *s)
{
	struct pktc frame = { .kind = PKTC_WAKE_UP, .server_nonce = (uint32_t)rng_u64(&s->rng) | 1 };

	snprintf(frame.principal, sizeof frame.principal, "%s", signaling_controller_principal(s->r.sc));
	forge_frame(s, &frame);
}

static void forge_error(struct set *s)
{
	struct krb_error_info info = { .code = KDC_ERR_POLICY, .stime = world_now(s->r.sim) };
	struct pktc frame = { .kind = PKTC_ERROR_REPLY };
	struct der der = { 0 };

	ck_assert(krb_name_set(&info.server, signaling_controller_principal(s->r.sc), WORLD_REALM));
	ck_assert(krb_error_build(world_crypto(s->r.world), &info, &der));
	frame.kerberos = (struct span){ (const char *)der.bytes, der.len };
	forge_frame(s, &frame);
	der_free(&der);
}

static void forge_esp(struct set *s)
{
	struct packet *packet = packet_new(s->r.sim, 64);
	uint8_t *bytes = packet_append(packet, 64);

	rng_bytes(&s->rng, bytes, 64);
	bytes[0] |= 1; /* no reserved SPI */
	ip_send(s->r.sc, &(struct ip_info){ .dst = CTA_IP, .proto = IP_PROTO_ESP }, packet);
}

/* Packets that anybody can send, a hundred a second. */
START_TEST(forged_packets_make_it_key_a_few_times_only)
{
	static void (*const forge[])(struct set *s) = { forge_wake_up, forge_esp };

	for (unsigned way = 0; way < 2; way++) {
		struct set s;

		set_make(&s, CTA_NUMBER);
		boot(&s, "ProvisionedAccess");
		for (unsigned i = 0; i < 2000; i++) { /* 20 s */
			forge[way](&s);
			call_rig_run(&s.r, 10 * MS);
		}
		ck_assert_int_ge(rig_get(s.cta, "exchanges"), 4);
		ck_assert_int_le(rig_get(s.cta, "exchanges"), 4 + 20);
		ck_assert_uint_le(s.requests, 4 + 20);
		ck_assert_int_le(rig_get(s.cta, "associations"), AP_ASSOCIATIONS_MAX);
		ck_assert_int_le(sc_get(&s.r, "associations"), AP_ASSOCIATIONS_MAX);
		call_rig_run(&s.r, 120 * NS_PER_S);
		ck_assert_int_eq(rig_get(s.cta, "associations"), 0);
		call_rig_expect_clean(&s.r);
		set_free(&s);
	}
}
END_TEST

/* In the middle of which it can be reached all the same. */
START_TEST(forged_wake_ups_do_not_keep_calls_away)
{
	struct set s;
	struct client *caller;

	set_make(&s, CTA_NUMBER);
	caller = &s.r.client[CALLER];
	boot(&s, "ProvisionedAccess");
	client_secure(caller);
	for (unsigned i = 0; i < 500; i++) {
		forge_wake_up(&s);
		if (i == 300)
			client_dial(caller, "a", NULL, "2155550199");
		call_rig_run(&s.r, 10 * MS);
	}
	call_rig_run(&s.r, 3 * NS_PER_S);
	ck_assert_uint_eq(caller->answered, 1);
	ck_assert_uint_ne(caller->key, 0);
	sip_leg_end(caller->leg, "");
	call_rig_run(&s.r, 120 * NS_PER_S);
	call_rig_expect_clean(&s.r);
	set_free(&s);
}
END_TEST

/* Each association's end was told as the end of all of them: a step that the table does not have. */
START_TEST(the_last_association_ends_the_context)
{
	struct set s;
	struct value value;

	set_make(&s, NULL);
	boot(&s, "UnprovisionedAccess");
	for (unsigned i = 0; i < 3; i++) {
		forge_esp(&s);
		call_rig_run(&s.r, NS_PER_S);
	}
	ck_assert_int_eq(rig_get(s.cta, "associations"), 3);
	ck_assert(model_cta.get(s.cta, "telephony", &value));
	ck_assert_str_eq(value.text.bytes, "UnprovisionedContext");
	call_rig_run(&s.r, 120 * NS_PER_S);
	ck_assert_int_eq(rig_get(s.cta, "associations"), 0);
	ck_assert(model_cta.get(s.cta, "telephony", &value));
	ck_assert_str_eq(value.text.bytes, "UnprovisionedAccess");
	ck_assert_uint_eq(s.r.illegal_steps, 0);
	set_free(&s);
}
END_TEST

/* Errors that nobody vouches for cost a call one new ticket, not one after the other until it gives up. */
START_TEST(a_call_costs_one_new_ticket_at_most)
{
	struct set s;
	struct verb_result result;
	struct value value;

	set_make(&s, CTA_NUMBER);
	boot(&s, "ProvisionedAccess");
	ck_assert_int_eq(rig_get(s.cta, "tickets"), 1);
	s.no_requests = true;
	verb(&s, "dial", s.r.client[CALLEE].number, &result);
	for (unsigned i = 0; i < 900; i++) { /* 45 s */
		forge_error(&s);
		call_rig_run(&s.r, 50 * MS);
	}
	ck_assert_int_eq(rig_get(s.cta, "tickets"), 2);
	ck_assert(model_cta.get(s.cta, "line", &value));
	ck_assert_str_eq(value.text.bytes, "Idle");
	s.no_requests = false; /* and it can call again */
	verb(&s, "dial", s.r.client[CALLEE].number, &result);
	call_rig_run(&s.r, 2 * NS_PER_S);
	ck_assert_uint_eq(s.r.client[CALLEE].acknowledged, 1);
	ck_assert_int_eq(rig_get(s.cta, "tickets"), 2);
	verb(&s, "power_off", NULL, &result);
	call_rig_run(&s.r, CALL_AUDIT_NS + CALL_AUDIT_WAIT_NS + 120 * NS_PER_S);
	ck_assert_uint_eq(s.r.records, 1);
	call_rig_expect_clean(&s.r);
	set_free(&s);
}
END_TEST

/* Without power at any moment of a call: nothing is left here, and it works again. */
START_TEST(power_may_fail_at_any_moment)
{
	struct set s;
	struct verb_result result;
	struct client *callee;

	set_make(&s, CTA_NUMBER);
	callee = &s.r.client[CALLEE];
	boot(&s, "ProvisionedAccess");
	for (unsigned ms = 0; ms < 40; ms++) {
		verb(&s, "dial", callee->number, &result);
		call_rig_run(&s.r, ms * MS);
		verb(&s, "power_off", NULL, &result);
		ck_assert_int_eq(rig_get(s.cta, "associations"), 0);
		call_rig_run(&s.r, 10 * MS);
		verb(&s, "boot", NULL, &result);
		call_rig_run(&s.r, CALL_AUDIT_NS + CALL_AUDIT_WAIT_NS + 60 * NS_PER_S);
		if (callee->leg)
			sip_leg_end(callee->leg, "");
		call_rig_run(&s.r, 120 * NS_PER_S);
		ipsec_reset(callee->ipsec);
		call_rig_expect_clean(&s.r);
	}
	ck_assert_int_eq(rig_get(s.cta, "tickets"), 41);
	set_free(&s);
}
END_TEST

/* FIG. 5B [0112]-[0117] */

static const struct machine_def *telephony_machine(void)
{
	const struct machine_def *const *m = model_cta.machines;

	while (strcmp((*m)->name, "telephony") != 0)
		m++;
	return *m;
}

START_TEST(telephony_table)
{
	/*
	 * PKINIT by the manufacturer's certificate, by the operator's, failed; AP exchange, failed; ticket expired, refused;
	 * association ended; power or address lost; operator certificate, removed
	 */
	static const char *const expected[] = {
		"UPN....NNNN", /* NotConfigured */
		"...CUnn.NR.", /* UnprovisionedAccess */
		"...CCnnUNR.", /* UnprovisionedContext */
		"...RRnnRNR.", /* ReceivedOperatorCertificate */
		"...PPnnPNR.", /* ProvisionedAccess */
	};

	table_walk(telephony_machine(), expected, "NUCRP");
}
END_TEST

/* The action is the same in each cell that has one: another ticket is asked for. */
START_TEST(a_ticket_that_is_gone_is_asked_for_again)
{
	const struct machine_def *def = telephony_machine();
	struct set s;
	struct value value;

	for (unsigned i = 0, cells = (unsigned)def->state_count * def->event_count; i < cells; i++)
		if (def->cells[i].action)
			ck_assert(def->cells[i].action == def->cells[1 * def->event_count + 5].action);
	set_make(&s, CTA_NUMBER);
	boot(&s, "ProvisionedAccess");
	call_rig_run(&s.r, (86400 + 3600) * NS_PER_S); /* the KDC's are for a day */
	ck_assert_int_eq(rig_get(s.cta, "tickets"), 2);
	ck_assert(model_cta.get(s.cta, "telephony", &value));
	ck_assert_str_eq(value.text.bytes, "ProvisionedAccess");
	ck_assert_uint_eq(s.r.illegal_steps, 0);
	set_free(&s);
}
END_TEST

static Suite *cta_suite(void)
{
	Suite *suite = suite_create("cta");
	TCase *t = tcase_create("cta");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, forged_packets_make_it_key_a_few_times_only);
	tcase_add_test(t, forged_wake_ups_do_not_keep_calls_away);
	tcase_add_test(t, the_last_association_ends_the_context);
	tcase_add_test(t, a_call_costs_one_new_ticket_at_most);
	tcase_add_test(t, power_may_fail_at_any_moment);
	tcase_add_test(t, telephony_table);
	tcase_add_test(t, a_ticket_that_is_gone_is_asked_for_again);
	suite_add_tcase(suite, t);
	return suite;
}

int main(void)
{
	return rig_main(cta_suite());
}
