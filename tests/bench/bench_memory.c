/*
 * What an idle provisioned CTA takes of the heap: tests/bench/idle_ctas.lua with N and with 2 N of them; the difference
 * of the bytes in use, divided by N, at three moments: made, all booted, ten minutes later.
 *
 * Everything that grows with a CTA is counted, also what others keep for it (node, addresses and routes, subscriber,
 * lease, the controller's association, events, the observers' books, the scenario's own object). The key pool's cache
 * is filled before and does not count: it is a file in memory. The bytes are what the allocator has given out, with its
 * overhead.
 *
 *   bench_memory [N]     from the top folder
 */
#define _GNU_SOURCE
#define _GNU_SOURCE /* fopencookie() */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios/host/host.h"

#define SCRIPT "tests/bench/idle_ctas.lua"
#define MOMENTS 3
#define TO_REACH_BYTES 4096

static const char *const moments[MOMENTS] = { "made", "booted", "idle" };
static size_t in_use[MOMENTS];

/* The scenario's output: what it says is when to look. */
static ssize_t on_write(void *cookie, const char *bytes, size_t len)
{
	struct mallinfo2 info = mallinfo2();

	(void)cookie;
	for (int i = 0; i < MOMENTS; i++)
		if (memmem(bytes, len, moments[i], strlen(moments[i])))
			in_use[i] = info.uordblks + info.hblkhd;
	return (ssize_t)len;
}

static void run(unsigned ctas)
{
	char count[16];
	const struct host_setting settings[] = { { "ctas", count } };
	FILE *out = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = on_write });
	struct host_options options = { .models = model_registry, .script = SCRIPT, .seed = 1,
		                        .settings = settings, .setting_count = 1,
		                        .out = out, .err = stderr, .memory_limit = (size_t)8 << 30,
		                        .cache_dir = getenv("TOLLGATE_CACHE") ? getenv("TOLLGATE_CACHE") : "build/cache" };
	struct host_result result;

	if (!out) {
		fprintf(stderr, "bench_memory: no stream\n");
		exit(2);
	}
	setvbuf(out, NULL, _IOLBF, 0);
	snprintf(count, sizeof count, "%u", ctas);
	if (host_run(&options, &result) != HOST_HELD) {
		fprintf(stderr, "bench_memory: the run failed\n");
		exit(2);
	}
	fclose(out);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	size_t once[MOMENTS];
	long bytes = 0;

	run(2 * n); /* makes the keys, and what is made once */
	run(n);
	memcpy(once, in_use, sizeof once);
	run(2 * n);
	for (int i = 0; i < MOMENTS; i++) {
		bytes = ((long)in_use[i] - (long)once[i]) / (long)n;
		printf("%s: %ld bytes a CTA\n", moments[i], bytes);
	}
	printf("ctas=%u idle=%ld bytes (to reach %d)\n", n, bytes, TO_REACH_BYTES);
	return bytes <= TO_REACH_BYTES ? 0 : 1;
}
