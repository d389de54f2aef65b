/* DHCP client; see dhcp_client.h. */
#include "models/dhcp_client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "sim/rng.h"

#define BROADCAST_IP 0xffffffffu
#define RETRIES_DOUBLED 4

struct dhcp_client {
	struct dhcp_client_config config;
	struct udp_socket socket;
	struct event timer;
	struct machine machine;
	struct rng rng;
	uint32_t xid;
	unsigned tries;
	sim_ns started_ns, asked_ns; /* of the acquisition; of the first request of this transaction */
	struct dhcp_lease lease;     /* given, or offered */
	const char *why_lost;
};

static sim_ns now_of(const struct dhcp_client *c)
{
	return c->config.node->sim->now_ns;
}

static void happen(struct dhcp_client *c, enum dhcp_event event)
{
	machine_event(c->config.node, &c->machine, event, c);
}

/* Timer: the next of repetition, T1, T2 and end */

static void on_timer(struct sim *sim, struct event *event)
{
	struct dhcp_client *c = event_owner(event, struct dhcp_client, timer);
	sim_ns now_ns = sim->now_ns;

	switch (c->machine.state) {
	case DHCP_STATE_INIT:
		happen(c, DHCP_EVENT_START);
		break;
	case DHCP_STATE_REQUESTING:
		happen(c, c->tries >= DHCP_REQUEST_TRIES ? DHCP_EVENT_GIVE_UP : DHCP_EVENT_TIMEOUT);
		break;
	case DHCP_STATE_BOUND:
		happen(c, DHCP_EVENT_T1);
		break;
	case DHCP_STATE_RENEWING:
		happen(c, now_ns >= c->lease.rebind_ns ? DHCP_EVENT_T2 : DHCP_EVENT_TIMEOUT);
		break;
	case DHCP_STATE_REBINDING:
		happen(c, now_ns >= c->lease.until_ns ? DHCP_EVENT_EXPIRED : DHCP_EVENT_TIMEOUT);
		break;
	default:
		happen(c, DHCP_EVENT_TIMEOUT);
	}
}

static void wait_until(struct dhcp_client *c, sim_ns at_ns)
{
	sim_cancel(c->config.node->sim, &c->timer);
	sim_at(c->config.node->sim, &c->timer, at_ns > now_of(c) ? at_ns : now_of(c), on_timer, "dhcp.timeout");
}

/* RFC 2131 section 4.1: 4, 8, 16, 32, 64, 64, ... seconds, each give or take one. */
static void wait_for_answer(struct dhcp_client *c)
{
	unsigned doubled = c->tries ? c->tries - 1 : 0;
	sim_ns pause_ns = DHCP_RETRY_NS << (doubled < RETRIES_DOUBLED ? doubled : RETRIES_DOUBLED);

	pause_ns += (sim_ns)rng_below(&c->rng, 2 * DHCP_RETRY_SPREAD_NS + 1) - DHCP_RETRY_SPREAD_NS;
	wait_until(c, now_of(c) + pause_ns);
}

/* RFC 2131 section 4.4.5: half of what is left until limit_ns; its 60 s at least would leave a short lease one try. */
static void wait_for_renewal(struct dhcp_client *c, sim_ns limit_ns)
{
	sim_ns half_ns = (limit_ns - now_of(c)) / 2;

	wait_until(c, half_ns < DHCP_RETRY_NS ? limit_ns : now_of(c) + half_ns);
}

/* Messages */

static void say(struct dhcp_client *c, enum dhcp_type type, uint32_t dst)
{
	sim_ns secs = (now_of(c) - c->started_ns) / NS_PER_S;
	struct dhcp m = { .type = type, .xid = c->xid, .class_id = span_of(c->config.class_id) };

	m.secs = (uint16_t)(secs < UINT16_MAX ? secs : UINT16_MAX);
	memcpy(m.chaddr, c->config.iface->mac, sizeof m.chaddr);
	m.ciaddr = c->config.iface->ip;
	m.broadcast = !m.ciaddr; /* without an address it hears nothing else */
	if (type == DHCP_REQUEST && !m.ciaddr) {
		m.requested_ip = c->lease.ip;
		m.server_id = c->lease.server;
	}
	c->tries++;
	dhcp_send(&c->socket, m.ciaddr, dst, DHCP_SERVER_PORT, &m);
}

static void new_transaction(struct dhcp_client *c)
{
	c->xid = (uint32_t)rng_u64(&c->rng);
	c->tries = 0;
}

/* Actions */

static void discover(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	(void)node, (void)machine;
	new_transaction(c);
	say(c, DHCP_DISCOVER, BROADCAST_IP);
	wait_for_answer(c);
}

static void discover_again(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	(void)node, (void)machine;
	say(c, DHCP_DISCOVER, BROADCAST_IP);
	wait_for_answer(c);
}

static void request_again(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	(void)node, (void)machine;
	say(c, DHCP_REQUEST, BROADCAST_IP);
	wait_for_answer(c);
}

static void request(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	c->tries = 0;
	c->asked_ns = now_of(c);
	request_again(node, machine, ctx);
}

static void wait_for_t1(struct dhcp_client *c)
{
	c->tries = 0;
	wait_until(c, c->lease.renew_ns);
}

static void bind_address(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	(void)node, (void)machine;
	iface_set_ip(c->config.iface, c->lease.ip, c->lease.prefix_len);
	ip_default_route(c->config.iface, c->lease.router);
	wait_for_t1(c);
	c->config.bound(c->config.ctx, &c->lease);
}

static void renewed(struct node *node, struct machine *machine, void *ctx)
{
	(void)node, (void)machine;
	wait_for_t1(ctx);
}

static void renew_again(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	(void)node, (void)machine;
	say(c, DHCP_REQUEST, c->lease.server);
	wait_for_renewal(c, c->lease.rebind_ns);
}

static void renew(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	new_transaction(c);
	c->asked_ns = now_of(c);
	renew_again(node, machine, ctx);
}

static void rebind_again(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	(void)node, (void)machine;
	say(c, DHCP_REQUEST, BROADCAST_IP);
	wait_for_renewal(c, c->lease.until_ns);
}

static void drop_address(struct dhcp_client *c)
{
	iface_set_ip(c->config.iface, 0, 0);
	memset(&c->lease, 0, sizeof c->lease);
}

/* Back to the beginning, where it starts anew after a pause. */
static void start_over(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	(void)node, (void)machine;
	drop_address(c);
	c->started_ns = now_of(c);
	wait_until(c, now_of(c) + DHCP_RESTART_NS);
}

/* The same with an address that was in use. */
static void lose_address(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;
	const char *why = c->why_lost ? c->why_lost : "expired";

	start_over(node, machine, ctx);
	c->config.lost(c->config.ctx, why);
}

static void stop(struct node *node, struct machine *machine, void *ctx)
{
	struct dhcp_client *c = ctx;

	(void)machine;
	sim_cancel(node->sim, &c->timer);
	udp_unbind(&c->socket);
	drop_address(c);
}

/* The table: RFC 2131 figure 5. What comes twice or late is legal and does nothing. */

static const char *const states[] = { "Init", "Selecting", "Requesting", "Bound", "Renewing", "Rebinding" };
static const char *const events[] = { "start", "DHCPOFFER", "DHCPACK", "DHCPNAK", "no answer", "no answer at all", "T1",
	                              "T2", "lease expired", "stop" };
#define CELL(state, event, next, action) \
	[DHCP_STATE_##state * DHCP_EVENTS + DHCP_EVENT_##event] = { true, DHCP_STATE_##next, action }
static const struct machine_cell cells[DHCP_STATES * DHCP_EVENTS] = {
	CELL(INIT, START, SELECTING, discover),
	CELL(INIT, STOP, INIT, stop),
	CELL(SELECTING, OFFER, REQUESTING, request),
	CELL(SELECTING, TIMEOUT, SELECTING, discover_again),
	CELL(SELECTING, STOP, INIT, stop),
	CELL(REQUESTING, OFFER, REQUESTING, NULL),
	CELL(REQUESTING, ACK, BOUND, bind_address),
	CELL(REQUESTING, NAK, INIT, start_over),
	CELL(REQUESTING, TIMEOUT, REQUESTING, request_again),
	CELL(REQUESTING, GIVE_UP, INIT, start_over),
	CELL(REQUESTING, STOP, INIT, stop),
	CELL(BOUND, OFFER, BOUND, NULL),
	CELL(BOUND, ACK, BOUND, NULL),
	CELL(BOUND, T1, RENEWING, renew),
	CELL(BOUND, STOP, INIT, stop),
	CELL(RENEWING, ACK, BOUND, renewed),
	CELL(RENEWING, NAK, INIT, lose_address),
	CELL(RENEWING, TIMEOUT, RENEWING, renew_again),
	CELL(RENEWING, T2, REBINDING, rebind_again),
	CELL(RENEWING, STOP, INIT, stop),
	CELL(REBINDING, ACK, BOUND, renewed),
	CELL(REBINDING, NAK, INIT, lose_address),
	CELL(REBINDING, TIMEOUT, REBINDING, rebind_again),
	CELL(REBINDING, EXPIRED, INIT, lose_address),
	CELL(REBINDING, STOP, INIT, stop),
};
#undef CELL
const struct machine_def dhcp_client_machine = {
	.name = "dhcp", .doc = "a device's address, RFC 2131 figure 5", .states = states, .events = events,
	.state_count = DHCP_STATES, .event_count = DHCP_EVENTS, .cells = cells,
};

/* Answers */

static bool mask_len(uint32_t mask, uint8_t *len)
{
	*len = 0;
	while (*len < 32 && mask & 0x80000000u >> *len)
		++*len;
	return *len && *len < 31 && mask == UINT32_MAX << (32 - *len);
}

static bool in_subnet(uint32_t ip, uint32_t other, uint8_t len)
{
	return !((ip ^ other) >> (32 - len));
}

/* When to renew and to rebind, as the server says or, where that makes no sense, as RFC 2131 section 4.4.5 does. */
static void set_times(struct dhcp_lease *l, const struct dhcp *m, sim_ns from_ns)
{
	uint64_t lease_s = m->lease_s, renew_s = m->renew_s, rebind_s = m->rebind_s;

	l->from_ns = from_ns;
	l->renew_ns = l->rebind_ns = l->until_ns = SIM_NEVER;
	if (m->lease_s == DHCP_LEASE_INFINITE)
		return;
	if (!renew_s || renew_s >= rebind_s || rebind_s >= lease_s) {
		renew_s = lease_s / 2;
		rebind_s = lease_s * 7 / 8;
	}
	l->renew_ns = sim_later(from_ns, (sim_ns)renew_s * NS_PER_S);
	l->rebind_ns = sim_later(from_ns, (sim_ns)rebind_s * NS_PER_S);
	l->until_ns = sim_later(from_ns, (sim_ns)lease_s * NS_PER_S);
}

/* What an OFFER or an ACK gives; false: it is of no use. */
static bool read_lease(const struct dhcp_client *c, const struct dhcp *m, struct dhcp_lease *out)
{
	struct dhcp_lease l = { .ip = m->yiaddr, .server = m->server_id, .router = m->router, .dns = m->dns[0],
		                .tftp = m->siaddr };
	char tftp[IP_TEXT_LEN];

	if (m->tftp_server.at && (!span_copy(m->tftp_server, tftp, sizeof tftp) || !ip_parse(tftp, &l.tftp)))
		return false;
	if (m->lease_s < DHCP_LEASE_MIN_S || !l.router || !l.dns || !l.tftp || !mask_len(m->mask, &l.prefix_len) || !l.ip ||
	    l.ip >> 29 == 7 || l.ip >> 24 == 127 || !in_subnet(l.ip, l.router, l.prefix_len) || l.ip == l.router ||
	    dhcp_lease_is_broadcast(&l, l.ip) || dhcp_lease_is_broadcast(&l, l.router) || l.ip == l.server ||
	    !m->boot_file.at || !span_copy(m->boot_file, l.file, sizeof l.file))
		return false;
	memcpy(l.realm, m->realm, sizeof l.realm);
	set_times(&l, m, c->asked_ns);
	*out = l;
	return true;
}

/* From the server it says it is from and, once one is chosen, from that; only who rebinds takes any. */
static bool from_server(const struct dhcp_client *c, const struct dhcp *m, const struct udp_from *from)
{
	if (from->sport != DHCP_SERVER_PORT || m->server_id != from->src)
		return false;
	return m->type == DHCP_OFFER || c->machine.state == DHCP_STATE_REBINDING || m->server_id == c->lease.server;
}

static const char *judge(const struct dhcp_client *c, const struct dhcp *m, const struct udp_from *from,
                         struct dhcp_lease *lease)
{
	bool has_address = c->machine.state >= DHCP_STATE_BOUND;

	if (m->type != DHCP_OFFER && m->type != DHCP_ACK && m->type != DHCP_NAK)
		return "dhcp.type";
	if (m->xid != c->xid)
		return "dhcp.xid";
	if (!from_server(c, m, from))
		return "dhcp.server";
	if (m->type == DHCP_NAK)
		return NULL;
	if (!read_lease(c, m, lease) || (m->type == DHCP_ACK && lease->ip != c->lease.ip) ||
	    (has_address && lease->prefix_len != c->lease.prefix_len))
		return "dhcp.offer";
	return NULL;
}

/* It takes the lease only where the table will. */
static bool takes(const struct dhcp_client *c, enum dhcp_type type)
{
	enum dhcp_state state = (enum dhcp_state)c->machine.state;

	return type == DHCP_OFFER ? state == DHCP_STATE_SELECTING : type == DHCP_ACK && state != DHCP_STATE_BOUND;
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct dhcp_client *c = socket->ctx;
	struct node *node = c->config.node;
	struct dhcp m;
	struct dhcp_lease lease;
	const char *check;
	enum dhcp_event event;

	if (dhcp_is_for_other(packet->data, packet->len, c->config.iface->mac))
		return; /* most of what it hears: answers to its neighbours are sent to all */
	if (!dhcp_parse(packet->data, packet->len, &m)) {
		trace_refuse(node, "dhcp.malformed", from->src, from->tag, "");
		return;
	}
	check = judge(c, &m, from, &lease);
	event = m.type == DHCP_OFFER ? DHCP_EVENT_OFFER : m.type == DHCP_ACK ? DHCP_EVENT_ACK : DHCP_EVENT_NAK;
	if (!check && !cells[c->machine.state * DHCP_EVENTS + event].legal)
		check = "dhcp.state";
	if (check) {
		trace_refuse(node, check, from->src, from->tag, "");
		return;
	}
	message_accept(node, from->tag);
	if (takes(c, m.type))
		c->lease = lease;
	c->why_lost = m.type == DHCP_NAK ? "refused" : NULL;
	happen(c, event);
}

/* Construction */

struct dhcp_client *dhcp_client_new(const struct dhcp_client_config *config)
{
	struct dhcp_client *c = sim_alloc(sizeof *c);

	assert(config->bound && config->lost && config->class_id);
	c->config = *config;
	rng_init(&c->rng, config->node->sim->seed, config->node->name, "dhcp");
	machine_start(&c->machine, &dhcp_client_machine, DHCP_STATE_INIT);
	return c;
}

void dhcp_client_start(struct dhcp_client *c)
{
	happen(c, DHCP_EVENT_STOP);
	udp_bind(c->config.node, &c->socket, DHCP_CLIENT_PORT, on_datagram, c);
	c->started_ns = now_of(c);
	c->why_lost = NULL;
	wait_until(c, now_of(c) + (sim_ns)rng_below(&c->rng, DHCP_START_SPREAD_NS + 1));
}

void dhcp_client_stop(struct dhcp_client *c)
{
	happen(c, DHCP_EVENT_STOP);
}

enum dhcp_state dhcp_client_state(const struct dhcp_client *c)
{
	return (enum dhcp_state)c->machine.state;
}

const struct dhcp_lease *dhcp_client_lease(const struct dhcp_client *c)
{
	return c->machine.state >= DHCP_STATE_BOUND ? &c->lease : NULL;
}

void dhcp_client_free(struct dhcp_client *c)
{
	if (!c)
		return;
	sim_cancel(c->config.node->sim, &c->timer);
	udp_unbind(&c->socket);
	free(c);
}
