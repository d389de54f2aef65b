/*
 * Fuzzing of what a device downloads. Input: the content of a configuration or of an image, told apart by the
 * first byte (odd: an image).
 *
 * What must hold: any bytes are read or refused; a configuration that is read says the same when it is written and
 * read again, and is written no longer than it came.
 */
#include "models/device_files.h"
#include "models/wire/bytes.h"
#include "tests/fuzz/fuzz.h"

static void check_config(const struct device_config *c, size_t size)
{
	char text[DEVICE_CONFIG_MAX];
	struct device_config again;
	size_t len = device_config_write(c, text, sizeof text);

	fuzz_require(len > 0 && len <= size && device_config_parse((struct span){ text, len }, &again));
	fuzz_require(memcmp(c, &again, sizeof again) == 0);
	fuzz_require(device_config_write(c, text, len - 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = size ? fuzz_exact(data + 1, size - 1) : NULL;
	struct device_config config;
	struct device_image image;

	if (size && data[0] & 1) {
		if (device_image_parse(span_at(bytes, size - 1), &image)) {
			fuzz_require(image.version[0] && image.operator_ca.len && image.code_len < size);
			device_image_free(&image);
		}
	} else if (size && device_config_parse(span_at(bytes, size - 1), &config)) {
		check_config(&config, size - 1);
	}
	free(bytes);
	return 0;
}

size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size)
{
	static const char image[] = "tollgate-image 1\nversion=1.0\noperator_ca=MIIB\n\ncode and more code";
	struct device_config c = { .mac = { 0, 0x11, 0x22, 0x33, 0x44, 0x55 }, .provisioned = nth == 1,
		                   .realm = "TOLLGATE.EXAMPLE",
		                   .kdc = "kdc1.tollgate.example", .controller = "sc/sc1", .version = "1.0",
		                   .image = "cta-1.0.img" };
	char text[DEVICE_CONFIG_MAX];

	if (nth < 2)
		return fuzz_seed(0, text, device_config_write(&c, text, sizeof text), out, size);
	return nth == 2 ? fuzz_seed(1, image, sizeof image - 1, out, size) : 0;
}
