/*
 * The voice menu of the customer service centre: what a caller's keys make of it (flows.md 5, V5 and V6; patent
 * [0143]).
 *
 * The first key chooses, then each field that the choice asks for is entered as digits and ended by '#'; '#' alone
 * leaves it empty, '*' begins anew. Keys that mean nothing where they come are answered by the prompt once more.
 */
#ifndef TOLLGATE_MODELS_VOICE_MENU_H
#define TOLLGATE_MODELS_VOICE_MENU_H

#include "models/csr_terminal.h"

#define MENU_DIGITS_MAX 23 /* of a field */

struct voice_menu {
	struct node *node;
	struct machine machine;
	const struct menu_choice *choice; /* NULL: none yet */
	unsigned field;                   /* which of its fields is being entered */
	char digits[MENU_DIGITS_MAX + 1];
	size_t len;
	struct csr_wish wish;
};

enum menu_result {
	MENU_LISTENS,  /* more digits */
	MENU_SPEAKS,   /* the prompt is to be said */
	MENU_COMPLETE  /* menu->wish is whole; the menu waits for '*' or voice_menu_start() */
};

void voice_menu_start(struct voice_menu *menu, struct node *node);
enum menu_result voice_menu_key(struct voice_menu *menu, char key);
/* What it says where it stands, a line. */
const char *voice_menu_prompt(const struct voice_menu *menu);

extern const struct machine_def voice_menu_machine;

#endif
