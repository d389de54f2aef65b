/*
 * The program around a fuzz target (fuzz.h): mutations of the target's valid inputs and bytes that never were a
 * message.
 *
 *   fuzz_X SECONDS [SEED] [FILE...]     as long as that by the wall clock
 *   fuzz_X NUMBERi [SEED] [FILE...]     as many inputs: the same each time
 *   fuzz_X corpus DIRECTORY             writes the valid inputs to files, for libFuzzer
 *
 * Files are run first, as they are, and are mutated like the target's own inputs; `fuzz_X 0 1 FILE` repeats a crash.
 * Input number n follows from seed and n alone; the clock decides only when to stop. Each input stands in
 * crash-TARGET, beside the program, before it is run, so that whatever ends the program leaves it there; the file
 * goes away at an end in order. An input that takes longer than HANG_S is a failure too.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "tests/fuzz/fuzz.h"

#define SEED_DEFAULT UINT64_C(20000410)
#define CORPUS_MAX 128
#define MUTATIONS_MAX 6
#define HANG_S 60
#define CLOCK_EVERY 16 /* inputs between two looks at the clock */
#define PATH_LEN_MAX 1024

struct input {
	uint8_t *bytes;
	size_t len;
};

static struct {
	const char *name;
	char crash_path[PATH_LEN_MAX];
	int crash_file;
	size_t crash_len;
	uint64_t rng;
	struct input corpus[CORPUS_MAX];
	unsigned corpus_count;
	uint64_t done, seed;
} fuzz;

/* xorshift64* */
static uint64_t random_u64(void)
{
	fuzz.rng ^= fuzz.rng >> 12;
	fuzz.rng ^= fuzz.rng << 25;
	fuzz.rng ^= fuzz.rng >> 27;
	return fuzz.rng * UINT64_C(0x2545f4914f6cdd1d);
}

static size_t below(size_t bound)
{
	return (size_t)((random_u64() >> 32) * (uint64_t)bound >> 32);
}

/* The stream of one input: never zero, and neighbours far apart (splitmix64). */
static void random_start(uint64_t seed, uint64_t nth)
{
	uint64_t z = seed * UINT64_C(0xd1342543de82ef95) + (nth + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	fuzz.rng = (z ^ z >> 31) | 1;
}

static void corpus_add(const uint8_t *bytes, size_t len)
{
	fuzz_require(fuzz.corpus_count < CORPUS_MAX);
	fuzz.corpus[fuzz.corpus_count++] = (struct input){ fuzz_exact(bytes, len), len };
}

static void corpus_of_target(void)
{
	static uint8_t bytes[FUZZ_INPUT_MAX];
	size_t len;

	for (unsigned nth = 0; (len = fuzz_seed_input(nth, bytes, sizeof bytes)) > 0; nth++)
		corpus_add(bytes, len);
	fuzz_require(fuzz.corpus_count > 0);
}

static void corpus_free(void)
{
	for (unsigned i = 0; i < fuzz.corpus_count; i++)
		free(fuzz.corpus[i].bytes);
}

static void insert_bytes(struct input *in, size_t at, size_t count)
{
	if (count > FUZZ_INPUT_MAX - in->len)
		count = FUZZ_INPUT_MAX - in->len;
	memmove(in->bytes + at + count, in->bytes + at, in->len - at);
	in->len += count;
}

static void remove_bytes(struct input *in, size_t at, size_t count)
{
	if (count > in->len - at)
		count = in->len - at;
	memmove(in->bytes + at, in->bytes + at + count, in->len - at - count);
	in->len -= count;
}

static size_t few(void)
{
	return 1 + below(below(4) ? 8 : 300);
}

static void set_bit(struct input *in, size_t at)
{
	in->bytes[at] ^= (uint8_t)(1u << below(8));
}

static void set_byte(struct input *in, size_t at)
{
	in->bytes[at] = (uint8_t)random_u64();
}

/* Values at which lengths, counts and signs break. */
static void set_edge(struct input *in, size_t at)
{
	static const uint32_t edges[] = { 0,      1,      2,       4,          8,          16,        0x7f,
		                          0x80,   0x81,   0x82,    0x84,       0xff,       0x100,     0x7fff,
		                          0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff };
	uint32_t value = edges[below(sizeof edges / sizeof edges[0])];
	size_t width = (size_t)1 << below(3);

	for (size_t i = 0; i < width && at + i < in->len; i++)
		in->bytes[at + i] = (uint8_t)(value >> 8 * (width - 1 - i));
}

static void add_small(struct input *in, size_t at)
{
	in->bytes[at] = (uint8_t)(in->bytes[at] + below(17) - 8);
}

static void cut_out(struct input *in, size_t at)
{
	remove_bytes(in, at, few());
}

static void cut_off(struct input *in, size_t at)
{
	in->len = at;
}

static void put_in(struct input *in, size_t at)
{
	size_t before = in->len;

	insert_bytes(in, at, few());
	for (size_t i = at; i < at + in->len - before; i++)
		in->bytes[i] = (uint8_t)random_u64();
}

/* One byte again and again: long names, nested lists. */
static void put_run(struct input *in, size_t at)
{
	size_t before = in->len;
	uint8_t byte = in->bytes[at];

	insert_bytes(in, at, few());
	memset(in->bytes + at, byte, in->len - before);
}

static void copy_within(struct input *in, size_t at)
{
	size_t from = below(in->len), count = few(), room = in->len - (at > from ? at : from);

	memmove(in->bytes + at, in->bytes + from, count < room ? count : room);
}

static void double_part(struct input *in, size_t at)
{
	size_t before = in->len, count = few();

	if (count > in->len - at)
		count = in->len - at;
	insert_bytes(in, at, count);
	memcpy(in->bytes + at, in->bytes + at + (in->len - before), in->len - before);
}

/* A part of another input in place of what stands here, or the other's whole rest. */
static void splice(struct input *in, size_t at)
{
	const struct input *other = &fuzz.corpus[below(fuzz.corpus_count)];
	size_t from = below(2) && at < other->len ? at : below(other->len);
	size_t count = below(2) ? few() : other->len;

	if (count > other->len - from)
		count = other->len - from;
	if (below(2)) {
		in->len = at;
		insert_bytes(in, at, count);
	}
	memcpy(in->bytes + at, other->bytes + from, count < in->len - at ? count : in->len - at);
}

static void set_digit(struct input *in, size_t at)
{
	while (at < in->len && (in->bytes[at] < '0' || in->bytes[at] > '9'))
		at++;
	if (at < in->len)
		in->bytes[at] = "0123456789-+x "[below(14)];
}

static void swap_two(struct input *in, size_t at)
{
	size_t other = below(in->len);
	uint8_t byte = in->bytes[at];

	in->bytes[at] = in->bytes[other];
	in->bytes[other] = byte;
}

static void (*const mutations[])(struct input *in, size_t at) = {
	set_bit, set_bit, set_byte, set_byte,    set_edge,    set_edge, add_small, add_small, cut_out,
	cut_off, put_in,  put_run,  copy_within, double_part, splice,   splice,    set_digit, swap_two,
};

/* Input number nth into in, whose buffer has room for any. */
static void make_input(uint64_t nth, struct input *in)
{
	const struct input *from;

	random_start(fuzz.seed, nth);
	if (below(16) == 0) {
		in->len = below(below(4) ? 64 : 2000);
		for (size_t i = 0; i < in->len; i++)
			in->bytes[i] = (uint8_t)random_u64();
		return;
	}
	from = &fuzz.corpus[below(fuzz.corpus_count)];
	memcpy(in->bytes, from->bytes, from->len);
	in->len = from->len;
	for (size_t n = 1 + below(MUTATIONS_MAX); n > 0 && in->len > 0; n--)
		mutations[below(sizeof mutations / sizeof mutations[0])](in, below(in->len));
}

static void run_one(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = fuzz_exact(bytes, len);

	if (fuzz.crash_file >= 0) {
		fuzz_require(pwrite(fuzz.crash_file, bytes, len, 0) == (ssize_t)len);
		if (len != fuzz.crash_len)
			fuzz_require(ftruncate(fuzz.crash_file, (off_t)len) == 0);
		fuzz.crash_len = len;
	}
	fuzz.done++;
	alarm(HANG_S);
	fuzz_require(LLVMFuzzerTestOneInput(exact, len) == 0);
	free(exact);
}

static void tell_crash(void)
{
	fprintf(stderr, "%s: input %" PRIu64 " of seed %" PRIu64 " did it", fuzz.name, fuzz.done, fuzz.seed);
	if (fuzz.crash_file >= 0)
		fprintf(stderr, "; repeat with: %s 0 1 %s", fuzz.name, fuzz.crash_path);
	fprintf(stderr, "\n");
}

static void on_signal(int number)
{
	static const char hang[] = "the input takes too long\n";

	if (number == SIGALRM && write(2, hang, sizeof hang - 1) < 0)
		_exit(1);
	tell_crash();
	signal(number, SIG_DFL);
	raise(number == SIGALRM ? SIGABRT : number);
}

/* The sanitizers ask for these: they end in abort(), so that on_signal() has the last word. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "abort_on_error=1";
}
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

static void catch_crashes(void)
{
	static const int numbers[] = { SIGABRT, SIGALRM };

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		signal(numbers[i], on_signal);
#ifndef __SANITIZE_ADDRESS__ /* which reports these first */
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	signal(SIGFPE, on_signal);
#endif
}

static size_t read_file(const char *path, uint8_t *bytes, size_t size)
{
	FILE *file = fopen(path, "rb");
	size_t len;

	if (!file) {
		fprintf(stderr, "%s: %s: %s\n", fuzz.name, path, strerror(errno));
		exit(2);
	}
	len = fread(bytes, 1, size, file);
	fclose(file);
	return len;
}

static int write_corpus(const char *directory)
{
	for (unsigned i = 0; i < fuzz.corpus_count; i++) {
		char path[PATH_LEN_MAX];
		FILE *file;

		snprintf(path, sizeof path, "%s/%s-%u", directory, fuzz.name, i);
		file = fopen(path, "wb");
		if (!file || fwrite(fuzz.corpus[i].bytes, 1, fuzz.corpus[i].len, file) != fuzz.corpus[i].len ||
		    fclose(file)) {
			fprintf(stderr, "%s: %s: %s\n", fuzz.name, path, strerror(errno));
			return 2;
		}
	}
	return 0;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* "60" seconds or "20000i" inputs. False: neither. */
static bool parse_bound(const char *text, double *bound_s, uint64_t *bound_inputs)
{
	char *end;

	*bound_inputs = UINT64_MAX;
	*bound_s = strtod(text, &end);
	if (end == text || !(*bound_s >= 0))
		return false;
	if (strcmp(end, "i") == 0) {
		*bound_inputs = strtoull(text, &end, 10);
		*bound_s = -1;
		return strcmp(end, "i") == 0;
	}
	return *end == '\0';
}

static void fuzz_files(int count, char **paths)
{
	static uint8_t bytes[FUZZ_INPUT_MAX];

	for (int i = 0; i < count; i++) {
		size_t len = read_file(paths[i], bytes, sizeof bytes);

		run_one(bytes, len);
		if (len > 0)
			corpus_add(bytes, len);
	}
}

static void fuzz_mutations(double start_s, double bound_s, uint64_t bound_inputs)
{
	static uint8_t bytes[FUZZ_INPUT_MAX];
	struct input in = { bytes, 0 };

	for (uint64_t n = 0; n < bound_inputs; n++) {
		if (bound_s >= 0 && n % CLOCK_EVERY == 0 && seconds() - start_s >= bound_s)
			break;
		make_input(n, &in);
		run_one(in.bytes, in.len);
	}
}

/* A run that only repeats files must not write over them. */
static void open_crash_file(const char *program)
{
	snprintf(fuzz.crash_path, sizeof fuzz.crash_path, "%.*scrash-%s", (int)(fuzz.name - program), program,
	         fuzz.name);
	fuzz.crash_file = open(fuzz.crash_path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	fuzz_require(fuzz.crash_file >= 0);
}

static void close_crash_file(void)
{
	if (fuzz.crash_file < 0)
		return;
	close(fuzz.crash_file);
	unlink(fuzz.crash_path);
}

int main(int argc, char **argv)
{
	double start_s = seconds(), bound_s = 0;
	uint64_t bound_inputs = 0;

	fuzz.name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	fuzz.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : SEED_DEFAULT;
	fuzz.crash_file = -1;
	corpus_of_target();
	if (argc == 3 && strcmp(argv[1], "corpus") == 0)
		return write_corpus(argv[2]);
	if (argc < 2 || !parse_bound(argv[1], &bound_s, &bound_inputs)) {
		fprintf(stderr, "usage: %s SECONDS|NUMBERi [SEED] [FILE...]\n       %s corpus DIRECTORY\n", fuzz.name,
		        fuzz.name);
		return 2;
	}
	catch_crashes();
	if (bound_s != 0 && bound_inputs != 0)
		open_crash_file(argv[0]);
	for (unsigned i = 0; i < fuzz.corpus_count && fuzz.crash_file >= 0; i++)
		run_one(fuzz.corpus[i].bytes, fuzz.corpus[i].len);
	fuzz_files(argc > 3 ? argc - 3 : 0, argv + 3);
	fuzz_mutations(start_s, bound_s, bound_inputs);
	alarm(0);
	close_crash_file();
	corpus_free();
	printf("%s: %" PRIu64 " inputs, %.1f s, seed %" PRIu64 "\n", fuzz.name, fuzz.done, seconds() - start_s,
	       fuzz.seed);
	return 0;
}
