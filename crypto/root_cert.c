/*
 * Root certificates as modules hold them (patent [0061]): checked once, stored once a context, counted by holder. A
 * fleet of a million modules trusts two or three roots; a copy in each would be most of a sleeping device.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include "crypto/internal.h"

static bool is_self_signed_ca(struct crypto *crypto, const uint8_t *der, size_t len)
{
	X509 *cert = cert_parse(crypto, der, len);
	bool ok = cert && (X509_get_extension_flags(cert) & (EXFLAG_CA | EXFLAG_INVALID)) == EXFLAG_CA &&
	          X509_self_signed(cert, 1) == 1;

	X509_free(cert);
	ERR_clear_error();
	return ok;
}

struct root_cert *root_cert_hold(struct crypto *crypto, const uint8_t *der, size_t len)
{
	struct root_cert *root;

	for (root = crypto->roots; root; root = root->next) {
		if (root->len == len && memcmp(root->der, der, len) == 0) {
			root->holders++;
			return root;
		}
	}
	if (!is_self_signed_ca(crypto, der, len))
		return NULL;
	root = malloc(sizeof *root + len);
	if (!root)
		abort();
	root->holders = 1;
	root->len = len;
	memcpy(root->der, der, len);
	root->next = crypto->roots;
	crypto->roots = root;
	return root;
}

void root_cert_release(struct crypto *crypto, struct root_cert *root)
{
	if (!root || --root->holders > 0)
		return;
	for (struct root_cert **link = &crypto->roots; *link; link = &(*link)->next) {
		if (*link == root) {
			*link = root->next;
			free(root);
			return;
		}
	}
	assert(!"a root certificate of another context");
}
