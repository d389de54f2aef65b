/*
 * DHCP (RFC 2131, options of RFC 2132) and the CableLabs client configuration (RFC 3495): how a cable device gets its
 * address, its configuration file and the names of its servers from the head-end. Bytes <-> struct, nothing else.
 *
 * Read strictly: Ethernet addresses only, each option once (RFC 3396 fragments are not read), no option overload (so
 * that the fields sname and file are what they say), END present and nothing but padding behind it. Options nobody here
 * uses are skipped. Spans point into the bytes that were parsed.
 */
#ifndef TOLLGATE_WIRE_DHCP_H
#define TOLLGATE_WIRE_DHCP_H

#include "models/wire/bytes.h"

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
#define DHCP_MESSAGE_MIN 300   /* RFC 1542 section 2.1: written messages are padded to the length of BOOTP */
#define DHCP_MESSAGE_MAX 1472  /* one unfragmented datagram */
#define DHCP_DNS_MAX 3
#define DHCP_NAME_MAX 255      /* text form of a domain name */
#define DHCP_LEASE_INFINITE UINT32_MAX

enum dhcp_type {
	DHCP_DISCOVER = 1, DHCP_OFFER, DHCP_REQUEST, DHCP_DECLINE, DHCP_ACK, DHCP_NAK, DHCP_RELEASE, DHCP_INFORM,
	DHCP_TYPE_COUNT
};

/* Absent: 0 for a number or an address, at == NULL for a span, "" for a name. Addresses in host order. */
struct dhcp {
	enum dhcp_type type;              /* 53; op follows from it */
	uint32_t xid;
	uint16_t secs;
	uint8_t hops;
	bool broadcast;
	uint32_t ciaddr, yiaddr, siaddr, giaddr;
	uint8_t chaddr[6];
	struct span sname, file;          /* fields of the header: at most 63 and 127 bytes */
	uint32_t mask;                    /* 1 */
	uint32_t router;                  /* 3: the first of the list */
	uint32_t dns[DHCP_DNS_MAX];       /* 6: the first of the list */
	uint32_t requested_ip;            /* 50 */
	uint32_t lease_s;                 /* 51 */
	uint32_t server_id;               /* 54 */
	uint32_t renew_s, rebind_s;       /* 58, 59 */
	struct span host_name, domain;    /* 12, 15 */
	struct span vendor_specific;      /* 43: raw */
	struct span parameters;           /* 55: codes of the options asked for */
	struct span message;              /* 56: why a NAK */
	struct span class_id;             /* 60: "pktc1.0" */
	struct span client_id;            /* 61: type and identifier */
	struct span tftp_server, boot_file; /* 66, 67 */
	uint32_t provisioning_ip;         /* 122.3 as an address, */
	char provisioning_name[DHCP_NAME_MAX + 1]; /* or as a name */
	char realm[DHCP_NAME_MAX + 1];    /* 122.6: Kerberos realm */
};

bool dhcp_is_for_other(const uint8_t *bytes, size_t len, const uint8_t mac[6]); /* a glance before it is read */
bool dhcp_parse(const uint8_t *bytes, size_t len, struct dhcp *out);
/*
 * Returns the length, padded to DHCP_MESSAGE_MIN; 0: no room, or the struct holds what no message can (a span too long)
 * or lacks what a message of its type must have.
 */
size_t dhcp_write(const struct dhcp *message, uint8_t *out, size_t size);
/* "DHCPDISCOVER": what a ladder shows. */
const char *dhcp_kind(enum dhcp_type type);
/* True when the message asks for that option in its parameter request list. */
bool dhcp_wants(const struct dhcp *message, uint8_t option);
void dhcp_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx);

#endif
