/*
 * What one can tell from the bytes on a link alone: kinds of packets, whole Kerberos messages out of TCP segments, and
 * checksums made right again after a change. Used by the attacker (models/attacker.c).
 *
 * Everything survives any bytes. Kinds are told by IP protocol, ports and the first bytes, as an eavesdropper would: Kerberos by
 * its application tag (RFC 4120 section 5.10), key management by its PacketCable frame on UDP 1293, SIP in clear by its text
 * on UDP 5060, ESP by its protocol number; a UDP payload that is as long as 20 ms of G.711 under one of the forms of
 * crypto/rtp_cipher.h, on ports of no known service, is taken for RTP.
 */
#ifndef TOLLGATE_MODELS_WIRETAP_H
#define TOLLGATE_MODELS_WIRETAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_kind { WIRE_OTHER, WIRE_AS_REQ, WIRE_AS_REP, WIRE_AP_REQ, WIRE_AP_REP, WIRE_KRB_ERROR, WIRE_WAKE_UP, WIRE_SIP, WIRE_ESP,
	         WIRE_RTP, WIRE_KIND_COUNT, WIRE_ANY = WIRE_KIND_COUNT };
/* The names, ended by "any", as a scenario's choice; in the order of enum wire_kind but for WIRE_OTHER, which has none there. */
#define WIRE_KIND_CHOICES "AS-REQ|AS-REP|AP-REQ|AP-REP|KRB-ERROR|Wake-up|SIP|ESP|RTP|any"
const char *wire_kind_name(enum wire_kind kind); /* WIRE_OTHER: "packet" */
const char *wire_kind_proto(enum wire_kind kind); /* "krb5", "pktc", "sip", "esp", "rtp", "ip" */
enum wire_kind wire_kind_find(const char *name); /* WIRE_OTHER: no such name */

#define WIRE_FRAME_MAX 2048  /* longer frames than a link carries are not looked at */

/* Where things are in an Ethernet frame; offsets count from its first byte. */
struct wire_view {
	enum wire_kind kind;          /* of TCP: WIRE_OTHER, wire_stream_feed() tells more */
	uint32_t src, dst;
	uint16_t sport, dport;        /* UDP, TCP, unless it is a later fragment */
	uint8_t proto;
	bool fragment;
	uint32_t ip_at, segment_at;   /* IP header, what is behind it */
	uint32_t payload_at, payload_len; /* of UDP and TCP; ESP: from the SPI on */
	uint32_t seq;                 /* TCP */
	uint8_t flags;                /* TCP */
	uint32_t spi;                 /* ESP */
};
/* False: no whole IPv4 packet. */
bool wire_read(const uint8_t *frame, size_t len, struct wire_view *out);
/* What bytes in clear are that travel between these ports. */
enum wire_kind wire_kind_of_udp(const uint8_t *bytes, size_t len, uint16_t sport, uint16_t dport);
/* Kerberos by its application tag, else WIRE_OTHER. */
enum wire_kind wire_kind_of_kerberos(const uint8_t *bytes, size_t len);
/* Makes IP, UDP and TCP checksums right after a change; of a fragment only IP's, for the rest of the datagram is elsewhere. */
void wire_checksums(uint8_t *frame, const struct wire_view *view);

/* Kerberos over TCP: four bytes of length, then the message (RFC 4120 section 7.2.2). */
#define WIRE_LENGTH_PREFIX 4
#define WIRE_STREAMS_MAX 32  /* directions of connections followed at once; the one quiet for longest makes room */
#define WIRE_RANGES_MAX 16   /* pieces received ahead of a gap; more are left to their retransmission */

struct wire_streams;
struct wire_streams *wire_streams_new(void);
void wire_streams_free(struct wire_streams *streams);

/* A whole Kerberos message, without its length; borrowed for the call. */
typedef void wire_message_fn(void *ctx, enum wire_kind kind, const struct wire_view *last, const uint8_t *bytes, size_t len);
/*
 * Feeds a TCP segment to or from port 88. Messages that it completes go to fn. Returns the kind of the message in which the
 * segment lies; WIRE_OTHER when it carries no data or nothing is known (a connection whose start was not seen).
 */
enum wire_kind wire_stream_feed(struct wire_streams *streams, const uint8_t *frame, const struct wire_view *view,
                                wire_message_fn *fn, void *ctx);

#endif
