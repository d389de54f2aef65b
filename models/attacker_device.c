/*
 * What the attacker does with a device of its own, whose software it has changed (attack P3); see attacker.h. The device
 * has an RSA key pair and its manufacturer's certificate for its MAC, as any CTA. It can ask a KDC in another's address,
 * and have a head-end give it another's address (RFC 2131: a RELEASE proves nothing but that its sender knows MAC and
 * address).
 */
#include "models/attacker.h"

#include <stdio.h>
#include <string.h>
#include "models/access_message.h"
#include "models/dhcp_server.h"

#define LEASE_STEP_NS (200 * NS_PER_MS) /* between the messages: the head-end has done what the one before says */
#define AS_REQ_PORT_FIRST 50000         /* nobody waits for the answer there */
#define AS_REQ_PORTS 10000

static void mac_name(const uint8_t mac[6], struct krb_name *out)
{
	char text[2 * KRB_NUMBER_LEN];

	snprintf(text, sizeof text, "%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	krb_name_set(out, text, WORLD_REALM);
}

void attacker_take_device(struct attacker *a)
{
	struct world *world = world_of(a->node->sim);

	attacker_take_module(a);
	world_device_certificate(world, a->node->name, ATTACKER_RSA_BITS, a->iface->mac, &a->device_cert);
	a->device = (struct pkinit_identity){ .rsa_key = a->rsa, .cert = a->device_cert,
		                              .issuer_cert = *world_authority(world, AUTHORITY_MANUFACTURER) };
	mac_name(a->iface->mac, &a->device.name);
}

static bool has_device(const struct attacker *a, struct verb_result *result)
{
	if (!a->device_cert.len)
		snprintf(result->error, sizeof result->error,
		         "%s has no device of its own; write net:attacker \"%s\" { device = true }", a->node->name, a->node->name);
	return a->device_cert.len > 0;
}

/* In another's address */

void attacker_verb_register_as(struct node *node, const struct args *args, struct verb_result *result)
{
	struct attacker *a = node->state;
	const struct node *victim = args_node(args, "victim"), *kdc = args_node(args, "kdc");
	struct krb_time now = world_now(node->sim);
	struct attacker_datagram out = { .src = node_first_ip(victim), .dst = node_first_ip(kdc), .dport = KDC_PORT };
	struct pkinit_client *client = NULL;
	struct der request = { 0 };
	struct krb_name server;

	if (!has_device(a, result))
		return;
	if (!out.src || !out.dst || !krb_name_set(&server, args_text(args, "server", ""), WORLD_REALM)) {
		snprintf(result->error, sizeof result->error,
		         "victim and kdc must have addresses, server be a principal like \"sc/sc1\"");
		return;
	}
	client = pkinit_request(a->sm, &a->device, &server, now, now.s + ATTACKER_TICKET_S, false, attacker_bind_of(node),
	                        &request);
	if (client) {
		out.sport = (uint16_t)(AS_REQ_PORT_FIRST + rng_below(&a->forgery, AS_REQ_PORTS));
		out.bytes = request.bytes;
		out.len = (uint32_t)request.len;
		result->value = attacker_send_datagram(node, &out, result);
	}
	pkinit_client_free(client); /* the answer is the victim's, who knows nothing of it */
	der_free(&request);
}

/* Another's address */

static uint32_t address_on(const struct node *node, const struct link *link)
{
	const struct iface *i = node->ifaces;

	while (i && i->link != link)
		i = i->next;
	return i ? i->ip : 0;
}

static struct value say(struct node *node, struct attacker_datagram *out, const struct dhcp *m, unsigned nth,
                        struct verb_result *result)
{
	uint8_t bytes[DHCP_MESSAGE_MAX];

	out->bytes = bytes;
	out->len = (uint32_t)dhcp_write(m, bytes, sizeof bytes);
	out->after_ns = nth * LEASE_STEP_NS;
	return attacker_send_datagram(node, out, result);
}

void attacker_verb_take_lease(struct node *node, const struct args *args, struct verb_result *result)
{
	struct attacker *a = node->state;
	const struct node *victim = args_node(args, "victim");
	uint32_t server = address_on(args_node(args, "head_end"), a->link), ip = node_first_ip(victim);
	struct attacker_datagram out = { .src = ip, .dst = server, .sport = DHCP_CLIENT_PORT, .dport = DHCP_SERVER_PORT };
	struct dhcp m = { .type = DHCP_RELEASE, .xid = (uint32_t)rng_u64(&a->forgery), .ciaddr = ip, .server_id = server };

	if (!ip || !server || !a->iface->ip) {
		snprintf(result->error, sizeof result->error, "victim, head_end and %s must have addresses on %s", node->name,
		         a->link->name);
		return;
	}
	memcpy(m.chaddr, victim->ifaces->mac, sizeof m.chaddr);
	say(node, &out, &m, 0, result);
	m = (struct dhcp){ .type = DHCP_DISCOVER, .xid = (uint32_t)rng_u64(&a->forgery), .requested_ip = ip, .broadcast = true,
		           .class_id = span_of(DHCP_CLASS_ID) };
	memcpy(m.chaddr, a->iface->mac, sizeof m.chaddr);
	out.src = a->iface->ip;
	say(node, &out, &m, 1, result);
	m.type = DHCP_REQUEST;
	m.server_id = server;
	result->value = say(node, &out, &m, 2, result);
}

/* What it has got */

bool attacker_file_is_own(const struct deed *d)
{
	struct attacker *a = d->attacker;
	struct der theirs = { 0 }, ours = { 0 };
	bool own = a->device_cert.len && d->what == DEED_RECORD && d->ready &&
	           cert_public_key(d->message.bytes, d->message.len, &theirs) &&
	           cert_public_key(a->device_cert.bytes, a->device_cert.len, &ours) && theirs.len == ours.len &&
	           memcmp(theirs.bytes, ours.bytes, ours.len) == 0;

	der_free(&theirs);
	der_free(&ours);
	return own;
}
