/*
 * The two signed files of a head-end (flows.md 5, V1, and 8; patent [0131], [0149], [0160]): the configuration of
 * a device, signed by the operator, and the software image, signed by the manufacturer. This is their content;
 * crypto/signed_file.h is the signature.
 *
 * Configuration: lines "key=value", each key once, all of them and no other; the first line names the form. It
 * names the device, so that one made for another device is of no use. Image: such a head, an empty line, and its
 * code; it brings the operator's certificate with which the device verifies its own one later [0149].
 */
#ifndef TOLLGATE_MODELS_DEVICE_FILES_H
#define TOLLGATE_MODELS_DEVICE_FILES_H

#include "crypto/pki.h"
#include "models/wire/span.h"

#define DEVICE_CONFIG_FILE "cta.cfg"
#define DEVICE_HOST_MAX 120        /* two of them and a dot are a domain name */
#define DEVICE_VERSION_MAX 31
#define DEVICE_CONFIG_MAX 1024     /* bytes of the content */
#define DEVICE_IMAGE_MAX (4u << 20)
#define DEVICE_CERTIFICATE_MAX 4096

struct device_config {
	uint8_t mac[6];
	bool provisioned;                      /* it has an account */
	char realm[DEVICE_HOST_MAX + 1];
	char kdc[DEVICE_HOST_MAX + 1];         /* host name */
	char controller[DEVICE_HOST_MAX + 1];  /* principal: "sc/sc1" */
	char version[DEVICE_VERSION_MAX + 1];  /* of the software it is to run */
	char image[DEVICE_HOST_MAX + 1];       /* the file that has it */
	int64_t issued_s;                      /* Unix time of its making: an old one proves nothing about today */
};
/* Length of the text in out; 0: no room, or a value that cannot stand in a line. */
size_t device_config_write(const struct device_config *config, char *out, size_t size);
bool device_config_parse(struct span text, struct device_config *out);

struct device_image {
	char version[DEVICE_VERSION_MAX + 1];
	struct der operator_ca;                /* owned */
	size_t code_len;
};
/* An image with code_len bytes of code, which follow from the version. Owned by the caller; false: no such image. */
bool device_image_write(struct crypto *crypto, const char *version, const struct der *operator_ca, size_t code_len,
                        struct der *out);
/* out is to be released with device_image_free() when this says true. */
bool device_image_parse(struct span bytes, struct device_image *out);
void device_image_free(struct device_image *image);

#endif
