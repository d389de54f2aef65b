/* The signaling link to the PSTN; see isup_link.h. RFC 3094 sections 3 and 3.3. */
#include "models/isup_link.h"

#include <assert.h>
#include <stdlib.h>
#include "models/message.h"
#include "models/wire/tali.h"
#include "sim/service.h"
#include "sim/tcp.h"

#define MONITOR_LEN 8 /* the number of the question, big endian */

enum link_state { LINK_DOWN, LINK_OPENING, LINK_ASKING, LINK_PROHIBITED, LINK_UP, LINK_STATES };
enum link_event { EV_OPEN, EV_OPENED, EV_ALLOWED, EV_PROHIBITED, EV_ASK_AGAIN, EV_SILENT, EV_CLOSED, LINK_EVENTS };
static const char *const state_names[] = { "Down", "Opening", "Asking", "Prohibited", "Up" };
static const char *const event_names[] = { "open", "connection stands", "allo", "proh", "ask again", "no mona",
	                                   "connection gone" };

struct isup_link {
	struct isup_link_config config;
	struct machine machine;
	struct tcp_listener listener;
	struct tcp_conn *conn;
	uint64_t questions;     /* moni sent on this connection */
	bool awaiting;          /* the mona to the last one */
	struct event timer;     /* opens, asks or monitors */
	struct event answer;    /* the mona is due */
};

static machine_action open_connection, ask, come_up, acknowledge, close_silent, wait_again;

static const struct machine_cell cells[LINK_STATES * LINK_EVENTS] = {
#define CELL(state, event, next, action) [(state) * LINK_EVENTS + (event)] = { true, next, action }
	CELL(LINK_DOWN, EV_OPEN, LINK_OPENING, open_connection),
	CELL(LINK_DOWN, EV_OPENED, LINK_ASKING, ask), /* the listener's */
	CELL(LINK_OPENING, EV_OPENED, LINK_ASKING, ask),
	CELL(LINK_OPENING, EV_CLOSED, LINK_DOWN, wait_again),
	CELL(LINK_ASKING, EV_ALLOWED, LINK_UP, come_up),
	CELL(LINK_ASKING, EV_PROHIBITED, LINK_PROHIBITED, acknowledge),
	CELL(LINK_ASKING, EV_ASK_AGAIN, LINK_ASKING, ask),
	CELL(LINK_ASKING, EV_CLOSED, LINK_DOWN, wait_again),
	CELL(LINK_PROHIBITED, EV_PROHIBITED, LINK_PROHIBITED, acknowledge),
	CELL(LINK_PROHIBITED, EV_ALLOWED, LINK_UP, come_up),
	CELL(LINK_PROHIBITED, EV_ASK_AGAIN, LINK_PROHIBITED, ask),
	CELL(LINK_PROHIBITED, EV_CLOSED, LINK_DOWN, wait_again),
	CELL(LINK_UP, EV_ALLOWED, LINK_UP, NULL),
	CELL(LINK_UP, EV_PROHIBITED, LINK_PROHIBITED, acknowledge),
	CELL(LINK_UP, EV_SILENT, LINK_DOWN, close_silent),
	CELL(LINK_UP, EV_CLOSED, LINK_DOWN, wait_again),
#undef CELL
};
const struct machine_def isup_link_machine = {
	.name = "signaling link", .doc = "TALI between signaling gateway and PSTN: connect, ask, monitor",
	.states = state_names,
	.events = event_names, .state_count = LINK_STATES, .event_count = LINK_EVENTS, .cells = cells,
};

/* What goes out, for observers: the frame itself, or the ISUP message in it */

struct adapter {
	field_sink *sink;
	void *ctx;
};

static void adapt(void *ctx, const char *path, const char *value, int class_)
{
	struct adapter *a = ctx;

	a->sink(a->ctx, path, value, (enum field_class)class_);
}

static void describe_isup(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	isup_describe(bytes, len, adapt, &(struct adapter){ sink, ctx });
}

static void describe_tali(const uint8_t *bytes, size_t len, field_sink *sink, void *ctx)
{
	tali_describe(bytes, len, adapt, &(struct adapter){ sink, ctx });
}

static const struct message_form form_isup = { "isup", COVER_CLEAR, describe_isup };
static const struct message_form form_tali = { "tali", COVER_CLEAR, describe_tali };

static void send_frame(struct isup_link *l, const struct tali *frame, const char *kind, const struct message_form *form,
                       struct span shown)
{
	uint8_t bytes[TALI_FRAME_MAX];
	size_t len = tali_write(frame, bytes, sizeof bytes);
	uint64_t tag;

	assert(len);
	if (!shown.at)
		shown = (struct span){ (const char *)bytes, len };
	tag = message_announce(l->config.node, l->config.local_ip, l->config.peer_ip, kind, form,
	                       (const uint8_t *)shown.at, shown.len);
	tcp_send(l->conn, bytes, len, tag); /* a full buffer: the peer reads nothing, and the monitor will find out */
}

static void send_tali(struct isup_link *l, enum tali_kind kind, struct span payload)
{
	send_frame(l, &(struct tali){ kind, payload }, tali_name(kind), &form_tali, (struct span){ 0 });
}

bool isup_link_send(struct isup_link *l, const struct isup *message)
{
	struct isup labelled = *message;
	uint8_t bytes[ISUP_MESSAGE_MAX];
	struct span shown = { (const char *)bytes, 0 };

	if (!isup_link_is_up(l))
		return false;
	labelled.network = ISUP_NATIONAL;
	labelled.opc = l->config.local_code;
	labelled.dpc = l->config.peer_code;
	labelled.sls = (uint8_t)(message->cic & ISUP_SLS_MAX); /* a circuit's messages keep their order */
	shown.len = isup_write(&labelled, bytes, sizeof bytes);
	assert(shown.len);
	send_frame(l, &(struct tali){ TALI_MTP3, shown }, isup_kind(message->type), &form_isup, shown);
	return true;
}

bool isup_link_is_up(const struct isup_link *l)
{
	return l->machine.state == LINK_UP;
}

/* The machine and its actions */

static void happen(struct isup_link *l, enum link_event event)
{
	bool was_up = isup_link_is_up(l);

	machine_event(l->config.node, &l->machine, event, l);
	sim_changed(l->config.node->sim, l->config.node);
	if (was_up && !isup_link_is_up(l))
		l->config.down(l->config.ctx);
	else if (!was_up && isup_link_is_up(l))
		l->config.up(l->config.ctx);
}

static void on_open(struct sim *sim, struct event *event)
{
	(void)sim;
	happen(event_owner(event, struct isup_link, timer), EV_OPEN);
}

static void on_ask_again(struct sim *sim, struct event *event)
{
	(void)sim;
	happen(event_owner(event, struct isup_link, timer), EV_ASK_AGAIN);
}

static void on_answer_due(struct sim *sim, struct event *event)
{
	(void)sim;
	happen(event_owner(event, struct isup_link, answer), EV_SILENT);
}

static void put_be64(uint8_t out[MONITOR_LEN], uint64_t v)
{
	for (unsigned i = 0; i < MONITOR_LEN; i++)
		out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static void on_monitor(struct sim *sim, struct event *event)
{
	struct isup_link *l = event_owner(event, struct isup_link, timer);
	uint8_t number[MONITOR_LEN];

	put_be64(number, ++l->questions);
	send_tali(l, TALI_MONITOR, (struct span){ (const char *)number, sizeof number });
	if (!l->awaiting)
		sim_after(sim, &l->answer, ISUP_LINK_ANSWER_NS, on_answer_due, "tali.mona");
	l->awaiting = true;
	sim_after(sim, &l->timer, ISUP_LINK_MONITOR_NS, on_monitor, "tali.moni");
}

static void stop_timers(struct isup_link *l)
{
	sim_cancel(l->config.node->sim, &l->timer);
	sim_cancel(l->config.node->sim, &l->answer);
	l->awaiting = false;
}

static void ask(struct node *node, struct machine *machine, void *ctx)
{
	struct isup_link *l = ctx;

	(void)machine;
	stop_timers(l);
	send_tali(l, TALI_TEST, (struct span){ 0 });
	sim_after(node->sim, &l->timer, ISUP_LINK_TEST_NS, on_ask_again, "tali.test");
}

static void come_up(struct node *node, struct machine *machine, void *ctx)
{
	struct isup_link *l = ctx;

	(void)machine;
	stop_timers(l);
	sim_after(node->sim, &l->timer, ISUP_LINK_MONITOR_NS, on_monitor, "tali.moni");
}

static void acknowledge(struct node *node, struct machine *machine, void *ctx)
{
	struct isup_link *l = ctx;

	(void)machine;
	stop_timers(l);
	send_tali(l, TALI_PROHIBIT_ACK, (struct span){ 0 });
	sim_after(node->sim, &l->timer, ISUP_LINK_TEST_NS, on_ask_again, "tali.test");
}

static void wait_again(struct node *node, struct machine *machine, void *ctx)
{
	struct isup_link *l = ctx;

	(void)machine;
	stop_timers(l);
	l->conn = NULL;
	if (l->config.connects)
		sim_after(node->sim, &l->timer, ISUP_LINK_RETRY_NS, on_open, "tali.open");
}

static void close_silent(struct node *node, struct machine *machine, void *ctx)
{
	struct isup_link *l = ctx;

	tcp_abort(l->conn);
	wait_again(node, machine, ctx);
}

/* What comes in */

static void refuse(const struct isup_link *l, const char *check, uint64_t tag, const char *detail)
{
	trace_refuse(l->config.node, check, l->config.peer_ip, tag, detail);
}

static void take_isup(struct isup_link *l, struct span payload, uint64_t tag)
{
	struct isup message;

	if (!isup_parse((const uint8_t *)payload.at, payload.len, &message)) {
		refuse(l, "isup.malformed", tag, "");
		return;
	}
	if (message.network != ISUP_NATIONAL || message.opc != l->config.peer_code ||
	    message.dpc != l->config.local_code) {
		refuse(l, "isup.label", tag, isup_kind(message.type));
		return;
	}
	l->config.received(l->config.ctx, &message, tag);
}

static void take_monitor_answer(struct isup_link *l, struct span payload, uint64_t tag)
{
	uint8_t number[MONITOR_LEN];

	put_be64(number, l->questions);
	if (!l->awaiting || payload.len != sizeof number || memcmp(payload.at, number, sizeof number) != 0) {
		refuse(l, "tali.unexpected", tag, "mona");
		return;
	}
	l->awaiting = false;
	sim_cancel(l->config.node->sim, &l->answer);
	message_accept(l->config.node, tag);
}

static void take_frame(struct isup_link *l, const struct tali *frame, uint64_t tag)
{
	switch (frame->kind) {
	case TALI_MTP3:
		take_isup(l, frame->payload, tag);
		return;
	case TALI_MONITOR_ACK:
		take_monitor_answer(l, frame->payload, tag);
		return;
	case TALI_TEST: /* what could keep us from taking messages has no connection either */
		send_tali(l, TALI_ALLOW, (struct span){ 0 });
		break;
	case TALI_MONITOR:
		send_tali(l, TALI_MONITOR_ACK, frame->payload);
		break;
	case TALI_ALLOW:
		happen(l, EV_ALLOWED);
		break;
	case TALI_PROHIBIT:
		happen(l, EV_PROHIBITED);
		break;
	default:
		refuse(l, "tali.unexpected", tag, tali_name(frame->kind));
		return;
	}
	message_accept(l->config.node, tag);
}

static size_t on_bytes(struct tcp_conn *conn, void *ctx, const uint8_t *bytes, size_t len, uint64_t tag)
{
	struct isup_link *l = ctx;
	struct tali frame;
	long taken = tali_parse(bytes, len, &frame);

	if (taken < 0) {
		refuse(l, "tali.malformed", tag, "");
		tcp_abort(conn);
		happen(l, EV_CLOSED);
		return len;
	}
	if (taken == 0)
		return 0;
	service_charge(l->config.node, &(struct service_cost){ .messages = 1 });
	take_frame(l, &frame, tag);
	return (size_t)taken;
}

static void on_connected(struct tcp_conn *conn, void *ctx)
{
	struct isup_link *l = ctx;

	l->conn = conn;
	l->questions = 0;
	happen(l, EV_OPENED);
}

static void on_closed(struct tcp_conn *conn, void *ctx, enum tcp_end how)
{
	struct isup_link *l = ctx;

	(void)how;
	if (conn == l->conn)
		happen(l, EV_CLOSED);
}

static const struct tcp_handler handler = { .connected = on_connected, .received = on_bytes, .closed = on_closed };

static void open_connection(struct node *node, struct machine *machine, void *ctx)
{
	struct isup_link *l = ctx;

	(void)machine;
	l->conn = tcp_connect(node, l->config.local_ip, l->config.peer_ip, TALI_PORT, &handler, l);
}

/* The peer connects anew while the old connection still stands here: it has restarted and knows nothing of it. */
static bool on_accept(struct tcp_listener *listener, struct tcp_conn *conn, const struct tcp_handler **h, void **ctx)
{
	struct isup_link *l = listener->ctx;
	uint32_t ip;
	uint16_t port;

	tcp_peer(conn, &ip, &port);
	if (ip != l->config.peer_ip) {
		trace_refuse(l->config.node, "tali.check_peer", ip, 0, "");
		return false;
	}
	if (l->conn) {
		tcp_abort(l->conn);
		happen(l, EV_CLOSED);
	}
	*h = &handler;
	*ctx = l;
	return true;
}

/* Life */

struct isup_link *isup_link_new(const struct isup_link_config *config)
{
	struct isup_link *l = sim_alloc(sizeof *l);

	l->config = *config;
	machine_start(&l->machine, &isup_link_machine, LINK_DOWN);
	return l;
}

void isup_link_free(struct isup_link *l)
{
	if (!l)
		return;
	stop_timers(l);
	tcp_unlisten(&l->listener);
	if (l->conn)
		tcp_abort(l->conn);
	free(l);
}

void isup_link_start(struct isup_link *l)
{
	struct node *node = l->config.node;

	stop_timers(l);
	tcp_reset(node);
	l->conn = NULL;
	machine_start(&l->machine, &isup_link_machine, LINK_DOWN);
	if (l->config.connects) {
		sim_at(node->sim, &l->timer, node->sim->now_ns, on_open, "tali.open");
		return;
	}
	l->listener = (struct tcp_listener){ .ip = l->config.local_ip, .port = TALI_PORT, .accept = on_accept,
	                                     .ctx = l };
	tcp_listen(node, &l->listener);
}
