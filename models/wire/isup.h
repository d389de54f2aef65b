/*
 * ISUP (ITU-T Q.763) in MTP level 3 (Q.704 section 2.2, 14.2): how the POTS signaling gateway and the PSTN set up and
 * release calls on the circuits between them. The bytes are the service information octet, the routing label (ITU,
 * 14-bit point codes) and the ISUP message, as a TALI "mtp3" frame carries them. Bytes <-> struct, nothing else.
 *
 * Read strictly: the parts of a message follow each other without gap or overlap, its end is the end of the bytes, a
 * parameter has a length that Q.763 gives it and stands once. Optional parameters that are not named here are skipped.
 */
#ifndef TOLLGATE_WIRE_ISUP_H
#define TOLLGATE_WIRE_ISUP_H

#include "models/wire/bytes.h"

#define ISUP_MESSAGE_MAX 273   /* service octet and signaling information field */
#define ISUP_POINT_CODE_MAX 0x3fff
#define ISUP_SLS_MAX 15
#define ISUP_CIC_MAX 4095
#define ISUP_DIGITS_MAX 24
#define ISUP_RANGE_MAX 31      /* circuits of a group reset less one */

/* Q.763 table 4. */
enum isup_type {
	ISUP_IAM = 0x01, ISUP_ACM = 0x06, ISUP_CON = 0x07, ISUP_ANM = 0x09, ISUP_REL = 0x0c, ISUP_SUS = 0x0d,
	ISUP_RES = 0x0e, ISUP_RLC = 0x10, ISUP_RSC = 0x12, ISUP_GRS = 0x17, ISUP_GRA = 0x29,
	ISUP_CPG = 0x2c, ISUP_UCIC = 0x2e
};

/* Network indicator of the service information octet. */
enum isup_network { ISUP_INTERNATIONAL = 0, ISUP_NATIONAL = 2 };
/* Nature of address indicator, Q.763 section 3.9. */
enum isup_nature { ISUP_SUBSCRIBER = 1, ISUP_UNKNOWN = 2, ISUP_NATIONAL_NUMBER = 3, ISUP_INTERNATIONAL_NUMBER = 4 };
enum { ISUP_PLAN_E164 = 1 };
enum isup_presentation { ISUP_ALLOWED = 0, ISUP_RESTRICTED = 1, ISUP_UNAVAILABLE = 2 };
enum isup_screening { ISUP_USER_PASSED = 1, ISUP_NETWORK_PROVIDED = 3 };
/* Forward call indicators, section 3.23: octet 1 in the low byte. */
enum { ISUP_FORWARD_INTERNATIONAL = 0x0001, ISUP_FORWARD_INTERWORKING = 0x0008, ISUP_FORWARD_ISUP_ALL_THE_WAY = 0x0020,
	ISUP_FORWARD_ISUP_NOT_REQUIRED = 0x0040, ISUP_FORWARD_ISDN_ACCESS = 0x0100 };
/* Calling party's category, section 3.11; 0 is unknown. */
enum { ISUP_ORDINARY_SUBSCRIBER = 10, ISUP_TEST_CALL = 13, ISUP_PAYPHONE = 15 };
/* Transmission medium requirement, section 3.54. */
enum { ISUP_SPEECH = 0, ISUP_AUDIO_3K1 = 3 };
/* Backward call indicators, section 3.5: octet 1 in the low byte. */
enum { ISUP_BACKWARD_NO_CHARGE = 0x0001, ISUP_BACKWARD_CHARGE = 0x0002, ISUP_BACKWARD_SUBSCRIBER_FREE = 0x0004,
	ISUP_BACKWARD_ORDINARY_SUBSCRIBER = 0x0010, ISUP_BACKWARD_INTERWORKING = 0x0100,
	ISUP_BACKWARD_ISUP_ALL_THE_WAY = 0x0400, ISUP_BACKWARD_ISDN_ACCESS = 0x1000 };
/* Event information, section 3.21. */
enum isup_event { ISUP_EVENT_ALERTING = 1, ISUP_EVENT_PROGRESS = 2, ISUP_EVENT_IN_BAND = 3 };
/* Optional backward call indicators, section 3.37. */
enum { ISUP_OPTIONAL_IN_BAND = 0x01 };
/* Suspend/resume indicators, section 3.52. */
enum { ISUP_BY_SUBSCRIBER = 0, ISUP_BY_NETWORK = 1 };
/* Location of a cause, Q.850 section 2.2.3. */
enum isup_location { ISUP_LOCATION_USER = 0, ISUP_LOCATION_LOCAL_PRIVATE = 1, ISUP_LOCATION_LOCAL_PUBLIC = 2,
	ISUP_LOCATION_TRANSIT = 3, ISUP_LOCATION_REMOTE_PUBLIC = 4, ISUP_LOCATION_BEYOND = 10 };
/* Causes, Q.850 section 2.2.5. */
enum isup_cause {
	ISUP_CAUSE_UNALLOCATED = 1, ISUP_CAUSE_NO_ROUTE = 3, ISUP_CAUSE_NORMAL = 16, ISUP_CAUSE_BUSY = 17,
	ISUP_CAUSE_NO_RESPONSE = 18, ISUP_CAUSE_NO_ANSWER = 19, ISUP_CAUSE_REJECTED = 21, ISUP_CAUSE_CHANGED = 22,
	ISUP_CAUSE_OUT_OF_ORDER = 27, ISUP_CAUSE_INCOMPLETE = 28, ISUP_CAUSE_NORMAL_UNSPECIFIED = 31,
	ISUP_CAUSE_NO_CIRCUIT = 34, ISUP_CAUSE_NETWORK = 38, ISUP_CAUSE_TEMPORARY = 41, ISUP_CAUSE_CONGESTION = 42,
	ISUP_CAUSE_CIRCUIT_UNAVAILABLE = 44, ISUP_CAUSE_NO_RESOURCE = 47, ISUP_CAUSE_BARRED = 57,
	ISUP_CAUSE_TIMER = 102, ISUP_CAUSE_PROTOCOL = 111, ISUP_CAUSE_INTERWORKING = 127
};

struct isup_number {
	bool present;
	uint8_t nature;              /* enum isup_nature; up to 127 */
	uint8_t plan;                /* ISUP_PLAN_E164; up to 7 */
	bool flag;                   /* called: routing to an internal number not allowed; calling: incomplete */
	uint8_t presentation, screening; /* calling only; up to 3 */
	char digits[ISUP_DIGITS_MAX + 1]; /* 0-9, 'b' and 'c' (codes 11 and 12), 'f' (end of dialling) */
};

/* What the type has no parameter for is 0 or absent. */
struct isup {
	uint8_t network;             /* enum isup_network, up to 3 */
	uint16_t dpc, opc;           /* 14 bit */
	uint8_t sls;                 /* 4 bit */
	uint16_t cic;                /* 12 bit */
	enum isup_type type;
	/* IAM */
	uint8_t connection;          /* nature of connection indicators, section 3.35 */
	uint16_t forward;            /* ISUP_FORWARD_ */
	uint8_t category, medium;
	struct isup_number called;   /* at least one digit */
	struct isup_number calling;  /* optional */
	/* ACM, CON */
	uint16_t backward;           /* ISUP_BACKWARD_ */
	/* ACM, CON, ANM, CPG: optional */
	bool has_optional_backward;
	uint8_t optional_backward;
	/* CPG */
	uint8_t event;               /* bits 1-7, enum isup_event; bit 8: presentation restricted */
	/* REL; optional in ACM, CPG, RLC. cause 0: absent */
	uint8_t location, cause;
	/* GRS, GRA: range + 1 circuits from cic on; bit n of status is circuit cic + n (GRA) */
	uint8_t range;
	uint32_t status;
	/* SUS, RES */
	uint8_t suspend;
};

/*
 * The number as it is dialled: decimal digits; "end of dialling" behind them says nothing more. False: other codes in
 * it, which are no part of a subscriber's number.
 */
bool isup_dialled(const struct isup_number *number, char out[ISUP_DIGITS_MAX + 1]);

bool isup_parse(const uint8_t *bytes, size_t len, struct isup *out);
/* Returns the length; 0: no room, or a value that its field cannot hold. */
size_t isup_write(const struct isup *message, uint8_t *out, size_t size);
/* "IAM": what a ladder shows; NULL for a type that is not read here. */
const char *isup_kind(enum isup_type type);
void isup_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx);

#endif
