/* The voice menu; see voice_menu.h. Patent [0143]. */
#include "models/voice_menu.h"

#include <stdio.h>
#include <string.h>

#define CHOICE_FIELDS_MAX 4

enum menu_field { FIELD_END, FIELD_ORDER, FIELD_NUMBER, FIELD_PIN, FIELD_OPTIONS };

struct menu_choice {
	char key;
	const char *kind;
	enum menu_field fields[CHOICE_FIELDS_MAX]; /* ended by FIELD_END */
};
static const struct menu_choice choices[] = {
	{ '1', "new", { FIELD_ORDER } },
	{ '2', "change", { FIELD_OPTIONS, FIELD_NUMBER, FIELD_PIN } },
	{ '3', "terminate", { FIELD_NUMBER, FIELD_PIN } },
	{ '4', "move", { FIELD_NUMBER, FIELD_PIN } },
	{ '5', "repair", { FIELD_ORDER } },
};
static const char *const field_prompts[] = {
	[FIELD_ORDER] = "work order number, then #\n",
	[FIELD_NUMBER] = "telephone number, # alone for this line\n",
	[FIELD_PIN] = "PIN, # alone on the line itself\n",
	[FIELD_OPTIONS] = "options: 1 caller-id, 2 3way, 3 call-waiting, 4 forwarding, then #\n",
};
static const char *const options[] = { "caller-id", "3way", "call-waiting", "forwarding" };

enum menu_state { MENU_CHOOSING, MENU_ENTERING, MENU_WAITING, MENU_STATES };
enum menu_event { EV_CHOICE, EV_DIGIT, EV_FIELD, EV_LAST_FIELD, EV_ANEW, MENU_EVENTS };
static const char *const state_names[] = { "Choosing", "Entering", "Waiting" };
static const char *const event_names[] = { "choice", "digit", "field entered", "last field entered", "begin anew" };

#define CELL(state, event, next) [(state) * MENU_EVENTS + (event)] = { true, next, NULL }
static const struct machine_cell cells[MENU_STATES * MENU_EVENTS] = {
	CELL(MENU_CHOOSING, EV_CHOICE, MENU_ENTERING),
	CELL(MENU_CHOOSING, EV_ANEW, MENU_CHOOSING),
	CELL(MENU_ENTERING, EV_DIGIT, MENU_ENTERING),
	CELL(MENU_ENTERING, EV_FIELD, MENU_ENTERING),
	CELL(MENU_ENTERING, EV_LAST_FIELD, MENU_WAITING),
	CELL(MENU_ENTERING, EV_ANEW, MENU_CHOOSING),
	CELL(MENU_WAITING, EV_ANEW, MENU_CHOOSING),
};
#undef CELL
const struct machine_def voice_menu_machine = {
	.name = "voice menu", .doc = "a caller's way through the menu of the customer service centre",
	.states = state_names, .events = event_names, .state_count = MENU_STATES, .event_count = MENU_EVENTS,
	.cells = cells,
};

static void begin(struct voice_menu *m)
{
	m->choice = NULL;
	m->field = 0;
	m->len = 0;
	memset(&m->wish, 0, sizeof m->wish);
}

void voice_menu_start(struct voice_menu *m, struct node *node)
{
	m->node = node;
	machine_start(&m->machine, &voice_menu_machine, MENU_CHOOSING);
	begin(m);
}

const char *voice_menu_prompt(const struct voice_menu *m)
{
	if (m->machine.state == MENU_CHOOSING)
		return "1 new customer, 2 change, 3 terminate, 4 moved, 5 repair; * begins anew\n";
	if (m->machine.state == MENU_WAITING)
		return "please wait\n";
	return field_prompts[m->choice->fields[m->field]];
}

static bool take_options(struct voice_menu *m)
{
	struct text t = { m->wish.options, sizeof m->wish.options, 0, false };

	for (size_t i = 0; i < m->len; i++) {
		size_t nth = (size_t)(m->digits[i] - '1');

		if (nth >= sizeof options / sizeof *options)
			return false;
		text_printf(&t, "%s%s", i ? "," : "", options[nth]);
	}
	text_put(&t, "", 1);
	return !t.full;
}

/* False: it cannot be that. */
static bool take_field(struct voice_menu *m)
{
	m->digits[m->len] = '\0';
	switch (m->choice->fields[m->field]) {
	case FIELD_ORDER:
		snprintf(m->wish.order, sizeof m->wish.order, "%s", m->digits);
		return true;
	case FIELD_NUMBER:
		snprintf(m->wish.number, sizeof m->wish.number, "%s", m->digits);
		return true;
	case FIELD_PIN:
		return span_copy((struct span){ m->digits, m->len }, m->wish.pin, sizeof m->wish.pin);
	case FIELD_OPTIONS:
		return take_options(m);
	case FIELD_END:
		break;
	}
	return false;
}

static enum menu_result choose(struct voice_menu *m, char key)
{
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
		if (choices[i].key == key) {
			m->choice = &choices[i];
			snprintf(m->wish.kind, sizeof m->wish.kind, "%s", m->choice->kind);
			machine_event(m->node, &m->machine, EV_CHOICE, m);
			break;
		}
	return MENU_SPEAKS;
}

static enum menu_result end_field(struct voice_menu *m)
{
	bool taken = take_field(m);

	m->len = 0;
	if (!taken)
		return MENU_SPEAKS;
	if (m->choice->fields[m->field + 1] == FIELD_END) {
		machine_event(m->node, &m->machine, EV_LAST_FIELD, m);
		return MENU_COMPLETE;
	}
	m->field++;
	machine_event(m->node, &m->machine, EV_FIELD, m);
	return MENU_SPEAKS;
}

static enum menu_result enter(struct voice_menu *m, char key)
{
	if (key == '#')
		return end_field(m);
	if (key < '0' || key > '9' || m->len == MENU_DIGITS_MAX) {
		m->len = 0;
		return MENU_SPEAKS;
	}
	m->digits[m->len++] = key;
	machine_event(m->node, &m->machine, EV_DIGIT, m);
	return MENU_LISTENS;
}

enum menu_result voice_menu_key(struct voice_menu *m, char key)
{
	if (key == '*') {
		begin(m);
		machine_event(m->node, &m->machine, EV_ANEW, m);
		return MENU_SPEAKS;
	}
	switch (m->machine.state) {
	case MENU_CHOOSING:
		return choose(m, key);
	case MENU_ENTERING:
		return enter(m, key);
	default:
		return MENU_SPEAKS;
	}
}
