/*
 * The switches: one line each, and only those that code reads. A defence is here once its check exists; an option names what the
 * patent leaves open. Sorted by name.
 */
#include "models/world.h"

const struct switch_def switch_table[] = {
	{ "backend.ipsec", "on|off", "", "ESP between servers (flows.md 13); off: their messages travel in clear" },
	{ "esp.auth", "on|off", "E2", "HMAC-SHA-1-96 on every ESP packet" },
	{ "esp.iv", "explicit|implicit", "", "the IV of ESP: random and sent along, or made from SPI and sequence number [0075]" },
	{ "esp.replay_window", "on|off", "E1", "the 64-packet replay window of ESP" },
	{ "sc.replay_cache", "on|off", "T1", "the signaling controller remembers authenticators for the length of the clock skew" },
	{ NULL, NULL, NULL, NULL }
};
