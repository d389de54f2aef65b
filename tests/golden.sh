#!/usr/bin/env bash
# Golden flows: the text of each scenario's run with seed 1, as tests/golden holds it (scenarios/calls/x.lua: calls_x.txt), against
# the results that `tollgate test --keep RUNS` has left.   golden.sh check|update TOLLGATE RUNS
set -euo pipefail
what=$1 tollgate=$2 runs=$3
lines_max=400
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for db in "$runs"/*.seed1.db; do
	name=${db##*/} name=${name%.seed1.db}
	case $name in *.switch.*) continue ;; esac
	"$tollgate" flow "$db" > "$work/$name.txt"
	[ "$(wc -l < "$work/$name.txt")" -le $lines_max ] || { echo "golden: the flow of $name has more than $lines_max lines"; exit 1; }
done
count=$(ls "$work" | wc -l)
[ "$count" -gt 0 ] || { echo "golden: no results in $runs"; exit 1; }
if [ "$what" = update ]; then
	mkdir -p tests/golden
	rm -f tests/golden/*.txt
	cp "$work"/*.txt tests/golden/
	echo "golden: $count flows written to tests/golden; git diff tests/golden shows what has changed"
	exit 0
fi
if ! diff -ruN tests/golden "$work" > "$work.diff"; then
	sed "s#^+++ $work/#+++ now/#; s#$work#now#g" "$work.diff" | head -300
	echo "golden: $(grep -c '^diff ' "$work.diff") flows are not as tests/golden has them ($(wc -l < "$work.diff") lines of diff, the first 300 above)."
	echo "golden: if that is meant, 'make golden' writes them anew."
	rm -f "$work.diff"
	exit 1
fi
rm -f "$work.diff"
echo "golden: $count flows are as before"
