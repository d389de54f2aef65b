/*
 * The part of a CTA that its provisioning needs (flows.md 5, 6, 8; patent [0103]-[0117], [0131]-[0149]): its access to the HFC
 * segment (models/hfc_client.h), and the operator certificate that the provisioning CA brings it. A CTA that was provisioned before the
 * run at a fixed address has none of it, unless it is managed.
 *
 * A certificate is taken when it is the operator's ("cta.verify_certificate"), an operator certificate ("cta.certificate_kind"),
 * in force ("cta.certificate_time"), for this CTA's own key ("cta.certificate_key") and starts later than every one seen before
 * ("cta.check_start_time", the floor of which is kept in the secure module and outlasts a power loss; attack P4). The one it has,
 * brought again, is taken again and changes nothing. Having taken one it reboots once its line is idle.
 *
 * A KDC that refuses the operator certificate says so in a KRB-ERROR, which nobody signs: anybody can send one (attack
 * K8). So it only raises a doubt: once its line is idle the CTA registers again with its head-end, and the configuration
 * that it gets there, which the operator has signed for this device, decides. If that says that the device has no account
 * and was made after the refusal, the certificate is removed, and the manufacturer's one serves again. One made before
 * it ("cta.old_configuration") could be recorded, and decides nothing. If it says that there is an account, the
 * certificate stays and PKINIT is tried again. Doubts make the CTA register again once in CTA_DOUBT_PAUSE_NS at most. A
 * certificate that has ended needs no other confirmation. A CTA at a fixed address has nobody to ask and removes no
 * other. With the switch cta.trust_krb_error the KRB-ERROR alone is enough. The floor of start times outlasts the
 * removal.
 */
#ifndef TOLLGATE_MODELS_CTA_PROVISIONING_H
#define TOLLGATE_MODELS_CTA_PROVISIONING_H

#include "models/cta.h"
#include "models/hfc_client.h"

#define CTA_REBOOT_RETRY_NS (1 * NS_PER_S) /* while a call is on the line */
#define CTA_DOUBT_PAUSE_NS (60 * NS_PER_S)

struct cta_provisioning;
/* dhcp: gets its address, KDC and controller from its head-end. Owned by the CTA. */
struct cta_provisioning *cta_provisioning_new(struct cta *cta, bool dhcp, sim_ns reboot_after_ns);
void cta_provisioning_free(struct cta_provisioning *provisioning);
/* Power comes: true when the address is still to come, and cta_online() will be called. NULL: false. */
bool cta_provisioning_on(struct cta_provisioning *provisioning);
void cta_provisioning_off(struct cta_provisioning *provisioning);
/* A KDC has refused PKINIT by this KRB-ERROR, so it says. NULL is harmless. */
void cta_provisioning_refused(struct cta_provisioning *provisioning, int krb_error);
bool cta_provisioning_has_hfc(const struct cta_provisioning *provisioning); /* its address comes from a head-end; NULL: no */
/* "sc/sc1" by the configuration; NULL: not told. */
const char *cta_provisioning_controller(const struct cta_provisioning *provisioning);
/* customer service's number, digits; anything else: none. */
void cta_provisioning_set_service(struct cta_provisioning *provisioning, const char *number);
/*
 * Whom the CTA calls by itself as soon as it goes off-hook without an operator certificate, with the switch
 * cta.auto_dial [0140]: then nobody dials, an emergency number neither. NULL: nobody.
 */
const char *cta_provisioning_auto_dial(const struct cta_provisioning *provisioning);
bool cta_provisioning_get(const struct cta_provisioning *provisioning, const char *attribute, struct value *out);

/* cta.c: the address has come, or is gone; a certificate has been put in place. */
void cta_online(struct cta *cta, uint32_t ip, uint32_t kdc_ip, uint32_t sc_ip);
void cta_offline(struct cta *cta);
void cta_certificate_taken(struct cta *cta);
/* The operator certificate is gone; the next PKINIT is by the manufacturer certificate. It has no ticket (asserted). */
void cta_certificate_removed(struct cta *cta);
void cta_reboot(struct cta *cta);

#endif
