/*
 * The switches: one line each, and only those that code reads. A defence is here once its check exists; an option names what the
 * patent leaves open. Sorted by name.
 */
#include "models/world.h"

const struct switch_def switch_table[] = {
	{ "backend.ipsec", "on|off", "P9", "ESP between servers (flows.md 13); off: their messages travel in clear" },
	{ "cert.check_end", "on|off", "P7", "the KDC refuses a certificate that has ended, and no ticket outlives one (kdc.cert_expired)" },
	{ "cookie.bind", "on|off", "S4", "the key that seals a call's sub-key for lawful intercept is that call's alone [0100]" },
	{ "csr.verify_caller", "on|off", "P11", "customer service takes orders about a line from the line itself or with its PIN only" },
	{ "cta.auto_dial", "off|on", "S6", "a CTA without an operator certificate calls customer service whatever is dialled, 911 too [0140]" },
	{ "cta.check_crl", "on|off", "K5", "a CTA takes no reply of a KDC whose certificate is on the operator's CRL [0208]" },
	{ "cta.check_start_time", "on|off", "P4", "a CTA takes only certificates that start later than all it has seen [0161]" },
	{ "cta.require_kdc_eku", "on|off", "K4", "a KDC's certificate must be a KDC's by its usage and name; off: any that chains to the root, as in the patent" },
	{ "cta.trust_krb_error", "off|on", "K8", "a KDC's refusal, which nobody signs, makes a CTA remove its operator certificate at once" },
	{ "cta.verify_config", "on|off", "P8", "a CTA takes only configurations that the operator has signed [0131]" },
	{ "cta.verify_image", "on|off", "P8", "a CTA runs only software that its manufacturer has signed [0160]" },
	{ "cta.verify_root", "on|off", "K3", "a KDC's certificate must chain to the operator's root that is in the CTA [0103]" },
	{ "esp.auth", "on|off", "E2", "HMAC-SHA-1-96 on every ESP packet" },
	{ "esp.iv", "explicit|implicit", "", "the IV of ESP: random and sent along, or made from SPI and sequence number [0075]" },
	{ "esp.replay_window", "on|off", "E1", "the 64-packet replay window of ESP" },
	{ "hfc.clone_detection", "on|off", "P1", "a head-end asks the others whether a MAC has an address there before it gives it one" },
	{ "intercept.authorise", "on|off", "S8", "a call's key is released to one with a warrant for its number only [0099]" },
	{ "kdc.cache_after_verify", "on|off", "K10", "a certificate's thumbprint is remembered only once its chain has been verified" },
	{ "kdc.cache_recheck_time", "on|off", "K10", "a certificate whose thumbprint is known is still held to its times and usage" },
	{ "kdc.check_mac_ip", "on|off", "P3", "manufacturer certificate: its head-end is asked for the lease of the source address" },
	{ "kdc.check_segment", "on|off", "P6", "a ticket for a signaling controller is asked for from its own segment" },
	{ "kdc.check_subscriber", "on|off", "P5", "operator certificate: the signaling controller is asked for the phone ID" },
	{ "kdc.check_time", "on|off", "K2", "the KDC refuses authenticators more than 5 minutes off" },
	{ "kdc.replay_cache", "on|off", "K2", "the KDC remembers authenticators for the length of the clock skew" },
	{ "pca.bind_call", "on|off", "P3", "the record of a caller's address has not changed hands since the call began" },
	{ "pkinit.bind", "aschecksum|nonce", "K1", "what binds the KDC's reply to the request: RFC 4556, or the draft of the patent's time" },
	{ "rtp.mac", "on|off", "", "HMAC-SHA-1-96 inside every encrypted voice packet [0098]" },
	{ "sc.check_expiry", "on|off", "T2", "a server accepts a ticket between its start and its end only, give or take 5 minutes" },
	{ "sc.enforce_restriction", "on|off", "T5", "a restricted ticket opens only the numbers in it [0134], [0138]" },
	{ "sc.replay_cache", "on|off", "T1", "the signaling controller remembers authenticators for the length of the clock skew" },
	{ "sc.verify_authenticator", "on|off", "T3", "who shows a ticket must prove that he has its session key, by authenticator and keyed hash [0072]" },
	{ "signaling.esp", "on|off", "E8", "ESP on SIP to and from CTAs; off: it is in clear, and its source address is believed" },
	{ NULL, NULL, NULL, NULL }
};
