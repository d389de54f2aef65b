/*
 * The customer service centre as one machine (flows.md 0 and 5 to 10; patent [0121], [0125]-[0126], [0139]-[0145],
 * [0150]): customers call its number, also those whose ticket allows no other; a representative or a voice menu
 * answers, and what the customer wants goes from the terminal to the provisioning CA (models/csr_terminal.h). How
 * calls come and end: models/served_call.h.
 *
 * What is said in a call travels in the encrypted voice stream (models/media.h). A representative is told lines of
 * text: parts "key=value" between ';', where want, number, options, order and pin are read here and all others, as
 * they are, are the customer's data. The menu (models/voice_menu.h) hears keys. The answer is a line as well:
 *   done=new;number=2155550200;terms=...    refused=CHECK    or a sentence that means nothing to a machine.
 *
 * Representatives may also sit at plain phones of the PSTN, behind the gateways [0121], [0125]: then a scenario enters
 * at this terminal what such a phone has heard, and the signaling gateway tells the terminal which CTA that is [0145].
 *
 * A call has one request at a time. Who says nothing for `patience`, and waits for nothing, is hung up on. A caller
 * that hangs up leaves its request with the terminal, where it comes to its end. A restart loses the calls; the
 * terminal's requests go on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/csr_terminal.h"
#include "models/voice_menu.h"
#include "models/wire/t140.h"

#define SAID_MAX 512 /* a line */
#define TOLD_MAX 320
#define BREATH_NS (500 * NS_PER_MS) /* from the answer to the greeting: by then the caller listens */

struct caller;

struct csr {
	struct node *node;
	struct call_server *calls;
	struct csr_terminal *terminal;
	struct caller *callers;         /* the latest first */
	bool menu, automatic, has_gateway;
	sim_ns types_after_ns, patience_ns;
	char heard[SAID_MAX + 1];       /* the last line that a caller said */
};

struct caller { /* in an answered call */
	struct caller *next;
	struct csr *csr;
	struct served_call *call;
	struct voice_menu menu;
	char said[SAID_MAX + 1];        /* of the line that is being said */
	size_t said_len;
	bool too_long;
	struct csr_wish wish;           /* while the representative types it */
	struct csr_request *request;    /* held; NULL: nothing is under way */
	struct event greeting, typing, patience;
};

/* The caller waits for us. */
static bool busy(const struct caller *c)
{
	return event_pending(&c->typing) || (c->request && csr_request_outcome(c->request) == CSR_ASKING);
}

/* To the caller */

static void say(struct caller *c, const char *line)
{
	media_send_text(served_call_media(c->call), line); /* full: it cannot have listened for a long time */
}

static void on_patience(struct sim *sim, struct event *event)
{
	(void)sim;
	served_call_end(event_owner(event, struct caller, patience)->call, "caller said nothing");
}

/* Something was said: the wait for the caller begins anew, unless it is the caller who waits. */
static void listen_on(struct caller *c)
{
	struct sim *sim = c->csr->node->sim;

	sim_cancel(sim, &c->patience);
	if (c->csr->patience_ns && !busy(c))
		sim_after(sim, &c->patience, c->csr->patience_ns, on_patience, "csr.patience");
}

/* V13, as far as it has come. */
static void tell(struct caller *c)
{
	const struct csr_request *r = c->request;
	char line[TOLD_MAX];

	switch (csr_request_outcome(r)) {
	case CSR_ASKING:
		return;
	case CSR_WAITING:
		snprintf(line, sizeof line, "provisioning does not answer; wait, or call again\n");
		break;
	case CSR_DONE:
		snprintf(line, sizeof line, "done=%s;number=%s;terms=%s\n", csr_request_kind(r), csr_request_number(r),
		         csr_request_terms(r));
		break;
	default:
		snprintf(line, sizeof line, "refused=%s\n", csr_request_reason(r));
		break;
	}
	say(c, line);
}

static void forget_request(struct caller *c)
{
	csr_request_unref(c->request);
	c->request = NULL;
}

static void conclude(struct caller *c)
{
	tell(c);
	if (csr_request_outcome(c->request) >= CSR_DONE) {
		csr_request_told(c->request);
		forget_request(c);
	}
	listen_on(c);
	sim_changed(c->csr->node->sim, c->csr->node);
}

static struct caller *caller_of(const struct csr *csr, const struct served_call *call)
{
	struct caller *c = csr->callers;

	while (c && c->call != call)
		c = c->next;
	return c;
}

static void on_news(void *ctx, struct csr_request *request)
{
	struct csr *csr = ctx;
	struct served_call *call = csr_request_call(request);
	struct caller *c = call ? caller_of(csr, call) : NULL;

	if (c && c->request == request)
		conclude(c);
	sim_changed(csr->node->sim, csr->node);
}

/* At the terminal */

/* The request is held by the caller's record until the caller knows what came of it. */
static void enter(struct caller *c, const struct csr_wish *wish)
{
	struct csr_request *request = csr_terminal_enter(c->csr->terminal, c->call, wish);

	forget_request(c);
	c->request = request;
	if (csr_request_outcome(request) >= CSR_DONE)
		conclude(c);
	else
		listen_on(c);
}

static void on_typed(struct sim *sim, struct event *event)
{
	struct caller *c = event_owner(event, struct caller, typing);

	(void)sim;
	enter(c, &c->wish);
}

static void begin_typing(struct caller *c, const struct csr_wish *wish)
{
	c->wish = *wish;
	sim_after(c->csr->node->sim, &c->typing, c->csr->types_after_ns, on_typed, "csr.typing");
}

/* What a customer says */

static bool put_part(struct csr_wish *w, struct text *data, struct span key, struct span value, struct span whole)
{
	char number[64];

	if (span_is(key, "want"))
		return span_copy(value, w->kind, sizeof w->kind);
	if (span_is(key, "order"))
		return span_copy(value, w->order, sizeof w->order);
	if (span_is(key, "options"))
		return span_copy(value, w->options, sizeof w->options);
	if (span_is(key, "pin"))
		return span_copy(value, w->pin, sizeof w->pin);
	if (span_is(key, "number"))
		return span_copy(value, number, sizeof number) && number_digits(number, w->number);
	if (data->len)
		text_put(data, ";", 1);
	text_put(data, whole.at, whole.len);
	return key.len > 0;
}

/* No control characters, and nothing missing. */
static bool readable(struct span line)
{
	const size_t mark_len = sizeof T140_MISSING - 1;

	for (size_t i = 0; i < line.len; i++)
		if ((uint8_t)line.at[i] < ' ' || line.at[i] == 0x7f ||
		    (line.len - i >= mark_len && memcmp(line.at + i, T140_MISSING, mark_len) == 0))
			return false;
	return true;
}

/* "want=change;options=3way" and the like. False: it cannot be understood, or does not fit. */
static bool read_line(struct span line, struct csr_wish *w)
{
	struct text data;

	*w = (struct csr_wish){ .kind = "new" };
	data = (struct text){ w->data, sizeof w->data, 0, false };
	if (!readable(line))
		return false;
	while (line.len) {
		const char *semicolon = memchr(line.at, ';', line.len), *equals;
		struct span part = { line.at, semicolon ? (size_t)(semicolon - line.at) : line.len };

		line.at += part.len + (semicolon != NULL);
		line.len -= part.len + (semicolon != NULL);
		part = span_trim(part);
		if (part.len == 0)
			continue;
		equals = memchr(part.at, '=', part.len);
		if (!equals || !put_part(w, &data, (struct span){ part.at, (size_t)(equals - part.at) },
		                         (struct span){ equals + 1, (size_t)(part.at + part.len - equals - 1) }, part))
			return false;
	}
	text_put(&data, "", 1);
	return !data.full;
}

static void refuse_line(struct caller *c)
{
	trace_refuse(c->csr->node, "csr.customer_data", served_call_ip(c->call), 0, "");
	say(c, "I did not understand; say for example name=Ann;address=1 Elm St;pay=4111\n");
}

static void take_line(struct caller *c)
{
	struct span line = { c->said, c->said_len };
	struct csr *csr = c->csr;
	struct csr_wish wish;

	if (line.len && line.at[line.len - 1] == '\r')
		line.len--;
	if (c->too_long) {
		refuse_line(c);
		return;
	}
	if (!span_copy(line, csr->heard, sizeof csr->heard) || !csr->automatic)
		return; /* a scenario will enter what it makes of it */
	if (busy(c))
		say(c, "one moment please\n");
	else if (read_line(line, &wish))
		begin_typing(c, &wish);
	else
		refuse_line(c);
}

static void on_text(void *ctx, struct served_call *call, const char *bytes, size_t len)
{
	struct caller *c = served_call_state(call);
	struct csr *csr = ctx;

	if (csr->menu)
		return;
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			take_line(c);
			c->said_len = 0;
			c->too_long = false;
		} else if (c->said_len < SAID_MAX) {
			c->said[c->said_len++] = bytes[i];
		} else {
			c->too_long = true;
		}
	}
	listen_on(c);
	sim_changed(csr->node->sim, csr->node);
}

static void on_digit(void *ctx, struct served_call *call, char digit)
{
	struct caller *c = served_call_state(call);
	struct csr *csr = ctx;

	if (!csr->menu)
		return;
	snprintf(csr->heard, sizeof csr->heard, "%c", digit);
	if (busy(c)) {
		say(c, "one moment please\n");
		return;
	}
	switch (voice_menu_key(&c->menu, digit)) {
	case MENU_LISTENS:
		break;
	case MENU_SPEAKS:
		say(c, voice_menu_prompt(&c->menu));
		break;
	case MENU_COMPLETE:
		say(c, voice_menu_prompt(&c->menu));
		enter(c, &c->menu.wish);
		voice_menu_start(&c->menu, csr->node);
		return;
	}
	listen_on(c);
}

/* Calls */

static void on_greeting(struct sim *sim, struct event *event)
{
	struct caller *c = event_owner(event, struct caller, greeting);

	(void)sim;
	say(c, c->csr->menu ? voice_menu_prompt(&c->menu) : "customer service, what can I do for you?\n");
}

static void on_answered(void *ctx, struct served_call *call)
{
	struct csr *csr = ctx;
	struct caller *c = sim_alloc(sizeof *c);

	c->csr = csr;
	c->call = call;
	c->next = csr->callers;
	csr->callers = c;
	served_call_set_state(call, c);
	voice_menu_start(&c->menu, csr->node);
	sim_after(csr->node->sim, &c->greeting, BREATH_NS, on_greeting, "csr.greeting");
	listen_on(c);
}

static void on_over(void *ctx, struct served_call *call)
{
	struct csr *csr = ctx;
	struct caller *c = served_call_state(call), **at = &csr->callers;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	sim_cancel(csr->node->sim, &c->greeting);
	sim_cancel(csr->node->sim, &c->typing);
	sim_cancel(csr->node->sim, &c->patience);
	if (csr->terminal)
		csr_terminal_forget_call(csr->terminal, call);
	forget_request(c);
	free(c);
}

/* What a scenario does at the terminal */

/* The caller that it names, or the one whose call is the latest. */
static struct caller *caller_meant(const struct csr *csr, const struct args *args)
{
	const struct node *node = args_node(args, "caller");
	struct caller *c = csr->callers;

	while (c && node && node_by_ip(csr->node->sim, served_call_ip(c->call)) != node)
		c = c->next;
	return c;
}

static bool copy_arg(const struct args *args, const char *name, char *out, size_t size)
{
	return span_copy(span_of(args_text(args, name, "")), out, size);
}

static bool read_args(const struct args *args, struct csr_wish *w)
{
	const char *number = args_text(args, "number", "");

	*w = (struct csr_wish){ 0 };
	return copy_arg(args, "want", w->kind, sizeof w->kind) && copy_arg(args, "data", w->data, sizeof w->data) &&
	       copy_arg(args, "order", w->order, sizeof w->order) && copy_arg(args, "pin", w->pin, sizeof w->pin) &&
	       copy_arg(args, "options", w->options, sizeof w->options) &&
	       (!number[0] || number_digits(number, w->number));
}

/* What somebody wants whom a representative has on a plain phone. */
static void enter_by_phone(struct node *node, const struct args *args, struct verb_result *result)
{
	struct csr *csr = node->state;
	char phone[SUBSCRIBER_NUMBER_LEN];
	struct csr_request *request;
	struct csr_wish wish;

	if (!csr->has_gateway) {
		snprintf(result->error, sizeof result->error, "%s has no gateway to ask who is on a phone of the PSTN", node->name);
	} else if (!number_digits(args_text(args, "phone", ""), phone) || !read_args(args, &wish)) {
		snprintf(result->error, sizeof result->error,
		         "what is entered is too long, or phone or number is no telephone number");
	} else {
		request = csr_terminal_enter_phone(csr->terminal, phone, &wish);
		csr_request_unref(request); /* the terminal's last one */
		result->value = value_object(csr_request_object(csr_terminal_last(csr->terminal)));
	}
}

static void verb_enter(struct node *node, const struct args *args, struct verb_result *result)
{
	struct csr *csr = node->state;
	struct caller *c = caller_meant(csr, args);
	struct csr_wish wish;

	if (args_text(args, "phone", NULL)) {
		enter_by_phone(node, args, result);
	} else if (!c) {
		snprintf(result->error, sizeof result->error, "nobody is calling %s who could want it", node->name);
	} else if (busy(c)) {
		snprintf(result->error, sizeof result->error, "a request of this caller is under way; wait");
	} else if (!read_args(args, &wish)) {
		snprintf(result->error, sizeof result->error,
		         "what is entered is too long, or number is no telephone number");
	} else {
		enter(c, &wish);
		result->value = value_object(csr_request_object(csr_terminal_last(csr->terminal)));
	}
}

static void verb_say(struct node *node, const struct args *args, struct verb_result *result)
{
	struct caller *c = caller_meant(node->state, args);
	struct media *media = c ? served_call_media(c->call) : NULL;
	const char *text = args_text(args, "text", "");

	if (!c)
		snprintf(result->error, sizeof result->error, "nobody is calling %s", node->name);
	else if (!media_send_text(media, text) || !media_send_text(media, "\n"))
		snprintf(result->error, sizeof result->error, "text must be UTF-8, up to %d bytes until it is sent",
		         MEDIA_TEXT_MAX);
}

static void verb_hangup(struct node *node, const struct args *args, struct verb_result *result)
{
	struct caller *c = caller_meant(node->state, args);

	if (c)
		served_call_end(c->call, "hung up");
	else
		snprintf(result->error, sizeof result->error, "nobody is calling %s", node->name);
}

static void verb_set_pin(struct node *node, const struct args *args, struct verb_result *result)
{
	struct csr *csr = node->state;

	if (!csr_terminal_set_pin(csr->terminal, args_text(args, "number", ""), args_text(args, "pin", "")))
		snprintf(result->error, sizeof result->error,
		         "write %s:set_pin { \"215-555-0101\", pin = \"4711\" }, a PIN of %d to %d digits", node->name,
		         PIN_MIN, PIN_MAX);
	sim_changed(node->sim, node);
}

/* Construction */

static const struct param params[] = {
	SERVED_CALL_PARAMS,
	{ .name = "pca", .type = VALUE_NODE, .required = true, .doc = "the provisioning CA that its terminal asks" },
	{ .name = "signaling_gateway", .type = VALUE_NODE,
	  .doc = "the one that tells who is on a representative's phone of the PSTN" },
	{ .name = "answers", .type = VALUE_TEXT, .preset = "agent", .choices = "agent|menu",
	  .doc = "who answers: a representative, who understands text, or a voice menu, which understands keys" },
	{ .name = "after", .type = VALUE_TIME, .preset = "2s",
	  .doc = "a representative answers after ringing for so long" },
	{ .name = "automatic", .type = VALUE_BOOL, .preset = "true",
	  .doc = "the representative enters what a customer says; false: scenarios do, by enter()" },
	{ .name = "types_after", .type = VALUE_TIME, .preset = "1s",
	  .doc = "how long the representative takes to enter it" },
	{ .name = "patience", .type = VALUE_TIME, .preset = "60s",
	  .doc = "hangs up on who says nothing for so long; 0s: never" },
	{ .name = NULL },
};
static const struct param caller_params[] = {
	{ .name = "caller", .type = VALUE_NODE, .doc = "whose call; default: the latest" }, { .name = NULL },
};
static const struct param say_params[] = {
	{ .name = "text", .type = VALUE_TEXT, .required = true, .doc = "a line" },
	{ .name = "caller", .type = VALUE_NODE, .doc = "whose call; default: the latest" }, { .name = NULL },
};
static const struct param enter_params[] = {
	{ .name = "want", .type = VALUE_TEXT, .required = true, .doc = "what the customer wants",
	  .choices = "new|change|terminate|move|repair" },
	{ .name = "data", .type = VALUE_TEXT, .preset = "",
	  .doc = "customer's data: \"name=...;address=...;pay=...\"" },
	{ .name = "number", .type = VALUE_TEXT, .preset = "", .doc = "number wished for, or which line it is about" },
	{ .name = "options", .type = VALUE_TEXT, .preset = "", .doc = "\"caller-id,3way\"" },
	{ .name = "order", .type = VALUE_TEXT, .preset = "", .doc = "work order number" },
	{ .name = "pin", .type = VALUE_TEXT, .preset = "", .doc = "the customer's PIN" },
	{ .name = "caller", .type = VALUE_NODE, .doc = "whose call; default: the latest" },
	{ .name = "phone", .type = VALUE_TEXT,
	  .doc = "of a caller whom a representative has on this phone of the PSTN; who that is, the gateway says" },
	{ .name = NULL },
};
static const struct param pin_params[] = {
	{ .name = "number", .type = VALUE_TEXT, .required = true, .doc = "whose" },
	{ .name = "pin", .type = VALUE_TEXT, .required = true, .doc = "digits" }, { .name = NULL },
};
static const struct verb verbs[] = {
	{ "enter", "enters at the terminal what a caller wants", enter_params, "request", verb_enter },
	{ "say", "says a line of text to a caller", say_params, "", verb_say },
	{ "hangup", "hangs up on a caller", caller_params, "", verb_hangup },
	{ "set_pin", "puts a customer's PIN on file", pin_params, "", verb_set_pin },
	{ NULL, NULL, NULL, NULL, NULL },
};

static void destroy(struct node *node)
{
	struct csr *csr = node->state;
	struct csr_terminal *terminal = csr->terminal;

	csr_terminal_free(terminal);
	csr->terminal = NULL;
	call_server_free(csr->calls);
	free(csr);
}

static bool create(struct node *node, const struct args *args, char error[MODEL_ERROR_LEN])
{
	struct csr *csr = sim_alloc(sizeof *csr);
	bool menu = strcmp(args_text(args, "answers", "agent"), "menu") == 0;
	struct call_server_config calls = {
		.node = node, .prefix = "csr", .source = menu ? MEDIA_ANNOUNCEMENT : MEDIA_TONE, .ctx = csr,
		.answer_after_ns = menu ? 0 : args_time(args, "after", 0),
		.owner = { .answered = on_answered, .over = on_over, .digit = on_digit, .text = on_text },
	};
	struct csr_terminal_config terminal = { .node = node, .news = on_news, .ctx = csr };

	csr->node = node;
	csr->menu = menu;
	csr->automatic = args_bool(args, "automatic", true);
	csr->types_after_ns = args_time(args, "types_after", 0);
	csr->patience_ns = args_time(args, "patience", 0);
	csr->calls = call_server_new(&calls, args, error);
	if (!csr->calls) {
		free(csr);
		return false;
	}
	terminal.calls = csr->calls;
	terminal.pca_ip = node_first_ip(args_node(args, "pca"));
	csr->has_gateway = args_node(args, "signaling_gateway") != NULL;
	if (csr->has_gateway)
		terminal.gateway_ip = node_first_ip(args_node(args, "signaling_gateway"));
	csr->terminal = csr_terminal_new(&terminal);
	node->state = csr;
	node->destroy = destroy;
	return true;
}

static void power_on(struct node *node)
{
	struct csr *csr = node->state;

	call_server_start(csr->calls);
	csr_terminal_start(csr->terminal);
}

static void restart(struct node *node)
{
	struct csr *csr = node->state;

	csr->heard[0] = '\0';
	call_server_restart(csr->calls);
	csr_terminal_restart(csr->terminal);
}

/* What a scenario may ask */

static bool get(struct node *node, const char *attribute, struct value *out)
{
	const struct csr *csr = node->state;
	struct csr_request *last = csr_terminal_last(csr->terminal);
	struct csr_figures f = csr_terminal_figures(csr->terminal);
	const struct { const char *name; uint64_t value; } numbers[] = {
		{ "requests", f.requests }, { "done", f.done }, { "refused", f.refused }, { "given_up", f.given_up },
		{ "open", f.open }, { "pins", f.pins },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(attribute, numbers[i].name) == 0) {
			*out = value_int((int64_t)numbers[i].value);
			return true;
		}
	*out = value_nil();
	if (strcmp(attribute, "heard") == 0)
		*out = value_text(csr->heard);
	else if (strcmp(attribute, "last_number") == 0)
		*out = value_text(last ? csr_request_number(last) : "");
	else if (strcmp(attribute, "last_terms") == 0)
		*out = value_text(last ? csr_request_terms(last) : "");
	else if (strcmp(attribute, "last_reason") == 0)
		*out = value_text(last ? csr_request_reason(last) : "");
	else if (strcmp(attribute, "request") == 0 && last)
		*out = value_object(csr_request_object(last));
	else
		return call_server_get(csr->calls, attribute, out);
	return true;
}

static const struct attribute attributes[] = {
	SERVED_CALL_ATTRIBUTES,
	{ "requests", VALUE_INT, "requests entered" },
	{ "done", VALUE_INT, "of those done by the provisioning CA" },
	{ "refused", VALUE_INT, "of those refused, here or there" },
	{ "given_up", VALUE_INT, "of those that the provisioning CA never answered" },
	{ "open", VALUE_INT, "requests that are not over, or whose end nobody has heard" },
	{ "request", VALUE_OBJECT, "the last request" },
	{ "last_number", VALUE_TEXT, "the number that the last request brought" },
	{ "last_terms", VALUE_TEXT, "its billing terms" },
	{ "last_reason", VALUE_TEXT, "why it was refused" },
	{ "heard", VALUE_TEXT, "the last line that a customer said, or the last key" },
	{ "pins", VALUE_INT, "PINs on file" },
	{ NULL, VALUE_NIL, NULL },
};
static const struct machine_def *const machines[] = { &served_call_machine, &csr_request_machine, &voice_menu_machine,
	                                              NULL };
static const struct object_class *const objects[] = { &csr_request_class, NULL };

const struct model model_csr = {
	.name = "csr",
	.doc = "customer service centre: a representative or a voice menu, and a terminal to the provisioning CA",
	.params = params, .verbs = verbs, .attributes = attributes, .machines = machines, .objects = objects,
	.create = create, .start = power_on, .get = get, .restart = restart,
};
