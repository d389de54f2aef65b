/* The edits of tests/reports/test_diff.c, what the diff exits with and what it prints: { name, SQL on B, exit code, text }. */
	{ "equal bytes",
	  "",
	  0,
	  "identical: the same bytes\n" },
	{ "random only",
	  "UPDATE field SET value = 'xyz' WHERE class = 'random';"
	  "UPDATE message SET sha256 = 'ff', size = size + 1;"
	  "UPDATE key SET fingerprint = 'bb';"
	  "UPDATE run SET value = '8' WHERE name = 'seed';",
	  0,
	  "same: what differs is random or a digest\n"
	  "run seed: 7 -> 8\n" },
	{ "place of a claim",
	  "UPDATE verdict SET place = 'calls/x.lua:13' WHERE claim = 'alice talks';",
	  0,
	  "same: what differs is random or a digest\n" },
	{ "a changed verdict",
	  "UPDATE verdict SET result = 'failed', because = 'no answer' WHERE claim = 'alice talks';",
	  1,
	  "different: 1 claim\n"
	  "claims: 1\n"
	  "    held -> failed  alice talks  (calls/x.lua:12)\n"
	  "        no answer\n" },
	{ "a claim more",
	  "INSERT INTO verdict VALUES ('keys are gone', 1, 'held', 7000000000, '', 'calls/x.lua:20');",
	  1,
	  "different: 1 claim\n"
	  "claims: 1\n"
	  "  + (none) -> held  keys are gone  (calls/x.lua:20)\n" },
	{ "one field",
	  "UPDATE field SET value = '2' WHERE kind = 'QUERY' AND path = 'CSeq';",
	  1,
	  "different: 1 field\n"
	  "first divergence: 1.001000 s  sc1>kdc QUERY #1\n"
	  "        CSeq: 1 -> 2\n"
	  "fields: 1\n"
	  "  the first divergence, above\n" },
	{ "a field and what follows",
	  "UPDATE field SET value = '2' WHERE kind IN ('INVITE', 'QUERY', '200 INVITE') AND path = 'CSeq';",
	  1,
	  "different: 3 fields\n"
	  "first divergence: 1.000000 s  alice>sc1 INVITE #1\n"
	  "        CSeq: 1 -> 2\n"
	  "  2 differences follow from it:\n"
	  "       1.001000 s  sc1>kdc QUERY #1\n"
	  "       1.003000 s  sc1>alice 200 INVITE #1\n"
	  "fields: 3\n"
	  "  the first divergence, above\n"
	  "  2 more, following from those told; --all shows them\n" },
	{ "a repeated field",
	  "UPDATE field SET value = 'three' WHERE kind = 'QUERY' AND path = 'via' AND rep = 2;"
	  "DELETE FROM field WHERE kind = 'BYE' AND path = 'via' AND rep = 1;",
	  1,
	  "different: 2 fields\n"
	  "first divergence: 1.001000 s  sc1>kdc QUERY #1\n"
	  "        via (2): two -> three\n"
	  "fields: 2\n"
	  "       3.002000 s  alice>sc1 BYE #1  via: one -> (none)\n"
	  "  the first divergence, above\n" },
	{ "refused",
	  "UPDATE message SET fate = 'refused', why = 'sc.replay_cache' WHERE kind = 'INVITE';"
	  "DELETE FROM message WHERE kind IN ('QUERY', 'REPLY', '200 INVITE');"
	  "DELETE FROM field WHERE kind IN ('QUERY', 'REPLY', '200 INVITE');",
	  1,
	  "different: 3 messages missing, added or moved, 2 fields\n"
	  "first divergence: 1.001000 s  alice>sc1 INVITE #1\n"
	  "        fate: accepted -> refused\n"
	  "        why: (empty) -> sc.replay_cache\n"
	  "  3 differences follow from it:\n"
	  "  -    1.001000 s  sc1>kdc QUERY #1\n"
	  "  -    1.002000 s  kdc>sc1 REPLY #1\n"
	  "  -    1.003000 s  sc1>alice 200 INVITE #1\n"
	  "messages missing, added, moved: 3\n"
	  "  kdc <> sc1: missing 2, added 0, moved 0; 2 of them follow from others\n"
	  "  alice <> sc1: missing 1, added 0, moved 0; 1 of them follows from another\n"
	  "fields: 2\n"
	  "  the first divergence, above\n" },
	{ "a message added",
	  SHIFT_INFO
	  "INSERT INTO message SELECT src, dst, kind, 1, 2000000000, 2001000000, fate, why, cause, actor, cover, proto, size, sha256 FROM message WHERE kind = 'INFO' AND nth = 2; INSERT INTO field SELECT src, dst, kind, 1, path, rep, value, class FROM field WHERE kind = 'INFO' AND nth = 2; UPDATE message SET cause = 'alice>sc1 INFO #2' WHERE kind = 'INFO' AND nth = 3; UPDATE message SET cause = 'alice>sc1 INFO #3' WHERE kind = 'BYE'",
	  1,
	  "different: 1 message missing, added or moved\n"
	  "first divergence: 2.000000 s  alice>sc1 INFO #1, only in B\n"
	  "messages missing, added, moved: 1\n"
	  "  alice <> sc1: missing 0, added 1, moved 0\n"
	  "    +    2.000000 s  alice>sc1 INFO #1\n" },
	{ "a message missing",
	  "DELETE FROM message WHERE kind = 'INFO' AND nth = 2;"
	  "DELETE FROM field WHERE kind = 'INFO' AND nth = 2;",
	  1,
	  "different: 1 message missing, added or moved, 1 field\n"
	  "first divergence: 3.001000 s  alice>sc1 INFO #2, only in A\n"
	  "  1 difference follows from it:\n"
	  "       3.002000 s  alice>sc1 BYE #1\n"
	  "messages missing, added, moved: 1\n"
	  "  alice <> sc1: missing 1, added 0, moved 0\n"
	  "    -    3.001000 s  alice>sc1 INFO #2 (1 follows)\n"
	  "fields: 1\n"
	  "  1 more, following from those told; --all shows them\n" },
	{ "messages swapped",
	  "UPDATE message SET sent_ns = 3500000000, got_ns = 3501000000 WHERE kind = 'INFO' AND nth = 2;",
	  1,
	  "different: 1 message missing, added or moved, timing\n"
	  "first divergence: 3.001000 s  alice>sc1 INFO #2, in another place in B\n"
	  "messages missing, added, moved: 1\n"
	  "  alice <> sc1: missing 0, added 0, moved 1\n"
	  "    ~    3.001000 s  alice>sc1 INFO #2\n"
	  "timing\n"
	  "  messages         1 of 7 moved: p50 0 ns, p95 499.000 ms, worst +499.000 ms (alice>sc1 INFO #2)\n" },
	{ "the size of a message",
	  "UPDATE message SET size = 11 WHERE kind = 'BYE';",
	  1,
	  "different: 1 field\n"
	  "first divergence: 3.002000 s  alice>sc1 BYE #1\n"
	  "        size: 10 -> 11\n"
	  "fields: 1\n"
	  "  the first divergence, above\n" },
	{ "a state path",
	  "UPDATE step SET event = 'timeout', after = 'Idle' WHERE nth = 2;",
	  1,
	  "different: 1 state path\n"
	  "first divergence: 1.004000 s  alice line\n"
	  "        step 2: Calling -answer-> Talking -> Calling -timeout-> Idle\n"
	  "state paths: 1\n"
	  "  the first divergence, above\n" },
	{ "a key's algorithm",
	  "UPDATE key SET algorithm = 'aes128-cbc';",
	  1,
	  "different: 1 key\n"
	  "first divergence: 1.000000 s  sc1/esp.cipher/1\n"
	  "        algorithm: des3-cbc -> aes128-cbc\n"
	  "keys: 1\n"
	  "  the first divergence, above\n" },
	{ "who holds a key",
	  "UPDATE key SET holders = 'alice,mallory,sc1';",
	  1,
	  "different: 1 key\n"
	  "keys: 1\n"
	  "    sc1/esp.cipher/1  holders: alice,sc1 -> alice,mallory,sc1\n" },
	{ "an account",
	  "UPDATE account SET talk_ns = 2999000000;"
	  "UPDATE call_record SET reason = 'lost', end_ns = 4003000000;",
	  1,
	  "different: 2 accounts and calls, timing\n"
	  "accounts and calls: 2\n"
	  "    account 5550101  talk_ns: 1.999000 s -> 2.999000 s\n"
	  "       1.000000 s  call record 5550101: 5550101 to 5550102 #1  reason: hung up -> lost\n"
	  "timing\n"
	  "  talk             p50 1.999000 s -> 2.999000 s, p95 1.999000 s -> 2.999000 s, worst 1.999000 s -> 2.999000 s\n" },
	{ "ids of calls",
	  "UPDATE call SET id = 'call-9';"
	  "UPDATE call_record SET id = 'call-9';",
	  0,
	  "same: what differs is random or a digest\n" },
	{ "a call",
	  "UPDATE call SET outcome = 'failed', reason = '486', answered_ns = NULL;",
	  1,
	  "different: 1 account or call\n"
	  "accounts and calls: 1\n"
	  "       1.000000 s  call 5550101 to 5550102 #1\n"
	  "        outcome: released -> failed\n"
	  "        reason: hung up -> 486\n"
	  "        answered: yes -> no\n" },
	{ "refusals",
	  "INSERT INTO refusal_count VALUES ('sc1', 'esp.auth', 3);",
	  1,
	  "different: 1 count of refusals\n"
	  "refusals: 1\n"
	  "  + sc1: esp.auth: count 3\n" },
	{ "elements",
	  "DELETE FROM iface WHERE node = 'mallory';"
	  "DELETE FROM node WHERE name = 'mallory';"
	  "UPDATE iface SET ip = '10.1.0.9' WHERE node = 'alice';",
	  1,
	  "different: 3 elements\n"
	  "elements: 3\n"
	  "  - node mallory\n"
	  "    interface alice:eth0  ip: 10.1.0.2 -> 10.1.0.9\n"
	  "  - interface mallory:eth0: ip 10.1.0.102, link lan\n" },
	{ "timing only",
	  "UPDATE message SET sent_ns = sent_ns + 20000, got_ns = got_ns + 50000 WHERE sent_ns > 2000000000;"
	  "UPDATE field SET value = '20000410000001Z' WHERE path = 'ctime';"
	  "UPDATE run SET value = '3003050000' WHERE name = 'end_ns';"
	  "UPDATE sample SET at_ns = at_ns + 1;"
	  "UPDATE call SET answered_ns = answered_ns + 1000000;",
	  1,
	  "different: timing\n"
	  "timing\n"
	  "  delivery         p50 1.000 ms -> 1.000 ms, p95 1.000 ms -> 1.030 ms, worst 1.000 ms -> 1.030 ms\n"
	  "  answered after   p50 4.000 ms -> 5.000 ms, p95 4.000 ms -> 5.000 ms, worst 4.000 ms -> 5.000 ms\n"
	  "  messages         3 of 7 moved: p50 0 ns, p95 20.000 us, worst +20.000 us (alice>sc1 BYE #1)\n"
	  "  fields of time   7 differ\n"
	  "  samples          1 differ, of 1\n"
	  "  end of the run   3.003000 s -> 3.003050 s\n" },
	{ "hostile bytes",
	  "UPDATE field SET value = CAST(x'1b5b324a0a3c22270920ff' AS TEXT) WHERE kind = 'QUERY' AND path = 'CSeq';"
	  "INSERT INTO message SELECT CAST(x'9b1b' AS TEXT), '>', ' #0', 1, 5, 6, fate, why, '> #9', actor, cover, proto, size, sha256 FROM message WHERE kind = 'BYE';"
	  "INSERT INTO message SELECT src, dst, CAST(x'410a1b' AS TEXT), 1, 7, 8, fate, why, '', actor, cover, proto, size, sha256 FROM message WHERE kind = 'BYE';"
	  "INSERT INTO field VALUES ('sc1', 'kdc', 'QUERY', 1, 'x_ns', 1, '12x', 'fact');"
	  "UPDATE message SET why = hex(zeroblob(5000)) WHERE kind = 'REPLY';",
	  1,
	  "different: 2 messages missing, added or moved, 3 fields\n"
	  "note: conversations with more than 262144 messages, 4096 kinds or 1024 differences, or kinds that are no text: 1; paired by number within each kind, not by the longest common subsequence\n"
	  "first divergence: 0.000000 s  \\x9b\\x1b>>  #0 #1, only in B\n"
	  "messages missing, added, moved: 2\n"
	  "  \\x9b\\x1b <> >: missing 0, added 1, moved 0\n"
	  "    +    0.000000 s  \\x9b\\x1b>>  #0 #1\n"
	  "  alice <> sc1: missing 0, added 1, moved 0\n"
	  "    +    0.000000 s  alice>sc1 A\\n\\x1b #1\n"
	  "fields: 3\n"
	  "       1.001000 s  sc1>kdc QUERY #1 (1 follows)\n"
	  "        CSeq: 1 -> \\x1b[2J\\n<\"'\\t \\xff\n"
	  "        x_ns: (none) -> 12x\n"
	  "  1 more, following from those told; --all shows them\n" },
	{ "another level",
	  "UPDATE run SET value = 'flow' WHERE name = 'record';"
	  "DELETE FROM field;",
	  0,
	  "same, in what both have recorded: what differs is random or a digest\n"
	  "run record: all -> flow\n"
	  "note: recorded as flow: fields are not compared\n" },
