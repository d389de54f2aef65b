/* Clone detector; see clone_detector.h. */
#include "models/clone_detector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/access_message.h"
#include "models/directory.h"

struct inquiry;
struct question { /* to one peer */
	struct inquiry *inquiry;
	uint32_t peer_ip;
	bool open;
};

struct inquiry { /* about one MAC */
	struct inquiry *next;
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
	struct inquiry *inquiries;
	uint64_t found;
};

static struct inquiry *inquiry_of(const struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN])
{
	struct inquiry *q = d->inquiries;

	while (q && memcmp(q->mac, mac, LEASE_MAC_LEN) != 0)
		q = q->next;
	return q;
}

static void inquiry_free(struct inquiry *q)
{
	struct clone_detector *d = q->detector;
	struct inquiry **at = &d->inquiries;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	d->inquiry_count--;
	sim_cancel(d->config.node->sim, &q->timer);
	for (unsigned i = 0; i < d->peer_count; i++)
		backend_cancel(d->config.backend, &q->questions[i]);
	free(q);
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

	question->open = false;
	q->found |= found;
	if (--q->open == 0)
		sim_after(q->detector->config.node->sim, &q->timer, 0, on_settled, "clone.settled");
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
}

static void on_ready(void *ctx, bool ready)
{
	struct question *question = ctx;
	struct inquiry *q = question->inquiry;
	struct radius m = { .code = RADIUS_ACCESS_REQUEST, .connect_info = CLONE_QUESTION };
	char mac[MAC_TEXT_LEN];

	snprintf(m.user_name, sizeof m.user_name, "%s", device_mac_text(q->mac, mac));
	if (!ready || !radius_client_ask(q->detector->client, question->peer_ip, &m, on_answer, question))
		answered(question, false);
}

static void inquire(struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN])
{
	struct directory *directory = world_directory(world_of(d->config.node->sim));
	struct inquiry *q;

	if (d->inquiry_count == CLONE_INQUIRIES_MAX)
		return;
	q = sim_alloc(sizeof *q);
	q->detector = d;
	memcpy(q->mac, mac, LEASE_MAC_LEN);
	q->next = d->inquiries;
	d->inquiries = q;
	d->inquiry_count++;
	q->open = d->peer_count;
	for (unsigned i = 0; i < d->peer_count; i++) {
		struct question *question = &q->questions[i];

		*question = (struct question){ q, directory_service_ip(directory, d->peers[i]), true };
		if (question->peer_ip)
			backend_ensure(d->config.backend, question->peer_ip, on_ready, question);
		else
			answered(question, false);
	}
}

const char *clone_detector_admit(struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN], bool *wait)
{
	struct inquiry *q = inquiry_of(d, mac);

	if (!d->peer_count)
		return NULL;
	if (!q) {
		inquire(d, mac);
		q = inquiry_of(d, mac);
	}
	*wait = !q || !q->settled;
	if (*wait || !q->found)
		return NULL;
	d->found++;
	return "he.clone";
}

bool clone_detector_claims(struct clone_detector *d, const uint8_t mac[LEASE_MAC_LEN], const char *asker)
{
	struct inquiry *q = inquiry_of(d, mac);

	if (!q || q->settled || q->found)
		return false;
	q->found = strcmp(d->config.principal, asker) > 0;
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
	while (d->inquiries)
		inquiry_free(d->inquiries);
}

void clone_detector_free(struct clone_detector *d)
{
	if (!d)
		return;
	while (d->inquiries)
		inquiry_free(d->inquiries);
	radius_client_free(d->client);
	free(d);
}
