/*
 * The name server of a head-end (RFC 1035, 2782; RFC 4120 section 7.2.3.2): what the directory knows, in the
 * domain that is the realm in lower case. A service "sc/sc1" has the host name sc1.DOMAIN. Answers A for hosts,
 * SRV for _kerberos._tcp.DOMAIN and _kerberos._udp.DOMAIN (its KDC) and _sip._udp.DOMAIN (its segment's signaling
 * controller). Nothing else: NXDOMAIN.
 *
 * Refusals: "dns.malformed", "dns.broadcast" (sent to all), "dns.unknown_name".
 */
#ifndef TOLLGATE_MODELS_DNS_SERVER_H
#define TOLLGATE_MODELS_DNS_SERVER_H

#include "models/access_message.h"

#define DNS_TTL_S 300

struct dns_server;
struct dns_server_config {
	struct node *node;
	const char *kdc, *controller; /* host names without domain; borrowed; NULL: none */
	uint16_t kdc_port, controller_port;
	const char *realm;            /* borrowed */
};
/* config is copied. Owned by the caller. Binds at reset. */
struct dns_server *dns_server_new(const struct dns_server_config *config);
void dns_server_free(struct dns_server *server);
void dns_server_reset(struct dns_server *server);
/* "kdc1.tollgate.example"; false: too long. */
bool dns_host_name(const char *host, const char *realm, char out[DNS_NAME_MAX + 1]);

#endif
