/*
 * What provisioning 1,000 CTAs on four head-ends costs beyond its cryptography; see crypto_floor.h.
 *
 *   bench_provision [CTAs] [rounds]     from the top folder: scenarios are found in ./scenarios
 */
#include "tests/bench/crypto_floor.h"

int main(int argc, char **argv)
{
	static const struct subject subject = {
		.name = "ctas", .script = "scenarios/scale/provision_thousand.lua", .argument = "ctas", .rsa_keys = 1, .none_to_reach = 1.25,
	};

	return measure(&subject, argc, argv);
}
