/*
 * A key distribution centre as a service of a node (flows.md 1 and 13; patent [0041], [0066]-[0069], [0102]-[0105]):
 * AS-REQ in, AS-REP or KRB-ERROR out, over TCP with a four-byte length and over UDP, port 88 (RFC 4120 section 7.2).
 * models/kdc.c has it alone; a signaling controller may have it beside itself, and is then asked about its subscribers by
 * a call instead of by RADIUS.
 *
 * The checks, in this order, each with its name in the record and its KRB-ERROR:
 *
 *   krb.too_long              61  longer than KRB_MESSAGE_MAX
 *   krb.malformed             40  no AS-REQ (nothing that is itself an answer is answered)
 *   kdc.realm                 68  not our realm
 *   kdc.server_unknown         7  no service of the directory
 *   kdc.preauth_required      25  with METHOD-DATA
 *   kdc.etype                 14  without des3-cbc-sha1-kd
 *   pkinit.bind               16  the draft's profile, unless the switch pkinit.bind says nonce (K1)
 *   kdc.check_time            37  more than 5 minutes off (K2); a server's time stamp: after it is opened
 *   kdc.till                  11  asks for a ticket that is over already
 *   kdc.verify_certificate    70  no chain to a CA trusted for its kind; 71 when a signature in it is wrong or it is malformed
 *   kdc.cert_not_yet_valid, kdc.cert_expired   71 (the latter: cert.check_end, P7; kdc.cache_recheck_time, K10)
 *   kdc.cert_usage            62  neither a device's nor an operator's certificate, or not for signing
 *   kdc.verify_signature      64
 *   kdc.dh_parameters         65
 *   kdc.client_unknown         6, kdc.preauth_failed 24: a server's time stamp instead of PKINIT
 *   kdc.replay_cache          34  the same authenticator, or one from before a restart (RFC 4120 section 3.2.3) (K2)
 *   kdc.client_name           75  the name asked for is not the certificate's phone ID or MAC
 *   kdc.check_segment         12  a ticket for a controller whose segment the request does not come from (P6)
 *   kdc.check_subscriber      18  operator certificate: the signaling controller does not know the phone ID (P5)
 *   kdc.check_mac_ip          12  manufacturer certificate: the head-end has another lease or a bad mark [0133] (P3)
 *   kdc.check_provisioning    12  manufacturer certificate: the provisioning CA denies the device (V3)
 *   kdc.backend_timeout       60  no answer of whoever had to be asked; the client may try again and concludes nothing
 *   kdc.busy                  60  too many questions under way
 *
 * A ticket ends with the lifetime configured, the till asked for or the certificate, whichever is first.
 */
#ifndef TOLLGATE_MODELS_KDC_SERVICE_H
#define TOLLGATE_MODELS_KDC_SERVICE_H

#include "models/backend.h"
#include "models/radius_client.h"

#define KDC_REQUESTS_MAX 8192        /* under way: in the queue, or waiting for another server */
#define KDC_CONNECTIONS_MAX 4096
#define KDC_IDLE_NS (30 * NS_PER_S)  /* a connection without a request */
#define KDC_CERTIFICATES_MAX 200000  /* thumbprints remembered; the oldest leaves */
#define KDC_REPLAYS_MAX 1000000      /* authenticators remembered; full: no ticket */
#define KDC_TICKET_LIFETIME_S (7 * 24 * 3600)

struct kdc_service;

struct kdc_config { /* all borrowed for the life of the service, name and numbers are copied */
	struct node *node;
	struct secure_module *sm;
	struct ipsec *ipsec;
	struct key_management *km;
	struct backend *backend;            /* with self_issue */
	struct radius_client *radius;
	const char *name;                   /* its RSA key and certificate are "kdc/NAME" */
	int64_t ticket_lifetime_s;          /* 0: the default */
	const char *local_service;          /* "sc/sc1" in the same node, or NULL */
	bool (*local_subscriber)(void *ctx, const uint8_t phone_id[PHONE_ID_LEN]);
	void *local_ctx;
	const char *restricted_numbers;     /* what an unprovisioned CTA may call, "411,911"; NULL: nothing */
};

/* Installs its RSA key, gets its certificate. Nothing is bound before kdc_service_start(). Owned by the caller. */
struct kdc_service *kdc_service_new(const struct kdc_config *config);
void kdc_service_free(struct kdc_service *kdc);
/* Listens on TCP and UDP. */
void kdc_service_start(struct kdc_service *kdc);
/*
 * A restart: connections, requests, thumbprints and authenticators are gone, nobody listens. Its owner also resets the
 * RADIUS client, whose questions would come back otherwise, before any time goes by.
 */
void kdc_service_reset(struct kdc_service *kdc);

struct kdc_counters {
	uint64_t requests, issued, refused; /* so far; refused: with a KRB-ERROR */
	uint64_t cache_hits;                /* chains not verified because of a thumbprint */
	unsigned under_way, connections, certificates, authenticators;
};
struct kdc_counters kdc_service_counters(const struct kdc_service *kdc);
/* Whether the numbers of a text like "411,911" fit into a ticket. */
bool kdc_numbers_fit(const char *numbers);

#endif
