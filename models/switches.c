/*
 * The switches: one line each. A defence is here once its check and its attack exist (attacks.md); an option names what the patent
 * leaves open. Sorted by name.
 */
#include "models/world.h"

const struct switch_def switch_table[] = {
	{ "backend.ipsec", "on|off", "", "ESP between servers (flows.md 13); off: their messages travel in clear" },
	{ "escrow", "sc|cookie", "", "where the bearer key of a call is kept for an authorised request: at the source "
	  "signaling controller, or parked at another element as an encrypted cookie [0099-0100]" },
	{ "esp.auth", "on|off", "E2", "HMAC-SHA-1-96 on every ESP packet" },
	{ "esp.iv", "explicit|implicit", "", "the IV of ESP: random and sent along, or made from SPI and sequence number [0075]" },
	{ "esp.replay_window", "on|off", "E1", "the 64-packet replay window of ESP" },
	{ "pkinit.bind", "aschecksum|nonce", "K1", "what binds the PKINIT reply to its request: a keyed checksum over the "
	  "AS-REQ (RFC 4556) or the nonce alone (the draft)" },
	{ "pkinit.mode", "rsa|dh", "", "PKINIT reply key: sent under the CTA's public key, or agreed by Diffie-Hellman" },
	{ "pkinit.transport", "tcp|udp", "", "PKINIT over TCP, or over UDP with IP fragmentation [0069]" },
	{ "rtp.mac", "off|on", "", "a MAC on every RTP packet before encryption [0098]" },
	{ "sc.replay_cache", "on|off", "T1", "the signaling controller remembers authenticators for the length of the clock skew" },
	{ NULL, NULL, NULL, NULL }
};
