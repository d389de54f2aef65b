/*
 * Sending and taking messages: the one place where a model's bytes become a datagram that observers can follow.
 */
#ifndef TOLLGATE_MODELS_MESSAGE_H
#define TOLLGATE_MODELS_MESSAGE_H

#include "crypto/kerberos.h"
#include "sim/ip.h"

struct message_form { /* how observers see a kind of message */
	const char *proto;
	enum cover cover;
	describe_fn *describe;
};
extern const struct message_form form_kerberos, form_pktc, form_sip, form_radius;

/*
 * Sends bytes as one UDP datagram; kind is static or interned ("AS-REQ"). ESP, where the policy asks for it, is put on
 * below (models/ipsec.h).
 */
void message_send(struct udp_socket *socket, uint32_t dst, uint16_t dport, const char *kind, const struct message_form *form,
                  const uint8_t *bytes, size_t len);
/* Announces a message that goes out in another way (TCP); returns its tag. src 0: the address the node uses towards dst. */
uint64_t message_announce(struct node *node, uint32_t src, uint32_t dst, const char *kind, const struct message_form *form,
                          const uint8_t *bytes, size_t len);
/* The receiver has verified and acts on it. */
static inline void message_accept(const struct node *node, uint64_t tag)
{
	if (tag)
		trace_fate(node->sim, tag, node, FATE_ACCEPTED, "");
}
/* "AS-REQ", ... of a Kerberos message; "krb5" for anything else. */
const char *kerberos_kind(const uint8_t *bytes, size_t len);

#endif
