/*
 * The provisioning CA, as far as other elements' construction needs it: the customers whom the operator had before the
 * run starts.
 */
#ifndef TOLLGATE_MODELS_PROVISIONING_CA_H
#define TOLLGATE_MODELS_PROVISIONING_CA_H

#include "crypto/pki.h"
#include "models/model.h"

struct provisioned { /* all borrowed */
	const char *number;            /* "215-555-0101" */
	const uint8_t *mac;            /* 6 bytes */
	const struct der *device_cert; /* the manufacturer's */
	const char *controller;        /* "sc/sc1" */
	const char *data, *options;    /* "" none */
};
/*
 * Enters a customer before the run starts. Its ID (borrowed) is for the billing host (models/billing_host.h); NULL: the
 * number is none, or taken, or the device has a customer.
 */
const char *provisioning_ca_enter(struct node *pca, const struct provisioned *customer);
/* "pca/NAME". Borrowed. */
const char *provisioning_ca_principal(const struct node *pca);
extern const struct model model_provisioning_ca;

#endif
