/* What a CTA's calls say and read of session descriptions; see cta_call.h. flows.md 4, C1, C2 and C6. */
#include "models/cta_call.h"

#include <stdio.h>

#define HEADERS_LEN 192

void cta_call_describe(const struct cta_call *call, char body[CALL_BODY_LEN])
{
	struct text t = { body, CALL_BODY_LEN, 0, false };
	struct sdp sdp = { .ip = call->cta->ip, .port = call->local_port, .payload_type = call->cta->payload_type };

	if (call->peer_media.ip)
		sdp.payload_type = call->peer_media.payload_type; /* as offered */
	sdp_write(&t, &sdp, 1);
	text_put(&t, "", 1);
}

struct sip_leg *cta_call_invite(struct cta_call *call, uint32_t to_ip, const char *leg)
{
	struct cta *cta = call->cta;
	char id[SIP_CALL_ID_MAX + 1], headers[HEADERS_LEN], body[CALL_BODY_LEN], own[SUBSCRIBER_NUMBER_LEN] = "0";
	struct sip_invite request = { .peer_ip = to_ip, .call_id = id, .from_user = own, .to_user = call->number, .headers = headers,
		                      .body = body };

	if (cta->number)
		number_digits(cta->number, own);
	snprintf(id, sizeof id, "%s%s", call->id, leg);
	snprintf(headers, sizeof headers, HEADER_CALL ": %s\r\n", call->id);
	cta_call_describe(call, body);
	return sip_leg_invite(cta->sip, &request, call);
}

bool cta_media_usable(const struct cta *cta, struct span body, struct sdp *out)
{
	return sdp_parse(body, out) && out->ip && out->ip != cta->ip && out->ip != cta->sc_ip && out->port && out->spi &&
	       sdp_signaling(out) != cta->ip && sdp_signaling(out) != cta->sc_ip &&
	       (out->payload_type == MEDIA_PCMU || out->payload_type == MEDIA_PCMA);
}
