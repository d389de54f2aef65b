/* The SQL of a campaign; see campaign.h. What `sqlite3 campaign.db .schema` shows is the documentation of the columns. */
#include "reports/campaign_internal.h"

const char campaign_schema_sql[] =
	"CREATE TABLE campaign (\n"
	"  name TEXT NOT NULL, -- scenario, title, topology, and their SHA-256: what all runs have in common\n"
	"  value TEXT NOT NULL,\n"
	"  PRIMARY KEY (name)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE run (\n"
	"  run TEXT NOT NULL, -- 'seed=7 wan=80ms'\n"
	"  variant TEXT NOT NULL, -- 'wan=80ms', '' for the scenario as it is\n"
	"  seed INTEGER NOT NULL,\n"
	"  code INTEGER NOT NULL, -- 0: all claims hold, 1: one failed\n"
	"  held INTEGER NOT NULL,\n"
	"  failed INTEGER NOT NULL,\n"
	"  end_ns INTEGER NOT NULL,\n"
	"  PRIMARY KEY (run)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE setting ( -- arguments and switches of a run, the scenario's own included\n"
	"  run TEXT NOT NULL,\n"
	"  name TEXT NOT NULL,\n"
	"  value TEXT NOT NULL,\n"
	"  PRIMARY KEY (run, name)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE verdict (\n"
	"  run TEXT NOT NULL,\n"
	"  claim TEXT NOT NULL,\n"
	"  nth INTEGER NOT NULL,\n"
	"  result TEXT NOT NULL,\n"
	"  at_ns INTEGER NOT NULL,\n"
	"  because TEXT NOT NULL,\n"
	"  place TEXT NOT NULL,\n"
	"  PRIMARY KEY (run, claim, nth)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE sample ( -- a run's samples, and of each call call.ringing_after, call.answered_after, call.talk at its caller\n"
	"  run TEXT NOT NULL,\n"
	"  node TEXT NOT NULL,\n"
	"  metric TEXT NOT NULL,\n"
	"  nth INTEGER NOT NULL,\n"
	"  at_ns INTEGER NOT NULL,\n"
	"  value INTEGER NOT NULL,\n"
	"  unit TEXT NOT NULL,\n"
	"  PRIMARY KEY (run, node, metric, nth)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE VIEW student AS -- 97.5 % quantile of Student's t by degrees of freedom; the last row for all above\n"
	"  SELECT column1 AS freedom, column2 AS t FROM (VALUES (1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (6, 2.447),\n"
	"    (7, 2.365), (8, 2.306), (9, 2.262), (10, 2.228), (11, 2.201), (12, 2.179), (13, 2.160), (14, 2.145), (15, 2.131), (16, 2.120),\n"
	"    (17, 2.110), (18, 2.101), (19, 2.093), (20, 2.086), (21, 2.080), (22, 2.074), (23, 2.069), (24, 2.064), (25, 2.060),\n"
	"    (26, 2.056), (27, 2.052), (28, 2.048), (29, 2.045), (30, 2.042), (40, 2.021), (60, 2.000), (120, 1.980), (1000, 1.962));\n"
	"CREATE VIEW run_mean AS -- a run is one observation: its mean\n"
	"  SELECT r.variant, s.node, s.metric, s.unit, s.run, count(*) AS samples, avg(s.value) AS mean\n"
	"  FROM sample s JOIN run r USING (run) GROUP BY s.run, s.node, s.metric, s.unit;\n"
	"CREATE VIEW quantile AS -- of all samples of a variant, by nearest rank\n"
	"  SELECT variant, node, metric, unit, count(*) AS samples, min(value) AS least,\n"
	"    max(iif(rank = (n * 50 + 99) / 100, value, NULL)) AS p50, max(iif(rank = (n * 95 + 99) / 100, value, NULL)) AS p95,\n"
	"    max(iif(rank = (n * 99 + 99) / 100, value, NULL)) AS p99, max(value) AS most FROM (\n"
	"      SELECT r.variant, s.node, s.metric, s.unit, s.value,\n"
	"        row_number() OVER (PARTITION BY r.variant, s.node, s.metric, s.unit ORDER BY s.value) AS rank,\n"
	"        count(*) OVER (PARTITION BY r.variant, s.node, s.metric, s.unit) AS n\n"
	"      FROM sample s JOIN run r USING (run))\n"
	"  GROUP BY variant, node, metric, unit ORDER BY metric, node, variant;\n"
	"CREATE VIEW statistics AS -- mean of the runs' means with its 95 % confidence interval; NULL where there is one run only\n"
	"  WITH m AS (SELECT variant, node, metric, unit, count(*) AS runs, avg(mean) AS mean FROM run_mean GROUP BY variant, node, metric, unit),\n"
	"  v AS (SELECT m.*, sum((r.mean - m.mean) * (r.mean - m.mean)) AS squares FROM m\n"
	"    JOIN run_mean r USING (variant, node, metric, unit) GROUP BY variant, node, metric, unit),\n"
	"  h AS (SELECT v.*, iif(runs > 1, (SELECT t FROM student WHERE freedom <= runs - 1 ORDER BY freedom DESC LIMIT 1)\n"
	"    * sqrt(squares / (runs - 1) / runs), NULL) AS half FROM v)\n"
	"  SELECT variant, node, metric, unit, runs, mean, mean - half AS low95, mean + half AS high95, q.samples, q.least, q.p50, q.p95,\n"
	"    q.p99, q.most FROM h JOIN quantile q USING (variant, node, metric, unit) ORDER BY metric, node, variant;\n"
	"CREATE VIEW claims AS -- in what share of the runs a claim holds, with Wilson's 95 % interval\n"
	"  WITH c AS (SELECT r.variant, v.place, v.claim, v.run, min(v.result = 'held') AS held FROM verdict v JOIN run r USING (run)\n"
	"    GROUP BY v.run, v.place, v.claim),\n"
	"  s AS (SELECT variant, place, claim, count(*) AS runs, sum(held) AS held, 1.0 * sum(held) / count(*) AS share, 1.96 * 1.96 AS zz\n"
	"    FROM c GROUP BY variant, place, claim)\n"
	"  SELECT variant, place, claim, runs, held, share,\n"
	"    max(0.0, (share + zz / (2 * runs) - 1.96 * sqrt(share * (1 - share) / runs + zz / (4.0 * runs * runs))) / (1 + zz / runs)) AS low95,\n"
	"    min(1.0, (share + zz / (2 * runs) + 1.96 * sqrt(share * (1 - share) / runs + zz / (4.0 * runs * runs))) / (1 + zz / runs)) AS high95\n"
	"  FROM s ORDER BY place, claim, variant;\n"
	"CREATE VIEW failures AS\n"
	"  SELECT run, place, claim, at_ns, because FROM verdict WHERE result <> 'held' ORDER BY run, at_ns, place, claim;\n";

#define COMMON "(name IN ('scenario', 'scenario.sha256', 'title', 'topology', 'topology.sha256'))"

/* ?1 key, ?2 variant, ?3 exit code; the result is attached as `part`. */
const char *const campaign_add_sql[] = {
	"INSERT OR IGNORE INTO campaign SELECT name, value FROM part.run WHERE " COMMON,
	"INSERT INTO run SELECT ?1, ?2, CAST((SELECT value FROM part.run WHERE name = 'seed') AS INTEGER), ?3,"
	" (SELECT count(*) FROM part.verdict WHERE result = 'held'), (SELECT count(*) FROM part.verdict WHERE result <> 'held'),"
	" CAST((SELECT value FROM part.run WHERE name = 'end_ns') AS INTEGER)",
	"INSERT INTO setting SELECT ?1, name, value FROM part.run WHERE name LIKE 'arg.%' OR name LIKE 'switch.%'",
	"INSERT INTO verdict SELECT ?1, claim, nth, result, at_ns, because, place FROM part.verdict",
	"INSERT INTO sample SELECT ?1, node, metric, nth, at_ns, value, unit FROM part.sample",
	"INSERT INTO sample SELECT ?1, caller, 'call.ringing_after', row_number() OVER (PARTITION BY caller ORDER BY ringing_ns, id),"
	" ringing_ns, ringing_ns - dialled_ns, 'ns' FROM part.call WHERE ringing_ns >= dialled_ns",
	"INSERT INTO sample SELECT ?1, caller, 'call.answered_after', row_number() OVER (PARTITION BY caller ORDER BY answered_ns, id),"
	" answered_ns, answered_ns - dialled_ns, 'ns' FROM part.call WHERE answered_ns >= dialled_ns",
	"INSERT INTO sample SELECT ?1, caller, 'call.talk', row_number() OVER (PARTITION BY caller ORDER BY ended_ns, id),"
	" ended_ns, ended_ns - answered_ns, 'ns' FROM part.call WHERE ended_ns >= answered_ns",
	NULL
};

/* A value that all runs must share and this one has otherwise. */
const char campaign_other_text_sql[] =
	"SELECT a.name FROM campaign a JOIN part.run b USING (name) WHERE a.value <> b.value ORDER BY a.name LIMIT 1";
const char campaign_other_campaign_sql[] =
	"SELECT a.name FROM campaign a JOIN part.campaign b USING (name) WHERE a.value <> b.value ORDER BY a.name LIMIT 1";

/* A run that is in both campaigns and differs. */
#define DIFFERS(table) \
	"SELECT run FROM (SELECT * FROM part." table " WHERE run IN (SELECT run FROM main.run) EXCEPT SELECT * FROM main." table ")" \
	" UNION SELECT run FROM (SELECT * FROM main." table " WHERE run IN (SELECT run FROM part.run) EXCEPT SELECT * FROM part." table ")"
const char campaign_differs_sql[] =
	"SELECT min(run) FROM (" DIFFERS("run") " UNION " DIFFERS("setting") " UNION " DIFFERS("verdict") " UNION " DIFFERS("sample") ")";
const char *const campaign_join_sql[] = {
	"INSERT OR IGNORE INTO campaign SELECT * FROM part.campaign",
	"INSERT OR IGNORE INTO setting SELECT * FROM part.setting",
	"INSERT OR IGNORE INTO verdict SELECT * FROM part.verdict",
	"INSERT OR IGNORE INTO sample SELECT * FROM part.sample",
	"INSERT OR IGNORE INTO run SELECT * FROM part.run",
	NULL
};
