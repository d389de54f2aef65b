/* Sub-keys of calls on the wire; see call_key.h. Patent [0086]-[0092]. */
#include "models/call_key.h"

#include <stdio.h>
#include <string.h>

#define ROLE_SUBKEY "call.subkey"

bool call_key_wrap(const struct association *a, key_handle subkey, char out[CALL_KEY_TEXT_LEN])
{
	uint8_t wrapped[KEY_WRAPPED_LEN];

	if (!sm_wrap(ipsec_module(a->ipsec), a->wrap, KEY_USAGE_CALL, subkey, wrapped))
		return false;
	return base64_encode(wrapped, sizeof wrapped, out, CALL_KEY_TEXT_LEN) > 0;
}

key_handle call_key_unwrap(const struct association *a, struct span text)
{
	uint8_t wrapped[KEY_WRAPPED_LEN];

	if (!text.at || base64_decode(text, wrapped, sizeof wrapped) != KEY_WRAPPED_LEN)
		return 0;
	return sm_unwrap(ipsec_module(a->ipsec), a->wrap, KEY_USAGE_CALL, ROLE_SUBKEY, wrapped, sizeof wrapped);
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
