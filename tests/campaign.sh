#!/usr/bin/env bash
# Campaigns: the same list of runs in one go, in parts under GNU parallel joined by merge, and gone on with after a kill, gives
# the same bytes; the views' figures agree with figures computed another way.   campaign.sh TOLLGATE
set -euo pipefail
tollgate=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
scenario=scenarios/calls/lossy_network.lua
list="$scenario talk=1s,2s"
fail() { echo "campaign: $*" >&2; exit 1; }
quiet() { "$tollgate" "$@" > "$work/said" 2>&1 || [ $? = 1 ] || { cat "$work/said"; fail "tollgate $*"; }; }

"$tollgate" doc "$scenario" | grep -q '^  talk=' || list="scenarios/calls/cta_to_cta.lua talk=1s,2s"
scenario=${list%% *}
quiet run $list --seed 1..8 -o "$work/whole.db"
runs=$(sqlite3 "$work/whole.db" "SELECT count(*) FROM run")
[ "$runs" = 16 ] || fail "$runs runs instead of 16"

# In parts, as over several machines.
parallel --will-cite -j2 --colsep ' ' "$tollgate run $list --seed {1}..{2} -o $work/part{#}.db > /dev/null 2>&1 || [ \$? = 1 ]" ::: "1 3" "4 6" "7 8"
quiet merge -o "$work/joined.db" "$work/part3.db" "$work/part1.db" "$work/part2.db"
cmp "$work/whole.db" "$work/joined.db" || fail "the joined parts are not the whole"

# Killed at several moments, with its children, and gone on with.
for delay in 0.1 0.3 0.5; do
	setsid "$tollgate" run $list --seed 1..8 -j 2 -o "$work/killed.db" > /dev/null 2>&1 & pid=$!
	sleep $delay
	kill -KILL -- -$pid 2> /dev/null || true
	wait $pid 2> /dev/null || true
done
quiet run $list --seed 1..8 -o "$work/killed.db"
cmp "$work/whole.db" "$work/killed.db" || fail "a campaign that was killed is not the same in the end"
[ -z "$(ls -A "$work" | grep '^\.' || true)" ] || fail "temporary files are left: $(ls -A "$work")"

# The views against awk over the bare samples.
sqlite3 -separator ' ' "$work/whole.db" "SELECT run, avg(value) FROM sample WHERE metric = 'call.ringing_after' AND run LIKE '%talk=1s%' GROUP BY run" |
	awk '{ n++; v[n] = $NF; sum += $NF } END { m = sum / n; for (i = 1; i <= n; i++) q += (v[i] - m) ^ 2;
		t[7] = 2.365; printf "%.0f %.0f\n", m, m - t[n - 1] * sqrt(q / (n - 1) / n) }' > "$work/awk"
sqlite3 -separator ' ' "$work/whole.db" "SELECT printf('%.0f', avg(mean)), printf('%.0f', min(low95)) FROM statistics
	WHERE metric = 'call.ringing_after' AND variant LIKE '%talk=1s%'" > "$work/views"
[ -s "$work/awk" ] && cmp "$work/awk" "$work/views" || fail "statistics say $(cat "$work/views"), awk says $(cat "$work/awk")"

# What must be refused, and change nothing.
cp "$work/whole.db" "$work/before.db"
! "$tollgate" run scenarios/calls/call_failures.lua --seed 1..2 -o "$work/whole.db" 2> "$work/said" || fail "another scenario was taken in"
! "$tollgate" run $scenario -o "$work/whole.db" 2> "$work/said" || fail "a run was written over a campaign"
! "$tollgate" merge -o "$work/whole.db" README.md 2> "$work/said" || fail "a text was joined"
cp "$work/part1.db" "$work/forged.db"
sqlite3 "$work/forged.db" "UPDATE sample SET value = value + 1"
! "$tollgate" merge -o "$work/whole.db" "$work/forged.db" 2> "$work/said" || fail "a run that differs was joined"
grep -q 'is there already and differs' "$work/said" || fail "$(cat "$work/said")"
cmp "$work/whole.db" "$work/before.db" || fail "a refusal changed the campaign"
echo "campaign: whole, in parts, killed and gone on with: the same bytes"
