/*
 * IPsec ESP in transport form: RFC 2406 with 3DES-CBC (RFC 2451) and HMAC-SHA-1-96 (RFC 2404); patent [0075], [0076].
 *
 *   SPI 4 | sequence number 4 | IV 8 | { payload | 1 2 3 ... | pad length 1 | next header 1 } encrypted | ICV 12
 *
 * The ICV covers everything before it. Padding is as short as the block allows and numbered 1, 2, 3, ... Invariants:
 * - The sender's numbers only grow; the number 2^32 - 1 is never sent, so that none is ever used twice.
 * - The receiver's window starts where the sender starts: a number below the derived start is as good as received
 *   already.
 * - A verdict other than ESP_OK leaves the packet's bytes and the association as they were.
 * - With implicit IV the IV is SPI | sequence number, in clear and nowhere on the wire. It never repeats under a key, but
 *   whoever sees the packets knows the next one: that is attack E3, and why the explicit IV is the default.
 * The SPI of a packet is not compared with the association's: the caller found the association by it, and the ICV covers it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/esp.h"
#include "crypto/transform.h"

#define ESP_TRAILER_LEN 2       /* pad length, next header */
#define ESP_LAST_SN UINT32_MAX  /* the number at which a sender stops */
#define ESP_PACKET_MAX 65535    /* an IP packet has no more */

const char *const esp_verdict_names[] = {
	[ESP_OK] = "esp.ok",
	[ESP_SHORT] = "esp.malformed",
	[ESP_BAD_ICV] = "esp.auth",
	[ESP_REPLAYED] = "esp.replay_window",
	[ESP_BAD_PADDING] = "esp.padding",
	[ESP_EXHAUSTED] = "esp.exhausted",
};

static const struct transform_names esp_names = { "esp.cipher", "esp.auth" };

/* RFC 2406 appendix C, but with the edge one past the highest number seen: then the start needs no special case. */
struct replay_window {
	uint64_t edge; /* lowest number never seen, 0 .. 2^32 */
	uint64_t seen; /* bit i: edge - 1 - i was received */
};

struct esp_sa {
	struct transform transform;
	struct replay_window window; /* of a receiver */
	uint32_t spi;
	uint32_t next_sn;            /* of a sender */
	struct esp_options options;
};
static_assert(sizeof(struct esp_sa) < 200, "an idle association is small");
static_assert(ESP_REPLAY_WINDOW == 64, "the window is the bits of one word");
static_assert(ESP_ICV_LEN == TRANSFORM_MAC_LEN && ESP_IV_LEN == TRANSFORM_BLOCK_LEN, "one transform");

static struct esp_sa *sa_of(struct secure_module *sm, const struct transform_keys *keys, enum esp_direction direction,
                            uint32_t spi, const char *context, const struct esp_options *options)
{
	struct esp_sa *sa = calloc(1, sizeof *sa);
	uint32_t start_sn;

	if (!sa)
		abort();
	transform_init(&sa->transform, sm, keys, direction, &esp_names, context, !options->no_auth, &start_sn);
	sa->spi = spi;
	sa->options = *options;
	sa->next_sn = options->no_start_sn_limit ? start_sn : start_sn & START_SN_MASK;
	sa->window = (struct replay_window){ .edge = sa->next_sn, .seen = UINT64_MAX };
	return sa;
}

struct esp_sa *esp_sa_new(struct secure_module *sm, key_handle subkey, const char *label, enum esp_direction direction,
                          uint32_t spi, const char *context, const struct esp_options *options)
{
	struct transform_keys keys;
	struct esp_sa *sa;

	if (!transform_derive(&keys, sm, subkey, label))
		return NULL;
	sa = sa_of(sm, &keys, direction, spi, context, options);
	transform_keys_end(&keys);
	return sa;
}

bool esp_sa_pair_new(struct secure_module *sm, key_handle subkey, const char *label, uint32_t spi,
                     const char *up_context, const char *down_context, const struct esp_options *options,
                     struct esp_pair *pair)
{
	struct transform_keys keys;

	if (!transform_derive(&keys, sm, subkey, label))
		return false;
	pair->up = sa_of(sm, &keys, ESP_UP, spi, up_context, options);
	pair->down = sa_of(sm, &keys, ESP_DOWN, spi + 1, down_context, options);
	transform_keys_end(&keys);
	return true;
}

void esp_sa_free(struct esp_sa *sa)
{
	if (!sa)
		return;
	transform_end(&sa->transform);
	crypto_wipe(sa, sizeof *sa);
	free(sa);
}

void esp_sa_sleep(struct esp_sa *sa)
{
	transform_sleep(&sa->transform);
}

uint32_t esp_sa_spi(const struct esp_sa *sa)
{
	return sa->spi;
}

uint32_t esp_sa_next_sn(const struct esp_sa *sa)
{
	return sa->next_sn;
}

static void put_be32(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 24);
	out[1] = (uint8_t)(value >> 16);
	out[2] = (uint8_t)(value >> 8);
	out[3] = (uint8_t)value;
}

static uint32_t get_be32(const uint8_t *in)
{
	return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static size_t iv_len(const struct esp_sa *sa)
{
	return sa->options.implicit_iv ? 0 : ESP_IV_LEN;
}

static size_t icv_len(const struct esp_sa *sa)
{
	return sa->options.no_auth ? 0 : ESP_ICV_LEN;
}

static void implicit_iv(const struct esp_sa *sa, uint32_t sn, uint8_t iv[ESP_IV_LEN])
{
	put_be32(iv, sa->spi);
	put_be32(iv + 4, sn);
}

/* Writes padding, its length and the next header behind the payload; returns the length of it all. */
static size_t put_trailer(uint8_t *payload, size_t len, uint8_t next_header)
{
	size_t over = (len + ESP_TRAILER_LEN) % TRANSFORM_BLOCK_LEN;
	size_t pad = over ? TRANSFORM_BLOCK_LEN - over : 0;
	uint8_t *p = payload + len;

	for (size_t i = 1; i <= pad; i++)
		*p++ = (uint8_t)i;
	*p++ = (uint8_t)pad;
	*p = next_header;
	return len + pad + ESP_TRAILER_LEN;
}

enum esp_verdict esp_seal(struct esp_sa *sa, uint8_t *payload, size_t len, uint8_t next_header, uint8_t **start,
                          size_t *sealed_len)
{
	const struct random_source *random = sm_random(sa->transform.sm);
	uint8_t *packet = payload - iv_len(sa) - ESP_HEADER_LEN;
	uint8_t iv[ESP_IV_LEN];
	size_t text_len, covered_len;

	assert(len <= ESP_PACKET_MAX);
	if (sa->next_sn == ESP_LAST_SN)
		return ESP_EXHAUSTED;
	put_be32(packet, sa->spi);
	put_be32(packet + 4, sa->next_sn);
	if (sa->options.implicit_iv) {
		implicit_iv(sa, sa->next_sn, iv);
	} else {
		random->fill(random->ctx, iv, sizeof iv);
		memcpy(packet + ESP_HEADER_LEN, iv, sizeof iv);
	}
	text_len = put_trailer(payload, len, next_header);
	transform_cbc(&sa->transform, true, iv, payload, text_len);
	transform_count(&sa->transform, text_len);
	covered_len = ESP_HEADER_LEN + iv_len(sa) + text_len;
	if (!sa->options.no_auth)
		transform_mac(&sa->transform, packet, covered_len, packet + covered_len);
	sa->next_sn++;
	*start = packet;
	*sealed_len = covered_len + icv_len(sa);
	return ESP_OK;
}

static bool window_refuses(const struct replay_window *window, uint32_t sn)
{
	uint64_t age;

	if (sn >= window->edge)
		return false;
	age = window->edge - 1 - sn;
	return age >= ESP_REPLAY_WINDOW || (window->seen >> age & 1);
}

static void window_note(struct replay_window *window, uint32_t sn)
{
	if (sn >= window->edge) {
		uint64_t step = (uint64_t)sn + 1 - window->edge;

		window->seen = step < ESP_REPLAY_WINDOW ? window->seen << step | 1 : 1;
		window->edge = (uint64_t)sn + 1;
	} else if (window->edge - 1 - sn < ESP_REPLAY_WINDOW) {
		window->seen |= UINT64_C(1) << (window->edge - 1 - sn);
	}
}

static bool icv_holds(struct esp_sa *sa, const uint8_t *packet, size_t covered_len)
{
	uint8_t icv[ESP_ICV_LEN];

	if (sa->options.no_auth)
		return true;
	transform_mac(&sa->transform, packet, covered_len, icv);
	return crypto_equal(icv, packet + covered_len, sizeof icv);
}

/* Whether a decrypted text ends as put_trailer() would end it; *len becomes the payload's length. */
static bool padding_holds(const uint8_t *text, size_t text_len, size_t *len)
{
	size_t pad = text[text_len - ESP_TRAILER_LEN];
	const uint8_t *padding;

	if (pad > text_len - ESP_TRAILER_LEN)
		return false;
	padding = text + text_len - ESP_TRAILER_LEN - pad;
	for (size_t i = 0; i < pad; i++) {
		if (padding[i] != i + 1)
			return false;
	}
	*len = text_len - ESP_TRAILER_LEN - pad;
	return true;
}

enum esp_verdict esp_open(struct esp_sa *sa, uint8_t *packet, size_t packet_len, uint8_t **start, size_t *len,
                          uint8_t *next_header)
{
	const size_t front = ESP_HEADER_LEN + iv_len(sa), back = icv_len(sa);
	uint8_t iv[ESP_IV_LEN], *text = packet + front;
	size_t text_len, payload_len;
	uint32_t sn;

	if (packet_len > ESP_PACKET_MAX || packet_len < front + TRANSFORM_BLOCK_LEN + back ||
	    (packet_len - front - back) % TRANSFORM_BLOCK_LEN)
		return ESP_SHORT;
	text_len = packet_len - front - back;
	sn = get_be32(packet + 4);
	if (!icv_holds(sa, packet, packet_len - back))
		return ESP_BAD_ICV;
	if (!sa->options.no_replay_window && window_refuses(&sa->window, sn))
		return ESP_REPLAYED;
	if (sa->options.implicit_iv)
		implicit_iv(sa, sn, iv);
	else
		memcpy(iv, packet + ESP_HEADER_LEN, sizeof iv);
	transform_cbc(&sa->transform, false, iv, text, text_len);
	transform_count(&sa->transform, text_len);
	if (!padding_holds(text, text_len, &payload_len)) {
		transform_cbc(&sa->transform, true, iv, text, text_len); /* the same bytes as before */
		return ESP_BAD_PADDING;
	}
	window_note(&sa->window, sn);
	*start = text;
	*len = payload_len;
	*next_header = text[text_len - 1];
	return ESP_OK;
}
