/*
 * What 1,000 calls cost beyond their cryptography; see crypto_floor.h.
 *
 *   bench_calls [calls] [rounds]     from the top folder: scenarios are found in ./scenarios
 */
#include "tests/bench/crypto_floor.h"

int main(int argc, char **argv)
{
	static const struct subject subject = {
		.name = "calls", .script = "scenarios/scale/thousand_calls.lua", .argument = "calls", .rsa_keys = 2,
		.none_to_reach = 1.15, .flow_to_reach = 1.30,
	};

	return measure(&subject, argc, argv);
}
