/*
 * POTS signaling gateway: takes the far CTA's part in calls between CTAs and plain phones of the PSTN (patent [0040],
 * [0094]-[0095], [0125]; flows.md 4, variants CTA -> PSTN and PSTN -> CTA). It ends the CTA's signaling, speaks ISUP
 * with the PSTN (models/trunk_group.h) and has the trunk gateway end the voice (models/gateway_control.h).
 *
 * CTA -> PSTN: the CTA's controller offers the call with a fresh sub-key and SPI as it does to a network server
 * [0083]. A circuit is held, the trunk gateway gets the sub-key and says where it takes the voice; the answer to the
 * controller has the proof of receipt, that place, and that signaling is with us. Then the CTA's own INVITE, under
 * the CTA-server association, becomes an IAM; ACM is ringing (180), ANM the answer (200), a release before it the
 * status of RFC 3398.
 *
 * PSTN -> CTA: an IAM. We are the source: we make the sub-key and SPI, the trunk gateway gets them, the controller of
 * the called number is offered the call and answers with the CTA's proof; then we call the CTA itself under the
 * CTA-CTA association: its 180 becomes the ACM, its 200 the ANM.
 *
 * A call's end releases its circuit at once, and no later than GATEWAY_KEYS_LINGER_NS afterwards its sub-key and all
 * that was derived from it are gone, whatever the network did with the farewells. A restart loses calls, associations
 * and tickets; the reset of all circuits tells the PSTN.
 *
 * Only servers may have an association by ticket: "sc.not_us", "sg.check_service". Refusals of an INVITE, each with
 * its response: "sg.check_controller" 403, "sg.unknown_number" 404 (not one of the PSTN's), "sg.media_offer" 488,
 * "sg.spi_in_use" 488, "sg.no_circuit" 503, "subkey.unwrap" 488; under the association with a CTA: "sg.unknown_call"
 * 403. Of answers: "sg.trunk_answer", "sg.verify_proof", "sg.media_answer". Of an IAM: "sg.unknown_number" (cause 1);
 * of the caller that it names: "sg.caller_number" (one of ours; the call goes on without it). Of a question:
 * "sg.check_asker", "sg.unknown_question", "sg.no_call". Of the PSTN: those of models/trunk_group.h and
 * models/isup_link.h.
 */
#include "models/signaling_gateway_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/directory.h"
#include "models/message.h"
#include "models/model.h"
#include "models/radius_server.h"

#define PREFIXES_MAX 16

/*
 * Who is talking with a phone of the PSTN: asked by an order terminal of the CSR centre, whose phone tells it nothing
 * [0145]. Access-Request, Connect-Info "caller", Called-Station-Id the phone's number; answered with the CTA's
 * address, its number, "0" without one, and in Acct-Session-Time how long ago the call began.
 */

static const struct pots_call *call_with(const struct signaling *sg, const char *number)
{
	const struct pots_call *call = sg->calls;

	while (call && (call->machine.state != CALL_TALKING ||
	                strcmp(call->to_pstn ? call->callee : call->caller, number) != 0))
		call = call->next;
	return call;
}

static const char *judge_question(const struct signaling *sg, const struct radius_asked *asked,
                                  const struct pots_call **call)
{
	const struct radius *q = &asked->question;
	char number[SUBSCRIBER_NUMBER_LEN];

	if (strncmp(asked->principal, "csr/", 4) != 0)
		return "sg.check_asker";
	if (q->code != RADIUS_ACCESS_REQUEST || strcmp(q->connect_info, "caller") != 0 ||
	    !number_digits(q->called_station, number))
		return "sg.unknown_question";
	*call = call_with(sg, number);
	return *call ? NULL : "sg.no_call";
}

static void on_question(void *ctx, const struct radius_asked *asked)
{
	struct signaling *sg = ctx;
	struct radius answer = { .code = RADIUS_ACCESS_ACCEPT };
	const struct pots_call *call = NULL;
	const char *check = judge_question(sg, asked, &call);

	if (check) {
		radius_server_judge(sg->answers, asked, check);
		return;
	}
	answer.framed_ip = call->cta.ip;
	snprintf(answer.calling_station, sizeof answer.calling_station, "%s",
	         call->to_pstn ? call->caller : call->callee);
	answer.acct_session_s = (uint32_t)((sg->gateway.node->sim->now_ns - call->began_ns) / NS_PER_S) + 1;
	message_accept(sg->gateway.node, asked->tag);
	radius_server_answer(sg->answers, asked, &answer);
}

/* Construction */

static const struct param params[] = {
	{ .name = "kdc", .type = VALUE_NODE, .required = true, .doc = "the KDC it gets tickets from, or its machine" },
	{ .name = "trunk_gateway", .type = VALUE_NODE, .required = true, .doc = "ends the voice" },
	{ .name = "pstn", .type = VALUE_TEXT, .required = true,
	  .doc = "address of the PSTN's end of the signaling link: \"10.203.0.10\"" },
	{ .name = "prefixes", .type = VALUE_TEXT, .required = true,
	  .doc = "what numbers of the PSTN begin with: \"212,800\"; a number that a controller serves is that one's" },
	{ .name = "circuits", .type = VALUE_INT, .preset = "24", .doc = "of the trunk group: a T1's" },
	{ .name = "point_code", .type = VALUE_INT, .preset = "4096", .doc = "its own, ITU 14 bit" },
	{ .name = "pstn_code", .type = VALUE_INT, .preset = "4097", .doc = "the PSTN's" },
	{ .name = NULL },
};

static void forget(struct signaling *sg)
{
	sim_cancel(sg->gateway.node->sim, &sg->reset_timer);
	backend_cancel(sg->gateway.backend, &sg->reset_timer);
	sg->trunk_ready = false;
	sg->reset_leg = NULL; /* the endpoint's, which forgets it too */
	while (sg->calls)
		pots_call_free(sg->calls);
}

static void destroy(struct node *node)
{
	struct signaling *sg = node->state;

	forget(sg);
	trunk_group_free(sg->trunks);
	radius_server_free(sg->answers);
	gateway_free(&sg->gateway);
	free(sg);
}

/* Takes the next prefix off the list; false: its end. */
static bool next_prefix(const char **list, char out[SUBSCRIBER_NUMBER_LEN], bool *good)
{
	size_t len = strcspn(*list, ",");
	char text[SUBSCRIBER_NUMBER_LEN * 2];

	if (!**list)
		return false;
	*good = len > 0 && len < sizeof text;
	snprintf(text, sizeof text, "%.*s", (int)len, *list);
	*good = *good && number_digits(text, out);
	*list += len + ((*list)[len] == ',');
	return true;
}

static bool prefixes_good(const char *list)
{
	char prefix[SUBSCRIBER_NUMBER_LEN];
	unsigned count = 0;
	bool good = true, all = true;

	while (next_prefix(&list, prefix, &good)) {
		all = all && good;
		count++;
	}
	return all && count > 0 && count <= PREFIXES_MAX;
}

static bool check_codes(const struct args *args, char error[MODEL_ERROR_LEN])
{
	int64_t circuits = args_int(args, "circuits", 24), own = args_int(args, "point_code", 0);
	int64_t peer = args_int(args, "pstn_code", 0);

	if (circuits < 1 || circuits > TRUNK_CIRCUITS_MAX)
		snprintf(error, MODEL_ERROR_LEN, "circuits must be 1 to %d, found %lld; write circuits = 24",
		         TRUNK_CIRCUITS_MAX, (long long)circuits);
	else if (own < 0 || own > ISUP_POINT_CODE_MAX || peer < 0 || peer > ISUP_POINT_CODE_MAX || own == peer)
		snprintf(error, MODEL_ERROR_LEN,
		         "point codes must be two numbers up to %d, found %lld and %lld; "
		         "write point_code = 4096, pstn_code = 4097",
		         ISUP_POINT_CODE_MAX, (long long)own, (long long)peer);
	else
		return true;
	return false;
}

static bool check_params(const struct node *node, const struct args *args, uint32_t *pstn, char error[MODEL_ERROR_LEN])
{
	const char *given = args_text(args, "pstn", ""), *prefixes = args_text(args, "prefixes", "");
	const struct node *trunk = args_node(args, "trunk_gateway");

	if (!ip_parse(given, pstn) || !gateway_ip_towards(node, *pstn))
		snprintf(error, MODEL_ERROR_LEN,
		         "pstn must be an address on a link of the signaling gateway, found \"%s\"; "
		         "write pstn = \"10.203.0.10\"", given);
	else if (!trunk->model || strcmp(trunk->model->name, "trunk_gateway") != 0)
		snprintf(error, MODEL_ERROR_LEN, "trunk_gateway must be one, found %s; write trunk_gateway = net.tg",
		         trunk->name);
	else if (!prefixes_good(prefixes))
		snprintf(error, MODEL_ERROR_LEN,
		         "prefixes must be up to %d beginnings of numbers, found \"%s\"; write prefixes = \"212,800\"",
		         PREFIXES_MAX, prefixes);
	else
		return check_codes(args, error);
	return false;
}

static void enter_prefixes(const struct signaling *sg, const char *list)
{
	char prefix[SUBSCRIBER_NUMBER_LEN];
	bool good;

	while (next_prefix(&list, prefix, &good))
		directory_prefix_add(pots_directory(sg), prefix, sg->gateway.principal);
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct trunk_group_config trunks = { .node = node, .seized = pots_on_seized, .alerting = pots_on_alerting,
		                             .answered = pots_on_answered, .moved = pots_on_moved,
		                             .released = pots_on_released };
	struct signaling *sg;
	uint32_t pstn;

	if (!check_params(node, args, &pstn, error))
		return false;
	sg = sim_alloc(sizeof *sg);
	node->state = sg;
	node->destroy = destroy;
	sg->trunk_ip = gateway_first_ip(args_node(args, "trunk_gateway"));
	rng_init(&sg->ids, node->sim->seed, node->name, "call-ids");
	trunks.ctx = sg;
	trunks.peer_ip = pstn;
	trunks.local_ip = gateway_ip_towards(node, pstn);
	trunks.local_code = (uint16_t)args_int(args, "point_code", 0);
	trunks.peer_code = (uint16_t)args_int(args, "pstn_code", 0);
	trunks.circuits = (unsigned)args_int(args, "circuits", 24);
	sg->trunks = trunk_group_new(&trunks);
	gateway_make(&sg->gateway, node, gateway_first_ip(node), "sg", "sg.check_service",
	             gateway_first_ip(args_node(args, "kdc")), &pots_sip_owner, sg);
	sg->answers = radius_server_new(node, sg->gateway.ipsec, RADIUS_AUTH_PORT, on_question, sg);
	enter_prefixes(sg, args_text(args, "prefixes", ""));
	return true;
}

static void power_on(struct node *node)
{
	struct signaling *sg = node->state;

	gateway_start(&sg->gateway);
	radius_server_reset(sg->answers);
	trunk_group_start(sg->trunks);
	sim_at(node->sim, &sg->reset_timer, node->sim->now_ns, pots_start_reset, "trunk.reset");
}

static void restart(struct node *node)
{
	struct signaling *sg = node->state;

	forget(sg);
	gateway_restart(&sg->gateway);
	radius_server_reset(sg->answers);
	trunk_group_start(sg->trunks);
	sim_at(node->sim, &sg->reset_timer, node->sim->now_ns, pots_start_reset, "trunk.reset");
	pots_changed(sg);
}

/* What a scenario may ask */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct signaling *sg = node->state;
	struct trunk_counters trunks = trunk_group_counters(sg->trunks);
	sim_ns owed = sg->from_pstn_ns;

	for (const struct pots_call *call = sg->calls; call; call = call->next)
		owed += pots_call_owed_ns(call);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "calls", sg->active }, { "call_keys", sg->keys }, { "to_pstn", sg->to_pstn },
		{ "from_pstn", sg->from_pstn }, { "from_pstn_answered", sg->from_pstn_answered },
		{ "from_pstn_s", (uint64_t)(owed / NS_PER_S) },
		{ "answered", sg->answered }, { "refused", sg->refused },
		{ "associations", ipsec_count(sg->gateway.ipsec) },
		{ "exchanges", sg->gateway.exchanges }, { "circuits_idle", trunks.idle },
		{ "circuits_busy", trunks.busy },
		{ "circuits_blocked", trunks.blocked }, { "resets", trunks.resets },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	if (strcmp(attribute, "link_up") == 0)
		*out = value_bool(trunks.link_up);
	else if (strcmp(attribute, "trunk_ready") == 0)
		*out = value_bool(sg->trunk_ready);
	else
		return false;
	return true;
}

static const struct attribute attributes[] = {
	{ "calls", VALUE_INT, "calls that are not over" },
	{ "call_keys", VALUE_INT, "sub-keys of calls it holds" },
	{ "to_pstn", VALUE_INT, "calls of CTAs that went out on a circuit, so far" },
	{ "from_pstn", VALUE_INT, "calls that came in on a circuit for a number of a controller, so far" },
	{ "from_pstn_answered", VALUE_INT, "of those: answered" },
	{ "from_pstn_s", VALUE_INT, "seconds talked in them, so far: what the PSTN's network owes ours for" },
	{ "answered", VALUE_INT, "calls answered, so far" },
	{ "refused", VALUE_INT, "INVITEs and IAMs refused, so far" },
	{ "associations", VALUE_INT, "security associations with servers and CTAs" },
	{ "exchanges", VALUE_INT, "AP exchanges accepted" },
	{ "circuits_idle", VALUE_INT, "circuits that are free" },
	{ "circuits_busy", VALUE_INT, "circuits with a call, or being released" },
	{ "circuits_blocked", VALUE_INT, "circuits whose reset is not acknowledged" },
	{ "resets", VALUE_INT, "resets of circuits by either end, so far" },
	{ "link_up", VALUE_BOOL, "the signaling link to the PSTN is up" },
	{ "trunk_ready", VALUE_BOOL, "the trunk gateway has freed what was reserved before our start" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct machine_def *const machines[] = { &pots_call_machine, &trunk_circuit_machine,
                                                      &isup_link_machine, NULL };

const struct model model_signaling_gateway = {
	.name = "signaling_gateway",
	.doc = "POTS signaling gateway: takes the far CTA's part in calls between CTAs and plain phones of the PSTN",
	.params = params, .attributes = attributes, .machines = machines, .create = create, .start = power_on,
	.get = get, .restart = restart,
};
