/*
 * `tollgate test`: the table of attacks below the runs, with each attack's switch on and off, and what the attacks
 * are in words.
 *
 * Four outcomes: an attack is stopped or succeeds as expected, succeeds where it was to be stopped, or is stopped
 * where it was to succeed or by something else than the check that is claimed to stop it. attack.c tells the last two
 * apart. A fifth word stands where there is no outcome, because the run failed before it came to the attack.
 */
#include <string.h>
#include "scenarios/host/test_internal.h"

static const struct { const char *id, *words; } attacks[] = {
	{ "E1", "ESP replay" },
	{ "E2", "ESP without authentication: bits flipped, packets cut and pasted" },
	{ "E3", "implicit IV predicted" },
	{ "E4", "SPI chosen by the initiator collides, wraps or is reserved" },
	{ "E5", "sequence number used twice under one key" },
	{ "E6", "forged acknowledgement of a sub-key" },
	{ "E7", "changed software skips the check of a MAC" },
	{ "E8", "hang-up forged" },
	{ "K1", "man in the middle on PKINIT: the victim's reply is had under another name" },
	{ "K10", "certificate cache: an expired or forged certificate rides on it" },
	{ "K11", "the CTA as an oracle for decryption" },
	{ "K2", "AS-REQ replayed to the KDC" },
	{ "K3", "false KDC under its own root" },
	{ "K4", "a device's certificate used as a KDC's" },
	{ "K5", "revoked KDC certificate" },
	{ "K6", "Diffie-Hellman stripped from the request" },
	{ "K7", "server name outside the sealed part altered" },
	{ "K8", "forged refusal of the KDC makes a CTA delete its certificate" },
	{ "K9", "flood of requests exhausts the KDC" },
	{ "P1", "hardware clone: one MAC and key on two segments" },
	{ "P10", "phone ID reversed by trying all numbers" },
	{ "P11", "impostor orders a change of somebody else's line" },
	{ "P2", "forged source address" },
	{ "P3", "certificate delivered to the wrong CTA" },
	{ "P4", "old operator certificate replayed" },
	{ "P5", "certificate used after de-provisioning" },
	{ "P6", "old segment's certificate after a move" },
	{ "P7", "repair certificate kept beyond its hours" },
	{ "P8", "false configuration or software by TFTP" },
	{ "P9", "forged message between servers" },
	{ "R1", "equal cipher text when a stream restarts under one key" },
	{ "R2", "old audio spliced into a stream" },
	{ "R3", "collisions of 64-bit blocks in long calls" },
	{ "R4", "talk spurts read from the traffic" },
	{ "S1", "customer service call overheard" },
	{ "S2", "compromised signaling controller" },
	{ "S3", "recorded calls, keys stolen later" },
	{ "S4", "sealed call key swapped at the remote store" },
	{ "S6", "emergency calls denied or flooded" },
	{ "S7", "fraud by gateways, forwarding and forged caller numbers" },
	{ "S8", "call key released without a warrant" },
	{ "T1", "AP-REQ replayed to the signaling controller" },
	{ "T2", "expired ticket" },
	{ "T3", "stolen ticket without its session key" },
	{ "T4", "ticket spliced or altered" },
	{ "T5", "restricted ticket used for a toll call" },
	{ "T6", "ticket outlives de-provisioning" },
};

const char *attack_words(const char *attack)
{
	for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++)
		if (strcmp(attacks[i].id, attack) == 0)
			return attacks[i].words;
	return NULL;
}

enum attack_end job_attack_end(const struct job *job)
{
	return job->has_facts && job->facts.attack_end != ATTACK_NONE ? job->facts.attack_end : ATTACK_NOT_TRIED;
}

/* How the runs of one scenario and variant ended, over all seeds. */
struct ends {
	size_t of[ATTACK_END_COUNT], runs;
};

#define CELL_LEN 80
/* The worst end, with how many of the seeds had it when not all did. */
static void put_ends(const struct ends *ends, char cell[CELL_LEN])
{
	static const enum attack_end worst_first[] = {
		ATTACK_BROKE_THROUGH, ATTACK_STOPPED_OTHERWISE, ATTACK_NOT_TRIED, ATTACK_SUCCEEDED, ATTACK_STOPPED,
	};

	cell[0] = '\0';
	for (size_t i = 0; i < sizeof worst_first / sizeof *worst_first; i++) {
		size_t n = ends->of[worst_first[i]];

		if (n == 0)
			continue;
		if (n == ends->runs)
			snprintf(cell, CELL_LEN, "%s", attack_end_text[worst_first[i]]);
		else
			snprintf(cell, CELL_LEN, "%s (%zu of %zu seeds)", attack_end_text[worst_first[i]], n, ends->runs);
		return;
	}
}

static bool same_scenario(const struct job *a, const struct job *b)
{
	return strcmp(a->path, b->path) == 0;
}

/* A scenario's runs lie together, the variants of a seed in the same order for each seed. */
static struct ends count_ends(const struct jobs *jobs, size_t first)
{
	const struct job *like = &jobs->list[first];
	struct ends ends = { .runs = 0 };

	for (size_t i = first; i < jobs->count && same_scenario(&jobs->list[i], like); i++) {
		const struct job *job = &jobs->list[i];

		if (strcmp(job->variant, like->variant) != 0 || strcmp(job->value, like->value) != 0)
			continue;
		ends.of[job_attack_end(job)]++;
		ends.runs++;
	}
	return ends;
}


struct row {
	const struct job *job; /* of the variant */
	char off[CELL_LEN], on[CELL_LEN], switch_[2 * HOST_VARIANT_LEN];
};

static void row_fill(const struct jobs *jobs, size_t first, size_t variant, struct row *row)
{
	struct ends on = count_ends(jobs, first), off = count_ends(jobs, variant);

	row->job = &jobs->list[variant];
	put_ends(&on, row->on);
	put_ends(&off, row->off);
	snprintf(row->switch_, sizeof row->switch_, "%s=%.90s", row->job->variant + sizeof "switch." - 1, row->job->value);
}

/* Calls fn for each row: each variant of each attack scenario. */
static void each_row(const struct jobs *jobs, void (*fn)(void *ctx, const struct row *row), void *ctx)
{
	for (size_t i = 0, next; i < jobs->count; i = next) {
		const struct job *first = &jobs->list[i];
		struct row row;

		for (next = i + 1; next < jobs->count && same_scenario(&jobs->list[next], first); next++)
			if (first->attack && jobs->list[next].seed == first->seed) {
				row_fill(jobs, i, next, &row);
				fn(ctx, &row);
			}
	}
}

struct table {
	FILE *out;
	const char *before;
	size_t rows, switch_width, on_width, off_width;
};

static void widen(size_t *width, const char *text)
{
	if (strlen(text) > *width)
		*width = strlen(text);
}

static void measure_row(void *ctx, const struct row *row)
{
	struct table *table = ctx;

	table->rows++;
	widen(&table->switch_width, row->switch_);
	widen(&table->on_width, row->on);
	widen(&table->off_width, row->off);
}

static void print_row(void *ctx, const struct row *row)
{
	const struct table *t = ctx;

	fprintf(t->out, "%s%-6s  %-*s  %-*s  %-*s  %s\n", t->before, row->job->attack, (int)t->switch_width, row->switch_,
	        (int)t->on_width, row->on, (int)t->off_width, row->off, row->job->name);
}

static void print_sum(const struct test *test, FILE *out, const char *before)
{
	size_t of[ATTACK_END_COUNT] = { 0 };
	const char *between = "";

	for (size_t i = 0; i < test->jobs.count; i++)
		if (test->jobs.list[i].attack)
			of[job_attack_end(&test->jobs.list[i])]++;
	fprintf(out, "%sattacks: ", before);
	for (enum attack_end end = ATTACK_STOPPED; end < ATTACK_END_COUNT; end++) {
		if (end == ATTACK_NOT_TRIED && of[end] == 0)
			continue;
		fprintf(out, "%s%zu %s", between, of[end], attack_end_text[end]);
		between = ", ";
	}
	fputc('\n', out);
}

void attacks_print(const struct test *test, FILE *out, const char *before)
{
	static const char on[] = "defence on", off[] = "defence off", what[] = "switch";
	struct table table = {
		.out = out, .before = before, .switch_width = sizeof what - 1, .on_width = sizeof on - 1, .off_width = sizeof off - 1,
	};

	each_row(&test->jobs, measure_row, &table);
	if (!table.rows)
		return;
	fprintf(out, "%s%-6s  %-*s  %-*s  %-*s  %s\n", before, "attack", (int)table.switch_width, what, (int)table.on_width, on,
	        (int)table.off_width, off, "scenario");
	each_row(&test->jobs, print_row, &table);
	print_sum(test, out, before);
}
