/*
 * IPsec ESP (RFC 2406) with 3DES-CBC (RFC 2451) and HMAC-SHA-1-96 (RFC 2404), and the AH transform's neighbours it
 * shares.
 *
 * One struct esp_sa is one direction. Keys and starting sequence number come from a sub-key by crypto/derive.h; they
 * stay in the module. esp_open() decrypts and authenticates in one operation [0076]: the sequence is ICV, replay
 * window, decryption, padding, and only a packet that passes all of it is ever seen in clear. Contexts are made at the
 * first packet and kept while the association is busy; nothing is fetched or allocated per packet.
 */
#ifndef TOLLGATE_CRYPTO_ESP_H
#define TOLLGATE_CRYPTO_ESP_H

#include "crypto/secure_module.h"

#define ESP_HEADER_LEN 8
#define ESP_IV_LEN 8
#define ESP_ICV_LEN 12
#define ESP_FRONT_MAX (ESP_HEADER_LEN + ESP_IV_LEN)   /* bytes that esp_seal() adds in front */
#define ESP_BACK_MAX (7 + 2 + ESP_ICV_LEN)            /* and at most behind */
#define ESP_REPLAY_WINDOW 64

/* Which half of a pair: the initiator sends "up" under SPI, the responder "down" under SPI+1. */
enum esp_direction { ESP_UP, ESP_DOWN };

/* Switchable checks and options; the zero value is everything on, explicit IV. */
struct esp_options {
	bool implicit_iv;       /* IV from sequence number and SPI [0075], none on the wire */
	bool no_auth;           /* esp.auth off: neither sent nor checked */
	bool no_replay_window;  /* esp.replay_window off */
	bool no_start_sn_limit; /* esp.start_sn_limit off: the derived starting number as it is (attack E5) */
};

enum esp_verdict {
	ESP_OK,
	ESP_SHORT,       /* "esp.malformed" */
	ESP_BAD_ICV,     /* "esp.auth" */
	ESP_REPLAYED,    /* "esp.replay_window" */
	ESP_BAD_PADDING, /* "esp.padding" */
	ESP_EXHAUSTED    /* sequence numbers used up: no more may be sent */
};
extern const char *const esp_verdict_names[];

struct esp_sa;

/*
 * label: "CTA-SC signaling", ...; the sub-key must be in the module; it may be destroyed afterwards. context: "SRC DST
 * 0xSPI" for key logs. Roles told: "esp.cipher" and "esp.auth". NULL: no such key. Owned by the caller; the module must
 * outlive it.
 */
struct esp_sa *esp_sa_new(struct secure_module *sm, key_handle subkey, const char *label, enum esp_direction direction,
                          uint32_t spi, const char *context, const struct esp_options *options);
/* Both directions of an association at one end, up under spi, down under spi + 1; the keys are derived once. */
struct esp_pair {
	struct esp_sa *up, *down;
};
/* False: no such key, *pair is as it was. */
bool esp_sa_pair_new(struct secure_module *sm, key_handle subkey, const char *label, uint32_t spi,
                     const char *up_context, const char *down_context, const struct esp_options *options,
                     struct esp_pair *pair);
/* Wipes it and tells its keys' death. */
void esp_sa_free(struct esp_sa *sa);
/* Lets the cipher contexts go until the next packet. */
void esp_sa_sleep(struct esp_sa *sa);
uint32_t esp_sa_spi(const struct esp_sa *sa);
uint32_t esp_sa_next_sn(const struct esp_sa *sa);

/*
 * Seals len bytes at payload in place. There must be ESP_FRONT_MAX writable bytes before and ESP_BACK_MAX behind it. On
 * ESP_OK *start is the first byte of the ESP packet and *sealed_len its length. random gives the explicit IV.
 */
enum esp_verdict esp_seal(struct esp_sa *sa, uint8_t *payload, size_t len, uint8_t next_header, uint8_t **start,
                          size_t *sealed_len);
/*
 * Opens an ESP packet in place. On ESP_OK *start and *len are the clear payload and *next_header its protocol;
 * otherwise the bytes are as they were and no clear text exists.
 */
enum esp_verdict esp_open(struct esp_sa *sa, uint8_t *packet, size_t packet_len, uint8_t **start, size_t *len,
                          uint8_t *next_header);

#endif
