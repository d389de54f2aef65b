/* Configuration and software image of a device; see device_files.h. */
#include "models/device_files.h"

#include <stdio.h>
#include <stdlib.h>
#include "models/access_message.h"

#define CONFIG_HEAD "tollgate-configuration 1"
#define IMAGE_HEAD "tollgate-image 1"
#define IMAGE_HEAD_MAX (2 * DEVICE_CERTIFICATE_MAX)

/* Lines */

static bool plain(const char *value)
{
	if (!*value)
		return false;
	for (; *value; value++)
		if (*value <= ' ' || *value > '~')
			return false;
	return true;
}

static bool next_line(struct span *text, struct span *line)
{
	const char *end = text->len ? memchr(text->at, '\n', text->len) : NULL;

	if (!end)
		return false;
	*line = (struct span){ text->at, (size_t)(end - text->at) };
	text->at += line->len + 1;
	text->len -= line->len + 1;
	return true;
}

/* "key=value" with this key; the value in out. Keys stand in one order, so that each is there once. */
static bool take(struct span *text, const char *key, char *out, size_t size)
{
	struct span line;
	size_t len = strlen(key);

	if (!next_line(text, &line) || line.len <= len + 1 || memcmp(line.at, key, len) != 0 || line.at[len] != '=')
		return false;
	line.at += len + 1;
	line.len -= len + 1;
	return span_copy(line, out, size) && plain(out);
}

static bool take_head(struct span *text, const char *head)
{
	struct span line;

	return next_line(text, &line) && span_is(line, head);
}

/* Configuration */

#define ISSUED_DIGITS_MAX 18 /* fits an int64_t */

static bool read_seconds(const char *digits, int64_t *out)
{
	size_t len = strlen(digits);

	if (!len || strspn(digits, "0123456789") != len)
		return false;
	*out = strtoll(digits, NULL, 10);
	return len == 1 || digits[0] != '0';
}

size_t device_config_write(const struct device_config *c, char *out, size_t size)
{
	struct text t = { out, size, 0, false };
	const char *const values[] = { c->realm, c->kdc, c->controller, c->version, c->image };
	char mac[MAC_TEXT_LEN];

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		if (!plain(values[i]))
			return 0;
	text_printf(&t, CONFIG_HEAD "\nmac=%s\naccess=%s\nrealm=%s\nkdc=%s\ncontroller=%s\nversion=%s\nimage=%s\n"
	            "issued=%lld\n",
	            device_mac_text(c->mac, mac), c->provisioned ? "provisioned" : "unprovisioned", c->realm, c->kdc,
	            c->controller, c->version, c->image, (long long)c->issued_s);
	return t.full ? 0 : t.len;
}

bool device_config_parse(struct span text, struct device_config *out)
{
	struct device_config c;
	char mac[MAC_TEXT_LEN], access[16], issued[ISSUED_DIGITS_MAX + 1];

	memset(&c, 0, sizeof c);
	if (text.len > DEVICE_CONFIG_MAX || !take_head(&text, CONFIG_HEAD) || !take(&text, "mac", mac, sizeof mac) ||
	    !device_mac_read(mac, c.mac) || !take(&text, "access", access, sizeof access) ||
	    !take(&text, "realm", c.realm, sizeof c.realm) || !take(&text, "kdc", c.kdc, sizeof c.kdc) ||
	    !take(&text, "controller", c.controller, sizeof c.controller) ||
	    !take(&text, "version", c.version, sizeof c.version) ||
	    !take(&text, "image", c.image, sizeof c.image) || !take(&text, "issued", issued, sizeof issued) ||
	    !read_seconds(issued, &c.issued_s) || text.len)
		return false;
	c.provisioned = strcmp(access, "provisioned") == 0;
	if (!c.provisioned && strcmp(access, "unprovisioned") != 0)
		return false;
	*out = c;
	return true;
}

/* Image */

/* Bytes that follow from the version, since nobody runs them: what matters is that each of them is signed. */
static void make_code(struct crypto *crypto, const char *version, uint8_t *out, size_t len)
{
	char text[DEVICE_VERSION_MAX + 24];
	uint8_t digest[32];

	for (size_t at = 0; at < len; at += sizeof digest) {
		snprintf(text, sizeof text, "%s/%zu", version, at);
		crypto_sha256(crypto, (const uint8_t *)text, strlen(text), digest);
		memcpy(out + at, digest, len - at < sizeof digest ? len - at : sizeof digest);
	}
}

bool device_image_write(struct crypto *crypto, const char *version, const struct der *operator_ca, size_t code_len,
                        struct der *out)
{
	char ca[DEVICE_CERTIFICATE_MAX * 4 / 3 + 8], head[IMAGE_HEAD_MAX];
	struct text t = { head, sizeof head, 0, false };

	if (!plain(version) || strlen(version) > DEVICE_VERSION_MAX || operator_ca->len > DEVICE_CERTIFICATE_MAX ||
	    code_len > DEVICE_IMAGE_MAX || !base64_encode(operator_ca->bytes, operator_ca->len, ca, sizeof ca))
		return false;
	text_printf(&t, IMAGE_HEAD "\nversion=%s\noperator_ca=%s\n\n", version, ca);
	if (t.full)
		return false;
	out->len = t.len + code_len;
	out->bytes = malloc(out->len);
	if (!out->bytes)
		abort();
	memcpy(out->bytes, head, t.len);
	make_code(crypto, version, out->bytes + t.len, code_len);
	return true;
}

bool device_image_parse(struct span bytes, struct device_image *out)
{
	struct device_image image = { .version = "" };
	char text[DEVICE_CERTIFICATE_MAX * 4 / 3 + 8];
	uint8_t ca[DEVICE_CERTIFICATE_MAX];
	struct span line;
	long len;

	if (!take_head(&bytes, IMAGE_HEAD) || !take(&bytes, "version", image.version, sizeof image.version) ||
	    !take(&bytes, "operator_ca", text, sizeof text) || !next_line(&bytes, &line) || line.len ||
	    bytes.len > DEVICE_IMAGE_MAX)
		return false;
	len = base64_decode(span_of(text), ca, sizeof ca);
	if (len <= 0)
		return false;
	image.code_len = bytes.len;
	image.operator_ca.len = (size_t)len;
	image.operator_ca.bytes = malloc((size_t)len);
	if (!image.operator_ca.bytes)
		abort();
	memcpy(image.operator_ca.bytes, ca, (size_t)len);
	*out = image;
	return true;
}

void device_image_free(struct device_image *image)
{
	der_free(&image->operator_ca);
}
