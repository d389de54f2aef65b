/*
 * Whether an INVITE may go on, and where; see call_control_internal.h. flows.md 4, C1 and C2; patent [0079], [0134], [0138].
 */
#include "models/call_control_internal.h"

#include <stdio.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"

#define NO_NUMBER "0" /* what a CTA that has none calls itself */

#define REFUSE(name, code) ((struct verdict){ name, code })
#define PASS ((struct verdict){ NULL, 0 })

/* Servers speak without associations: backend.ipsec is off. */
bool call_servers_uncovered(const struct call_control *c)
{
	return !world_on(world_of(c->config.node->sim), "backend.ipsec");
}

static bool from_cta(const struct udp_from *from)
{
	const struct association *a = from->sa;

	return a && strcmp(a->label, LABEL_CTA_SC) == 0;
}

struct party *call_inviting_party(const struct call_control *c, const struct udp_from *from)
{
	const struct association *a = from->sa;

	return from_cta(from) ? party_of(c->config.parties, from->src, a->peer) : NULL;
}

static bool user_digits(struct span uri, char out[SUBSCRIBER_NUMBER_LEN])
{
	char user[64];

	return span_copy(sip_user(uri), user, sizeof user) && number_digits(user, out);
}

/* A CTA of this segment calls: its number follows from the principal it has proven, and without one it has none. */
static struct verdict judge_cta(struct call *call, const struct invitation *in, const struct party *party)
{
	const struct call_control_config *c = &call->control->config;
	uint8_t id[PHONE_ID_LEN];
	const struct subscriber *subscriber = NULL;
	const char *number = NO_NUMBER;

	call->near_cta = true;
	if (!party)
		return REFUSE("sc.no_ticket", 403);
	if (hex_decode(span_of(party->name), id, sizeof id) == PHONE_ID_LEN)
		subscriber = subscribers_by_phone_id(c->subscribers, id);
	if (!subscriber && !party->restricted)
		return REFUSE("sc.check_subscriber", 403);
	if (subscriber)
		number = subscriber->number;
	/* A CTA that has just been provisioned has its certificate, and may not have been told its number yet. */
	if (strcmp(number, in->from_user) != 0 && strcmp(in->from_user, NO_NUMBER) != 0)
		return REFUSE("sc.check_caller", 403);
	snprintf(call->caller, sizeof call->caller, "%s", number);
	/* From here on there is somebody to whom the record belongs: who pays, and who it was. */
	snprintf(call->account, sizeof call->account, "%s", subscriber ? number : CALL_RECORDS_RESTRICTED);
	snprintf(call->origin, sizeof call->origin, "%.*s", SUBSCRIBER_NUMBER_LEN - 1, subscriber ? number : party->name);
	if (in->media.ip != in->from->src || in->media.signaling_ip)
		return REFUSE("sc.media_offer", 488); /* another's address would misdirect what its owner says */
	if (!party_may_call(party, in->to) && world_on(world_of(c->node->sim), "sc.enforce_restriction"))
		return REFUSE("sc.enforce_restriction", 403);
	call_take_key(call, sm_generate_des3(call->control->sm, "call.subkey"));
	call->spi = ipsec_new_spi(c->ipsec);
	return PASS;
}

bool call_place_good(const struct call_control *c, const struct sdp *place, uint32_t peer_ip, bool gateway)
{
	const char *at = directory_service_at(world_directory(world_of(c->config.node->sim)), place->ip);

	if (!gateway)
		return place->signaling_ip == 0;
	return place->signaling_ip == peer_ip && at && strncmp(at, "tg/", 3) == 0;
}

/* Another controller, or the POTS signaling gateway [0095], offers a call for this segment. */
static struct verdict judge_server(struct call *call, const struct invitation *in)
{
	const struct association *a = in->from->sa;
	const char *principal = directory_service_at(world_directory(world_of(call->control->config.node->sim)), in->from->src);

	if (a)
		principal = a->peer;
	if (!principal || (strncmp(principal, "sc/", 3) != 0 && strncmp(principal, "sg/", 3) != 0))
		return REFUSE("sc.check_controller", 403);
	call->near_gateway = strncmp(principal, "sg/", 3) == 0;
	if (!call_place_good(call->control, &in->media, in->from->src, call->near_gateway))
		return REFUSE("sc.media_offer", 488);
	if (a)
		call_take_key(call, call_key_unwrap_any(a, in->media.key));
	else if (call_servers_uncovered(call->control))
		call_take_key(call, call_key_unwrap_open(call->control->sm, in->media.key));
	if (!call->subkey || !in->media.spi)
		return REFUSE("subkey.unwrap", 488);
	call->spi = in->media.spi;
	snprintf(call->caller, sizeof call->caller, "%s", in->from_user);
	return PASS;
}

/* Where the called number is. */
static struct verdict route(struct call *call)
{
	const struct call_control_config *c = &call->control->config;
	struct directory *directory = world_directory(world_of(c->node->sim));
	const char *principal = directory_number(directory, call->callee);
	const struct subscriber *subscriber;

	if (!principal || (!call->near_cta && strcmp(principal, c->principal) != 0))
		return REFUSE("sc.unknown_number", 404);
	if (strcmp(principal, c->principal) != 0) {
		call->far_ip = directory_service_ip(directory, principal);
		call->far_server = strncmp(principal, "sc/", 3) != 0;
		call->far_gateway = strncmp(principal, "sg/", 3) == 0;
		return call->far_ip ? PASS : REFUSE("sc.unknown_number", 404);
	}
	subscriber = subscribers_by_number(c->subscribers, call->callee);
	if (!subscriber)
		return REFUSE("sc.unknown_number", 404);
	if (!subscriber->ip)
		return REFUSE("sc.unreachable", 480);
	call->far_cta = true;
	call->far_ip = subscriber->ip;
	hex_encode(subscriber->phone_id, PHONE_ID_LEN, call->far_name);
	return PASS;
}

struct verdict call_judge(struct call *call, struct invitation *in)
{
	bool cta = from_cta(in->from);
	struct verdict verdict;

	if (!user_digits(in->message->uri, in->to) || !user_digits(in->message->from, in->from_user))
		return REFUSE("sc.unknown_number", 404);
	if (!sdp_parse(in->message->body, &in->media) || in->media.ip == 0)
		return REFUSE("sc.media_offer", 488);
	snprintf(call->callee, sizeof call->callee, "%s", in->to);
	call->near_media = (struct sdp){ .ip = in->media.ip, .port = in->media.port,
		                         .payload_type = in->media.payload_type, .signaling_ip = in->media.signaling_ip };
	verdict = cta ? judge_cta(call, in, call->near_party) : judge_server(call, in);
	return verdict.check ? verdict : route(call);
}
