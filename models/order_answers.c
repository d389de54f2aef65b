/* Orders that were answered; see order_answers.h. */
#include "models/order_answers.h"

#include <stdio.h>
#include <stdlib.h>
#include "models/name_index.h"
#include "sim/sim.h"

#define KEY_MAX (5 * RADIUS_TEXT_MAX)

struct order_answer {
	struct order_answer *next;
	char *key;
	char check[RADIUS_TEXT_MAX]; /* "": done */
};

struct order_answers {
	struct order_answer *first, **tail; /* oldest first */
	struct name_index *by_key;
};

struct order_answers *order_answers_new(void)
{
	struct order_answers *o = sim_alloc(sizeof *o);

	o->tail = &o->first;
	o->by_key = name_index_new();
	return o;
}

static void forget_oldest(struct order_answers *o)
{
	struct order_answer *a = o->first;

	name_index_set(o->by_key, a->key, NULL);
	o->first = a->next;
	if (!o->first)
		o->tail = &o->first;
	free(a->key);
	free(a);
}

void order_answers_free(struct order_answers *o)
{
	if (!o)
		return;
	while (o->first)
		forget_oldest(o);
	name_index_free(o->by_key);
	free(o);
}

static void key_of(const struct radius_asked *asked, char out[KEY_MAX])
{
	const struct radius *q = &asked->question;

	snprintf(out, KEY_MAX, "%s\n%s\n%d\n%s\n%s\n%s", asked->principal, q->state, (int)q->code, q->user_name,
	         q->called_station, q->calling_station);
}

bool order_answers_find(const struct order_answers *o, const struct radius_asked *asked, const char **check)
{
	const struct order_answer *a;
	char key[KEY_MAX];

	if (!asked->question.state[0])
		return false;
	key_of(asked, key);
	a = name_index_get(o->by_key, key);
	if (a)
		*check = a->check[0] ? a->check : NULL;
	return a != NULL;
}

void order_answers_keep(struct order_answers *o, const struct radius_asked *asked, const char *check)
{
	struct order_answer *a;
	const char *before;
	char key[KEY_MAX];

	if (!asked->question.state[0] || order_answers_find(o, asked, &before))
		return;
	if (name_index_count(o->by_key) == ORDER_ANSWERS_MAX)
		forget_oldest(o);
	key_of(asked, key);
	a = sim_alloc(sizeof *a);
	a->key = sim_alloc(strlen(key) + 1);
	strcpy(a->key, key);
	snprintf(a->check, sizeof a->check, "%s", check ? check : "");
	*o->tail = a;
	o->tail = &a->next;
	name_index_set(o->by_key, a->key, a);
}

unsigned order_answers_count(const struct order_answers *o)
{
	return name_index_count(o->by_key);
}
