/*
 * What the provisioning CA has on its disk of devices, customers and numbers [0127], [0135]-[0136], [0144]. A restart
 * of the machine keeps it.
 *
 * A device is known by its MAC, as the certificate of its manufacturer says it; it was reported by a signaling
 * controller, under an address. A customer has one number and one device; a device has one customer, and beside it one
 * account of a repair facility [0176]. A number is taken from the moment a transaction reserves it until the customer's
 * removal, so that it is nobody else's in between.
 */
#ifndef TOLLGATE_MODELS_PROVISIONING_STORE_H
#define TOLLGATE_MODELS_PROVISIONING_STORE_H

#include "crypto/kerberos.h"
#include "models/model.h"
#include "models/subscriber.h"
#include "models/wire/radius.h"

#define PROVISIONING_DEVICES_MAX 1000000
#define PROVISIONING_CUSTOMERS_MAX 1000000
#define PROVISIONING_BINDINGS_MAX 2000000 /* addresses on record */
#define PROVISIONING_DENIED_MAX 65536
#define NUMBER_BLOCKS_MAX 256
#define MAC_TEXT_LEN 18
#define CUSTOMER_ID_LEN 24

struct provisioning_store;
struct customer;
struct transaction;

struct device {
	struct device *next;
	uint8_t mac[6];
	char mac_text[MAC_TEXT_LEN];       /* "00:11:22:33:44:55" */
	uint32_t ip;                       /* where it was reported last */
	char controller[KRB_NAME_MAX + 1]; /* that reported it: "sc/sc1" */
	struct der cert;                   /* its manufacturer's */
	/* of the operator certificates issued for it: the next one starts later; 0: none */
	int64_t last_start_s;
	struct customer *owner, *repair;   /* NULL: none. A pending one counts */
	struct transaction *busy;          /* under way with it; NULL */
};

struct binding { /* which device was reported under an address [0144] */
	struct device *device;
	sim_ns since_ns;
	bool overwrote;                    /* another device was reported there before */
	uint64_t serial;                   /* differs from that of every binding before */
};

struct customer {
	struct customer *next, *prev;
	char id[CUSTOMER_ID_LEN];          /* "C-1001" */
	char number[SUBSCRIBER_NUMBER_LEN]; /* digits */
	char data[RADIUS_TEXT_MAX];        /* "name=...;address=...;pay=..." */
	char options[RADIUS_TEXT_MAX];     /* "caller-id,3way" */
	char controller[KRB_NAME_MAX + 1]; /* of its segment */
	struct device *device;
	uint32_t ip;                       /* of the device, when it was last reported in that segment */
	bool repair;                       /* of a repair facility */
	bool pending;                      /* reserved by a transaction that has not come to its end */
	struct customer *replaces;         /* of the same device, on a move; NULL */
};

struct provisioning_store *provisioning_store_new(void);
void provisioning_store_free(struct provisioning_store *store);

/* Devices. "00:11:22:33:44:55", upper or lower case. */
bool device_mac_parse(const char *text, uint8_t mac[6]);
void device_mac_format(const uint8_t mac[6], char out[MAC_TEXT_LEN]);
struct device *device_find(const struct provisioning_store *store, const uint8_t mac[6]);
const struct binding *binding_find(const struct provisioning_store *store, uint32_t ip);
/*
 * A controller reports a device: its certificate (copied) and address. The same again changes nothing. NULL: no room.
 */
struct device *device_report(struct provisioning_store *store, const uint8_t mac[6], uint32_t ip,
                             const char *controller,
                             const uint8_t *cert, size_t cert_len, sim_ns now_ns);
/* One that the operator knew before the run: under no address as yet. NULL: no room. */
struct device *device_enter(struct provisioning_store *store, const uint8_t mac[6], const char *controller,
                            const struct der *cert);
unsigned device_count(const struct provisioning_store *store);
/* Devices the operator does not want. False: no room. */
bool device_set_denied(struct provisioning_store *store, const uint8_t mac[6], bool denied);
bool device_denied(const struct provisioning_store *store, const uint8_t mac[6]);
unsigned device_denied_count(const struct provisioning_store *store);

/*
 * Numbers by location: "sc/sc1=2155550200-2155550299;sc/sc2=6105550200-6105550299". False with a text in error.
 */
bool number_blocks_read(struct provisioning_store *store, const char *text, char error[MODEL_ERROR_LEN]);
bool number_local(const struct provisioning_store *store, const char *controller, const char *digits);
bool number_free(const struct provisioning_store *store, const char *digits);
/*
 * The next free number of a controller's blocks, after the one assigned last, so that a number that comes back rests as
 * long as it can. taken says what is in use besides (NULL: nothing). False: none left.
 */
bool number_assign(struct provisioning_store *store, const char *controller,
                   bool (*taken)(void *ctx, const char *digits),
                   void *ctx, char digits[SUBSCRIBER_NUMBER_LEN]);

/* Customers. */
struct customer_request {
	const char *number, *data, *options, *controller; /* copied */
	struct device *device;
	bool repair;
	struct customer *replaces;
};
/* A pending customer with a fresh ID. The number is free (asserted). NULL: no room. */
struct customer *customer_add(struct provisioning_store *store, const struct customer_request *request);
/* The address of its device in its own segment, wherever the device is now: by it the controller finds the head-end. */
uint32_t customer_ip(struct customer *customer);
/* It is pending no longer. */
void customer_settle(struct provisioning_store *store, struct customer *customer);
/*
 * Frees it; its number is free again. On a move the old customer of the device, which is not replaced then, has its
 * place back.
 */
void customer_remove(struct provisioning_store *store, struct customer *customer);
struct customer *customer_by_number(const struct provisioning_store *store, const char *digits); /* pending ones too */
/* Customers that stand (repair: accounts of repair facilities). */
unsigned customer_count(const struct provisioning_store *store, bool repair);

#endif
