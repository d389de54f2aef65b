#!/bin/sh
# The page of `tollgate report` in a browser: sh report_page.sh TOLLGATE FOLDER. report_page.py says what is looked at. Then two runs
# side by side, pages whose database has hostile text in every column, and a run of 100,000 messages.
set -eu
tollgate=$1
out=$2
here=$(dirname "$0")
mkdir -p "$out"
page() { python3 "$here/report_page.py" chromium "$@"; }

"$tollgate" run scenarios/calls/cta_to_cta.lua -o "$out/call.db" > "$out/call.txt"
"$tollgate" report "$out/call.db" -o "$out/call.html"
page "$out/call.html"

"$tollgate" run scenarios/attacks/pkinit_mitm.lua switch.pkinit.bind=nonce -o "$out/attack.db" > "$out/attack.txt"
"$tollgate" report "$out/attack.db" -o "$out/attack.html"
page "$out/attack.html"

"$tollgate" run scenarios/attacks/pkinit_mitm.lua -o "$out/stopped.db" > "$out/stopped.txt"
"$tollgate" report "$out/stopped.db" "$out/attack.db" -o "$out/pair.html"
page --pair "$out/pair.html"

cp "$out/attack.db" "$out/hostile.db"
hostile="'</style></script><script>alert(1)</script>\"''><img src=x onerror=alert(2)>&lt;' || char(8238, 8294, 7, 27) || CAST(x'ff' AS TEXT)"
for column in node.model message.kind message.why message.actor message.cover field.path field.value step.event step.after key.role \
	key.holders call.caller call.reason verdict.claim verdict.because refusal.detail run.value call_record.account account.name; do
	sqlite3 "$out/hostile.db" "UPDATE OR IGNORE ${column%.*} SET ${column#*.} = $hostile || ${column#*.}"
done
"$tollgate" report "$out/hostile.db" -o "$out/hostile.html"
page --hostile "$out/hostile.html"
cp "$out/attack.db" "$out/hostile_pair.db"
for column in field.value verdict.claim verdict.because key.role call.reason step.event; do
	sqlite3 "$out/hostile_pair.db" "UPDATE OR IGNORE ${column%.*} SET ${column#*.} = $hostile || ${column#*.}"
done
"$tollgate" report "$out/hostile_pair.db" "$out/stopped.db" -o "$out/hostile_pair.html"
page --hostile "$out/hostile_pair.html"

# Each message of the call 2000 times.
cp "$out/call.db" "$out/long.db"
sqlite3 "$out/long.db" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
	INSERT INTO message SELECT src, dst, kind, nth + 100 * i, sent_ns + 14000000000 * i, got_ns + 14000000000 * i, fate, why, cause, actor,
	cover, proto, size, sha256 FROM message, n;
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
	INSERT INTO field SELECT src, dst, kind, nth + 100 * i, path, rep, value, class FROM field, n;
	UPDATE run SET value = 28014000000000 WHERE name = 'end_ns'"
"$tollgate" report "$out/long.db" -o "$out/long.html"
page --time "$out/long.html"
