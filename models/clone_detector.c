/* Clone detector; see clone_detector.h. */
#include "models/clone_detector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/access_message.h"
#include "models/directory.h"

#define BUCKETS 256

struct inquiry;
struct question { /* to one peer */
	struct inquiry *inquiry;
	struct question *next; /* of those that wait for their turn */
	uint32_t peer_ip;
};

struct inquiry { /* about one MAC */
	struct inquiry *next;               /* of its bucket */
	struct inquiry *older, *newer;      /* by age */
	struct clone_detector *detector;
	uint8_t mac[LEASE_MAC_LEN];
	struct question questions[CLONE_PEERS_MAX];
	unsigned open;
	bool found, settled;
	struct event timer; /* all have answered; then: the answers are too old */
};

struct clone_detector {
	struct clone_detector_config config;
	struct radius_client *client;
	char peers[CLONE_PEERS_MAX][KRB_NAME_MAX + 1];
	unsigned peer_count, inquiry_count;
	struct inquiry *buckets[BUCKETS], *oldest, *newest;
	struct question *turn, **turn_tail; /* questions for which all identifiers were taken, oldest first */
	uint64_t found;
};

/* Inquiries */

static struct inquiry **bucket_of(struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN])
{
	uint32_t h = 2166136261u;

	for (int i = 0; i < LEASE_MAC_LEN; i++)
		h = (h ^ mac[i]) * 16777619u;
	return &d->buckets[(h ^ h >> 16) % BUCKETS];
}

static struct inquiry *inquiry_of(struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN])
{
	struct inquiry *q = *bucket_of(d, mac);

	while (q && memcmp(q->mac, mac, LEASE_MAC_LEN) != 0)
		q = q->next;
	return q;
}

static struct inquiry *inquiry_new(struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN])
{
	struct inquiry *q = sim_alloc(sizeof *q), **bucket = bucket_of(d, mac);

	q->detector = d;
	memcpy(q->mac, mac, LEASE_MAC_LEN);
	q->next = *bucket;
	*bucket = q;
	q->older = d->newest;
	*(d->newest ? &d->newest->newer : &d->oldest) = q;
	d->newest = q;
	d->inquiry_count++;
	return q;
}

static void leave_turn(struct clone_detector *d, const struct inquiry *q)
{
	struct question **at = &d->turn;

	while (*at)
		if ((*at)->inquiry == q)
			*at = (*at)->next;
		else
			at = &(*at)->next;
	d->turn_tail = at;
}

static void inquiry_free(struct inquiry *q)
{
	struct clone_detector *d = q->detector;
	struct inquiry **at = bucket_of(d, q->mac);

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	*(q->older ? &q->older->newer : &d->oldest) = q->newer;
	*(q->newer ? &q->newer->older : &d->newest) = q->older;
	d->inquiry_count--;
	sim_cancel(d->config.node->sim, &q->timer);
	if (q->open) {
		leave_turn(d, q);
		for (unsigned i = 0; i < d->peer_count; i++)
			backend_cancel(d->config.backend, &q->questions[i]);
	}
	free(q);
}

/* Makes room by forgetting the oldest result that admits a device: it is found out again. False: there is none. */
static bool make_room(struct clone_detector *d)
{
	struct inquiry *q = d->oldest;

	if (d->inquiry_count < CLONE_INQUIRIES_MAX)
		return true;
	while (q && !q->settled)
		q = q->newer;
	if (q)
		inquiry_free(q);
	return q != NULL;
}

static void on_forget(struct sim *sim, struct event *event)
{
	(void)sim;
	inquiry_free(event_owner(event, struct inquiry, timer));
}

static void on_settled(struct sim *sim, struct event *event)
{
	struct inquiry *q = event_owner(event, struct inquiry, timer);
	struct clone_detector *d = q->detector;

	q->settled = true;
	sim_after(sim, &q->timer, CLONE_KNOWN_NS, on_forget, "clone.known");
	if (d->config.settled)
		d->config.settled(d->config.ctx, q->mac);
}

/* A peer has answered, or will not. After the last one the result stands for a while. */
static void answered(struct question *question, bool found)
{
	struct inquiry *q = question->inquiry;

	q->found |= found;
	if (--q->open == 0)
		sim_after(q->detector->config.node->sim, &q->timer, 0, on_settled, "clone.settled");
}

/* Questions */

static void on_answer(void *ctx, const struct radius *answer, uint64_t tag);

/* False: as many are under way as there are identifiers. */
static bool ask(struct question *question)
{
	const struct inquiry *q = question->inquiry;
	const struct clone_detector *d = q->detector;
	struct radius m = { .code = RADIUS_ACCESS_REQUEST, .connect_info = CLONE_QUESTION };
	char mac[MAC_TEXT_LEN];

	snprintf(m.user_name, sizeof m.user_name, "%s", device_mac_text(q->mac, mac));
	if (d->config.address)
		m.framed_ip = d->config.address(d->config.ctx, q->mac);
	return radius_client_ask(d->client, question->peer_ip, &m, on_answer, question);
}

static void next_turn(struct clone_detector *d)
{
	while (d->turn && ask(d->turn)) {
		d->turn = d->turn->next;
		if (!d->turn)
			d->turn_tail = &d->turn;
	}
}

static void on_answer(void *ctx, const struct radius *answer, uint64_t tag)
{
	struct question *question = ctx;
	struct clone_detector *d = question->inquiry->detector;

	if (answer)
		message_accept(d->config.node, tag);
	else
		backend_drop(d->config.backend, question->peer_ip); /* it may know nothing of our association */
	answered(question, answer && answer->code == RADIUS_ACCESS_ACCEPT && answer->framed_ip);
	next_turn(d);
}

static void on_ready(void *ctx, bool ready)
{
	struct question *question = ctx;
	struct clone_detector *d = question->inquiry->detector;

	if (!ready) {
		answered(question, false);
		return;
	}
	question->next = NULL;
	*d->turn_tail = question;
	d->turn_tail = &question->next;
	next_turn(d);
}

static struct inquiry *inquire(struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN])
{
	struct directory *directory = world_directory(world_of(d->config.node->sim));
	struct inquiry *q;

	if (!make_room(d))
		return NULL;
	q = inquiry_new(d, mac);
	q->open = d->peer_count;
	for (unsigned i = 0; i < d->peer_count; i++) {
		struct question *question = &q->questions[i];

		*question = (struct question){ q, NULL, directory_service_ip(directory, d->peers[i]) };
		if (question->peer_ip)
			backend_ensure(d->config.backend, question->peer_ip, on_ready, question);
		else
			answered(question, false);
	}
	return q;
}

const char *clone_detector_admit(struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN], bool *wait)
{
	struct inquiry *q = d->peer_count ? inquiry_of(d, mac) : NULL;

	if (!d->peer_count)
		return NULL;
	if (!q)
		q = inquire(d, mac);
	if (!q)
		return "he.clone_busy";
	*wait = !q->settled;
	if (*wait || !q->found)
		return NULL;
	d->found++;
	return "he.clone";
}

bool clone_detector_claims(struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN], const char *asker, bool has_it)
{
	struct inquiry *q = inquiry_of(d, mac);

	if (!q || q->settled || q->found)
		return false;
	q->found = has_it || strcmp(d->config.principal, asker) > 0;
	return !q->found;
}

uint64_t clone_detector_found(const struct clone_detector *d)
{
	return d->found;
}

/* Construction */

static bool read_peers(struct clone_detector *d, const char *text)
{
	while (*(text += strspn(text, ", "))) {
		int len = (int)strcspn(text, ", ");
		int wrote;

		if (d->peer_count == CLONE_PEERS_MAX)
			return false;
		wrote = snprintf(d->peers[d->peer_count++], sizeof d->peers[0], "he/%.*s", len, text);
		if (wrote < 0 || (size_t)wrote >= sizeof d->peers[0])
			return false;
		text += len;
	}
	return true;
}

struct clone_detector *clone_detector_new(const struct clone_detector_config *config, const char *peers)
{
	struct clone_detector *d = sim_alloc(sizeof *d);

	d->config = *config;
	d->turn_tail = &d->turn;
	d->client = radius_client_new(config->node, config->ipsec);
	if (!read_peers(d, peers)) {
		clone_detector_free(d);
		return NULL;
	}
	return d;
}

void clone_detector_reset(struct clone_detector *d)
{
	radius_client_reset(d->client);
	while (d->oldest)
		inquiry_free(d->oldest);
}

void clone_detector_free(struct clone_detector *d)
{
	if (!d)
		return;
	while (d->oldest)
		inquiry_free(d->oldest);
	radius_client_free(d->client);
	free(d);
}
