/* Sub-keys of calls on the wire; see call_key.h. Patent [0086]-[0092]. */
#include "models/call_key.h"

#include <stdio.h>
#include <string.h>

#define ROLE_SUBKEY "call.subkey"

static const uint8_t open_key[24] = "\x01\x23\x45\x67\x89\xab\xcd\xef\x23\x45\x67\x89\xab\xcd\xef\x01\x45\x67\x89\xab\xcd\xef\x01\x23";

static bool wrap(struct secure_module *sm, key_handle under, key_handle subkey, char out[CALL_KEY_TEXT_LEN])
{
	uint8_t wrapped[KEY_WRAPPED_LEN];

	return sm_wrap(sm, under, KEY_USAGE_CALL, subkey, wrapped) && base64_encode(wrapped, sizeof wrapped, out, CALL_KEY_TEXT_LEN) > 0;
}

static key_handle unwrap(struct secure_module *sm, key_handle under, struct span text)
{
	uint8_t wrapped[KEY_WRAPPED_LEN];

	if (!text.at || base64_decode(text, wrapped, sizeof wrapped) != KEY_WRAPPED_LEN)
		return 0;
	return sm_unwrap(sm, under, KEY_USAGE_CALL, ROLE_SUBKEY, wrapped, sizeof wrapped);
}

bool call_key_wrap(const struct association *a, key_handle subkey, char out[CALL_KEY_TEXT_LEN])
{
	return wrap(ipsec_module(a->ipsec), a->wrap, subkey, out);
}

key_handle call_key_unwrap(const struct association *a, struct span text)
{
	return unwrap(ipsec_module(a->ipsec), a->wrap, text);
}

key_handle call_key_unwrap_any(const struct association *sa, struct span text)
{
	key_handle key = call_key_unwrap(sa, text);

	for (const struct association *a = ipsec_find(sa->ipsec, sa->peer_ip, sa->label); a && !key; a = a->next_peer)
		if (a != sa && a->peer_ip == sa->peer_ip && strcmp(a->label, sa->label) == 0 && strcmp(a->peer, sa->peer) == 0)
			key = call_key_unwrap(a, text);
	return key;
}

bool call_key_wrap_open(struct secure_module *sm, key_handle subkey, char out[CALL_KEY_TEXT_LEN])
{
	key_handle under = sm_install_des3(sm, "wrap.open", "", open_key);
	bool ok = wrap(sm, under, subkey, out);

	sm_destroy_key(sm, under);
	return ok;
}

key_handle call_key_unwrap_open(struct secure_module *sm, struct span text)
{
	key_handle under = sm_install_des3(sm, "wrap.open", "", open_key), subkey = unwrap(sm, under, text);

	sm_destroy_key(sm, under);
	return subkey;
}

static bool proof_of(struct secure_module *sm, key_handle subkey, uint32_t spi, char hex[2 * SUBKEY_PROOF_LEN + 1])
{
	uint8_t proof[SUBKEY_PROOF_LEN];

	if (!sm_subkey_proof(sm, subkey, spi, proof))
		return false;
	hex_encode(proof, sizeof proof, hex);
	return true;
}

bool call_key_proof(struct secure_module *sm, key_handle subkey, uint32_t spi, char out[CALL_PROOF_LEN])
{
	char hex[2 * SUBKEY_PROOF_LEN + 1];

	if (!proof_of(sm, subkey, spi, hex))
		return false;
	snprintf(out, CALL_PROOF_LEN, HEADER_KEY_PROOF ": %s\r\n", hex);
	return true;
}

bool call_key_proven(struct secure_module *sm, key_handle subkey, uint32_t spi, const struct sip_message *message)
{
	char hex[2 * SUBKEY_PROOF_LEN + 1];
	struct span given = sip_header(message, HEADER_KEY_PROOF);

	return given.at && proof_of(sm, subkey, spi, hex) && span_is(given, hex);
}
