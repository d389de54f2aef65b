/* Name server of a head-end; see dns_server.h. */
#include "models/dns_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/directory.h"
#include "sim/service.h"

struct dns_server {
	struct dns_server_config config;
	char domain[DNS_NAME_MAX + 1];
	struct udp_socket socket;
};

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text += 'a' - 'A';
}

bool dns_host_name(const char *host, const char *realm, char out[DNS_NAME_MAX + 1])
{
	int len = snprintf(out, DNS_NAME_MAX + 1, "%s.%s", host, realm);

	lower(out);
	return len > 0 && len <= DNS_NAME_MAX;
}

/* The labels of a name in front of the domain; false: it is not in it, or is it. */
static bool in_domain(const struct dns_server *s, const char *name, char label[DNS_NAME_MAX + 1])
{
	size_t len = strlen(name), domain = strlen(s->domain);

	if (len < domain + 2 || strcmp(name + len - domain, s->domain) != 0 || name[len - domain - 1] != '.')
		return false;
	memcpy(label, name, len - domain - 1);
	label[len - domain - 1] = '\0';
	return true;
}

/* The address of the host: no two elements have one name, so the kind of the service does not matter. */
static uint32_t host_ip(const struct dns_server *s, const char *label)
{
	static const char *const kinds[] = { "kdc", "sc", "he", "pca", "csr", "bh", "sg", "tg", "ns" };
	struct directory *directory = world_directory(world_of(s->config.node->sim));
	char principal[DNS_NAME_MAX + 8];
	uint32_t ip = 0;

	for (size_t i = 0; !ip && i < sizeof kinds / sizeof *kinds; i++) {
		snprintf(principal, sizeof principal, "%s/%s", kinds[i], label);
		ip = directory_service_ip(directory, principal);
	}
	return ip;
}

static bool add_service(const struct dns_server *s, const char *label, struct dns_record *out)
{
	const struct { const char *label, *host; uint16_t port; } services[] = {
		{ "_kerberos._tcp", s->config.kdc, s->config.kdc_port },
		{ "_kerberos._udp", s->config.kdc, s->config.kdc_port },
		{ "_sip._udp", s->config.controller, s->config.controller_port },
	};

	for (size_t i = 0; i < sizeof services / sizeof *services; i++)
		if (services[i].host && strcmp(services[i].label, label) == 0) {
			out->port = services[i].port;
			return dns_host_name(services[i].host, s->config.realm, out->target);
		}
	return false;
}

/* Fills in the record that is asked for; false: there is none. */
static bool answer(const struct dns_server *s, struct dns *m)
{
	struct dns_record *record = &m->answers[0];
	char label[DNS_NAME_MAX + 1];
	bool known = false;

	if (in_domain(s, m->question, label)) {
		record->ip = m->type == DNS_A ? host_ip(s, label) : 0;
		known = record->ip || (m->type == DNS_SRV && add_service(s, label, record));
	}
	if (!known)
		return false;
	memcpy(record->name, m->question, sizeof record->name);
	record->type = m->type;
	record->ttl_s = DNS_TTL_S;
	m->answer_count = 1;
	return true;
}

static void on_datagram(struct udp_socket *socket, struct packet *packet, const struct udp_from *from)
{
	struct dns_server *s = socket->ctx;
	struct dns m;

	if (!dns_parse(packet->data, packet->len, &m) || m.response) {
		trace_refuse(s->config.node, "dns.malformed", from->src, from->tag, "");
		return;
	}
	if (!ip_is_local(s->config.node, from->dst)) {
		trace_refuse(s->config.node, "dns.broadcast", from->src, from->tag, "");
		return;
	}
	service_charge(s->config.node, &(struct service_cost){ .messages = 1 });
	m.response = m.authoritative = true;
	m.recursion_available = false;
	m.rcode = DNS_NO_ERROR;
	m.answer_count = 0;
	memset(m.answers, 0, sizeof m.answers);
	if (answer(s, &m)) {
		message_accept(s->config.node, from->tag);
	} else {
		m.rcode = DNS_NAME_ERROR;
		trace_refuse(s->config.node, "dns.unknown_name", from->src, from->tag, m.question);
	}
	dns_send(socket, from->dst, from->src, from->sport, &m);
}

struct dns_server *dns_server_new(const struct dns_server_config *config)
{
	struct dns_server *s = sim_alloc(sizeof *s);

	s->config = *config;
	snprintf(s->domain, sizeof s->domain, "%s", config->realm);
	lower(s->domain);
	return s;
}

void dns_server_reset(struct dns_server *s)
{
	udp_unbind(&s->socket);
	udp_bind(s->config.node, &s->socket, DNS_PORT, on_datagram, s);
}

void dns_server_free(struct dns_server *s)
{
	if (!s)
		return;
	udp_unbind(&s->socket);
	free(s);
}
