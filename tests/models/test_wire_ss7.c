/*
 * TALI frames and the ISUP messages in them: bytes put together by hand after Q.763 (tshark 4.0 reads every one of them
 * down to its digits and causes, as mtp3 and isup in tali), round trips, streams, what is refused, mutations.
 */
#include "models/wire/isup.h"
#include "models/wire/tali.h"
#include "tests/models/wire_fixture.h"

/*
 * From 1001 to 2002, national, signaling link 5: the label is 5 << 28 | 1001 << 14 | 2002 = 0x50fa47d2, low byte first.
 * Circuit 5. Called 6105550102 and end of dialling, calling 2155550101, presentation allowed, provided by the network.
 */
#define LABEL "85 d247fa50 0500 "
static const char iam[] = LABEL "01 00 2001 0a 03 02 0a 08 83 10 16 50 55 10 20 0f 0a 07 03 13 12 55 55 10 10 00";

/* The messages one after the other; each is written to the same bytes. */
static const struct {
	const char *hex;
	struct isup m;
} messages[] = {
	{ iam, { .type = ISUP_IAM, .forward = 0x0120, .category = ISUP_ORDINARY_SUBSCRIBER, .medium = ISUP_AUDIO_3K1,
	         .called = { true, ISUP_NATIONAL_NUMBER, ISUP_PLAN_E164, false, 0, 0, "6105550102f" },
	         .calling = { true, ISUP_NATIONAL_NUMBER, ISUP_PLAN_E164, false, 0, ISUP_NETWORK_PROVIDED,
	                      "2155550101" } } },
	{ LABEL "01 10 6001 0d 00 02 00 04 83 90 19 01",
	  { .type = ISUP_IAM, .connection = 0x10,
	    .forward = ISUP_FORWARD_ISUP_ALL_THE_WAY | ISUP_FORWARD_ISUP_NOT_REQUIRED |
	    ISUP_FORWARD_ISDN_ACCESS, .category = ISUP_TEST_CALL, .called = { true, 3, 1, true, 0, 0, "911" } } },
	{ LABEL "01 00 0000 00 00 02 05 03 04 10 bc 0a 02 00 0b 00",
	  { .type = ISUP_IAM, .called = { true, 4, 1, false, 0, 0, "cb" },
	    .calling = { true, 0, 0, false, 2, 3, "" } } },
	{ LABEL "06 1614 00", { .type = ISUP_ACM, .backward = 0x1416 } },
	{ LABEL "06 1614 01 29 01 01 12 02 82 91 00",
	  { .type = ISUP_ACM, .backward = 0x1416, .has_optional_backward = true,
	    .optional_backward = ISUP_OPTIONAL_IN_BAND,
	    .location = ISUP_LOCATION_LOCAL_PUBLIC, .cause = ISUP_CAUSE_BUSY } },
	{ LABEL "07 1614 00", { .type = ISUP_CON, .backward = 0x1416 } },
	{ LABEL "09 00", { .type = ISUP_ANM } },
	{ LABEL "09 01 29 01 00 00", { .type = ISUP_ANM, .has_optional_backward = true } },
	{ LABEL "2c 01 00", { .type = ISUP_CPG, .event = ISUP_EVENT_ALERTING } },
	{ LABEL "0c 02 00 02 82 90",
	  { .type = ISUP_REL, .location = ISUP_LOCATION_LOCAL_PUBLIC, .cause = ISUP_CAUSE_NORMAL } },
	{ LABEL "0c 02 00 02 8a a2",
	  { .type = ISUP_REL, .location = ISUP_LOCATION_BEYOND, .cause = ISUP_CAUSE_NO_CIRCUIT } },
	{ LABEL "10 00", { .type = ISUP_RLC } },
	{ LABEL "0d 01 00", { .type = ISUP_SUS, .suspend = ISUP_BY_NETWORK } },
	{ LABEL "0e 00 00", { .type = ISUP_RES, .suspend = ISUP_BY_SUBSCRIBER } },
	{ LABEL "12", { .type = ISUP_RSC } },
	{ LABEL "17 01 01 1d", { .type = ISUP_GRS, .range = 29 } },
	{ LABEL "29 01 05 1d 01000020", { .type = ISUP_GRA, .range = 29, .status = 0x20000001 } },
	{ LABEL "29 01 02 07 80", { .type = ISUP_GRA, .range = 7, .status = 0x80 } },
	{ LABEL "29 01 05 1f ffffffff", { .type = ISUP_GRA, .range = 31, .status = UINT32_MAX } },
	{ LABEL "2e", { .type = ISUP_UCIC } },
};
#define MESSAGE_COUNT (int)(sizeof messages / sizeof messages[0])

static struct isup labelled(int i)
{
	struct isup m = messages[i].m;

	m.network = ISUP_NATIONAL;
	m.opc = 1001;
	m.dpc = 2002;
	m.sls = 5;
	m.cic = 5;
	return m;
}

static void check_number(const struct isup_number *a, const struct isup_number *b)
{
	ck_assert(a->present == b->present && a->nature == b->nature && a->plan == b->plan && a->flag == b->flag);
	ck_assert(a->presentation == b->presentation && a->screening == b->screening);
	ck_assert_str_eq(a->digits, b->digits);
}

static void check_same(const struct isup *a, const struct isup *b)
{
	ck_assert(a->network == b->network && a->dpc == b->dpc && a->opc == b->opc && a->sls == b->sls &&
	          a->cic == b->cic);
	ck_assert(a->type == b->type && a->connection == b->connection && a->forward == b->forward);
	ck_assert(a->category == b->category && a->medium == b->medium && a->backward == b->backward);
	ck_assert(a->has_optional_backward == b->has_optional_backward && a->optional_backward == b->optional_backward);
	ck_assert(a->event == b->event && a->location == b->location && a->cause == b->cause);
	ck_assert(a->range == b->range && a->status == b->status && a->suspend == b->suspend);
	check_number(&a->called, &b->called);
	check_number(&a->calling, &b->calling);
}

static bool parse(const char *hex, struct isup *m)
{
	uint8_t bytes[FIXTURE_MAX], *block;
	size_t len = bytes_of(hex, bytes);
	bool good;

	block = exact_copy(bytes, len);
	good = isup_parse(block, len, m);
	free(block);
	return good;
}

START_TEST(messages_are_read_and_written)
{
	struct isup expected = labelled(_i), m;
	uint8_t golden[FIXTURE_MAX], out[FIXTURE_MAX];
	size_t len = bytes_of(messages[_i].hex, golden);

	ck_assert(parse(messages[_i].hex, &m));
	check_same(&expected, &m);
	ck_assert_ptr_nonnull(isup_kind(m.type));
	ck_assert_uint_eq(isup_write(&expected, out, sizeof out), len);
	ck_assert_mem_eq(out, golden, len);
	ck_assert_uint_eq(isup_write(&expected, out, len), len);
	ck_assert_uint_eq(isup_write(&expected, out, len - 1), 0);
}
END_TEST

START_TEST(no_shorter_or_longer_message_is_accepted)
{
	uint8_t bytes[FIXTURE_MAX];
	size_t len = bytes_of(messages[_i].hex, bytes);
	struct isup m;

	for (size_t n = 0; n < len; n++) {
		uint8_t *block = exact_copy(bytes, n);

		ck_assert_msg(!isup_parse(block, n, &m), "%s cut to %zu", messages[_i].hex, n);
		free(block);
	}
	bytes[len] = 0;
	ck_assert(!isup_parse(bytes, len + 1, &m));
}
END_TEST

/* "Protocols/isup", Wireshark wiki: DPC 12163, OPC 11522, network 3, CIC 213; here before an ANM */
START_TEST(label_of_a_capture)
{
	struct isup m;

	ck_assert(parse("c5 83af400b d500 09 00", &m));
	ck_assert(m.network == 3 && m.dpc == 12163 && m.opc == 11522 && m.sls == 0 && m.cic == 213 &&
	          m.type == ISUP_ANM);
}
END_TEST

/* hop counter (61) and user-to-user information (32), Q.763 table 5 */
START_TEST(unknown_optional_parameters_are_skipped)
{
	struct isup m;

	ck_assert(parse(LABEL "01 00 2001 0a 03 02 06 04 03 10 16 50 3d 01 0a 0a 04 03 13 12 55 20 02 04ff 00", &m));
	ck_assert_str_eq(m.called.digits, "6105");
	ck_assert_str_eq(m.calling.digits, "2155");
	ck_assert(parse(LABEL "0c 02 04 02 82 90 3d 01 0a 00", &m) && m.cause == ISUP_CAUSE_NORMAL);
	ck_assert(parse(LABEL "09 01 12 02 82 90 00", &m) && m.cause == 0); /* a cause says nothing in an ANM */
}
END_TEST

START_TEST(causes) /* Q.850 section 2.2: a recommendation octet before, diagnostics behind */
{
	struct isup m;

	ck_assert(parse(LABEL "0c 02 00 03 02 80 91", &m) && m.cause == 17 && m.location == 2);
	ck_assert(parse(LABEL "0c 02 00 05 80 81 010203", &m) && m.cause == 1 && m.location == 0);
}
END_TEST

/* Each by one change to the IAM above: type at 7, called number's length at 15, optional part from 24 on. */
static const struct edit refusals[] = {
	{ "service of SCCP", 0, 1, "83" },
	{ "circuit of more than 12 bits", 6, 1, "10" },
	{ "unknown type", 7, 1, "ff" },
	{ "type 0", 7, 1, "00" },
	{ "called number inside the pointers", 13, 1, "01" },
	{ "called number behind a gap", 13, 1, "03" },
	{ "called number ahead of everything", 13, 1, "00" },
	{ "optional part inside the called number", 14, 1, "09" },
	{ "optional part behind a gap", 14, 1, "0b" },
	{ "optional part beyond the message", 14, 1, "ff" },
	{ "no optional part, and bytes there", 14, 1, "00" },
	{ "called number of no length", 15, 1, "00" },
	{ "called number of one octet", 15, 1, "01" },
	{ "called number beyond the message", 15, 1, "ff" },
	{ "called number without digits", 14, 10, "04 02 0310" },
	{ "called number odd and without digits", 14, 10, "04 02 8310" },
	{ "called number with code 10", 18, 1, "1a" },
	{ "called number with code 13", 18, 1, "d6" },
	{ "called number with code 14", 18, 1, "e6" },
	{ "odd number with a filler that is not 0", 23, 1, "1f" },
	{ "number of 25 digits", 14, 10, "11 0f 83 10 11*12 01" },
	{ "calling number of one octet", 24, 9, "0a 01 03" },
	{ "calling number odd and without digits", 24, 9, "0a 02 83 13" },
	{ "calling number beyond the message", 25, 1, "09" },
	{ "calling number twice", 24, 0, "0a 03 03 13 12" },
	{ "unknown parameter twice", 24, 0, "3d 01 0a 3d 01 0a" },
	{ "parameter of no length", 24, 0, "3d 00" },
	{ "no end of the optional part", -1, 1, "" },
	{ "parameter code only", -1, 1, "3d" },
	{ "bytes behind the end", -1, 0, "00" },
};

/* Whole messages. */
static const struct {
	const char *why, *hex;
} bad_messages[] = {
	{ "cause of one octet", LABEL "0c 02 00 01 82" },
	{ "cause 0", LABEL "0c 02 00 02 82 80" },
	{ "cause of another coding standard", LABEL "0c 02 00 02 e2 90" },
	{ "cause whose octet is not the last", LABEL "0c 02 00 02 82 10" },
	{ "recommendation without a cause", LABEL "0c 02 00 02 02 80" },
	{ "recommendation that goes on", LABEL "0c 02 00 03 02 00 90" },
	{ "release without a cause", LABEL "0c 02 00" },
	{ "reset of one circuit as a group", LABEL "17 01 01 00" },
	{ "reset of 33 circuits", LABEL "17 01 01 20" },
	{ "reset with a status", LABEL "17 01 02 07 00" },
	{ "reset acknowledged without a status", LABEL "29 01 01 07" },
	{ "status too short", LABEL "29 01 02 08 00" },
	{ "status too long", LABEL "29 01 03 07 0000" },
	{ "status of a circuit out of range", LABEL "29 01 02 03 10" },
	{ "reset with bytes behind", LABEL "12 00" },
	{ "optional indicators of two octets", LABEL "09 01 29 02 0000 00" },
	{ "pointer ahead in an answer", LABEL "09 02 29 01 00 00" },
	{ "empty", "" },
};

START_TEST(refuses)
{
	uint8_t bytes[FIXTURE_MAX], *block;
	size_t len = bytes_of(iam, bytes), edited_len;
	struct isup m = { .cic = 77 };

	block = edited(bytes, len, &refusals[_i], &edited_len);
	ck_assert_msg(!isup_parse(block, edited_len, &m), "accepted: %s", refusals[_i].why);
	ck_assert_uint_eq(m.cic, 77);
	free(block);
}
END_TEST

START_TEST(refuses_messages)
{
	struct isup m;

	ck_assert_msg(!parse(bad_messages[_i].hex, &m), "accepted: %s", bad_messages[_i].why);
}
END_TEST

START_TEST(largest_values_come_back)
{
	struct isup in[] = {
		{ .network = 3, .dpc = ISUP_POINT_CODE_MAX, .opc = ISUP_POINT_CODE_MAX, .sls = ISUP_SLS_MAX,
		  .cic = ISUP_CIC_MAX,
		  .type = ISUP_IAM, .connection = 255, .forward = 65535, .category = 255, .medium = 255,
		  .called = { true, 127, 7, true, 0, 0, "0123456789bcf0123456789b" },
		  .calling = { true, 127, 7, true, 3, 3, "0123456789bcf0123456789b" } },
		{ .type = ISUP_REL, .location = 15, .cause = 127 },
	};

	for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
		uint8_t bytes[ISUP_MESSAGE_MAX];
		size_t len = isup_write(&in[i], bytes, sizeof bytes);
		struct isup out;

		ck_assert(len && isup_parse(bytes, len, &out));
		check_same(&in[i], &out);
	}
}
END_TEST

START_TEST(values_that_do_not_fit_are_not_written)
{
	const struct isup good = labelled(0);
	struct isup bad[] = { good, good, good, good, good, good, good, good, good, labelled(9), labelled(9),
	                      labelled(15), labelled(17), good, good, good, good };
	uint8_t bytes[FIXTURE_MAX];

	bad[0].network = 4;
	bad[1].dpc = 0x4000;
	bad[2].opc = 0x4000;
	bad[3].sls = 16;
	bad[4].cic = 4096;
	bad[5].type = (enum isup_type)0;
	bad[6].called.digits[0] = '\0';
	bad[7].called.digits[3] = 'x';
	bad[8].calling.nature = 128;
	bad[9].cause = 0;
	bad[10].location = 16;
	bad[11].range = 32;
	bad[12].status = 0x100;
	bad[13].calling.digits[0] = ' ';
	bad[14].calling.plan = 8;
	bad[15].calling.presentation = 4;
	bad[16].calling.screening = 4;
	ck_assert_uint_gt(isup_write(&good, bytes, sizeof bytes), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(isup_write(&bad[i], bytes, sizeof bytes) == 0, "written: %zu", i);
}
END_TEST

START_TEST(frames) /* RFC 3094 section 3.2: TALI, operation, length with its low byte first */
{
	static const char codes[][5] = { "test", "allo", "proh", "proa", "moni", "mona", "sccp", "isot", "mtp3",
	                                 "saal" };
	static char payload[TALI_PAYLOAD_MAX + 1];
	size_t max = _i < TALI_MONITOR ? 0 : _i < TALI_SCCP ? TALI_MONITOR_MAX : TALI_PAYLOAD_MAX;
	struct tali in = { (enum tali_kind)_i, { payload, max } }, out;
	uint8_t bytes[FIXTURE_MAX], all[FIXTURE_MAX];
	size_t len = tali_write(&in, bytes, sizeof bytes);

	ck_assert_uint_eq(len, TALI_HEADER_LEN + max);
	ck_assert_mem_eq(bytes, "TALI", 4);
	ck_assert_mem_eq(bytes + 4, codes[_i], 4);
	ck_assert_uint_eq(tali_write(&(struct tali){ TALI_KIND_COUNT, { payload, 1 } }, all, sizeof all), 0);
	ck_assert_str_eq(tali_name(in.kind), codes[_i]);
	ck_assert(bytes[8] == (max & 255) && bytes[9] == max >> 8);
	ck_assert_int_eq(tali_parse(bytes, len, &out), (long)len);
	ck_assert(out.kind == in.kind && out.payload.len == max);
	ck_assert_uint_eq(tali_write(&in, bytes, len - 1), 0);
	in.payload.len++;
	ck_assert_uint_eq(tali_write(&in, bytes, sizeof bytes), 0);
	bytes[8] = (uint8_t)in.payload.len;
	bytes[9] = (uint8_t)(in.payload.len >> 8);
	ck_assert_int_eq(tali_parse(bytes, sizeof bytes, &out), -1);
	in.payload.len = 0;
	ck_assert_uint_eq(tali_write(&in, bytes, sizeof bytes), _i < TALI_SCCP ? TALI_HEADER_LEN : 0);
	memset(bytes + 8, 0, 2);
	ck_assert_int_eq(tali_parse(bytes, TALI_HEADER_LEN, &out), _i < TALI_SCCP ? TALI_HEADER_LEN : -1);
}
END_TEST

/* test, an IAM in mtp3, allo; however the bytes come, the same frames come out. */
START_TEST(streams)
{
	uint8_t all[FIXTURE_MAX], message[FIXTURE_MAX];
	size_t len = bytes_of("54414c49 74657374 0000 54414c49 6d747033 2200", all);
	size_t message_len = bytes_of(iam, message), at = 0;
	struct tali frame;
	struct isup m;
	unsigned frames_seen = 0;

	ck_assert_uint_eq(message_len, 0x22);
	memcpy(all + len, message, message_len);
	len += message_len;
	len += bytes_of("54414c49 616c6c6f 0000", all + len);
	for (size_t come = 0; come <= len; come++) {
		uint8_t *block = exact_copy(all + at, come - at);
		long taken = tali_parse(block, come - at, &frame);

		ck_assert_int_ge(taken, 0);
		if (taken) {
			ck_assert_uint_eq(frame.kind,
			                  ((enum tali_kind[]){ TALI_TEST, TALI_MTP3, TALI_ALLOW })[frames_seen++]);
			if (frame.kind == TALI_MTP3)
				ck_assert(isup_parse((const uint8_t *)frame.payload.at, frame.payload.len, &m));
			at += (size_t)taken;
		}
		free(block);
	}
	ck_assert(at == len && frames_seen == 3);
	ck_assert_str_eq(m.called.digits, "6105550102f");
}
END_TEST

START_TEST(no_frames) /* refused with the first byte that is wrong */
{
	static const struct {
		const char *hex;
		size_t enough;
	} bad[] = {
		{ "54414c48 74657374 0000", 4 }, { "00", 1 }, { "54414c49 54657374 0000", 5 },
		{ "54414c49 74657378 0000", 8 },
		{ "54414c49 74657374 0100 00", 10 }, { "54414c49 6d747033 0000", 10 }, { "54414c49 6d747033 1201", 10 },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t bytes[FIXTURE_MAX];
		size_t len = bytes_of(bad[i].hex, bytes);
		struct tali frame;

		for (size_t n = 0; n <= len; n++)
			ck_assert_msg(tali_parse(bytes, n, &frame) == (n < bad[i].enough ? 0 : -1), "%s, %zu",
			              bad[i].hex, n);
	}
}
END_TEST

static size_t accepted, described;

static void run_mutant(const uint8_t *bytes, size_t len)
{
	char all[FIXTURE_MAX] = "";
	struct isup m;

	accepted += isup_parse(bytes, len, &m);
	isup_describe(bytes, len, collect, all);
	described += strlen(all) > 0;
}

START_TEST(isup_survives_mutations)
{
	static const int of[] = { 0, 4, 9, 16 };
	uint8_t bytes[FIXTURE_MAX];

	mutate(bytes, bytes_of(messages[of[_i]].hex, bytes), 763, run_mutant);
	ck_assert(accepted > 0 && accepted < FIXTURE_MUTATIONS && described == accepted);
}
END_TEST

static void run_frame(const uint8_t *bytes, size_t len)
{
	char all[FIXTURE_MAX] = "";
	struct tali frame;
	long taken = tali_parse(bytes, len, &frame);

	ck_assert(taken >= -1 && taken <= (long)len);
	accepted += taken > 0;
	tali_describe(bytes, len, collect, all);
	described += strlen(all) > 0;
	if (taken > 0)
		run_mutant((const uint8_t *)frame.payload.at, frame.payload.len);
}

START_TEST(tali_survives_mutations)
{
	uint8_t bytes[FIXTURE_MAX];
	size_t len = bytes_of("54414c49 6d747033 2200", bytes);

	mutate(bytes, len + bytes_of(iam, bytes + len), 3094, run_frame);
	ck_assert(accepted > 0 && described == accepted);
}
END_TEST

START_TEST(dialled_digits)
{
	static const struct { const char *digits, *dialled; } numbers[] = {
		{ "2155550101", "2155550101" }, { "2155550101f", "2155550101" }, { "215b5550101", NULL },
		{ "21f5", NULL }, { "215ff", NULL }, { "f", NULL }, { "c", NULL }, { "", NULL },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		struct isup_number number = { .present = true };
		char out[ISUP_DIGITS_MAX + 1] = "";

		snprintf(number.digits, sizeof number.digits, "%s", numbers[i].digits);
		ck_assert_int_eq(isup_dialled(&number, out), numbers[i].dialled != NULL);
		ck_assert_str_eq(out, numbers[i].dialled ? numbers[i].dialled : "");
	}
	ck_assert(!isup_dialled(&(struct isup_number){ .digits = "1" }, (char[ISUP_DIGITS_MAX + 1]){ 0 }));
}
END_TEST

START_TEST(describes)
{
	uint8_t bytes[FIXTURE_MAX];
	char all[FIXTURE_MAX] = "";

	isup_describe(bytes, bytes_of(iam, bytes), collect, all);
	isup_describe(bytes, bytes_of(messages[9].hex, bytes), collect, all);
	tali_describe(bytes, bytes_of("54414c49 6d6f6e69 0300 010203", bytes), collect, all);
	ck_assert_str_eq(all, "opc=1001;dpc=2002;cic=5;called=6105550102f;calling=2155550101;category=10;"
	                 "opc=1001;dpc=2002;cic=5;cause=16;opcode=moni;length=3;");
	ck_assert_str_eq(isup_kind(ISUP_UCIC), "UCIC");
	ck_assert_ptr_null(isup_kind((enum isup_type)0x55));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, messages_are_read_and_written, 0, MESSAGE_COUNT);
	tcase_add_loop_test(t, no_shorter_or_longer_message_is_accepted, 0, MESSAGE_COUNT);
	tcase_add_test(t, label_of_a_capture);
	tcase_add_test(t, unknown_optional_parameters_are_skipped);
	tcase_add_test(t, causes);
	tcase_add_loop_test(t, refuses, 0, (int)(sizeof refusals / sizeof refusals[0]));
	tcase_add_loop_test(t, refuses_messages, 0, (int)(sizeof bad_messages / sizeof bad_messages[0]));
	tcase_add_test(t, largest_values_come_back);
	tcase_add_test(t, values_that_do_not_fit_are_not_written);
	tcase_add_loop_test(t, frames, 0, TALI_KIND_COUNT);
	tcase_add_test(t, streams);
	tcase_add_test(t, no_frames);
	tcase_add_loop_test(t, isup_survives_mutations, 0, 4);
	tcase_add_test(t, tali_survives_mutations);
	tcase_add_test(t, dialled_digits);
	tcase_add_test(t, describes);
	return run_suite("SS7", t);
}
