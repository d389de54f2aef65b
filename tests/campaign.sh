#!/usr/bin/env bash
# Campaigns: the same list of runs in one go, in parts under GNU parallel joined by merge, and gone on with after a kill, gives
# the same bytes; the views' figures agree with figures computed another way, on samples that do differ.   campaign.sh TOLLGATE
set -euo pipefail
tollgate=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
scenario=scenarios/calls/lossy_network.lua
list="$scenario calls=2 wan=20ms,40ms"
fail() { echo "campaign: $*" >&2; exit 1; }
quiet() { "$tollgate" "$@" > "$work/said" 2>&1 || [ $? = 1 ] || { cat "$work/said"; fail "tollgate $*"; }; }

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

# A claim that holds in some runs only, for the shares.
echo 'scenario { title = "luck" } network() run(function() claim("six or less", math.random(8) <= 6) end)' > "$work/luck.lua"
quiet run "$work/luck.lua" --seed 1..40 -o "$work/luck.db"

# The views against Python's own statistics; the bounds of a share must solve (share - p)^2 = z^2 p (1 - p) / n.
python3 - "$work/whole.db" "$work/luck.db" << 'PYTHON' || fail "the views are wrong"
import collections, sqlite3, statistics, sys

T_7 = 2.365 # 97.5 % of Student's t, 7 degrees of freedom: eight seeds
whole, luck = (sqlite3.connect(path) for path in sys.argv[1:])
samples = collections.defaultdict(lambda: collections.defaultdict(list))
for variant, run, node, metric, value in whole.execute("SELECT variant, run, node, metric, value FROM sample JOIN run USING (run)"):
    samples[variant, node, metric][run].append(value)
rows = whole.execute("SELECT variant, node, metric, runs, mean, low95, high95, samples, least, p50, p95, p99, most FROM statistics").fetchall()
assert len(rows) == len(samples) > 10
wide = 0
for variant, node, metric, runs, mean, low, high, count, *ranks in rows:
    by_run = samples[variant, node, metric]
    means = [statistics.fmean(values) for values in by_run.values()]
    values = sorted(value for run in by_run.values() for value in run)
    assert (runs, count) == (len(means), len(values)), (variant, node, metric)
    assert abs(mean - statistics.fmean(means)) < 1e-6 * (1 + abs(mean)), (variant, node, metric)
    nearest = [values[-(-count * p // 100) - 1] for p in (50, 95, 99)]
    assert ranks == [values[0], *nearest, values[-1]], (variant, node, metric, ranks, nearest)
    if runs == 8:
        half = T_7 * statistics.stdev(means) / 8 ** 0.5
        assert abs(high - mean - half) < 1e-6 * (1 + half) and abs(mean - low - half) < 1e-6 * (1 + half), (variant, node, metric)
        wide += half > 0
assert wide >= 4, "samples that do not differ prove nothing"
(runs, held, share, low, high), = luck.execute("SELECT runs, held, share, low95, high95 FROM claims WHERE claim LIKE '%six or less%'")
assert runs == 40 and 20 < held < 40 and share == held / runs and low < share < high
for p in low, high:
    assert abs((share - p) ** 2 - 1.96 ** 2 * p * (1 - p) / runs) < 1e-9, p
assert luck.execute("SELECT count(*) FROM failures").fetchone()[0] == 40 - held
PYTHON

# What must be refused, and change nothing.
cp "$work/whole.db" "$work/before.db"
! "$tollgate" run scenarios/calls/cta_to_cta.lua --seed 1..2 -o "$work/whole.db" 2> "$work/said" || fail "another scenario was taken in"
! "$tollgate" run $scenario -o "$work/whole.db" 2> "$work/said" || fail "a run was written over a campaign"
! "$tollgate" merge -o "$work/whole.db" README.md 2> "$work/said" || fail "a text was joined"
cp "$work/part1.db" "$work/forged.db"
sqlite3 "$work/forged.db" "UPDATE sample SET value = value + 1"
! "$tollgate" merge -o "$work/whole.db" "$work/forged.db" 2> "$work/said" || fail "a run that differs was joined"
grep -q 'is there already and differs' "$work/said" || fail "$(cat "$work/said")"
cmp "$work/whole.db" "$work/before.db" || fail "a refusal changed the campaign"
echo "campaign: whole, in parts, killed and gone on with: the same bytes"
