/* Looking up a name; see dns_client.h. */
#include "models/dns_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct dns_client {
	struct node *node;
	struct udp_socket socket;
	struct event timer;
	struct rng rng;
	dns_done_fn *done; /* NULL: nothing is under way */
	void *ctx;
	uint32_t server;
	struct dns query;
	unsigned tries;
};

static void on_timer(struct sim *sim, struct event *event);

static void say(struct dns_client *c)
{
	dns_send(&c->socket, 0, c->server, DNS_PORT, &c->query);
	sim_after(c->node->sim, &c->timer, DNS_CLIENT_TIMEOUT_NS << c->tries, on_timer, "dns.timeout");
}

void dns_client_reset(struct dns_client *c)
{
	sim_cancel(c->node->sim, &c->timer);
	udp_unbind(&c->socket);
	c->done = NULL;
}

static void finish(struct dns_client *c, const struct dns_record *record)
{
	dns_done_fn *done = c->done;

	dns_client_reset(c);
	done(c->ctx, record);
}

static void on_timer(struct sim *sim, struct event *event)
{
	struct dns_client *c = event_owner(event, struct dns_client, timer);

	(void)sim;
	if (++c->tries == DNS_CLIENT_TRIES)
		finish(c, NULL);
	else
		say(c);
}

/* The answer to what was asked: of that name and type. */
static const struct dns_record *record_of(const struct dns_client *c, const struct dns *m)
{
	for (unsigned i = 0; m->rcode == DNS_NO_ERROR && i < m->answer_count; i++)
		if (m->answers[i].type == c->query.type && strcasecmp(m->answers[i].name, c->query.question) == 0)
			return &m->answers[i];
	return NULL;
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct dns_client *c = socket->ctx;
	struct dns m;
	const char *check = NULL;

	if (!dns_parse(packet->data, packet->len, &m))
		check = "dns.malformed";
	else if (from->src != c->server || from->sport != DNS_PORT || !dns_answers(&c->query, &m))
		check = "dns.unexpected";
	if (check) {
		trace_refuse(c->node, check, from->src, from->tag, c->query.question);
		return;
	}
	message_accept(c->node, from->tag);
	finish(c, record_of(c, &m));
}

void dns_client_ask(struct dns_client *c, uint32_t server, const char *name, enum dns_type type, dns_done_fn *done,
                    void *ctx)
{
	dns_client_reset(c);
	c->server = server;
	c->query = (struct dns){ .id = (uint16_t)rng_u64(&c->rng), .type = type };
	snprintf(c->query.question, sizeof c->query.question, "%s", name);
	for (char *p = c->query.question; *p; p++) /* as it is read back: case does not matter in names (RFC 4343) */
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 'a' - 'A' : *p);
	c->tries = 0;
	c->done = done;
	c->ctx = ctx;
	udp_bind(c->node, &c->socket, 0, on_datagram, c);
	say(c);
}

struct dns_client *dns_client_new(struct node *node)
{
	struct dns_client *c = sim_alloc(sizeof *c);

	c->node = node;
	rng_init(&c->rng, node->sim->seed, node->name, "dns");
	return c;
}

void dns_client_free(struct dns_client *c)
{
	if (!c)
		return;
	dns_client_reset(c);
	free(c);
}
