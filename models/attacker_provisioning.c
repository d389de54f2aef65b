/*
 * What the attacker does to provisioning; see attacker.h. It puts an operator certificate together out of the TFTP blocks
 * (RFC 1350, RFC 2348) that pass on its link, and brings it to a CTA once more (attack P4); it puts a file so recorded into
 * the place of another that passes (attack P8; an old configuration); and it answers an AS-REQ that it has
 * captured by a KRB-ERROR in the KDC's name, which nobody signs (attack K8).
 */
#include "models/attacker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/certificate_sender.h"
#include "models/message.h"
#include "models/wire/tftp.h"

#define RECORDED_MAX 65536 /* bytes of a file; of a longer one nothing is kept */

/* Which transfers */

static bool holds(struct span data, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i + len <= data.len; i++)
		if (memcmp(data.at + i, text, len) == 0)
			return true;
	return false;
}

/* Whether the block is of a transfer that the deed is about: one whose first block holds its text. */
static bool of_interest(struct deed *d, const struct wire_view *v, const struct tftp *m)
{
	bool same = d->ports[0] == v->sport && d->ports[1] == v->dport, first = m->block == 1;
	bool wanted = !d->holds[0] || (first ? holds(m->data, d->holds) : same);

	if (first && (wanted || same)) {
		d->ports[0] = wanted ? v->sport : 0;
		d->ports[1] = wanted ? v->dport : 0;
	}
	return wanted;
}

static void take_transfer_args(struct deed *d, const struct args *args)
{
	d->from = args_node(args, "from");
	d->to = args_node(args, "to");
	snprintf(d->holds, sizeof d->holds, "%s", args_text(args, "holds", ""));
}

/* Recording */

/* An answer or a block; the ports say nothing, as each transfer has its own. */
static bool read_tftp(const struct packet *frame, const struct wire_view *v, struct tftp *out)
{
	return v->proto == IP_PROTO_UDP && !v->fragment && v->dport != TFTP_PORT &&
	       tftp_parse(frame->data + v->payload_at, v->payload_len, out);
}

static void begin_anew(struct deed *d)
{
	der_free(&d->message);
	d->block = 0;
	d->block_len = 0;
}

static void keep(struct deed *d, struct span data)
{
	d->message.bytes = sim_realloc(d->message.bytes, d->message.len + data.len + 1);
	memcpy(d->message.bytes + d->message.len, data.at, data.len);
	d->message.len += data.len;
}

bool attacker_record_frame(struct deed *d, const struct packet *frame, const struct wire_view *v)
{
	bool again = d->block && d->ports[0] == v->sport && d->ports[1] == v->dport;
	struct tftp m;

	if (!read_tftp(frame, v, &m))
		return false;
	if (m.kind == TFTP_OPTIONS && !again) {
		begin_anew(d);
		d->block_len = m.block_len;
	}
	if (m.kind != TFTP_DATA || !of_interest(d, v, &m))
		return false;
	if (m.block == 1 && d->block && !again)
		begin_anew(d);
	if (!d->block_len)
		d->block_len = TFTP_BLOCK_DEFAULT;
	if (m.block != d->block + 1)
		return false; /* sent again, or its beginning was missed */
	d->block++;
	if (d->message.len + m.data.len > RECORDED_MAX) {
		begin_anew(d);
		return false;
	}
	keep(d, m.data);
	return m.data.len < d->block_len;
}

void attacker_verb_record_file(struct node *node, const struct args *args, struct verb_result *result)
{
	struct attacker *a = node->state;
	struct deed *d = deed_new(node, DEED_RECORD, &attacker_capture_class);

	take_transfer_args(d, args);
	deed_hold(&a->rules, d);
	result->value = value_object(&d->object);
}

/* Putting it into another's place */

static void resize(struct packet *frame, const struct wire_view *v, const uint8_t *data, uint32_t len)
{
	uint32_t udp_len = UDP_HEADER_LEN + TFTP_HEADER_LEN + len;

	packet_trim(frame, frame->len - (v->payload_at + TFTP_HEADER_LEN));
	memcpy(packet_append(frame, len), data, len);
	put_be16(frame->data + v->ip_at + 2, (uint16_t)(v->segment_at - v->ip_at + udp_len));
	put_be16(frame->data + v->segment_at + 4, (uint16_t)udp_len);
	wire_checksums(frame->data, v);
}

static const struct message_form form = { "tftp", COVER_CLEAR, NULL };

bool attacker_substitute(struct deed *d, struct packet *frame, struct wire_view *v)
{
	struct node *node = d->attacker->node;
	struct tftp m;
	size_t at;
	uint32_t len;

	if (!read_tftp(frame, v, &m) || m.kind != TFTP_DATA || !m.block || !of_interest(d, v, &m))
		return false;
	at = (size_t)(m.block - 1) * d->block_len;
	if (at > d->message.len)
		return false;
	len = d->message.len - at < d->block_len ? (uint32_t)(d->message.len - at) : d->block_len;
	if (len > m.data.len && len - m.data.len > packet_tailroom(frame))
		return false;
	trace_fate(node->sim, frame->tag, node, FATE_INTERCEPTED, "");
	resize(frame, v, d->message.bytes + at, len);
	wire_read(frame->data, frame->len, v);
	d->hits++;
	frame->tag = message_announce(node, v->src, v->dst, tftp_name(m.kind), &form, frame->data + v->payload_at, v->payload_len);
	frame->actor = node;
	deed_changed(d);
	return true;
}

const struct deed *attacker_file_arg(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct value *given = args_get(args, "file");
	const struct deed *file = (const struct deed *)given->object;

	if (given->object->class_ != &attacker_capture_class || given->object->node != node || file->what != DEED_RECORD)
		snprintf(result->error, sizeof result->error, "file must be what record_file() or forge_file() of %s returned", node->name);
	else if (!file->ready)
		snprintf(result->error, sizeof result->error, "nothing has been recorded yet; give the file within = \"30s\"");
	return result->error[0] ? NULL : file;
}

void attacker_verb_substitute_file(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct deed *file = attacker_file_arg(node, args, result);
	struct attacker *a = node->state;
	struct deed *d;

	if (!file)
		return;
	d = deed_new(node, DEED_SUBSTITUTE, &attacker_rule_class);
	take_transfer_args(d, args);
	d->block_len = file->block_len;
	der_copy(&d->message, file->message.bytes, file->message.len);
	deed_hold(&a->rules, d);
	result->value = value_object(&d->object);
}

/* Bringing it */

static void on_sent(void *ctx, enum certificate_outcome outcome, const char *check)
{
	struct deed *d = ctx;

	d->sender = NULL;
	d->ready = true;
	snprintf(d->answer, sizeof d->answer, "%s", outcome == CERTIFICATE_TAKEN     ? "taken"
	                                            : outcome == CERTIFICATE_REFUSED ? "refused" : "none");
	snprintf(d->track.by, sizeof d->track.by, "%s", check);
	deed_changed(d);
	deed_let_go(d);
}

static bool get_brought(struct object *object, const char *attribute, struct value *out)
{
	const struct deed *d = (const struct deed *)object;

	*out = value_nil();
	if (strcmp(attribute, "ready") == 0)
		*out = value_bool(d->ready);
	else if (strcmp(attribute, "answer") == 0 && d->ready)
		*out = value_text(d->answer);
	else if (strcmp(attribute, "by") == 0 && d->track.by[0])
		*out = value_text(d->track.by);
	return out->type != VALUE_NIL;
}

static const struct attribute brought_attributes[] = {
	{ "ready", VALUE_BOOL, "it is over" },
	{ "answer", VALUE_TEXT, "\"taken\", \"refused\", or \"none\" came" },
	{ "by", VALUE_TEXT, "the check that refused it, as the ERROR says" },
	{ NULL, VALUE_NIL, NULL },
};
const struct object_class attacker_brought_class = {
	.name = "brought", .doc = "a certificate that the attacker brings to a CTA", .attributes = brought_attributes,
	.get = get_brought, .free = deed_free,
};

void attacker_verb_bring_certificate(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct deed *file = attacker_file_arg(node, args, result);
	const struct node *to = args_node(args, "to");
	struct attacker *a = node->state;
	struct deed *d;

	if (!file)
		return;
	if (!to->ifaces || !to->ifaces->ip || !ip_source_for(node, to->ifaces->ip))
		snprintf(result->error, sizeof result->error, "%s has no address, or none that %s can reach", to->name, node->name);
	if (result->error[0])
		return;
	d = deed_new(node, DEED_BRING, &attacker_brought_class);
	deed_hold(&a->others, d);
	d->sender = certificate_sender_start(node, to->ifaces->ip, &file->message, on_sent, d);
	result->value = value_object(&d->object);
}

/* A KDC's refusal */

void attacker_verb_forge_krb_error(struct node *node, const struct args *args, struct verb_result *result)
{
	const struct value *given = args_get(args, "capture");
	const struct deed *c = (const struct deed *)given->object;
	struct krb_error_info info = { .code = (int)args_int(args, "code", KDC_ERR_CLIENT_REVOKED),
		                       .stime = world_now(node->sim) };
	struct der error = { 0 };

	if (given->object->class_ != &attacker_capture_class || given->object->node != node || !c->ready)
		snprintf(result->error, sizeof result->error, "capture must be one of %s itself, and ready", node->name);
	else if (c->view.kind != WIRE_AS_REQ || c->message.bytes)
		snprintf(result->error, sizeof result->error, "capture must be an AS-REQ over UDP; write transport = \"udp\" at the CTA");
	else if (!krb_name_set(&info.server, args_text(args, "server", ""), WORLD_REALM) ||
	         !krb_error_build(world_crypto(world_of(node->sim)), &info, &error) || error.len > INJECT_MAX)
		snprintf(result->error, sizeof result->error, "code or server cannot stand in a KRB-ERROR");
	else
		attacker_send_answer(c, &error, result);
	der_free(&error);
}
