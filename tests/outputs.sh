#!/usr/bin/env bash
# The outputs of `tollgate test`: they hold to their published schemas and grammars, say what happened, carry hostile bytes safely
# and are the same bytes every time.   outputs.sh TOLLGATE
set -euo pipefail
tollgate=$(realpath "$1")
schemas=$(realpath tests/schemas)
root=$(realpath .)
python=/usr/bin/python3 # Debian's, which has Debian's jsonschema
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "outputs: $*" >&2; exit 1; }

# A small selection: a call, an attack with its defence's values swapped (so that it goes through where it is to be stopped), an attack
# that another check stops, one that is not tried, hostile bytes in names and claims, and a file that is no scenario.
mkdir -p "$work/scenarios/attacks" "$work/scenarios/calls"
cp -r scenarios/topologies scenarios/shared "$work/scenarios/" 2> /dev/null || cp -r scenarios/topologies "$work/scenarios/"
cp scenarios/calls/cta_to_cta.lua "$work/scenarios/calls/"
sed 's/attack = "T1" }/attack = "T1", set = { ["sc.replay_cache"] = "off" } }/' scenarios/attacks/ap_req_replay.lua > "$work/scenarios/attacks/swapped.lua"
sed 's/by = "kdc.check_time"/by = "kdc.another_check"/' scenarios/attacks/as_req_late.lua > "$work/scenarios/attacks/another_check.lua"
cat > "$work/scenarios/attacks/not_tried.lua" << 'LUA'
scenario { title = "it ends before", attack = "E1" }
network()
run(function() claim("ready", false) outcome { stopped = function() end, succeeded = function() end } end)
LUA
cat > "$work/scenarios/calls/hos'tile \"<&>#[%.lua" << 'LUA'
scenario { title = "</testsuite>]]>\1\255\xc2\x9b &amp; \xef\xbf\xbf \"quoted\" \\" }
network()
run(function() claim("</failure>]]>\27[2J\0\255\xef\xbf\xbe \u{2028} \"\\ # \n...\n---\nok 1", false, "'<!--\xc3\x28") end)
LUA
echo 'scenario { titel = "</error>" }' > "$work/scenarios/calls/unreadable.lua"
cd "$work"

go() { # FOLDER OPTIONS...
	into=$1; shift; mkdir -p "$into"
	"$tollgate" test scenarios --junit "$into/j.xml" --sarif "$into/s.sarif" --json "$into/j.json" "$@" > "$into/out" 2> "$into/err" && code=0 || code=$?
	[ "$code" = 2 ] || { cat "$into/out" "$into/err"; fail "exit code $code instead of 2 (one scenario cannot be read)"; }
	[ -z "$(cat "$into/err")" ] || fail "on the error output: $(cat "$into/err")"
	[ -z "$(find "$into" -name '.*' -type f)" ] || fail "temporary files are left"
}
go one -j 1
go two -j 2
diff -r one two || fail "not the same bytes with one and two processes"
go tap --tap --keep kept
for f in j.xml s.sarif j.json; do cmp "one/$f" "tap/$f" || fail "$f differs when results are kept"; done

# What a person sees.
table() { grep -qE -- "$1" one/out || { cat one/out; fail "the table lacks: $1"; }; }
table '^T1 +sc.replay_cache=on +SUCCEEDED UNEXPECTEDLY +STOPPED UNEXPECTEDLY OR BY ANOTHER CHECK +scenarios/attacks/swapped.lua$'
table '^K2 +kdc.check_time=off +STOPPED UNEXPECTEDLY OR BY ANOTHER CHECK +succeeded as expected +scenarios/attacks/another_check.lua$'
table '^E1 +esp.replay_window=off +NOT TRIED +NOT TRIED +scenarios/attacks/not_tried.lua$'
table '^attacks: 0 stopped as expected, 1 succeeded as expected, 1 SUCCEEDED UNEXPECTEDLY, 2 STOPPED UNEXPECTEDLY OR BY ANOTHER CHECK, 2 NOT TRIED$'
[ "$(tail -1 one/out)" = "2 passed, 7 failed" ] || fail "last line: $(tail -1 one/out)"
! grep -q $'\r' one/out one/err || fail "progress was written where there is no terminal"

# JUnit
xmllint --noout --nonet --schema "$schemas/jenkins-junit.xsd" one/j.xml 2> said || { cat said; fail "the JUnit file does not validate"; }
sed 's/<testcase /<testcase time2="1" /' one/j.xml > broken.xml
! xmllint --noout --nonet --schema "$schemas/jenkins-junit.xsd" broken.xml 2> said || fail "the JUnit schema takes anything"
xpath() { xmllint --xpath "string($1)" one/j.xml; }
[ "$(xpath 'count(//testcase)')/$(xpath '/testsuites/@tests')" = 9/9 ] || fail "JUnit counts the runs wrongly"
[ "$(xpath 'count(//testcase[failure])')/$(xpath '/testsuites/@failures')" = 6/6 ] || fail "JUnit counts the failures wrongly"
[ "$(xpath 'count(//testcase[error])')/$(xpath '/testsuites/@errors')" = 1/1 ] || fail "JUnit counts the errors wrongly"
[ -z "$(xpath '//@timestamp | //@hostname')" ] || fail "a wall clock is in the JUnit file"

# SARIF and JSON
cat > check.py << 'PYTHON'
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1] + "/sarif-2.1.0-rtm.5.json"))
sarif = json.load(open("one/s.sarif", encoding="utf-8"))
validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
for error in validator.iter_errors(sarif):
    sys.exit("SARIF: %s at %s" % (error.message, "/".join(map(str, error.absolute_path))))
broken = json.loads(json.dumps(sarif))
broken["runs"][0]["results"][0]["lewel"] = "error"
assert list(validator.iter_errors(broken)), "the SARIF schema takes anything"

run = sarif["runs"][0]
rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
assert sorted(rules) == ["E1", "K2", "T1"], rules
assert all(rule["shortDescription"]["text"] and rule["fullDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
found = []
for result in run["results"]:
    assert rules[result["ruleIndex"]] == result["ruleId"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    assert "outcome {" in open(place["artifactLocation"]["uri"]).read().split("\n")[place["region"]["startLine"] - 1]
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [s["executionOrder"] for s in steps] == list(range(1, len(steps) + 1))
    assert steps[-1]["kinds"] == ["verdict"] and any(s["kinds"] == ["message"] for s in steps)
    found.append((result["ruleId"], "SUCCEEDED UNEXPECTEDLY" in result["message"]["text"], "mallory" in json.dumps(steps)))
assert found == [("K2", False, True), ("T1", True, True), ("T1", False, True)], found
assert "Refused by kdc.check_time at kdc1 (1)" in run["results"][0]["message"]["text"], run["results"][0]["message"]["text"]
invocation = run["invocations"][0]
assert invocation["executionSuccessful"] is False
assert len(invocation["toolExecutionNotifications"]) == 3, invocation

data = json.load(open("one/j.json", encoding="utf-8"))
assert list(data) == ["format", "version", "passed", "failed", "runs"] and data["format"] == "tollgate-test" and data["version"] == 1
keys = ["scenario", "title", "switch", "value", "seed", "result", "claims_held", "claims_failed", "end_ns", "attack", "failed", "said", "repeat"]
assert all(list(r) == keys for r in data["runs"])
assert [data["passed"], data["failed"]] == [2, 7] and len(data["runs"]) == 9
outcomes = [(r["scenario"].split("/")[-1], r["attack"]["outcome"]) for r in data["runs"] if r["attack"]]
assert outcomes == [("another_check.lua", "stopped unexpectedly or by another check"), ("another_check.lua", "succeeded"),
                    ("not_tried.lua", "not tried"), ("not_tried.lua", "not tried"), ("swapped.lua", "succeeded unexpectedly"),
                    ("swapped.lua", "stopped unexpectedly or by another check")], outcomes
hostile = [r for r in data["runs"] if "tile" in r["scenario"]][0]
assert "\x1b" not in json.dumps(hostile, ensure_ascii=False) and "\\x1b[2J" in hostile["failed"][0]["claim"], hostile
print("outputs: SARIF and JSON agree with their schema and with what happened")
PYTHON
$python check.py "$schemas" || fail "SARIF or JSON"

# TAP: a version, a plan, lines numbered from 1; diagnosis in YAML blocks, everything else a comment.
awk 'NR == 1 { if ($0 != "TAP version 14") bad = "no version"; next }
	NR == 2 { if ($0 !~ /^1\.\.[0-9]+$/) bad = "no plan"; plan = substr($0, 4); next }
	yaml { if ($0 == "  ...") yaml = 0; else if ($0 !~ /^  /) bad = "no YAML: " $0; next }
	/^  ---$/ { if (last !~ /^not ok/) bad = "a diagnosis of nothing"; yaml = 1; next }
	/^(not )?ok [0-9]+ - / { n++; if ($0 !~ "^(not )?ok " n " - ") bad = "order: " $0; failed += /^not/; last = $0; gsub(/\\[\\#]/, ""); if (/#/) bad = "a directive: " $0; next }
	/^# / { next }
	{ bad = "what is this: " $0 }
	END { if (yaml) bad = "open YAML"; if (n != plan) bad = n " lines, plan " plan; if (bad != "") { print bad; exit 1 } print "outputs: TAP: " n " runs, " failed " not ok" }' tap/out || fail "TAP"
grep -q '^not ok 9 - scenarios/calls/unreadable.lua seed 1$' tap/out || fail "TAP: $(grep -n ok tap/out)"

# Kept results
[ "$(ls -A kept | wc -l)" = 8 ] || fail "kept: $(ls -A kept)"
[ "$(sqlite3 "kept/attacks_swapped.switch.sc.replay_cache=on.seed1.db" "SELECT value FROM run WHERE name = 'attack.outcome'")" = neither ] || fail "kept: wrong outcome"
"$tollgate" flow kept/calls_cta_to_cta.seed1.db > flow || fail "flow"
grep -q 'alice > bob .*INVITE .*esp .*accepted' flow || fail "flow: $(cat flow)"
! "$tollgate" flow one/j.json > said 2>&1 || fail "flow takes anything"

# Every attack, with its defence taken away and nobody told: that it goes through is seen for what it is.
mkdir -p taken/scenarios/attacks && cp -r scenarios/topologies taken/scenarios/
[ ! -d scenarios/shared ] || cp -r scenarios/shared taken/scenarios/
for f in "$root"/scenarios/attacks/*.lua; do
	(cd "$root"; "$tollgate" doc "scenarios/attacks/$(basename "$f")") | sed -n 's/^  switch\.\([^=]*\)=\(.*\)$/\1 \2/p' > switches
	while read -r name value; do
		put="s/^scenario {/scenario { set = { [\"$name\"] = \"$value\" },/"
		! grep -q '  set = {' "$f" || put="s/  set = {/  set = { [\"$name\"] = \"$value\",/" # it sets others of its own
		sed "$put" "$f" > "taken/scenarios/attacks/$(basename "$f" .lua).$name.$value.lua"
	done < switches
done
count=$(ls taken/scenarios/attacks | wc -l)
"$tollgate" test taken/scenarios/attacks --json taken.json > said || true
$python - "$count" << 'PYTHON' || { grep -E '^attack |NOT TRIED|OTHER CHECK +ST' said; fail "an attack whose defence was taken away is not seen to succeed"; }
import json, sys
runs = [r for r in json.load(open("taken.json"))["runs"] if r["switch"] is None]
seen = [r["scenario"] for r in runs if r["attack"] and r["attack"]["outcome"] == "succeeded unexpectedly"]
print("outputs: %d of %s attacks go through once their defence is gone, and are seen to" % (len(seen), sys.argv[1]))
sys.exit(len(seen) != int(sys.argv[1]) or len(seen) < 20)
PYTHON

# A range of seeds: the smallest that fails, and the command does repeat it.
mkdir luck
echo 'scenario { title = "luck" } network() run(function() claim("six or less", math.random(8) <= 6) end)' > luck/luck.lua
"$tollgate" test luck --seed 1..20 --json luck.json > said || true
least=$($python -c 'import json; print(min(r["seed"] for r in json.load(open("luck.json"))["runs"] if r["result"] == "failed"))')
command=$(sed -n "s/^smallest failing seed $least: //p" said)
[ "$command" = "tollgate run luck/luck.lua --seed $least" ] || fail "$(tail -2 said)"
! "$tollgate" ${command#tollgate } > /dev/null || fail "the command does not repeat the failure"

# What cannot be written is told before anything runs, and nothing is left behind.
! "$tollgate" test luck --junit nowhere/j.xml --json left.json > said 2>&1 || fail "a file that cannot be written is no error"
grep -q '^nowhere/j.xml: cannot be written' said && ! grep -q passed said && [ ! -e left.json ] || fail "$(cat said)"
! "$tollgate" test luck --junit same --json same > said 2>&1 || fail "two outputs in one file"
[ -z "$(find . -maxdepth 1 -name '.?*')" ] || fail "temporary files are left: $(ls -A)"
echo "outputs: table, TAP, JUnit, SARIF, JSON, kept results: as they should be"
