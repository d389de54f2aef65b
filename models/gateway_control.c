/* What the two gateways have in common; see gateway_control.h. */
#include "models/gateway_control.h"

#include <stdio.h>
#include <string.h>
#include "crypto/derive.h"
#include "models/directory.h"

/* Tickets: servers of the directory, at their addresses. */
static bool authorise(void *ctx, const struct gss_accepted *accepted, uint32_t from_ip, const char **check)
{
	const struct gateway *g = ctx;
	const struct krb_ticket_facts *ticket = &accepted->ticket;

	*check = "sc.not_us";
	if (strcmp(ticket->server.name, g->principal) != 0)
		return false;
	*check = g->check_service;
	return strchr(ticket->client.name, '/') &&
	       directory_service_ip(world_directory(world_of(g->node->sim)), ticket->client.name) == from_ip;
}

static void on_association(void *ctx, struct association *association, const struct krb_ticket_facts *ticket)
{
	struct gateway *g = ctx;

	(void)association;
	(void)ticket;
	g->exchanges++;
	sim_changed(g->node->sim, g->node);
}

void gateway_make(struct gateway *g, struct node *node, uint32_t ip, const char *prefix, const char *check_service,
                  uint32_t kdc_ip, const struct sip_owner *owner, void *ctx)
{
	struct world *world = world_of(node->sim);
	struct key_management_owner km = { .ctx = g, .authorise = authorise, .accepted = on_association };
	struct backend_config backend = { .node = node, .principal = g->principal, .kdc_ip = kdc_ip };

	g->node = node;
	g->ip = ip;
	g->check_service = check_service;
	snprintf(g->principal, sizeof g->principal, "%s/%s", prefix, node->name);
	g->sm = world_module(world, node, "module");
	backend.server_key = world_server_key(world, g->sm, g->principal);
	g->ipsec = backend.ipsec = ipsec_new(node, g->sm, true);
	g->km = backend.km = key_management_new(node, g->ipsec, g->principal, backend.server_key, &km);
	g->backend = backend_new(&backend);
	g->sip = sip_endpoint_new(node, g->ipsec, owner, ctx);
	directory_service_add(world_directory(world), g->principal, ip);
}

void gateway_free(struct gateway *g)
{
	sip_endpoint_free(g->sip);
	backend_free(g->backend);
	key_management_free(g->km);
	ipsec_free(g->ipsec);
	sm_free(g->sm);
}

void gateway_start(struct gateway *g)
{
	key_management_reset(g->km);
	sip_endpoint_reset(g->sip);
}

void gateway_restart(struct gateway *g)
{
	backend_reset(g->backend);
	ipsec_reset(g->ipsec);
	gateway_start(g);
}

/* Between servers */

const char *gateway_speaker(const struct gateway *g, const struct udp_from *from)
{
	const struct association *a = from->sa;

	return a ? a->peer : directory_service_at(world_directory(world_of(g->node->sim)), from->src);
}

key_handle gateway_unwrap(const struct gateway *g, const struct udp_from *from, struct span text)
{
	const struct association *a = from->sa;

	if (!text.at)
		return 0;
	return a ? call_key_unwrap(a, text) : call_key_unwrap_open(g->sm, text);
}

bool gateway_wrap(const struct gateway *g, uint32_t server_ip, key_handle subkey, char out[CALL_KEY_TEXT_LEN])
{
	const struct association *a = ipsec_find(g->ipsec, server_ip, LABEL_SERVER);

	if (a)
		return call_key_wrap(a, subkey, out);
	return !world_on(world_of(g->node->sim), "backend.ipsec") && call_key_wrap_open(g->sm, subkey, out);
}

bool gateway_call_id(const struct sip_message *message, char out[CALL_ID_MAX + 1])
{
	struct span id = sip_header(message, HEADER_CALL);

	return id.at && id.len > 0 && span_copy(id, out, CALL_ID_MAX + 1) &&
	       strspn(out, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_@") == id.len;
}

/* Header lines */

void circuit_line(char out[GATEWAY_LINE_LEN], unsigned circuit, bool callee)
{
	snprintf(out, GATEWAY_LINE_LEN, HEADER_CIRCUIT ": %u;%s\r\n", circuit, callee ? "callee" : "caller");
}

bool circuit_is_reset(const struct sip_message *message)
{
	struct span value = sip_header(message, HEADER_CIRCUIT);

	return value.at && span_is(value, "reset");
}

/* Cuts what stands before the separator off the front; false: it is not there. */
static bool cut(struct span *rest, char separator, struct span *first)
{
	const char *at = rest->at ? memchr(rest->at, separator, rest->len) : NULL;

	if (!at)
		return false;
	*first = (struct span){ rest->at, (size_t)(at - rest->at) };
	*rest = (struct span){ at + 1, rest->len - first->len - 1 };
	return true;
}

bool circuit_read(const struct sip_message *message, unsigned *circuit, bool *callee)
{
	struct span rest = sip_header(message, HEADER_CIRCUIT), first;
	uint64_t number;

	if (!cut(&rest, ';', &first) || !span_number(first, UINT16_MAX, &number) || number == 0)
		return false;
	*circuit = (unsigned)number;
	*callee = span_is(rest, "callee");
	return *callee || span_is(rest, "caller");
}

void connect_line(char out[GATEWAY_LINE_LEN], const struct sdp *place)
{
	char ip[IP_TEXT_LEN];

	snprintf(out, GATEWAY_LINE_LEN, HEADER_CONNECT ": %s:%u/%u\r\n", ip_text(place->ip, ip), place->port,
	         place->payload_type);
}

bool connect_read(const struct sip_message *message, struct sdp *place)
{
	struct span rest = sip_header(message, HEADER_CONNECT), ip, port;
	char text[IP_TEXT_LEN];
	uint64_t port_number, payload_type;

	if (!cut(&rest, ':', &ip) || !cut(&rest, '/', &port) || !span_copy(ip, text, sizeof text) ||
	    !ip_parse(text, &place->ip) ||
	    !span_number(port, UINT16_MAX, &port_number) || !span_number(rest, 127, &payload_type))
		return false;
	place->port = (uint16_t)port_number;
	place->payload_type = (uint8_t)payload_type;
	return place->ip && place->port;
}

/* Addresses */

uint32_t gateway_first_ip(const struct node *node)
{
	const struct iface *iface = node->ifaces;

	while (iface && !iface->ip)
		iface = iface->next;
	return iface ? iface->ip : 0;
}

uint32_t gateway_ip_towards(const struct node *node, uint32_t ip)
{
	for (const struct iface *i = node->ifaces; i; i = i->next)
		if (i->ip && i->ip != ip && i->prefix_len && !((i->ip ^ ip) >> (32 - i->prefix_len)))
			return i->ip;
	return 0;
}
