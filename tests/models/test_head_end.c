/*
 * A head-end's services, message by message, as a device made by hand asks for them: DHCP by truth tables, TFTP
 * block by block, names, the signed files, the packet filter, a signaling controller's orders, and what a restart
 * keeps.
 */
#include "tests/models/access_rig.h"

#include "crypto/signed_file.h"
#include "models/device_files.h"
#include "models/dhcp_server.h"
#include "models/head_end_filter.h"
#include "models/dns_server.h"
#include "models/mac_list.h"
#include "models/subscriber.h"
#include "models/subscriber_orders.h"
#include "models/tftp_server.h"

#define DEV_TEXT "00:11:22:33:44:55"

/* A device made by hand */

struct hand {
	struct access_rig *r;
	struct udp_socket socket;
	struct dhcp got;   /* the last answer to it */
	uint32_t got_src;
	unsigned answers;
	char nak[64], file[64], realm[64], tftp[32];
};

static void hand_recv(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct hand *h = socket->ctx;
	struct dhcp m;

	ck_assert(dhcp_parse(packet->data, packet->len, &m));
	if (memcmp(m.chaddr, socket->node->ifaces->mac, 6) != 0)
		return;
	h->answers++;
	h->got = m;
	h->got_src = from->src;
	span_copy(m.message.at ? m.message : span_of(""), h->nak, sizeof h->nak);
	span_copy(m.boot_file.at ? m.boot_file : span_of(""), h->file, sizeof h->file);
	span_copy(m.tftp_server.at ? m.tftp_server : span_of(""), h->tftp, sizeof h->tftp);
	snprintf(h->realm, sizeof h->realm, "%.63s", m.realm);
}

static void hand_make(struct hand *h, struct access_rig *r, struct node *node)
{
	memset(h, 0, sizeof *h);
	h->r = r;
	ck_assert(udp_bind(node, &h->socket, DHCP_CLIENT_PORT, hand_recv, h));
}

static struct dhcp hand_message(const struct hand *h, enum dhcp_type type)
{
	struct dhcp m = { .type = type, .xid = 77, .broadcast = true };

	memcpy(m.chaddr, h->socket.node->ifaces->mac, 6);
	if (type == DHCP_DISCOVER || type == DHCP_REQUEST)
		m.class_id = span_of("pktc1.0:0102");
	return m;
}

/* Says it and waits; true: answered. */
static bool hand_say(struct hand *h, const struct dhcp *m)
{
	unsigned before = h->answers;
	bool unicast = h->socket.node->ifaces->ip && (m->ciaddr || m->type == DHCP_RELEASE);

	dhcp_send(&h->socket, 0, unicast ? HE_HFC : 0xffffffffu, DHCP_SERVER_PORT, m);
	access_run(h->r, NS_PER_S);
	ck_assert_uint_le(h->answers - before, 1);
	return h->answers > before;
}

static bool hand_discover(struct hand *h)
{
	struct dhcp m = hand_message(h, DHCP_DISCOVER);

	return hand_say(h, &m);
}

static bool hand_request(struct hand *h, uint32_t ip)
{
	struct dhcp m = hand_message(h, DHCP_REQUEST);

	m.requested_ip = ip;
	m.server_id = HE_HFC;
	return hand_say(h, &m);
}

static bool hand_renew(struct hand *h)
{
	struct dhcp m = hand_message(h, DHCP_REQUEST);

	m.ciaddr = h->socket.node->ifaces->ip;
	return hand_say(h, &m);
}

/* Discover to bound; returns the address. */
static uint32_t hand_boot(struct hand *h)
{
	ck_assert(hand_discover(h) && h->got.type == DHCP_OFFER);
	ck_assert(hand_request(h, h->got.yiaddr) && h->got.type == DHCP_ACK);
	iface_set_ip(h->socket.node->ifaces, h->got.yiaddr, 16);
	return h->got.yiaddr;
}

static void open_account(struct access_rig *r, const char *mac)
{
	ck_assert_int_eq(access_order(r, RADIUS_COA_REQUEST, mac).code, RADIUS_COA_ACK);
}

/* DHCP */

START_TEST(an_address_and_what_goes_with_it)
{
	struct access_rig r;
	struct hand h;

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	if (_i)
		open_account(&r, DEV_TEXT);
	ck_assert(hand_discover(&h));
	ck_assert_int_eq(h.got.type, DHCP_OFFER);
	ck_assert_int_eq(access_get(r.he, "leases"), 0);
	ck_assert(hand_request(&h, h.got.yiaddr));
	ck_assert_int_eq(h.got.type, DHCP_ACK);
	ck_assert_uint_eq(h.got.yiaddr, _i ? PAID_FIRST : FREE_FIRST);
	ck_assert_uint_eq(h.got_src, HE_HFC);
	ck_assert_uint_eq(h.got.server_id, HE_HFC);
	ck_assert_uint_eq(h.got.siaddr, HE_HFC);
	ck_assert_uint_eq(h.got.mask, 0xffff0000u);
	ck_assert_uint_eq(h.got.router, HE_HFC);
	ck_assert_uint_eq(h.got.dns[0], HE_HFC);
	ck_assert_uint_eq(h.got.lease_s, LEASE_S);
	ck_assert_uint_eq(h.got.renew_s, LEASE_S / 2);
	ck_assert_uint_eq(h.got.rebind_s, LEASE_S * 7 / 8);
	ck_assert_str_eq(h.file, DEVICE_CONFIG_FILE);
	ck_assert_str_eq(h.tftp, "10.1.0.1");
	ck_assert_str_eq(h.realm, WORLD_REALM);
	ck_assert_int_eq(access_get(r.he, "leases"), 1);
	ck_assert_uint_eq(access_refused(&r, r.he, NULL), 0);
	access_end(&r);
}
END_TEST

/* One message to a server at which dev has bound FREE_FIRST (or, offered, been offered it), and what becomes of it. */
#define NOTHING ((enum dhcp_type)0)
static const struct dhcp_row {
	bool offered;              /* not yet bound */
	enum dhcp_type type;
	uint32_t server_id, requested_ip, ciaddr, giaddr;
	bool other;                /* another device says it */
	const char *class_id;      /* NULL: the right one */
	enum dhcp_type answer;
	const char *check;         /* NULL: refused by none */
} dhcp_rows[] = {
	/* 0: selecting */
	{ true, DHCP_REQUEST, HE_HFC, FREE_FIRST, 0, 0, false, NULL, DHCP_ACK, NULL },
	{ true, DHCP_REQUEST, HE_HFC, FREE_FIRST + 1, 0, 0, false, NULL, DHCP_NAK, "dhcp.not_offered" },
	{ true, DHCP_REQUEST, HE_HFC, FREE_FIRST, 0, 0, true, NULL, DHCP_NAK, "dhcp.not_offered" },
	{ true, DHCP_REQUEST, HE_HFC + 1, FREE_FIRST, 0, 0, false, NULL, NOTHING, NULL },
	/* 4: the same again when bound */
	{ false, DHCP_REQUEST, HE_HFC, FREE_FIRST, 0, 0, false, NULL, DHCP_ACK, NULL },
	{ false, DHCP_DISCOVER, 0, 0, 0, 0, false, NULL, DHCP_OFFER, NULL },
	{ false, DHCP_DISCOVER, 0, FREE_FIRST, 0, 0, true, NULL, DHCP_OFFER, NULL },
	/* 7: an address remembered */
	{ false, DHCP_REQUEST, 0, FREE_FIRST, 0, 0, false, NULL, DHCP_ACK, NULL },
	{ false, DHCP_REQUEST, 0, FREE_FIRST + 1, 0, 0, false, NULL, DHCP_NAK, "dhcp.not_offered" },
	{ false, DHCP_REQUEST, 0, FREE_FIRST, 0, 0, true, NULL, NOTHING, NULL },
	{ true, DHCP_REQUEST, 0, FREE_FIRST, 0, 0, false, NULL, DHCP_NAK, "dhcp.not_offered" },
	/* 11: renewing */
	{ false, DHCP_REQUEST, 0, 0, FREE_FIRST, 0, false, NULL, DHCP_ACK, NULL },
	{ false, DHCP_REQUEST, 0, 0, FREE_FIRST + 1, 0, false, NULL, DHCP_NAK, "dhcp.not_offered" },
	{ false, DHCP_REQUEST, 0, 0, FREE_FIRST, 0, true, NULL, DHCP_NAK, "dhcp.not_offered" },
	{ true, DHCP_REQUEST, 0, 0, FREE_FIRST, 0, false, NULL, DHCP_NAK, "dhcp.not_offered" },
	/* 15: requests that are none */
	{ false, DHCP_REQUEST, 0, 0, 0, 0, false, NULL, NOTHING, "dhcp.malformed" },
	{ false, DHCP_REQUEST, HE_HFC, FREE_FIRST, FREE_FIRST, 0, false, NULL, NOTHING, "dhcp.malformed" },
	{ false, DHCP_REQUEST, HE_HFC, 0, FREE_FIRST, 0, false, NULL, NOTHING, "dhcp.malformed" },
	/* 18: what this server does not do */
	{ false, DHCP_DISCOVER, 0, 0, 0, 0x0a010009, false, NULL, NOTHING, "dhcp.relayed" },
	{ false, DHCP_DISCOVER, 0, 0, 0, 0, false, "docsis1.0", NOTHING, "dhcp.class" },
	{ false, DHCP_DISCOVER, 0, 0, 0, 0, false, "pktc", NOTHING, "dhcp.class" },
	{ false, DHCP_DISCOVER, 0, 0, 0, 0, false, "", NOTHING, "dhcp.class" },
	{ false, DHCP_REQUEST, 0, 0, FREE_FIRST, 0, false, "x", NOTHING, "dhcp.class" },
	{ false, DHCP_INFORM, 0, 0, FREE_FIRST, 0, false, NULL, NOTHING, "dhcp.type" },
	{ false, DHCP_OFFER, HE_HFC, 0, 0, 0, false, NULL, NOTHING, "dhcp.type" },
	/* 25: a decline */
	{ false, DHCP_DECLINE, HE_HFC, FREE_FIRST, 0, 0, false, NULL, NOTHING, NULL },
	{ false, DHCP_DECLINE, HE_HFC, FREE_FIRST, 0, 0, true, NULL, NOTHING, "dhcp.not_offered" },
	{ false, DHCP_DECLINE, HE_HFC + 1, FREE_FIRST, 0, 0, false, NULL, NOTHING, NULL },
	{ false, DHCP_DECLINE, HE_HFC, FREE_FIRST + 1, 0, 0, false, NULL, NOTHING, "dhcp.not_offered" },
};
#define DHCP_ROWS ((int)(sizeof dhcp_rows / sizeof *dhcp_rows))

START_TEST(dhcp_answers)
{
	const struct dhcp_row *row = &dhcp_rows[_i];
	struct access_rig r;
	struct hand dev, other, *speaker = row->other ? &other : &dev;
	struct dhcp m;
	bool answered;

	access_make(&r, NULL, 1);
	hand_make(&dev, &r, r.dev);
	hand_make(&other, &r, r.other);
	ck_assert(hand_discover(&dev));
	if (!row->offered)
		ck_assert(hand_request(&dev, FREE_FIRST));
	m = hand_message(speaker, row->type);
	m.server_id = row->server_id;
	m.requested_ip = row->requested_ip;
	m.ciaddr = row->ciaddr;
	m.giaddr = row->giaddr;
	if (row->class_id)
		m.class_id = *row->class_id ? span_of(row->class_id) : (struct span){ NULL, 0 };
	if (row->type == DHCP_OFFER) {
		m.yiaddr = FREE_FIRST;
		m.lease_s = 1;
	}
	if (row->ciaddr && row->answer == DHCP_ACK) /* it is answered at its address */
		iface_set_ip(r.dev->ifaces, FREE_FIRST, 16);
	answered = hand_say(speaker, &m);
	ck_assert_int_eq(answered ? speaker->got.type : NOTHING, row->answer);
	if (row->answer == DHCP_ACK)
		ck_assert_uint_eq(speaker->got.yiaddr, FREE_FIRST);
	if (row->answer == DHCP_OFFER)
		ck_assert_uint_eq(speaker->got.yiaddr, FREE_FIRST + row->other);
	if (row->answer == DHCP_NAK)
		ck_assert_str_eq(speaker->nak, row->check);
	ck_assert_uint_eq(access_refused(&r, r.he, NULL), row->check ? 1 : 0);
	ck_assert_uint_eq(access_refused(&r, r.he, row->check), row->check ? 1 : 0);
	ck_assert_int_eq(access_get(r.he, "leases"), (row->offered ? row->answer == DHCP_ACK : 1) - (_i == 25));
	access_end(&r);
}
END_TEST

/* An address goes to another only after its time; what was never given out goes first, then what is free longest. */
START_TEST(addresses_change_hands)
{
	struct access_rig r;
	struct hand h;
	static const uint8_t macs[5][6] = { { 2, 1 }, { 2, 2 }, { 2, 3 }, { 2, 4 }, { 2, 5 } };

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	for (int i = 0; i < POOL_SIZE; i++) {
		memcpy(r.dev->ifaces->mac, macs[i], 6);
		ck_assert(hand_discover(&h) && hand_request(&h, h.got.yiaddr));
		ck_assert_uint_eq(h.got.yiaddr, FREE_FIRST + (unsigned)i);
	}
	memcpy(r.dev->ifaces->mac, macs[3], 6);
	ck_assert(!hand_discover(&h));
	ck_assert_uint_eq(access_refused(&r, r.he, "dhcp.pool_empty"), 1);
	/* the second device's ends in the middle of its time by its own word; nobody else can end it */
	memcpy(r.dev->ifaces->mac, macs[1], 6);
	struct dhcp release = hand_message(&h, DHCP_RELEASE);
	release.server_id = HE_HFC;
	release.ciaddr = FREE_FIRST + 1;
	hand_say(&h, &release); /* from 0.0.0.0 */
	ck_assert_uint_eq(access_refused(&r, r.he, "dhcp.source"), 1);
	memcpy(r.dev->ifaces->mac, macs[0], 6);
	iface_set_ip(r.dev->ifaces, FREE_FIRST + 1, 16);
	memcpy(release.chaddr, macs[0], 6);
	hand_say(&h, &release); /* not its own */
	ck_assert_uint_eq(access_refused(&r, r.he, "dhcp.source"), 2);
	ck_assert_int_eq(access_get(r.he, "leases"), 3);
	memcpy(r.dev->ifaces->mac, macs[1], 6);
	memcpy(release.chaddr, macs[1], 6);
	hand_say(&h, &release);
	hand_say(&h, &release); /* harmless */
	ck_assert_int_eq(access_get(r.he, "leases"), 2);
	iface_set_ip(r.dev->ifaces, 0, 0);
	memcpy(r.dev->ifaces->mac, macs[3], 6);
	ck_assert(hand_discover(&h) && hand_request(&h, h.got.yiaddr));
	ck_assert_uint_eq(h.got.yiaddr, FREE_FIRST + 1);
	/* all end; the one that ended first is free longest; a device of before gets its own */
	access_run(&r, (LEASE_S + 10) * NS_PER_S);
	ck_assert_int_eq(access_get(r.he, "leases"), 0);
	memcpy(r.dev->ifaces->mac, macs[4], 6);
	ck_assert(hand_discover(&h));
	ck_assert_uint_eq(h.got.yiaddr, FREE_FIRST);
	memcpy(r.dev->ifaces->mac, macs[2], 6);
	ck_assert(hand_discover(&h));
	ck_assert_uint_eq(h.got.yiaddr, FREE_FIRST + 2);
	access_end(&r);
}
END_TEST

/* An offer that nobody takes is held, and no longer. */
START_TEST(offers_end)
{
	struct access_rig r;
	struct hand h;
	uint8_t mac[6] = { 2, 9 };

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	for (uint8_t i = 0; i < 40; i++) { /* a flood */
		mac[5] = i;
		memcpy(r.dev->ifaces->mac, mac, 6);
		ck_assert(hand_discover(&h) == (i < POOL_SIZE));
	}
	access_run(&r, DHCP_OFFER_HOLD_NS);
	memcpy(r.dev->ifaces->mac, dev_mac, 6);
	ck_assert_uint_ne(hand_boot(&h), 0);
	access_end(&r);
}
END_TEST

/* KDC's question follows the lease: yes while it lasts, to its MAC alone. */
START_TEST(the_kdc_is_told)
{
	struct access_rig r;
	struct hand h;
	struct radius q = { .code = RADIUS_ACCESS_REQUEST, .user_name = DEV_TEXT, .framed_ip = FREE_FIRST };

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	ck_assert_str_eq(access_ask(&r, &q).why, "he.unknown_lease");
	ck_assert(hand_discover(&h)); /* offered is not given */
	ck_assert_str_eq(access_ask(&r, &q).why, "he.unknown_lease");
	ck_assert(hand_request(&h, FREE_FIRST));
	ck_assert_int_eq(access_ask(&r, &q).code, RADIUS_ACCESS_ACCEPT);
	r.he->model->restart(r.he);
	ck_assert_int_eq(access_ask(&r, &q).code, RADIUS_ACCESS_ACCEPT);
	snprintf(q.user_name, sizeof q.user_name, "00:11:22:33:44:66");
	ck_assert_str_eq(access_ask(&r, &q).why, "he.mac_mismatch");
	snprintf(q.user_name, sizeof q.user_name, DEV_TEXT);
	access_run(&r, LEASE_S * NS_PER_S);
	ck_assert_str_eq(access_ask(&r, &q).why, "he.unknown_lease");
	access_end(&r);
}
END_TEST

/* An account comes and goes: what a device keeps, and what it is refused. */
START_TEST(accounts_and_renewals)
{
	struct access_rig r;
	struct hand h;
	struct dhcp m;

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_boot(&h);
	open_account(&r, DEV_TEXT);
	ck_assert(hand_renew(&h)); /* it has less than it may: it keeps that until it starts anew */
	ck_assert_int_eq(h.got.type, DHCP_ACK);
	ck_assert_uint_eq(h.got.yiaddr, FREE_FIRST);
	m = hand_message(&h, DHCP_REQUEST); /* which it does, remembering */
	m.requested_ip = FREE_FIRST;
	ck_assert(hand_say(&h, &m));
	ck_assert_int_eq(h.got.type, DHCP_NAK);
	iface_set_ip(r.dev->ifaces, 0, 0);
	ck_assert_uint_eq(hand_boot(&h), PAID_FIRST);
	ck_assert_int_eq(access_get(r.he, "leases"), 1); /* the first has ended: it has left it */
	ck_assert(hand_renew(&h));
	ck_assert_int_eq(h.got.type, DHCP_ACK);
	ck_assert_int_eq(access_order(&r, RADIUS_DISCONNECT_REQUEST, DEV_TEXT).code, RADIUS_DISCONNECT_ACK);
	ck_assert(hand_renew(&h)); /* it has more than it may */
	ck_assert_int_eq(h.got.type, DHCP_NAK);
	ck_assert_str_eq(h.nak, "dhcp.renewal");
	iface_set_ip(r.dev->ifaces, 0, 0);
	ck_assert_uint_eq(hand_boot(&h), FREE_FIRST);
	access_end(&r);
}
END_TEST

/* The head-end tells a device to start anew by its next renewal, once. */
START_TEST(directed_reboot)
{
	struct access_rig r;
	struct hand h;
	struct arg arg = { "node", { .type = VALUE_NODE } };
	struct verb_result result = { .error = "" };
	const struct verb *verb = model_cmts.verbs;

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	arg.value.node = r.dev;
	while (strcmp(verb->name, "direct_reboot") != 0)
		verb++;
	verb->fn(r.he, &(struct args){ &arg, 1 }, &result);
	ck_assert_ptr_nonnull(strstr(result.error, "no address"));
	result.error[0] = '\0';
	hand_boot(&h);
	verb->fn(r.he, &(struct args){ &arg, 1 }, &result);
	ck_assert_str_eq(result.error, "");
	ck_assert(hand_renew(&h) && h.got.type == DHCP_NAK);
	iface_set_ip(r.dev->ifaces, 0, 0);
	hand_boot(&h);
	ck_assert(hand_renew(&h) && h.got.type == DHCP_ACK);
	access_end(&r);
}
END_TEST

/* A device whose address the operator entered gets that one, and keeps it. */
START_TEST(entered_leases)
{
	struct access_rig r;
	struct hand h;

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	ck_assert(cmts_lease_add(r.he, 0x0a010203, dev_mac));
	ck_assert_uint_eq(hand_boot(&h), 0x0a010203);
	ck_assert(hand_renew(&h) && h.got.type == DHCP_ACK);
	access_run(&r, 2 * LEASE_S * NS_PER_S);
	ck_assert_int_eq(access_get(r.he, "leases"), 1);
	access_end(&r);
}
END_TEST

/* Only its segment is served; bytes that are no DHCP are refused. */
START_TEST(dhcp_from_elsewhere)
{
	struct access_rig r;
	struct hand h, away;
	struct packet *p;

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_make(&away, &r, r.far);
	struct dhcp m = hand_message(&away, DHCP_DISCOVER);
	ck_assert(!hand_say(&away, &m));
	ck_assert_uint_eq(access_refused(&r, r.he, "dhcp.interface"), 1);
	p = packet_new(r.sim, 300);
	memset(packet_append(p, 300), 1, 300);
	udp_send(&h.socket, 0, 0xffffffffu, DHCP_SERVER_PORT, p);
	access_run(&r, NS_PER_S);
	ck_assert_uint_eq(access_refused(&r, r.he, "dhcp.malformed"), 1);
	ck_assert_uint_eq(access_refused(&r, r.he, NULL), 2);
	ck_assert_uint_eq(h.answers, 0);
	access_end(&r);
}
END_TEST

/* Orders */

static const struct order_row {
	const char *who;  /* service at sc1's address */
	enum radius_code code, answer;
	const char *about, *mac, *filter, *why;
} order_rows[] = {
	{ "sc/sc1", RADIUS_COA_REQUEST, RADIUS_COA_ACK, "subscriber", DEV_TEXT, "voice", "" },
	{ "sc/sc1", RADIUS_COA_REQUEST, RADIUS_COA_NAK, "subscriber", DEV_TEXT, "", "he.unknown_filter" },
	{ "sc/sc1", RADIUS_COA_REQUEST, RADIUS_COA_NAK, "subscriber", DEV_TEXT, "all", "he.unknown_filter" },
	{ "sc/sc1", RADIUS_COA_REQUEST, RADIUS_COA_NAK, "open", DEV_TEXT, "voice", "he.unknown_order" },
	{ "sc/sc1", RADIUS_COA_REQUEST, RADIUS_COA_NAK, "subscriber", "00:11", "voice", "he.unknown_order" },
	{ "sc/sc2", RADIUS_COA_REQUEST, RADIUS_COA_NAK, "subscriber", DEV_TEXT, "voice", "he.check_controller" },
	{ "kdc/x", RADIUS_COA_REQUEST, RADIUS_COA_NAK, "subscriber", DEV_TEXT, "voice", "he.check_controller" },
	{ "sc/sc1", RADIUS_DISCONNECT_REQUEST, RADIUS_DISCONNECT_ACK, "", DEV_TEXT, "", "" },
	{ "sc/sc2", RADIUS_DISCONNECT_REQUEST, RADIUS_DISCONNECT_NAK, "", DEV_TEXT, "", "he.check_controller" },
	{ "sc/sc1", RADIUS_DISCONNECT_REQUEST, RADIUS_DISCONNECT_NAK, "", "alice", "", "he.unknown_order" },
};
#define ORDER_ROWS ((int)(sizeof order_rows / sizeof *order_rows))

START_TEST(orders)
{
	const struct order_row *row = &order_rows[_i];
	struct access_rig r;
	struct radius q = { .code = row->code };
	struct access_answer a;

	access_make(&r, NULL, 1);
	if (strcmp(row->who, "sc/sc1") != 0) {
		directory_service_add(world_directory(r.world), "sc/sc1", 0x0a0000c8);
		directory_service_add(world_directory(r.world), row->who, SC_IP);
	}
	snprintf(q.connect_info, sizeof q.connect_info, "%s", row->about);
	snprintf(q.user_name, sizeof q.user_name, "%s", row->mac);
	snprintf(q.filter_id, sizeof q.filter_id, "%s", row->filter);
	for (int again = 0; again < 2; again++) { /* a repetition changes nothing */
		a = access_ask(&r, &q);
		ck_assert_int_eq(a.code, row->answer);
		ck_assert_str_eq(a.why, row->why);
		ck_assert_int_eq(access_get(r.he, "accounts"), row->answer == RADIUS_COA_ACK);
	}
	r.he->model->restart(r.he);
	ck_assert_int_eq(access_get(r.he, "accounts"), row->answer == RADIUS_COA_ACK);
	ck_assert_int_eq(access_order(&r, RADIUS_DISCONNECT_REQUEST, DEV_TEXT).code,
	                 strcmp(row->who, "sc/sc1") == 0 ? RADIUS_DISCONNECT_ACK : RADIUS_DISCONNECT_NAK);
	ck_assert_int_eq(access_get(r.he, "accounts"), 0);
	access_end(&r);
}
END_TEST

/* An order that was held back on its way must not open again what was closed meanwhile. */
START_TEST(late_orders)
{
	static const enum radius_code codes[] = { RADIUS_COA_REQUEST, RADIUS_DISCONNECT_REQUEST, RADIUS_COA_REQUEST };
	static const char *const names[] = { "P-1/2", "P-1/2u", "P-2/2" };
	struct radius q[3] = { 0 };
	struct access_rig r;

	access_make(&r, NULL, 1);
	for (int i = 0; i < 3; i++) {
		q[i].code = codes[i];
		snprintf(q[i].connect_info, sizeof q[i].connect_info, "subscriber");
		snprintf(q[i].user_name, sizeof q[i].user_name, "%s", DEV_TEXT);
		snprintf(q[i].filter_id, sizeof q[i].filter_id, "voice");
		snprintf(q[i].state, sizeof q[i].state, "%s", names[i]);
		ck_assert(access_ask(&r, &q[i]).code == (i == 1 ? RADIUS_DISCONNECT_ACK : RADIUS_COA_ACK));
		for (int late = 0; late <= i; late++) {
			access_ask(&r, &q[late]);
			ck_assert_int_eq(access_get(r.he, "accounts"), i != 1);
			r.he->model->restart(r.he);
		}
	}
	access_end(&r);
}
END_TEST

/* The filter */

static void count_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	(void)packet, (void)from;
	++*(unsigned *)socket->ctx;
}

/* One packet from a node to an address; whether it came there. */
static bool reaches(struct access_rig *r, struct node *from, uint32_t src, struct node *to, uint32_t dst)
{
	struct udp_socket out = { .node = NULL }, in = { .node = NULL };
	unsigned got = 0;

	ck_assert(udp_bind(from, &out, 0, NULL, NULL) && udp_bind(to, &in, 4000, count_datagram, &got));
	udp_send(&out, src, dst, 4000, packet_new(r->sim, 0));
	access_run(r, NS_PER_S);
	udp_unbind(&out);
	udp_unbind(&in);
	return got != 0;
}

enum standing { STRANGER, UNPROVISIONED, OPENED, PROVISIONED, CLOSED, ENDED, STANDINGS };

/* What a device may reach, and who may reach it, by where it stands. */
START_TEST(the_filter)
{
	static const bool open_servers[STANDINGS] = { false, true, true, true, true, false };
	static const bool anybody[STANDINGS] = { false, false, true, true, false, false };
	enum standing standing = (enum standing)_i;
	struct access_rig r;
	struct hand h;
	uint32_t ip = 0x0a018063;
	unsigned stopped;

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	if (standing == PROVISIONED || standing == CLOSED)
		open_account(&r, DEV_TEXT);
	if (standing == STRANGER)
		iface_set_ip(r.dev->ifaces, ip, 16);
	else
		ip = hand_boot(&h);
	if (standing == OPENED)
		open_account(&r, DEV_TEXT);
	if (standing == CLOSED)
		access_order(&r, RADIUS_DISCONNECT_REQUEST, DEV_TEXT);
	if (standing == ENDED)
		access_run(&r, LEASE_S * NS_PER_S);
	const struct { struct node *node; uint32_t ip; bool pass; } peers[] = {
		{ r.kdc, KDC_IP, open_servers[standing] }, { r.sc, SC_IP, open_servers[standing] },
		{ r.pca, PCA_IP, open_servers[standing] }, { r.far, FAR_IP, anybody[standing] },
	};
	for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
		stopped = access_refused(&r, r.he, "he.filter");
		ck_assert_int_eq(reaches(&r, r.dev, 0, peers[i].node, peers[i].ip), peers[i].pass);
		ck_assert_int_eq(reaches(&r, peers[i].node, 0, r.dev, ip), peers[i].pass);
		ck_assert_uint_eq(access_refused(&r, r.he, "he.filter") - stopped, peers[i].pass ? 0 : 2);
	}
	ck_assert_int_eq(access_get(r.he, "filtered"), access_refused(&r, r.he, "he.filter"));
	ck_assert(reaches(&r, r.dev, 0, r.he, HE_HFC)); /* it is no router then */
	ck_assert(!reaches(&r, r.dev, 0x0a000063, r.far, FAR_IP)); /* a source that is nobody's */
	ck_assert(reaches(&r, r.far, 0, r.kdc, KDC_IP)); /* the network is its own */
	access_end(&r);
}
END_TEST

/* Gateways that its operator names are open, the controller of another segment is not. */
START_TEST(filter_by_name)
{
	struct head_end_filter f = { .reach_count = 0 };

	ck_assert(head_end_filter_reach_text(&f, "") && f.reach_count == 0);
	ck_assert(head_end_filter_reach_text(&f, "10.0.0.7, 10.0.0.8,10.0.0.9") && f.reach_count == 3);
	ck_assert_uint_eq(f.reach[2], 0x0a000009);
	ck_assert(!head_end_filter_reach_text(&f, "10.0.0"));
	ck_assert(!head_end_filter_reach_text(&f, "10.0.0.7 somewhere"));
	ck_assert(!head_end_filter_reach_text(&f, "10.0.0.7.10.0.0.8.10.0.0.9"));
	for (unsigned i = f.reach_count; i < FILTER_REACH_MAX; i++)
		ck_assert(head_end_filter_reach(&f, i + 1));
	ck_assert(!head_end_filter_reach(&f, 99));
	ck_assert(head_end_filter_reach(&f, 0));
}
END_TEST

/* TFTP, by hand */

struct fetch {
	struct udp_socket socket;
	struct tftp got;
	uint16_t server_port;
	unsigned packets;
	uint8_t data[2048];
	size_t data_len;
};

static void fetch_recv(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct fetch *f = socket->ctx;

	ck_assert(tftp_parse(packet->data, packet->len, &f->got));
	ck_assert_uint_eq(from->src, HE_HFC);
	f->packets++;
	f->server_port = from->sport;
	f->data_len = f->got.kind == TFTP_DATA ? f->got.data.len : 0;
	if (f->data_len)
		memcpy(f->data, f->got.data.at, f->data_len);
}

static void fetch_say(struct access_rig *r, struct fetch *f, uint16_t port, const struct tftp *m)
{
	tftp_send(&f->socket, 0, HE_HFC, port, m);
	access_run(r, 100 * NS_PER_MS);
}

static void fetch_ack(struct access_rig *r, struct fetch *f, uint16_t block)
{
	fetch_say(r, f, f->server_port, &(struct tftp){ .kind = TFTP_ACK, .block = block });
}

static void fetch_make(struct access_rig *r, struct fetch *f, struct node *node)
{
	(void)r;
	memset(f, 0, sizeof *f);
	ck_assert(udp_bind(node, &f->socket, 0, fetch_recv, f));
}

/* A whole file, block by block. */
static struct der fetch_file(struct access_rig *r, struct fetch *f, const char *name, uint32_t block_len)
{
	struct tftp m = { .kind = TFTP_READ, .file = span_of(name), .block_len = block_len };
	struct der out = { malloc(1 << 16), 0 };
	uint16_t block = 1;
	size_t full = block_len ? block_len : TFTP_BLOCK_DEFAULT;

	fetch_say(r, f, TFTP_PORT, &m);
	if (block_len) {
		ck_assert_int_eq(f->got.kind, TFTP_OPTIONS);
		ck_assert_uint_eq(f->got.block_len, block_len);
		fetch_ack(r, f, 0);
	}
	for (bool last = false; !last; block++) {
		ck_assert_int_eq(f->got.kind, TFTP_DATA);
		ck_assert_uint_eq(f->got.block, block);
		memcpy(out.bytes + out.len, f->data, f->data_len);
		out.len += f->data_len;
		last = f->data_len < full;
		fetch_ack(r, f, block);
	}
	ck_assert_int_eq(access_get(r->he, "transfers"), 0);
	return out;
}

static const struct read_row {
	const char *name, *check;
	enum tftp_kind kind;
	bool netascii;
	enum tftp_error error;
} read_rows[] = {
	{ "cta.cfg", NULL, TFTP_READ, false, 0 }, { "cta-1.0.img", NULL, TFTP_READ, false, 0 },
	{ "cta-1.1.img", "tftp.not_found", TFTP_READ, false, TFTP_NOT_FOUND },
	{ "CTA.CFG", "tftp.not_found", TFTP_READ, false, TFTP_NOT_FOUND },
	{ "../cta.cfg", "tftp.not_found", TFTP_READ, false, TFTP_NOT_FOUND },
	{ "cta.cfg", "tftp.mode", TFTP_READ, true, TFTP_ILLEGAL },
	{ "cta.cfg", "tftp.write", TFTP_WRITE, false, TFTP_ACCESS },
	{ "new", "tftp.write", TFTP_WRITE, false, TFTP_ACCESS },
};
#define READ_ROWS ((int)(sizeof read_rows / sizeof *read_rows))

START_TEST(tftp_requests)
{
	const struct read_row *row = &read_rows[_i];
	struct access_rig r;
	struct hand h;
	struct fetch f;
	struct tftp m = { .kind = row->kind, .file = span_of(row->name), .netascii = row->netascii };

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_boot(&h);
	fetch_make(&r, &f, r.dev);
	fetch_say(&r, &f, TFTP_PORT, &m);
	ck_assert_int_eq(f.got.kind, row->check ? TFTP_ERROR : TFTP_DATA);
	if (row->check)
		ck_assert_int_eq(f.got.error, row->error);
	ck_assert_uint_eq(access_refused(&r, r.he, row->check), row->check ? 1 : 0);
	ck_assert_uint_eq(access_refused(&r, r.he, NULL), row->check ? 1 : 0);
	access_end(&r);
}
END_TEST

/* No file for an address that is leased to nobody, the network's included. */
START_TEST(tftp_strangers)
{
	struct access_rig r;
	struct fetch f;

	access_make(&r, NULL, 1);
	iface_set_ip(r.dev->ifaces, FREE_FIRST, 16);
	fetch_make(&r, &f, r.dev);
	fetch_say(&r, &f, TFTP_PORT, &(struct tftp){ .kind = TFTP_READ, .file = span_of("cta.cfg") });
	ck_assert_int_eq(f.got.kind, TFTP_ERROR);
	ck_assert_uint_eq(access_refused(&r, r.he, "tftp.not_found"), 1);
	access_end(&r);
}
END_TEST

/* A doubled acknowledgement brings nothing twice; time does, with doubled pauses, and in the end gives up. */
START_TEST(tftp_repetition)
{
	struct access_rig r;
	struct hand h;
	struct fetch f, thief;

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_boot(&h);
	fetch_make(&r, &f, r.dev);
	fetch_make(&r, &thief, r.other);
	iface_set_ip(r.other->ifaces, FREE_FIRST + 2, 16);
	fetch_say(&r, &f, TFTP_PORT, &(struct tftp){ .kind = TFTP_READ, .file = span_of("cta-1.0.img") });
	ck_assert_uint_eq(f.packets, 1);
	fetch_say(&r, &f, TFTP_PORT, &(struct tftp){ .kind = TFTP_READ, .file = span_of("cta-1.0.img") });
	ck_assert_uint_eq(f.packets, 1);
	fetch_ack(&r, &f, 1);
	ck_assert_uint_eq(f.packets, 2);
	fetch_ack(&r, &f, 1);
	fetch_ack(&r, &f, 1);
	ck_assert_uint_eq(f.packets, 2);
	fetch_ack(&r, &f, 3); /* of a block to come */
	ck_assert_uint_eq(access_refused(&r, r.he, "tftp.block"), 1);
	thief.server_port = f.server_port;
	fetch_ack(&r, &thief, 2);
	ck_assert_int_eq(thief.got.kind, TFTP_ERROR);
	ck_assert_int_eq(thief.got.error, TFTP_UNKNOWN_TID);
	ck_assert_uint_eq(access_refused(&r, r.he, "tftp.unknown_tid"), 1);
	ck_assert_uint_eq(f.packets, 2);
	fetch_say(&r, &f, f.server_port, &(struct tftp){ .kind = TFTP_READ, .file = span_of("x") });
	ck_assert_uint_eq(access_refused(&r, r.he, "tftp.malformed"), 1);
	access_run(&r, 64 * NS_PER_S);
	ck_assert_uint_eq(f.packets, 2 + TFTP_TRIES - 1);
	ck_assert_uint_eq(f.got.block, 2);
	ck_assert_int_eq(access_get(r.he, "transfers"), 0);
	access_end(&r);
}
END_TEST

START_TEST(tftp_bounds)
{
	struct access_rig r;
	struct hand h;
	struct fetch f[TFTP_TRANSFERS_PER_PEER_MAX + 1];
	struct tftp m = { .kind = TFTP_READ, .file = span_of("cta.cfg") };

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_boot(&h);
	for (unsigned i = 0; i <= TFTP_TRANSFERS_PER_PEER_MAX; i++) {
		fetch_make(&r, &f[i], r.dev);
		fetch_say(&r, &f[i], TFTP_PORT, &m);
	}
	ck_assert_int_eq(f[TFTP_TRANSFERS_PER_PEER_MAX].got.kind, TFTP_ERROR);
	ck_assert_uint_eq(access_refused(&r, r.he, "tftp.busy"), 1);
	fetch_say(&r, &f[0], f[0].server_port,
	          &(struct tftp){ .kind = TFTP_ERROR, .error = TFTP_DISK_FULL, .message = span_of("full") });
	ck_assert_int_eq(access_get(r.he, "transfers"), TFTP_TRANSFERS_PER_PEER_MAX - 1);
	r.he->model->restart(r.he);
	ck_assert_int_eq(access_get(r.he, "transfers"), 0);
	m.block_len = 65464; /* more than fits a datagram: it says how much it gives */
	fetch_say(&r, &f[0], TFTP_PORT, &m);
	ck_assert_int_eq(f[0].got.kind, TFTP_OPTIONS);
	ck_assert_uint_eq(f[0].got.block_len, TFTP_BLOCK_OFFERED_MAX);
	access_end(&r);
}
END_TEST

/* What is downloaded is what its authority signed, for this device. */
START_TEST(signed_files)
{
	static const uint32_t sizes[] = { 0, 8, 1024, 1428 };
	struct access_rig r;
	struct hand h;
	struct fetch f;
	struct der config, image, content = { 0 };
	struct device_config c;
	struct device_image i;
	struct crypto *crypto;
	const struct der *op, *maker;
	int64_t now_s;

	access_make(&r, NULL, 1);
	crypto = world_crypto(r.world);
	op = world_authority(r.world, AUTHORITY_OPERATOR);
	maker = world_authority(r.world, AUTHORITY_MANUFACTURER);
	hand_make(&h, &r, r.dev);
	if (_i & 1)
		open_account(&r, DEV_TEXT);
	hand_boot(&h);
	fetch_make(&r, &f, r.dev);
	config = fetch_file(&r, &f, "cta.cfg", sizes[_i]);
	now_s = sim_unix_s(r.sim);
	ck_assert_int_eq(signed_file_open(crypto, config.bytes, config.len, maker, now_s, true, &content),
	                 SIGNED_FILE_SIGNER);
	ck_assert_int_eq(signed_file_open(crypto, config.bytes, config.len, op, now_s, true, &content), SIGNED_FILE_OK);
	ck_assert(device_config_parse(span_at(content.bytes, content.len), &c));
	ck_assert_mem_eq(c.mac, dev_mac, 6);
	ck_assert_int_eq(c.provisioned, _i & 1);
	ck_assert_str_eq(c.kdc, "kdc1.tollgate.example");
	ck_assert_str_eq(c.controller, "sc/sc1");
	ck_assert_str_eq(c.realm, WORLD_REALM);
	ck_assert_str_eq(c.version, "1.0");
	der_free(&content);
	udp_unbind(&f.socket);
	fetch_make(&r, &f, r.dev);
	image = fetch_file(&r, &f, c.image, sizes[_i]);
	ck_assert_int_eq(signed_file_open(crypto, image.bytes, image.len, op, now_s, true, &content), SIGNED_FILE_SIGNER);
	ck_assert_int_eq(signed_file_open(crypto, image.bytes, image.len, maker, now_s, true, &content), SIGNED_FILE_OK);
	ck_assert(device_image_parse(span_at(content.bytes, content.len), &i));
	ck_assert_str_eq(i.version, "1.0");
	ck_assert_uint_eq(i.code_len, 5000);
	ck_assert_uint_eq(i.operator_ca.len, op->len);
	ck_assert_mem_eq(i.operator_ca.bytes, op->bytes, op->len);
	device_image_free(&i);
	der_free(&content);
	der_free(&config);
	der_free(&image);
	access_end(&r);
}
END_TEST

/* One byte of a signed file altered, cut or added anywhere: refused, or the same content still. */
START_TEST(altered_files)
{
	struct access_rig r;
	struct crypto *crypto;
	const struct der *op;
	struct der content = { (uint8_t *)(uintptr_t)"some words", 10 }, file, got = { 0 };
	size_t key_len;
	const uint8_t *key;

	access_make(&r, NULL, 1);
	crypto = world_crypto(r.world);
	op = world_authority(r.world, AUTHORITY_OPERATOR);
	key = key_pool_get(world_key_pool(r.world), "authority/operator", 2048, &key_len);
	ck_assert(signed_file_make(crypto, key, key_len, op, &content, SIM_DEFAULT_EPOCH_S, &file));
	for (size_t i = 0; i < file.len; i++) {
		file.bytes[i] ^= 0x10;
		if (signed_file_open(crypto, file.bytes, file.len, op, SIM_DEFAULT_EPOCH_S, true, &got) == SIGNED_FILE_OK) {
			ck_assert_uint_eq(got.len, content.len);
			ck_assert_mem_eq(got.bytes, content.bytes, content.len);
			der_free(&got);
		}
		file.bytes[i] ^= 0x10;
		ck_assert_int_ne(signed_file_open(crypto, file.bytes, i, op, SIM_DEFAULT_EPOCH_S, true, &got), SIGNED_FILE_OK);
	}
	/* times of its signer's certificate */
	ck_assert_int_eq(signed_file_open(crypto, file.bytes, file.len, op, 0, true, &got), SIGNED_FILE_SIGNER);
	ck_assert_int_eq(signed_file_open(crypto, file.bytes, file.len, op, CERT_NO_EXPIRY_S, true, &got),
	                 SIGNED_FILE_SIGNER);
	ck_assert_int_eq(signed_file_open(crypto, file.bytes, file.len, op, 0, false, &got), SIGNED_FILE_OK);
	der_free(&got);
	der_free(&file);
	/* another's key under this certificate */
	key = key_pool_get(world_key_pool(r.world), "authority/manufacturer", 2048, &key_len);
	ck_assert(signed_file_make(crypto, key, key_len, op, &content, SIM_DEFAULT_EPOCH_S, &file));
	ck_assert_int_eq(signed_file_open(crypto, file.bytes, file.len, op, SIM_DEFAULT_EPOCH_S, true, &got),
	                 SIGNED_FILE_SIGNATURE);
	der_free(&file);
	access_end(&r);
}
END_TEST

#define HEAD "tollgate-configuration 1\n"
#define MAC "mac=00:11:22:33:44:55\n"
#define REST "kdc=k\ncontroller=sc/s\nversion=1\nimage=i\nissued=0\n"
static const struct { const char *text; bool good; } configs[] = {
	{ HEAD MAC "access=provisioned\nrealm=R\n" REST, true },
	{ HEAD MAC "access=unprovisioned\nrealm=R\n" REST, true },
	{ "tollgate-configuration 2\n" MAC "access=provisioned\nrealm=R\n" REST, false },
	{ HEAD "mac=00:11:22:33:44\naccess=provisioned\nrealm=R\n" REST, false },
	{ HEAD MAC "access=all\nrealm=R\n" REST, false },
	{ HEAD MAC "access=provisioned\n" REST, false },
	{ HEAD MAC "access=provisioned\nrealm=\n" REST, false },
	{ HEAD MAC "access=provisioned\nrealm=R R\n" REST, false },
	{ HEAD MAC "access=provisioned\nrealm=R\nkdc=k\ncontroller=sc/s\nversion=1\nimage=i", false },
	{ HEAD MAC "access=provisioned\nrealm=R\n" REST "x=1\n", false },
	{ HEAD MAC "access=provisioned\nrealm=R\nrealm=S\n" REST, false },
	{ "", false },
};
#undef HEAD
#undef MAC
#undef REST

START_TEST(configurations)
{
	struct device_config c, again;
	char text[DEVICE_CONFIG_MAX];
	size_t len;

	ck_assert_int_eq(device_config_parse(span_of(configs[_i].text), &c), configs[_i].good);
	if (!configs[_i].good)
		return;
	len = device_config_write(&c, text, sizeof text);
	ck_assert(device_config_parse((struct span){ text, len }, &again));
	ck_assert_mem_eq(&c, &again, sizeof c);
	ck_assert_uint_eq(device_config_write(&c, text, len - 1), 0);
	strcpy(c.kdc, "a\nb");
	ck_assert_uint_eq(device_config_write(&c, text, sizeof text), 0);
}
END_TEST

/* Names */

static const struct name_row {
	const char *name;
	enum dns_type type;
	uint32_t ip;
	const char *target;
	uint16_t port;
} name_rows[] = {
	{ "kdc1.tollgate.example", DNS_A, KDC_IP, "", 0 }, { "SC1.Tollgate.Example", DNS_A, SC_IP, "", 0 },
	{ "he1.tollgate.example", DNS_A, HE_CORE, "", 0 }, { "pca1.tollgate.example", DNS_A, PCA_IP, "", 0 },
	{ "nobody.tollgate.example", DNS_A, 0, NULL, 0 }, { "tollgate.example", DNS_A, 0, NULL, 0 },
	{ "kdc1.tollgate.example.org", DNS_A, 0, NULL, 0 }, { "kdc1tollgate.example", DNS_A, 0, NULL, 0 },
	{ "_kerberos._tcp.tollgate.example", DNS_SRV, 0, "kdc1.tollgate.example", 88 },
	{ "_kerberos._udp.tollgate.example", DNS_SRV, 0, "kdc1.tollgate.example", 88 },
	{ "_sip._udp.tollgate.example", DNS_SRV, 0, "sc1.tollgate.example", 5060 },
	{ "_sip._tcp.tollgate.example", DNS_SRV, 0, NULL, 0 }, { "kdc1.tollgate.example", DNS_SRV, 0, NULL, 0 },
	{ "_sip._udp.tollgate.example", DNS_A, 0, NULL, 0 }, { "9.0.0.10.in-addr.arpa", DNS_PTR, 0, NULL, 0 },
};
#define NAME_ROWS ((int)(sizeof name_rows / sizeof *name_rows))

static void dns_recv(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	ck_assert_uint_eq(from->sport, DNS_PORT);
	ck_assert(dns_parse(packet->data, packet->len, socket->ctx));
}

START_TEST(names)
{
	const struct name_row *row = &name_rows[_i];
	struct access_rig r;
	struct dns query = { .id = 0x1234, .type = row->type }, got = { .id = 0 };
	struct udp_socket socket = { .node = NULL };

	access_make(&r, NULL, 1);
	iface_set_ip(r.dev->ifaces, FREE_FIRST, 16);
	ck_assert(udp_bind(r.dev, &socket, 0, dns_recv, &got));
	snprintf(query.question, sizeof query.question, "%s", row->name);
	dns_send(&socket, 0, HE_HFC, DNS_PORT, &query);
	access_run(&r, NS_PER_S);
	ck_assert(got.response);
	ck_assert_uint_eq(got.id, 0x1234);
	ck_assert_int_eq(got.rcode, row->target ? DNS_NO_ERROR : DNS_NAME_ERROR);
	ck_assert_uint_eq(got.answer_count, row->target ? 1 : 0);
	ck_assert_uint_eq(access_refused(&r, r.he, "dns.unknown_name"), row->target ? 0 : 1);
	if (row->target) {
		ck_assert_uint_eq(got.answers[0].ip, row->ip);
		ck_assert_str_eq(got.answers[0].target, row->target);
		ck_assert_uint_eq(got.answers[0].port, row->port);
	}
	dns_send(&socket, 0, HE_HFC, DNS_PORT, &got); /* an answer is no question */
	access_run(&r, NS_PER_S);
	ck_assert_uint_eq(access_refused(&r, r.he, "dns.malformed"), 1);
	udp_unbind(&socket);
	access_end(&r);
}
END_TEST

/* The tables, with many in them. */

START_TEST(many_accounts)
{
	struct mac_list *list = mac_list_new();
	uint8_t mac[6] = { 2 };

	for (uint32_t i = 0; i < MAC_LIST_MAX; i++) {
		put_be32(mac + 2, i);
		ck_assert(!mac_list_has(list, mac) && mac_list_add(list, mac) && mac_list_add(list, mac));
	}
	ck_assert_uint_eq(mac_list_count(list), MAC_LIST_MAX);
	mac[1] = 1;
	ck_assert(!mac_list_add(list, mac) && !mac_list_remove(list, mac));
	mac[1] = 0;
	for (uint32_t i = 0; i < MAC_LIST_MAX; i += 2) {
		put_be32(mac + 2, i);
		ck_assert(mac_list_remove(list, mac) && !mac_list_remove(list, mac));
	}
	for (uint32_t i = 0; i < MAC_LIST_MAX; i++) {
		put_be32(mac + 2, i);
		ck_assert(mac_list_has(list, mac) == (i & 1));
	}
	mac_list_free(list);
}
END_TEST

/* Held against a plain model: an address is one MAC's at a time, a MAC has one of a pool, and keeps it while it may. */
#define MODEL_MACS 60
#define MODEL_ADDRESSES 40

START_TEST(leases_at_random)
{
	struct lease_table *t = lease_table_new();
	struct { uint32_t ip; sim_ns until_ns; } has[MODEL_MACS] = { { 0, 0 } };
	struct rng rng;
	sim_ns now_ns = 0;

	rng_init(&rng, (uint64_t)_i, "test", "leases");
	ck_assert(lease_table_pool(t, LEASE_PROVISIONED, FREE_FIRST, FREE_FIRST + MODEL_ADDRESSES - 1));
	for (int step = 0; step < 3000; step++) {
		uint8_t who = (uint8_t)rng_below(&rng, MODEL_MACS), mac[6] = { 2, 0, 0, 0, 0, who };
		unsigned taken = 0;
		struct lease *l;

		now_ns += (sim_ns)rng_below(&rng, 20);
		for (unsigned i = 0; i < MODEL_MACS; i++)
			taken += has[i].until_ns > now_ns;
		l = lease_offer(t, LEASE_PROVISIONED, mac, (uint32_t)(FREE_FIRST + rng_below(&rng, 50)), now_ns, now_ns + 100);
		ck_assert_int_eq(l != NULL, has[who].until_ns > now_ns || taken < MODEL_ADDRESSES);
		if (!l)
			continue;
		ck_assert_uint_ge(l->ip, FREE_FIRST);
		ck_assert_uint_lt(l->ip, FREE_FIRST + MODEL_ADDRESSES);
		ck_assert_mem_eq(l->mac, mac, 6);
		ck_assert_ptr_eq(l, lease_of_ip(t, l->ip));
		ck_assert_ptr_eq(l, lease_of_mac(t, LEASE_PROVISIONED, mac));
		if (has[who].until_ns > now_ns)
			ck_assert_uint_eq(l->ip, has[who].ip);
		for (unsigned i = 0; i < MODEL_MACS; i++)
			ck_assert(i == who || has[i].until_ns <= now_ns || has[i].ip != l->ip);
		if (rng_below(&rng, 2)) {
			l->kind = LEASE_BOUND;
			lease_until(t, l, now_ns + 1 + (sim_ns)rng_below(&rng, 2000));
		}
		has[who].ip = l->ip;
		has[who].until_ns = l->until_ns;
	}
	lease_table_free(t);
}
END_TEST

/* Parameters that make no sense say so. */
static const struct { const char *name, *value; } wrong[] = {
	{ "unprovisioned", "10.1.128.10" }, { "unprovisioned", "10.1.128.12-10.1.128.10" },
	{ "unprovisioned", "10.2.0.1-10.2.0.9" },
	{ "unprovisioned", "10.1.64.1-10.1.64.10" }, { "unprovisioned", "10.1.0.0-10.1.0.9" }, { "provisioned", "x-y" },
	{ "reach", "nowhere" }, { "software", "a b" }, { "software", "" },
};

START_TEST(parameters)
{
	struct access_rig r;
	struct node *node;
	char error[MODEL_ERROR_LEN] = "";
	struct arg args[] = {
		{ wrong[_i].name, value_text(wrong[_i].value) }, { "unprovisioned", value_text("10.1.128.10-10.1.128.12") },
		{ "provisioned", value_text("10.1.64.10-10.1.64.12") }, { "hfc", { .type = VALUE_LINK } },
		{ "kdc", { .type = VALUE_NODE } }, { "controller", { .type = VALUE_NODE } },
	};

	access_make(&r, NULL, 1);
	node = access_node(&r, "he9", r.core, NULL, 0x0a0000f0, 24);
	iface_new(node, r.hfc, "eth1", NULL, 0x0a010002, 16);
	args[3].value.link = r.hfc;
	args[4].value.node = r.kdc;
	args[5].value.node = r.sc;
	ck_assert(!model_cmts.create(node, &(struct args){ args, 6 }, error));
	ck_assert_ptr_nonnull(strstr(error, "write"));
	access_end(&r);
}
END_TEST

/* Hostile devices on the segment */

static bool hand_decline(struct hand *h, uint32_t ip)
{
	struct dhcp m = hand_message(h, DHCP_DECLINE);

	m.requested_ip = ip;
	m.server_id = HE_HFC;
	return hand_say(h, &m);
}

/* A device that declines whatever it gets keeps DHCP_BLOCKED_MAX addresses from others, and not the whole pool. */
START_TEST(declines_are_bounded)
{
	struct access_rig r;
	struct hand h, other;

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_make(&other, &r, r.other);
	for (int i = 0; i < POOL_SIZE; i++) {
		ck_assert(hand_discover(&h) && h.got.type == DHCP_OFFER);
		ck_assert(hand_request(&h, h.got.yiaddr));
		ck_assert(!hand_decline(&h, h.got.yiaddr));
	}
	ck_assert_uint_eq(access_refused(&r, r.he, "dhcp.decline"), POOL_SIZE - DHCP_BLOCKED_MAX);
	access_order(&r, RADIUS_COA_REQUEST, "00:11:22:33:44:66");
	ck_assert_uint_eq(hand_boot(&other), PAID_FIRST); /* an account's pool is another */
	access_end(&r);
}
END_TEST

/* Nor does a neighbour take an address from a device that has used it for a while, by a decline in its name. */
START_TEST(declined_by_another)
{
	struct access_rig r;
	struct hand h;
	struct dhcp m;
	struct udp_socket thief = { .node = NULL };

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_boot(&h);
	access_run(&r, DHCP_DECLINE_NS);
	m = hand_message(&h, DHCP_DECLINE);
	m.requested_ip = FREE_FIRST;
	m.server_id = HE_HFC;
	ck_assert(udp_bind(r.other, &thief, DHCP_CLIENT_PORT, NULL, NULL));
	dhcp_send(&thief, 0, 0xffffffffu, DHCP_SERVER_PORT, &m);
	udp_unbind(&thief);
	access_run(&r, NS_PER_S);
	ck_assert_uint_eq(access_refused(&r, r.he, "dhcp.decline"), 1);
	ck_assert(hand_renew(&h));
	ck_assert_int_eq(h.got.type, DHCP_ACK);
	access_end(&r);
}
END_TEST

/* An exhausted pool costs a question no more than another one: a flood of them ends within the test's time. */
START_TEST(a_full_pool_is_cheap)
{
	struct lease_table *t = lease_table_new();
	uint8_t mac[6] = { 2, 7 };

	ck_assert(lease_table_pool(t, LEASE_UNPROVISIONED, 0x0a000000, 0x0a00ffff));
	for (uint32_t i = 0; i < 1u << 20; i++) {
		put_be32(mac + 2, i);
		ck_assert_int_eq(lease_offer(t, LEASE_UNPROVISIONED, mac, 0, 10, 20) != NULL, i < LEASES_MAX);
	}
	ck_assert_uint_eq(lease_offer(t, LEASE_UNPROVISIONED, mac, 0, 20, 30)->ip, 0x0a000000);
	lease_table_free(t);
}
END_TEST

/* An error is no answer to an error: two ends that know nothing of each other would say so for good. */
START_TEST(errors_about_errors)
{
	struct access_rig r;
	struct hand h;
	struct fetch f, stranger;
	struct tftp error = { .kind = TFTP_ERROR, .error = TFTP_UNKNOWN_TID, .message = span_of("unknown transfer") };

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_boot(&h);
	fetch_make(&r, &f, r.dev);
	fetch_make(&r, &stranger, r.dev);
	fetch_say(&r, &f, TFTP_PORT, &(struct tftp){ .kind = TFTP_READ, .file = span_of("cta-1.0.img") });
	fetch_say(&r, &stranger, f.server_port, &error);
	ck_assert_uint_eq(access_refused(&r, r.he, "tftp.unknown_tid"), 1);
	ck_assert_uint_eq(stranger.packets, 0);
	ck_assert_int_eq(access_get(r.he, "transfers"), 1);
	access_end(&r);
}
END_TEST

/* A neighbour asks under a device's address until it may ask no more: the device says that it has not, and may. */
START_TEST(transfers_of_another)
{
	struct access_rig r;
	struct hand h;
	struct fetch f;
	struct udp_socket thief[TFTP_TRANSFERS_PER_PEER_MAX] = { { .node = NULL } };
	struct tftp m = { .kind = TFTP_READ, .file = span_of("cta-1.0.img") };

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_boot(&h);
	for (unsigned i = 0; i < TFTP_TRANSFERS_PER_PEER_MAX; i++) {
		ck_assert(udp_bind(r.other, &thief[i], (uint16_t)(60000 + i), NULL, NULL));
		tftp_send(&thief[i], FREE_FIRST, HE_HFC, TFTP_PORT, &m);
	}
	access_run(&r, 100 * NS_PER_MS);
	ck_assert_int_eq(access_get(r.he, "transfers"), 0);
	fetch_make(&r, &f, r.dev);
	fetch_say(&r, &f, TFTP_PORT, &m);
	ck_assert_int_eq(f.got.kind, TFTP_DATA);
	access_end(&r);
}
END_TEST

/* Files and names are not given to who asks everybody: the answer would have to come from everybody's address. */
START_TEST(asked_by_broadcast)
{
	static const uint32_t to[] = { 0xffffffffu, 0x0a01ffffu };
	struct access_rig r;
	struct hand h;
	struct fetch f;
	struct dns q = { .id = 7, .type = DNS_A, .question = "kdc1.tollgate.example" };

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_boot(&h);
	fetch_make(&r, &f, r.dev);
	tftp_send(&f.socket, FREE_FIRST, to[_i], TFTP_PORT, &(struct tftp){ .kind = TFTP_READ, .file = span_of("cta.cfg") });
	dns_send(&f.socket, FREE_FIRST, to[_i], DNS_PORT, &q);
	access_run(&r, NS_PER_S);
	ck_assert_uint_eq(access_refused(&r, r.he, "tftp.broadcast"), 1);
	ck_assert_uint_eq(access_refused(&r, r.he, "dns.broadcast"), 1);
	ck_assert_uint_eq(access_refused(&r, NULL, NULL), 2);
	ck_assert_uint_eq(f.packets, 0);
	ck_assert_int_eq(access_get(r.he, "transfers"), 0);
	access_end(&r);
}
END_TEST

/* Every fragment passes the filter by itself, so none passes that the whole would not; nor does a broadcast. */
START_TEST(fragments_and_broadcasts)
{
	struct access_rig r;
	struct hand h;
	struct udp_socket out = { .node = NULL };
	struct packet *p;

	access_make(&r, NULL, 1);
	hand_make(&h, &r, r.dev);
	hand_boot(&h);
	ck_assert(udp_bind(r.dev, &out, 4000, NULL, NULL));
	p = packet_new(r.sim, 4000);
	memset(packet_append(p, 4000), 0, 4000);
	udp_send(&out, 0, FAR_IP, 4000, p);
	access_run(&r, NS_PER_S);
	ck_assert_uint_eq(access_refused(&r, r.he, "he.filter"), 3);
	udp_send(&out, 0, 0x0a0000ff, 4000, packet_new(r.sim, 0)); /* everybody's in the network */
	access_run(&r, NS_PER_S);
	ck_assert_uint_eq(ip_counters(r.he)->forwarded, 0);
	access_end(&r);
}
END_TEST

/* A signaling controller's orders about a device with two numbers */

struct controller {
	struct radius_server *dynamic;
	struct backend *backend;
	struct subscribers *subscribers;
	struct subscriber_orders *orders;
};

static void on_dynamic(void *ctx, const struct radius_asked *asked)
{
	subscriber_orders_take(((struct controller *)ctx)->orders, asked);
}

static void controller_make(struct controller *c, struct access_rig *r)
{
	struct backend_config backend = { .node = r->sc, .ipsec = r->sc_ipsec, .principal = "sc/sc1" };
	struct subscriber_orders_config config = { .node = r->sc, .questions = r->sc_client, .principal = "sc/sc1" };

	config.backend = c->backend = backend_new(&backend);
	config.subscribers = c->subscribers = subscribers_new();
	config.dynamic = config.answers = c->dynamic = radius_server_new(r->sc, r->sc_ipsec, RADIUS_DYNAMIC_PORT, on_dynamic, c);
	c->orders = subscriber_orders_new(&config);
	radius_server_reset(c->dynamic);
}

static void controller_end(struct controller *c)
{
	subscriber_orders_free(c->orders);
	radius_server_free(c->dynamic);
	subscribers_free(c->subscribers);
	backend_free(c->backend);
}

static void order_number(struct access_rig *r, struct radius_client *pca, enum radius_code code, const char *number)
{
	struct access_answer a = { .answered = false };
	struct radius m = { .code = code, .framed_ip = code == RADIUS_COA_REQUEST ? FREE_FIRST : 0 };

	snprintf(m.called_station, sizeof m.called_station, "%s", number);
	snprintf(m.calling_station, sizeof m.calling_station, DEV_TEXT);
	snprintf(m.connect_info, sizeof m.connect_info, "%s", code == RADIUS_COA_REQUEST ? "subscriber" : "");
	ck_assert(radius_client_ask(pca, SC_IP, &m, access_on_answer, &a));
	access_run(r, NS_PER_S);
	ck_assert(a.answered);
	ck_assert_int_eq(a.code, code == RADIUS_COA_REQUEST ? RADIUS_COA_ACK : RADIUS_DISCONNECT_ACK);
}

/* Its access goes with its last number, not with its first. */
START_TEST(two_numbers)
{
	struct access_rig r;
	struct controller c;
	struct ipsec *ipsec;
	struct secure_module *sm;
	struct radius_client *pca;

	access_make(&r, NULL, 1);
	controller_make(&c, &r);
	sm = world_module(r.world, r.pca, "module");
	ipsec = ipsec_new(r.pca, sm, true);
	pca = radius_client_new(r.pca, ipsec);
	radius_client_reset(pca);
	order_number(&r, pca, RADIUS_COA_REQUEST, "2155550100");
	order_number(&r, pca, RADIUS_COA_REQUEST, "2155550101");
	ck_assert_int_eq(access_get(r.he, "accounts"), 1);
	order_number(&r, pca, RADIUS_DISCONNECT_REQUEST, "2155550101");
	ck_assert_uint_eq(subscribers_count(c.subscribers), 1);
	ck_assert_int_eq(access_get(r.he, "accounts"), 1);
	order_number(&r, pca, RADIUS_DISCONNECT_REQUEST, "2155550100");
	ck_assert_uint_eq(subscribers_count(c.subscribers), 0);
	ck_assert_int_eq(access_get(r.he, "accounts"), 0);
	radius_client_free(pca);
	ipsec_free(ipsec);
	sm_free(sm);
	controller_end(&c);
	access_end(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("head-end");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, an_address_and_what_goes_with_it, 0, 2);
	tcase_add_loop_test(t, dhcp_answers, 0, DHCP_ROWS);
	tcase_add_test(t, addresses_change_hands);
	tcase_add_test(t, offers_end);
	tcase_add_test(t, the_kdc_is_told);
	tcase_add_test(t, accounts_and_renewals);
	tcase_add_test(t, directed_reboot);
	tcase_add_test(t, entered_leases);
	tcase_add_test(t, dhcp_from_elsewhere);
	tcase_add_loop_test(t, orders, 0, ORDER_ROWS);
	tcase_add_test(t, late_orders);
	tcase_add_loop_test(t, the_filter, 0, STANDINGS);
	tcase_add_test(t, filter_by_name);
	tcase_add_loop_test(t, tftp_requests, 0, READ_ROWS);
	tcase_add_test(t, tftp_strangers);
	tcase_add_test(t, tftp_repetition);
	tcase_add_test(t, tftp_bounds);
	tcase_add_loop_test(t, signed_files, 0, 4);
	tcase_add_test(t, altered_files);
	tcase_add_loop_test(t, configurations, 0, (int)(sizeof configs / sizeof *configs));
	tcase_add_loop_test(t, names, 0, NAME_ROWS);
	tcase_add_test(t, many_accounts);
	tcase_add_loop_test(t, leases_at_random, 0, 4);
	tcase_add_test(t, declines_are_bounded);
	tcase_add_test(t, declined_by_another);
	tcase_add_test(t, a_full_pool_is_cheap);
	tcase_add_test(t, errors_about_errors);
	tcase_add_test(t, transfers_of_another);
	tcase_add_loop_test(t, asked_by_broadcast, 0, 2);
	tcase_add_test(t, fragments_and_broadcasts);
	tcase_add_test(t, two_numbers);
	tcase_add_loop_test(t, parameters, 0, (int)(sizeof wrong / sizeof *wrong));
	suite_add_tcase(suite, t);
	return access_main(suite);
}
