#!/bin/sh
# Equal bytes: the same scenario, arguments and seed give the same database and the same capture in every build, and again.
#   same.sh TOLLGATE TOLLGATE...
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
first=$1
run() { # TOLLGATE NAME SCENARIO ARGUMENTS...
	program=$1 name=$2
	shift 2
	"$program" run "$@" -o "$dir/$name.db" --pcap "$dir/$name.pcapng" > /dev/null
}
for scenario in 'calls/cta_to_cta' 'calls/call_failures' 'calls/lossy_network --seed 3' 'attacks/pkinit_mitm switch.pkinit.bind=nonce'; do
	set -- "$@" # the programs
	file=scenarios/${scenario%% *}.lua
	rest=${scenario#"${scenario%% *}"}
	# shellcheck disable=SC2086
	run "$first" reference "$file" $rest
	n=0
	for program in "$@" "$first"; do
		n=$((n + 1))
		# shellcheck disable=SC2086
		run "$program" "$n" "$file" $rest
		for kind in db pcapng; do
			cmp "$dir/reference.$kind" "$dir/$n.$kind" ||
				{ echo "same: $scenario: $program and $first differ in the $kind"; exit 1; }
		done
	done
	echo "same: scenarios/$scenario: database and capture are equal in $n runs of $# builds"
done
