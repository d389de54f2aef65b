/* The SQL of campaigns, for campaign.c; see campaign_schema.c. */
#ifndef TOLLGATE_REPORTS_CAMPAIGN_INTERNAL_H
#define TOLLGATE_REPORTS_CAMPAIGN_INTERNAL_H

#include "reports/campaign.h"

extern const char campaign_schema_sql[];
extern const char *const campaign_add_sql[], *const campaign_join_sql[]; /* NULL-ended */
extern const char campaign_other_text_sql[], campaign_other_campaign_sql[], campaign_differs_sql[];

#endif
