/*
 * What the billing host has on its disk [0128]: accounts, call records, and the answers it has given to the
 * provisioning CA.
 *
 * An account is a customer's, open from "open" (or "move") to "close" (or "move"), and kept afterwards: what was called
 * is still to be paid. A number has one open account at most. Calls of a number that no customer has had get an account
 * without customer, so that no record is lost; calls of unprovisioned CTAs are on one account apart ("restricted"),
 * those of repair facilities on theirs [0176].
 *
 * Numbers are given again, and a record may come late: its payer is whoever had the number when the call was made, that
 * is, the newest account of that number that was not opened later (or, where all were, the first).
 */
#ifndef TOLLGATE_MODELS_BILLING_ACCOUNTS_H
#define TOLLGATE_MODELS_BILLING_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include "models/subscriber.h"
#include "models/wire/radius.h"

#define BILLING_ACCOUNTS_MAX 2000000
#define BILLING_RECORDS_MAX 20000000
#define BILLING_ANSWERS_MAX 65536 /* kept; beyond it the oldest go */
#define BILLING_DENIED_MAX 4096
#define BILLING_ID_LEN 24
#define RESTRICTED_ACCOUNT "restricted"

enum account_kind { ACCOUNT_CUSTOMER, ACCOUNT_REPAIR, ACCOUNT_RESTRICTED, ACCOUNT_NOBODY, ACCOUNT_KINDS };
extern const char *const account_kind_names[ACCOUNT_KINDS];

struct account {
	struct account *next;              /* in order of opening */
	enum account_kind kind;
	char id[BILLING_ID_LEN];           /* the customer's; "" */
	char number[SUBSCRIBER_NUMBER_LEN];
	char data[RADIUS_TEXT_MAX];        /* "name=...;address=...;pay=..." */
	char data_before[RADIUS_TEXT_MAX]; /* the last change */
	char options[RADIUS_TEXT_MAX];
	bool open;
	int64_t opened_s;                  /* Unix time; 0: before the run */
	struct account *earlier;           /* of the same number; NULL */
	struct account *moved_to;          /* whose it is now [0170]; NULL */
	uint64_t calls, seconds;           /* answered calls */
	uint64_t records;                  /* of all calls */
};

struct billing_totals { /* over all accounts of a kind */
	unsigned open;
	uint64_t calls, seconds;
};

struct billing_accounts;
struct billing_accounts *billing_accounts_new(void);
void billing_accounts_free(struct billing_accounts *accounts);

/* What the provisioning CA asks for. NULL: done; else the check that refuses, and nothing has changed. */
struct account_order {
	const char *id, *number, *data, *options; /* copied; number digits */
	const char *old_id;                       /* of a move; else "" */
	bool repair;
	int64_t now_s;                            /* Unix time */
};
const char *account_open(struct billing_accounts *accounts, const struct account_order *order);
const char *account_change(struct billing_accounts *accounts, const struct account_order *order);
const char *account_close(struct billing_accounts *accounts, const struct account_order *order);
const char *account_move(struct billing_accounts *accounts, const struct account_order *order);
const struct account *account_of_customer(const struct billing_accounts *accounts, const char *id);  /* NULL: none */
const struct account *account_of_number(const struct billing_accounts *accounts, const char *digits); /* the newest */
struct billing_totals billing_totals(const struct billing_accounts *accounts, enum account_kind kind);

/* Customers who get no account, by their name ("name=..." of their data). False: no room. */
bool billing_deny(struct billing_accounts *accounts, const char *name, bool denied);

/* Call records: one for each session of each server. */
struct billed_call {
	const char *from; /* the server's principal: sessions are its own to name (RFC 2866 section 5.5) */
	const char *id, *account, *caller, *callee; /* copied; account: a number's digits, or "restricted" */
	uint32_t seconds, cause;
	int64_t end_s;    /* Unix time; 0: it is not said, the account's owner of today pays */
};
enum billed { BILLED, BILLED_BEFORE, BILLED_OTHERWISE /* the same call with other contents: not taken */,
              BILLED_NO_ROOM };
enum billed account_bill(struct billing_accounts *accounts, const struct billed_call *call);
uint64_t billing_records(const struct billing_accounts *accounts);

/* Answers by the name of what was asked, so that a repetition changes nothing. */
struct billing_answer {
	uint8_t digest[32];        /* of the request */
	const char *check;         /* NULL: done */
	char id[BILLING_ID_LEN];
};
/* NULL: none */
const struct billing_answer *billing_answer_find(const struct billing_accounts *accounts, const char *state);
void billing_answer_keep(struct billing_accounts *accounts, const char *state, const struct billing_answer *answer);

#endif
