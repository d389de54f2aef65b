/*
 * Memory of a simulation, apart from the rest so that what only needs memory needs no network: see sim.h.
 */
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void out_of_memory(size_t size)
{
	fprintf(stderr, "tollgate: out of memory (%zu bytes)\n", size);
	abort();
}

void *sim_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		out_of_memory(size);
	return p;
}

void *sim_realloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (!p)
		out_of_memory(size);
	return p;
}

char *sim_strdup(const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(sim_alloc(size), s, size);
}
