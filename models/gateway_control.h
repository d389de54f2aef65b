/*
 * What the signaling gateway and the trunk gateway have in common: their parts as servers of flows.md 13 (ticket, AP
 * exchange, ESP between them and with the controllers), and how one controls the other.
 *
 * The signaling gateway hands each call to the trunk gateway as a SIP leg under their own association (our choice;
 * the patent leaves it open): an INVITE with the circuit ("X-Circuit: 5;callee": the circuit, and which end of the
 * call the gateways stand for) and the call's sub-key, wrapped as in models/call_key.h, under its SPI; the 200 has
 * the proof of receipt and the place where the trunk gateway takes the voice. When the call is answered an INFO says
 * where the CTA takes its voice ("X-Connect: 10.1.0.9:16384/0": address, port, payload type), and voice and circuit
 * are connected; a call that has had to go to another circuit says that with another X-Circuit in an INFO, at the
 * latest in this one. The leg's end frees the circuit. A signaling gateway that has started reserves nothing before the
 * trunk gateway has answered its "X-Circuit: reset", which frees whatever it had reserved before.
 */
#ifndef TOLLGATE_MODELS_GATEWAY_CONTROL_H
#define TOLLGATE_MODELS_GATEWAY_CONTROL_H

#include "models/backend.h"
#include "models/call_key.h"
#include "models/sip_leg.h"
#include "models/subscriber.h"

#define HEADER_CIRCUIT "X-Circuit"
#define HEADER_CONNECT "X-Connect"
#define GATEWAY_LINE_LEN 64 /* a header line of these */
#define GATEWAY_ASSOCIATION_NS (24 * 3600 * NS_PER_S)
#define GATEWAY_KEYS_LINGER_NS (800 * NS_PER_MS) /* for repetitions of the farewell with a CTA */

struct gateway { /* the parts; a gateway element embeds them */
	struct node *node;
	uint32_t ip;         /* on the IP telephony network */
	char principal[KRB_NAME_MAX + 1];
	const char *check_service; /* the name of the refusal of a stranger's ticket */
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;
	struct sip_endpoint *sip;
	uint64_t exchanges;
};

/* prefix: "sg" or "tg"; check_service static. Enters the directory. owner as in sip_endpoint_new(). */
void gateway_make(struct gateway *gateway, struct node *node, uint32_t ip, const char *prefix,
                  const char *check_service, uint32_t kdc_ip, const struct sip_owner *owner, void *ctx);
void gateway_free(struct gateway *gateway);
/* Power on. */
void gateway_start(struct gateway *gateway);
/* What a restart loses; the owner has forgotten its calls. */
void gateway_restart(struct gateway *gateway);

/* Who speaks: the peer of the association; with backend.ipsec off there is only the address. NULL: nobody known. */
const char *gateway_speaker(const struct gateway *gateway, const struct udp_from *from);
/* The sub-key in a session description that came from there, or for a server; backend.ipsec off included. */
key_handle gateway_unwrap(const struct gateway *gateway, const struct udp_from *from, struct span text);
bool gateway_wrap(const struct gateway *gateway, uint32_t server_ip, key_handle subkey, char out[CALL_KEY_TEXT_LEN]);
/* A call's identifier from X-Call. False: none, or one that would not be ours to repeat. */
bool gateway_call_id(const struct sip_message *message, char out[CALL_ID_MAX + 1]);

/* Whole header lines with CRLF, and back; false: absent or malformed. callee: the gateways stand for the called end. */
void circuit_line(char out[GATEWAY_LINE_LEN], unsigned circuit, bool callee);
#define CIRCUIT_RESET_LINE HEADER_CIRCUIT ": reset\r\n"
bool circuit_is_reset(const struct sip_message *message);
bool circuit_read(const struct sip_message *message, unsigned *circuit, bool *callee);
void connect_line(char out[GATEWAY_LINE_LEN], const struct sdp *place);
bool connect_read(const struct sip_message *message, struct sdp *place);

/* The address of the node's first interface, and of another one on the same link as ip; 0: none. */
uint32_t gateway_first_ip(const struct node *node);
uint32_t gateway_ip_towards(const struct node *node, uint32_t ip);

#endif
