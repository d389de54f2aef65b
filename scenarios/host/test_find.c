/*
 * `tollgate test`: which files are scenarios. In the order of paths, so that nothing depends on the order of a
 * folder.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "scenarios/host/internal.h"

#define DEPTH_MAX 16 /* of folders */

static void list_add(struct scenario_list *list, const char *path)
{
	list->paths = sim_realloc(list->paths, (list->count + 1) * sizeof *list->paths);
	list->paths[list->count++] = sim_strdup(path);
}

static bool ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a >= b && strcmp(s + a - b, end) == 0;
}

static bool holds_no_scenarios(const char *folder)
{
	return strcmp(folder, "topologies") == 0 || strcmp(folder, "shared") == 0;
}

static bool find_below(const char *dir, struct scenario_list *list, unsigned depth, FILE *err)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool fine = true;

	if (!d) {
		fprintf(err, "%s: cannot be read: %s\n", dir, strerror(errno));
		return false;
	}
	while ((entry = readdir(d)) != NULL) {
		char path[4096];
		struct stat st;

		if (entry->d_name[0] == '.'
		    || (size_t)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) >= sizeof path || stat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode) && !holds_no_scenarios(entry->d_name) && depth < DEPTH_MAX)
			fine = find_below(path, list, depth + 1, err) && fine;
		else if (S_ISREG(st.st_mode) && ends_with(path, ".lua"))
			list_add(list, path);
	}
	closedir(d);
	return fine;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool scenario_find(const char *path, struct scenario_list *list, FILE *err)
{
	struct stat st;
	char trimmed[4096];
	size_t len = strlen(path);
	bool fine = true;

	while (len > 1 && path[len - 1] == '/')
		len--;
	snprintf(trimmed, sizeof trimmed, "%.*s", (int)len, path);
	if (stat(trimmed, &st) != 0) {
		fprintf(err, "%s: %s\n", path, strerror(errno));
		return false;
	}
	if (S_ISDIR(st.st_mode))
		fine = find_below(trimmed, list, 0, err);
	else
		list_add(list, trimmed);
	if (list->count > 1)
		qsort(list->paths, list->count, sizeof *list->paths, compare_paths);
	return fine;
}

void scenario_list_free(struct scenario_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->paths[i]);
	free(list->paths);
	memset(list, 0, sizeof *list);
}
