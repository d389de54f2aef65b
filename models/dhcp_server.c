/* DHCP server of a head-end; see dhcp_server.h. */
#include "models/dhcp_server.h"

#include <stdlib.h>
#include <string.h>
#include "sim/service.h"

#define BROADCAST_IP 0xffffffffu

struct asked { /* a message under judgement */
	struct dhcp m;
	uint32_t src;
	uint64_t tag;
	enum lease_pool pool; /* where its device belongs */
};

struct waiting { /* one whose admission is not known yet; what is text in it is gone */
	struct waiting *next;
	struct asked asked;
};

struct dhcp_server {
	struct dhcp_server_config config;
	struct udp_socket socket;
	struct waiting *waiting; /* newest first */
	unsigned waiting_count;
};

static sim_ns now_of(const struct dhcp_server *s)
{
	return s->config.node->sim->now_ns;
}

static void refuse(const struct dhcp_server *s, const char *check, const struct asked *a)
{
	char mac[MAC_TEXT_LEN];

	trace_refuse(s->config.node, check, a->src, a->tag, device_mac_text(a->m.chaddr, mac));
}

static uint32_t mask_of(const struct iface *iface)
{
	return iface->prefix_len ? UINT32_MAX << (32 - iface->prefix_len) : 0;
}

/* What OFFER and ACK say (RFC 2131 table 3). */
static void grant(struct dhcp_server *s, const struct asked *a, enum dhcp_type type, const struct lease *lease)
{
	const struct dhcp_server_config *c = &s->config;
	uint32_t own = c->hfc->ip, lease_s = (uint32_t)(c->lease_ns / NS_PER_S);
	char own_text[IP_TEXT_LEN];
	struct dhcp answer = { .type = type, .xid = a->m.xid, .broadcast = a->m.broadcast,
		               .ciaddr = type == DHCP_ACK ? a->m.ciaddr : 0, .yiaddr = lease->ip, .siaddr = own,
		               .mask = mask_of(c->hfc), .router = own, .dns = { own },
		               .lease_s = lease_s, .renew_s = lease_s / 2, .rebind_s = (uint32_t)((uint64_t)lease_s * 7 / 8),
		               .server_id = own };

	memcpy(answer.chaddr, a->m.chaddr, sizeof answer.chaddr);
	answer.tftp_server = span_of(ip_text(own, own_text));
	answer.boot_file = span_of(c->file);
	strncpy(answer.realm, c->realm, sizeof answer.realm - 1);
	dhcp_send(&s->socket, own, a->m.ciaddr ? a->m.ciaddr : BROADCAST_IP, DHCP_CLIENT_PORT, &answer);
}

/* Always to all: the device may not have the address it thinks it has (RFC 2131 section 4.1). */
static void deny(struct dhcp_server *s, const struct asked *a, const char *check)
{
	struct dhcp answer = { .type = DHCP_NAK, .xid = a->m.xid, .broadcast = true, .server_id = s->config.hfc->ip,
		               .message = span_of(check) };

	refuse(s, check, a);
	memcpy(answer.chaddr, a->m.chaddr, sizeof answer.chaddr);
	dhcp_send(&s->socket, s->config.hfc->ip, BROADCAST_IP, DHCP_CLIENT_PORT, &answer);
}

/* The entry that the device has now, offered or bound: its static one, or the one of its pool. */
static struct lease *entry_of(const struct dhcp_server *s, const struct asked *a, enum lease_pool pool)
{
	struct lease *l = lease_static_of_mac(s->config.leases, a->m.chaddr);

	return l ? l : lease_of_mac(s->config.leases, pool, a->m.chaddr);
}

static void changed(const struct dhcp_server *s)
{
	if (s->config.changed)
		s->config.changed(s->config.ctx);
	sim_changed(s->config.node->sim, s->config.node);
}

/* Takes what this MAC said last out of the list. NULL: nothing. */
static struct waiting *take_waiting(struct dhcp_server *s, const uint8_t mac[LEASE_MAC_LEN])
{
	struct waiting **at = &s->waiting, *w;

	while (*at && memcmp((*at)->asked.m.chaddr, mac, LEASE_MAC_LEN) != 0)
		at = &(*at)->next;
	w = *at;
	if (w) {
		*at = w->next;
		s->waiting_count--;
	}
	return w;
}

static void keep_waiting(struct dhcp_server *s, const struct asked *a)
{
	static const struct span none;
	struct waiting *w = take_waiting(s, a->m.chaddr);

	if (!w) {
		if (s->waiting_count == DHCP_WAITING_MAX) {
			refuse(s, "dhcp.busy", a);
			return;
		}
		w = sim_alloc(sizeof *w);
	}
	w->asked = *a;
	w->asked.m.sname = w->asked.m.file = w->asked.m.host_name = w->asked.m.domain = w->asked.m.vendor_specific =
		w->asked.m.parameters = w->asked.m.message = w->asked.m.class_id = w->asked.m.client_id =
		w->asked.m.tftp_server = w->asked.m.boot_file = none;
	w->next = s->waiting;
	s->waiting = w;
	s->waiting_count++;
}

/* True: go on. */
static bool admitted(struct dhcp_server *s, const struct asked *a)
{
	bool wait = false;
	const char *check = s->config.admit ? s->config.admit(s->config.ctx, a->m.chaddr, &wait) : NULL;

	if (check)
		refuse(s, check, a);
	else if (wait)
		keep_waiting(s, a);
	return !check && !wait;
}

static void on_discover(struct dhcp_server *s, const struct asked *a)
{
	struct lease *l;

	if (!admitted(s, a))
		return;
	l = lease_static_of_mac(s->config.leases, a->m.chaddr);
	if (!l)
		l = lease_offer(s->config.leases, a->pool, a->m.chaddr, a->m.requested_ip, now_of(s),
		                sim_later(now_of(s), DHCP_OFFER_HOLD_NS));
	if (!l) {
		refuse(s, "dhcp.pool_empty", a);
		return;
	}
	message_accept(s->config.node, a->tag);
	l->refuse_renewal = false; /* it starts anew */
	grant(s, a, DHCP_OFFER, l);
}

/* What the device had before in another pool: it has left it, and nobody else is to be taken for it there. */
static void end_other(struct dhcp_server *s, const struct lease *l)
{
	for (int pool = 0; pool < LEASE_POOLS; pool++) {
		struct lease *other = lease_of_mac(s->config.leases, (enum lease_pool)pool, l->mac);

		if (other && other != l && other->until_ns > now_of(s))
			lease_until(s->config.leases, other, now_of(s));
	}
}

static void bind_lease(struct dhcp_server *s, const struct asked *a, struct lease *l)
{
	message_accept(s->config.node, a->tag);
	end_other(s, l);
	if (l->kind != LEASE_STATIC) {
		l->kind = LEASE_BOUND;
		lease_until(s->config.leases, l, sim_later(now_of(s), s->config.lease_ns));
	}
	grant(s, a, DHCP_ACK, l);
	changed(s);
}

/* It took an offer: ours, or another server's, and then ours is free again (RFC 2131 section 4.3.2). */
static void on_selecting(struct dhcp_server *s, const struct asked *a)
{
	struct lease *l = entry_of(s, a, a->pool);

	if (a->m.server_id != s->config.hfc->ip) {
		if (l && l->kind == LEASE_OFFERED)
			lease_until(s->config.leases, l, now_of(s));
		return;
	}
	if (!l || l->ip != a->m.requested_ip || (!lease_live(l, now_of(s)) && l->until_ns <= now_of(s)))
		deny(s, a, "dhcp.not_offered");
	else if (admitted(s, a))
		bind_lease(s, a, l);
}

/* It remembers an address. A device nobody knows here hears nothing: another server may know it. */
static void on_reboot(struct dhcp_server *s, const struct asked *a)
{
	struct lease *l = entry_of(s, a, a->pool), *other = entry_of(s, a, (enum lease_pool)!a->pool);

	if (!l && !other)
		return;
	if (!l || l->ip != a->m.requested_ip || !lease_live(l, now_of(s)))
		deny(s, a, "dhcp.not_offered");
	else if (admitted(s, a))
		bind_lease(s, a, l);
}

static void on_renewal(struct dhcp_server *s, const struct asked *a)
{
	struct lease *l = lease_of_ip(s->config.leases, a->m.ciaddr);

	if (!l || memcmp(l->mac, a->m.chaddr, LEASE_MAC_LEN) != 0 || !lease_live(l, now_of(s)))
		deny(s, a, "dhcp.not_offered");
	else if (l->kind != LEASE_STATIC &&
	         (l->refuse_renewal || (l->pool == LEASE_PROVISIONED && a->pool != LEASE_PROVISIONED)))
		deny(s, a, "dhcp.renewal");
	else /* it was admitted when it came, and has been here since */
		bind_lease(s, a, l);
}

/* Which of the four requests it is follows from what is in it (RFC 2131 section 4.3.2, table 4). */
static void on_request(struct dhcp_server *s, const struct asked *a)
{
	if (a->m.server_id && a->m.requested_ip && !a->m.ciaddr)
		on_selecting(s, a);
	else if (!a->m.server_id && a->m.requested_ip && !a->m.ciaddr)
		on_reboot(s, a);
	else if (!a->m.server_id && !a->m.requested_ip && a->m.ciaddr)
		on_renewal(s, a);
	else
		refuse(s, "dhcp.malformed", a);
}

/* The lease ends. Whoever asks must have the address that it gives back. */
static void on_release(struct dhcp_server *s, const struct asked *a)
{
	struct lease *l = lease_of_ip(s->config.leases, a->m.ciaddr);

	if (a->m.server_id != s->config.hfc->ip)
		return;
	if (a->src != a->m.ciaddr || !l || memcmp(l->mac, a->m.chaddr, LEASE_MAC_LEN) != 0) {
		refuse(s, "dhcp.source", a);
		return;
	}
	message_accept(s->config.node, a->tag);
	if (l->kind == LEASE_BOUND && l->until_ns > now_of(s)) {
		lease_until(s->config.leases, l, now_of(s));
		changed(s);
	}
}

/* A device that has used its address for long has not just found somebody else at it. */
static bool may_decline(const struct dhcp_server *s, const struct lease *l)
{
	sim_ns given_ns = l->until_ns - s->config.lease_ns;

	return (l->kind != LEASE_BOUND || now_of(s) - given_ns <= DHCP_DECLINE_NS) &&
	       lease_blocked_by(s->config.leases, l->mac, now_of(s)) < DHCP_BLOCKED_MAX;
}

/* Somebody else is at the address: nobody gets it for a while. */
static void on_decline(struct dhcp_server *s, const struct asked *a)
{
	struct lease *l = lease_of_ip(s->config.leases, a->m.requested_ip);

	if (a->m.server_id != s->config.hfc->ip)
		return;
	if (!l || l->kind == LEASE_STATIC || memcmp(l->mac, a->m.chaddr, LEASE_MAC_LEN) != 0 || l->until_ns <= now_of(s)) {
		refuse(s, "dhcp.not_offered", a);
		return;
	}
	if (!may_decline(s, l)) {
		refuse(s, "dhcp.decline", a);
		return;
	}
	message_accept(s->config.node, a->tag);
	l->kind = LEASE_BLOCKED;
	lease_until(s->config.leases, l, sim_later(now_of(s), DHCP_BLOCKED_NS));
	changed(s);
}

static bool of_our_class(struct span id)
{
	return id.len >= strlen(DHCP_CLASS_ID) && memcmp(id.at, DHCP_CLASS_ID, strlen(DHCP_CLASS_ID)) == 0;
}

static const char *check_frame(const struct dhcp_server *s, const struct asked *a, const struct iface *in)
{
	if (in != s->config.hfc)
		return "dhcp.interface";
	if (a->m.giaddr || a->m.hops)
		return "dhcp.relayed";
	/* RFC 2131 table 5: a RELEASE and a DECLINE have no class identifier. */
	if ((a->m.type == DHCP_DISCOVER || a->m.type == DHCP_REQUEST) && !of_our_class(a->m.class_id))
		return "dhcp.class";
	return NULL;
}

static void (*const handlers[DHCP_TYPE_COUNT])(struct dhcp_server *, const struct asked *) = {
	[DHCP_DISCOVER] = on_discover, [DHCP_REQUEST] = on_request, [DHCP_RELEASE] = on_release,
	[DHCP_DECLINE] = on_decline,
};

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct dhcp_server *s = socket->ctx;
	struct asked a = { .src = from->src, .tag = from->tag };
	const char *check;

	if (!dhcp_parse(packet->data, packet->len, &a.m)) {
		trace_refuse(s->config.node, "dhcp.malformed", from->src, from->tag, "");
		return;
	}
	check = check_frame(s, &a, from->in);
	if (!check && !handlers[a.m.type])
		check = "dhcp.type";
	if (check) {
		refuse(s, check, &a);
		return;
	}
	service_charge(s->config.node, &(struct service_cost){ .messages = 1 });
	if (s->config.heard)
		s->config.heard(s->config.ctx, a.m.chaddr);
	a.pool = s->config.has_account(s->config.ctx, a.m.chaddr) ? LEASE_PROVISIONED : LEASE_UNPROVISIONED;
	handlers[a.m.type](s, &a);
}

struct dhcp_server *dhcp_server_new(const struct dhcp_server_config *config)
{
	struct dhcp_server *s = sim_alloc(sizeof *s);

	s->config = *config;
	return s;
}

void dhcp_server_resume(struct dhcp_server *s, const uint8_t mac[LEASE_MAC_LEN])
{
	struct waiting *w = take_waiting(s, mac);

	if (!w)
		return;
	w->asked.pool = s->config.has_account(s->config.ctx, mac) ? LEASE_PROVISIONED : LEASE_UNPROVISIONED;
	handlers[w->asked.m.type](s, &w->asked);
	free(w);
}

static void forget_waiting(struct dhcp_server *s)
{
	while (s->waiting)
		free(take_waiting(s, s->waiting->asked.m.chaddr));
}

void dhcp_server_reset(struct dhcp_server *s)
{
	forget_waiting(s);
	udp_unbind(&s->socket);
	udp_bind(s->config.node, &s->socket, DHCP_SERVER_PORT, on_datagram, s);
}

void dhcp_server_free(struct dhcp_server *s)
{
	if (!s)
		return;
	forget_waiting(s);
	udp_unbind(&s->socket);
	free(s);
}
