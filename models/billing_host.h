/*
 * The billing host, as far as other elements' construction needs it: the customers whom the operator had before the run
 * starts.
 */
#ifndef TOLLGATE_MODELS_BILLING_HOST_H
#define TOLLGATE_MODELS_BILLING_HOST_H

#include "models/model.h"

/*
 * Opens a customer's account before the run starts; id is that of provisioning_ca_enter(), texts are copied. False: the
 * number is none, or has an account, or so has the customer.
 */
bool billing_host_enter(struct node *host, const char *id, const char *number, const char *data, const char *options);
/* "bh/NAME". Borrowed. */
const char *billing_host_principal(const struct node *host);
extern const struct model model_billing_host;

#endif
