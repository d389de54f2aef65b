/*
 * What an attacker does to Kerberos messages with the wire and no key (attacks.md K6, K7, K11, T3, T4). Nothing here
 * reaches into a secure module; what needs a session key is krb_ap_req_rewrite() in crypto/kerberos.h, what needs an
 * identity is pkinit_mitm_request() in crypto/pkinit.h.
 */
#ifndef TOLLGATE_CRYPTO_KERBEROS_ATTACK_H
#define TOLLGATE_CRYPTO_KERBEROS_ATTACK_H

#include "crypto/kerberos.h"

/* T3: the ticket of an AP-REQ and the name outside its sealed part. False: no AP-REQ. */
bool krb_attack_take_ticket(const uint8_t *ap_req, size_t len, struct der *ticket, struct krb_name *server);

/* K7: an AS-REP whose ticket names another server in clear; the sealed parts stay. */
bool krb_attack_rename_server(const uint8_t *as_rep, size_t len, const struct krb_name *server, struct der *out);

/*
 * T4: clears the restriction flag in one's own restricted ticket, in place, by one flipped bit of 3DES-CBC; the block
 * before it becomes noise and falls into the MAC text (kerberos_asn1.h). known: what the attacker knows his ticket to
 * say; name, numbers and MAC decide where the flag is. False: not such a ticket.
 */
bool krb_attack_lift_restriction(const struct krb_ticket_facts *known, struct der *ticket);

/* K6: takes the Diffie-Hellman public value out of a PKINIT AS-REQ; the signature stays and no longer fits. False: had
 * none. */
bool krb_attack_strip_dh(struct crypto *crypto, const uint8_t *as_req, size_t len, struct der *out);

/*
 * K11: spoils an RSA-mode AS-REP so that the client's RSA decryption meets a wrong padding (KEY), or a right one and
 * then senseless content (CONTENT).
 */
enum krb_attack_spoil { KRB_ATTACK_SPOIL_KEY, KRB_ATTACK_SPOIL_CONTENT };
bool krb_attack_spoil_envelope(const uint8_t *as_rep, size_t len, enum krb_attack_spoil what, struct der *out);

#endif
