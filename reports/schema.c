/* The SQL of the result database; see schema.h. Times are nanoseconds of virtual time since the start of the run. */
#include "reports/schema.h"

#include <stddef.h>

const char schema_sql[] =
	"CREATE TABLE run (\n"
	"  name TEXT NOT NULL, -- scenario, seed, epoch_s (Unix time of 0 ns), end_ns, record (level), arguments, switches, attack\n"
	"    -- attack.outcome: stopped, succeeded, neither (as claimed), not tried; attack.expected: what it should be\n"
	"  value TEXT NOT NULL,\n"
	"  PRIMARY KEY (name)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE node (\n"
	"  name TEXT NOT NULL,\n"
	"  model TEXT NOT NULL, -- kind of element, '' for a bare node\n"
	"  PRIMARY KEY (name)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE iface (\n"
	"  node TEXT NOT NULL,\n"
	"  name TEXT NOT NULL,\n"
	"  mac TEXT NOT NULL,\n"
	"  ip TEXT NOT NULL, -- at the end of the run; '' for none\n"
	"  link TEXT NOT NULL,\n"
	"  PRIMARY KEY (node, name)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE message (\n"
	"  src TEXT NOT NULL, -- whose address the packet claims as source when it is sent; the address when it is nobody's\n"
	"  dst TEXT NOT NULL,\n"
	"  kind TEXT NOT NULL,\n"
	"  nth INTEGER NOT NULL, -- from 1 within (src, dst, kind)\n"
	"  sent_ns INTEGER NOT NULL,\n"
	"  got_ns INTEGER, -- when its fate came; NULL while sent\n"
	"  fate TEXT NOT NULL, -- sent, accepted, refused, lost, intercepted\n"
	"  why TEXT NOT NULL, -- the check that refused it, the place that lost it\n"
	"  cause TEXT NOT NULL, -- the message it answers as 'SRC>DST KIND #NTH', or 'timer:NAME', or ''\n"
	"  actor TEXT NOT NULL, -- who really sent it\n"
	"  cover TEXT NOT NULL, -- clear, krb5, esp, ah, rtp\n"
	"  proto TEXT NOT NULL,\n"
	"  size INTEGER NOT NULL, -- bytes in clear\n"
	"  sha256 TEXT NOT NULL, -- of these bytes\n"
	"  PRIMARY KEY (src, dst, kind, nth)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE field (\n"
	"  src TEXT NOT NULL,\n"
	"  dst TEXT NOT NULL,\n"
	"  kind TEXT NOT NULL,\n"
	"  nth INTEGER NOT NULL, -- these four: the message\n"
	"  path TEXT NOT NULL,\n"
	"  rep INTEGER NOT NULL, -- from 1; more than 1 where a message has a path several times\n"
	"  value TEXT NOT NULL,\n"
	"  class TEXT NOT NULL, -- fact, random, time\n"
	"  PRIMARY KEY (src, dst, kind, nth, path, rep)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE step (\n"
	"  node TEXT NOT NULL,\n"
	"  machine TEXT NOT NULL,\n"
	"  nth INTEGER NOT NULL,\n"
	"  at_ns INTEGER NOT NULL,\n"
	"  before TEXT NOT NULL,\n"
	"  event TEXT NOT NULL,\n"
	"  after TEXT NOT NULL,\n"
	"  refused INTEGER NOT NULL, -- 1: the event is not in the table for this state\n"
	"  cause TEXT NOT NULL, -- as in message; in a summary only timers are named\n"
	"  PRIMARY KEY (node, machine, nth)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE key (\n"
	"  name TEXT NOT NULL, -- 'HOLDER/ROLE/NTH' of the first who held it\n"
	"  role TEXT NOT NULL,\n"
	"  algorithm TEXT NOT NULL,\n"
	"  parent TEXT NOT NULL, -- name of the key it comes from, its fingerprint when nobody told of that one, or ''\n"
	"  how TEXT NOT NULL,\n"
	"  born_ns INTEGER NOT NULL,\n"
	"  dead_ns INTEGER, -- when the last holder dropped it; NULL: alive at the end\n"
	"  holders TEXT NOT NULL, -- all who ever held it, sorted, with commas\n"
	"  fingerprint TEXT NOT NULL,\n"
	"  PRIMARY KEY (name)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE call (\n"
	"  id TEXT NOT NULL,\n"
	"  caller TEXT NOT NULL,\n"
	"  callee TEXT NOT NULL,\n"
	"  dialled_ns INTEGER,\n"
	"  ringing_ns INTEGER,\n"
	"  answered_ns INTEGER,\n"
	"  ended_ns INTEGER,\n"
	"  outcome TEXT NOT NULL, -- released, failed, open\n"
	"  reason TEXT NOT NULL,\n"
	"  PRIMARY KEY (id)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE account ( -- what the call records add up to\n"
	"  name TEXT NOT NULL,\n"
	"  records INTEGER NOT NULL,\n"
	"  answered INTEGER NOT NULL,\n"
	"  talk_ns INTEGER NOT NULL,\n"
	"  PRIMARY KEY (name)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE call_record (\n"
	"  id TEXT NOT NULL,\n"
	"  nth INTEGER NOT NULL, -- more than 1: the call was recorded again\n"
	"  account TEXT NOT NULL,\n"
	"  caller TEXT NOT NULL,\n"
	"  callee TEXT NOT NULL,\n"
	"  start_ns INTEGER NOT NULL,\n"
	"  answer_ns INTEGER, -- NULL: never answered\n"
	"  end_ns INTEGER NOT NULL,\n"
	"  reason TEXT NOT NULL,\n"
	"  node TEXT NOT NULL, -- who made it\n"
	"  PRIMARY KEY (id, nth)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE verdict (\n"
	"  claim TEXT NOT NULL,\n"
	"  nth INTEGER NOT NULL,\n"
	"  result TEXT NOT NULL, -- held, failed\n"
	"  at_ns INTEGER NOT NULL,\n"
	"  because TEXT NOT NULL,\n"
	"  place TEXT NOT NULL,\n"
	"  PRIMARY KEY (claim, nth)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE sample (\n"
	"  node TEXT NOT NULL,\n"
	"  metric TEXT NOT NULL,\n"
	"  nth INTEGER NOT NULL,\n"
	"  at_ns INTEGER NOT NULL,\n"
	"  value INTEGER NOT NULL,\n"
	"  unit TEXT NOT NULL,\n"
	"  PRIMARY KEY (node, metric, nth)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE refusal (\n"
	"  node TEXT NOT NULL, -- who refused\n"
	"  why TEXT NOT NULL, -- the check\n"
	"  nth INTEGER NOT NULL,\n"
	"  at_ns INTEGER NOT NULL,\n"
	"  src TEXT NOT NULL, -- whose address the packet claimed\n"
	"  detail TEXT NOT NULL,\n"
	"  message TEXT NOT NULL, -- 'SRC>DST KIND #NTH', '' when it was none of the recorded\n"
	"  PRIMARY KEY (node, why, nth)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE refusal_count (\n"
	"  node TEXT NOT NULL,\n"
	"  why TEXT NOT NULL,\n"
	"  count INTEGER NOT NULL,\n"
	"  PRIMARY KEY (node, why)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE VIEW ladder AS\n"
	"  SELECT sent_ns, got_ns, src, dst, kind, nth, cover, fate, why, cause, actor, proto, size FROM message\n"
	"  ORDER BY sent_ns, src, dst, kind, nth;\n"
	"CREATE VIEW lineage AS -- every key below the root it descends from\n"
	"  WITH RECURSIVE line(name, root, depth, path) AS (\n"
	"    SELECT name, name, 0, name FROM key WHERE parent NOT IN (SELECT name FROM key)\n"
	"    UNION ALL\n"
	"    SELECT k.name, l.root, l.depth + 1, l.path || ' > ' || k.name FROM line l JOIN key k ON k.parent = l.name\n"
	"    WHERE l.depth < 32)\n"
	"  SELECT l.path, l.root, l.depth, k.* FROM line l JOIN key k ON k.name = l.name ORDER BY l.path;\n"
	"CREATE VIEW timeline AS\n"
	"  SELECT sent_ns AS at_ns, 'message' AS what, src AS who,\n"
	"    kind || ' #' || nth || ' to ' || dst || ' [' || cover || ']: ' || fate || iif(why = '', '', ' by ' || why) AS text\n"
	"    FROM message\n"
	"  UNION ALL SELECT at_ns, 'step', node,\n"
	"    machine || ': ' || before || ' -' || event || '-> ' || iif(refused, 'refused', after) FROM step\n"
	"  UNION ALL SELECT at_ns, 'refusal', node, why || iif(detail = '', '', ': ' || detail) FROM refusal\n"
	"  UNION ALL SELECT born_ns, 'key', name, 'born: ' || how FROM key\n"
	"  UNION ALL SELECT dead_ns, 'key', name, 'dead' FROM key WHERE dead_ns IS NOT NULL\n"
	"  UNION ALL SELECT dialled_ns, 'call', caller, 'dials ' || callee FROM call WHERE dialled_ns IS NOT NULL\n"
	"  UNION ALL SELECT ringing_ns, 'call', caller, callee || ' rings' FROM call WHERE ringing_ns IS NOT NULL\n"
	"  UNION ALL SELECT answered_ns, 'call', caller, callee || ' answers' FROM call WHERE answered_ns IS NOT NULL\n"
	"  UNION ALL SELECT ended_ns, 'call', caller, outcome || iif(reason = '', '', ': ' || reason) FROM call\n"
	"    WHERE ended_ns IS NOT NULL\n"
	"  UNION ALL SELECT at_ns, 'verdict', place, result || ': ' || claim FROM verdict\n"
	"  ORDER BY 1, 2, 3, 4;\n"
	"CREATE VIEW failures AS\n"
	"  SELECT at_ns, 'verdict' AS what, place AS who, claim || ': ' || because AS text FROM verdict WHERE result <> 'held'\n"
	"  UNION ALL SELECT ended_ns, 'call', caller, 'to ' || callee || ': ' || reason FROM call WHERE outcome = 'failed'\n"
	"  UNION ALL SELECT at_ns, 'step', node, machine || ': ' || event || ' refused in ' || before FROM step WHERE refused\n"
	"  UNION ALL SELECT got_ns, 'message', src, kind || ' #' || nth || ' to ' || dst || ': ' || fate || ' by ' || why\n"
	"    FROM message WHERE fate IN ('refused', 'lost', 'intercepted')\n"
	"  UNION ALL SELECT at_ns, 'refusal', node, why || iif(detail = '', '', ': ' || detail) FROM refusal WHERE message = ''\n"
	"  ORDER BY 1, 2, 3, 4;\n"
	"CREATE VIEW call_setup AS\n"
	"  SELECT id, caller, callee, outcome, reason, ringing_ns - dialled_ns AS ringing_after_ns,\n"
	"    answered_ns - dialled_ns AS answered_after_ns, ended_ns - answered_ns AS talk_ns FROM call\n"
	"  ORDER BY dialled_ns, id;\n";

const char schema_stage_sql[] =
	"CREATE TABLE s_flow (id INTEGER PRIMARY KEY, src, dst, kind);\n"
	"CREATE TABLE s_message (tag INTEGER PRIMARY KEY, flow, nth, sent_ns, got_ns, fate, why, cause, timer, actor, cover, proto,"
	" size, sha256);\n"
	"CREATE TABLE s_field (id INTEGER PRIMARY KEY, tag, path, value, class);\n"
	"CREATE TABLE s_step (node, machine, nth, at_ns, before, event, after, refused, cause, timer);\n"
	"CREATE TABLE s_sample (node, metric, nth, at_ns, value, unit);\n"
	"CREATE TABLE s_refusal (node, why, nth, at_ns, src, detail, cause);\n"
	"CREATE TABLE s_key (name, role, algorithm, parent, how, born_ns, dead_ns, holders, fingerprint);\n"
	"CREATE TABLE s_call (id, caller, callee, dialled_ns, ringing_ns, answered_ns, ended_ns, outcome, reason);\n"
	"CREATE TABLE s_record (id, nth, account, caller, callee, start_ns, answer_ns, end_ns, reason, node);\n";

/* The message with tag x.cause, as text; x.timer has precedence. */
#define JOIN_CAUSE "LEFT JOIN s_message c ON c.tag = x.cause LEFT JOIN s_flow cf ON cf.id = c.flow "
#define CAUSE_KEY "coalesce(cf.src || '>' || cf.dst || ' ' || cf.kind || ' #' || c.nth, '')"
#define CAUSE_TEXT "iif(x.timer = '', " CAUSE_KEY ", 'timer:' || x.timer)"

const char *const schema_finish_sql[] = {
	"INSERT INTO message SELECT f.src, f.dst, f.kind, x.nth, x.sent_ns, x.got_ns, x.fate, x.why, " CAUSE_TEXT ", x.actor, x.cover,"
	" x.proto, x.size, lower(hex(x.sha256)) FROM s_message x CROSS JOIN s_flow f ON f.id = x.flow " JOIN_CAUSE
	"ORDER BY f.src, f.dst, f.kind, x.nth",
	"INSERT INTO field SELECT f.src, f.dst, f.kind, m.nth, x.path,"
	" row_number() OVER (PARTITION BY f.src, f.dst, f.kind, m.nth, x.path ORDER BY x.id) AS rep, x.value, x.class"
	" FROM s_field x CROSS JOIN s_message m ON m.tag = x.tag CROSS JOIN s_flow f ON f.id = m.flow"
	" ORDER BY f.src, f.dst, f.kind, m.nth, x.path, rep",
	"INSERT INTO step SELECT x.node, x.machine, x.nth, x.at_ns, x.before, x.event, x.after, x.refused, " CAUSE_TEXT
	" FROM s_step x " JOIN_CAUSE "ORDER BY x.node, x.machine, x.nth",
	"INSERT INTO refusal SELECT x.node, x.why, x.nth, x.at_ns, x.src, x.detail, " CAUSE_KEY " FROM s_refusal x " JOIN_CAUSE
	"ORDER BY x.node, x.why, x.nth",
	"INSERT INTO sample SELECT * FROM s_sample ORDER BY node, metric, nth",
	"INSERT INTO key SELECT * FROM s_key ORDER BY name",
	"INSERT INTO call SELECT * FROM s_call ORDER BY id",
	"INSERT INTO call_record SELECT * FROM s_record ORDER BY id, nth",
	"INSERT INTO account SELECT account, count(*), count(answer_ns), coalesce(sum(end_ns - answer_ns), 0) FROM s_record"
	" GROUP BY account",
	"DROP TABLE s_message", "DROP TABLE s_flow", "DROP TABLE s_field", "DROP TABLE s_step", "DROP TABLE s_sample",
	"DROP TABLE s_refusal", "DROP TABLE s_key", "DROP TABLE s_call", "DROP TABLE s_record",
	NULL
};

const char *const schema_row_sql[ROW_COUNT] = {
	[ROW_RUN] = "INSERT OR REPLACE INTO run VALUES (?, ?)",
	[ROW_RUN_PRESET] = "INSERT OR IGNORE INTO run VALUES (?, ?)",
	[ROW_NODE] = "INSERT INTO node VALUES (?, ?)",
	[ROW_IFACE] = "INSERT INTO iface VALUES (?, ?, ?, ?, ?)",
	[ROW_CALL] = "INSERT INTO s_call VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ROW_VERDICT] = "INSERT INTO verdict VALUES (?, ?, ?, ?, ?, ?)",
	[ROW_REFUSAL_COUNT] = "INSERT INTO refusal_count VALUES (?, ?, ?)",
	[ROW_KEY] = "INSERT INTO s_key VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ROW_FLOW] = "INSERT INTO s_flow VALUES (?, ?, ?, ?)",
	[ROW_MESSAGE] = "INSERT INTO s_message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ROW_FIELD] = "INSERT INTO s_field VALUES (NULL, ?, ?, ?, ?)",
	[ROW_STEP] = "INSERT INTO s_step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ROW_SAMPLE] = "INSERT INTO s_sample VALUES (?, ?, ?, ?, ?, ?)",
	[ROW_REFUSAL] = "INSERT INTO s_refusal VALUES (?, ?, ?, ?, ?, ?, ?)",
	[ROW_RECORD] = "INSERT INTO s_record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ROW_FATE] = "UPDATE s_message SET got_ns = ?, fate = ?, why = ? WHERE tag = ?",
	[ROW_COVER] = "UPDATE s_message SET cover = ? WHERE tag = ?",
};
