/*
 * A campaign: many runs of one scenario, over seeds and values of its arguments, with their samples, calls and verdicts in one
 * database; and what joins several.
 *
 * A run's key is its seed and the settings it was given beside the scenario's own: "seed=7 wan=80ms". A run is added whole, in one
 * transaction, from the result database that it left, so that a campaign that is killed goes on with the runs it lacks. At the
 * end the database is vacuumed into place: equal runs, in whatever order they came, give equal bytes.
 *
 * It holds exact integers and text only; the views compute means, quantiles by nearest rank and 95 % confidence intervals (Student's t
 * over the runs' means; Wilson's for the share of runs in which a claim holds) when they are read.
 */
#ifndef TOLLGATE_REPORTS_CAMPAIGN_H
#define TOLLGATE_REPORTS_CAMPAIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAMPAIGN_SCHEMA_VERSION 1
#define CAMPAIGN_APPLICATION_ID 0x546f6c63 /* PRAGMA application_id: "Tolc" */

struct campaign;

/* Opens or makes one. NULL: error (REPORT_ERROR_LEN bytes) says why: another kind of file, another version, cannot be written. */
struct campaign *campaign_open(const char *path, char *error);
/* Whether the file at path is one, by its first bytes. */
bool campaign_is_one(const char *path);
/* Whether it has the run of that key. */
bool campaign_has(struct campaign *campaign, const char *key);
/*
 * Adds the run that left the result database at `result`; variant: its key without the seed; code: its exit code, 0 or 1. False: error;
 * nothing of it was added. The first run settles the scenario; one of other text (SHA-256 of scenario, topology) is refused.
 */
bool campaign_add(struct campaign *campaign, const char *key, const char *variant, int code, const char *result, char *error);
/* Adds the runs of another campaign; one that is in both must be the same in both. False: error; nothing of it was added. */
bool campaign_join(struct campaign *campaign, const char *path, char *error);
/* Vacuums it into place and frees. False: error; what was added is there all the same. */
bool campaign_finish(struct campaign *campaign, char *error);
/* Closes it as it is, to be gone on with. Harmless on NULL. */
void campaign_leave(struct campaign *campaign);

#endif
