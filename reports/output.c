/* Temporary files and their way into place; see output.h. */
#include "reports/output.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reports/reports.h"
#include "sim/sim.h"

#define OUTPUT_BUFFER_BYTES (1u << 18)

void report_error(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, REPORT_ERROR_LEN, format, args);
	va_end(args);
}

/* The folder of a path, with its slash, or "" for a bare name. *name: what follows. */
static size_t folder_len(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');

	*name = slash ? slash + 1 : path;
	return (size_t)(*name - path);
}

char *output_temp_name(const char *path, const char *suffix)
{
	const char *name;
	size_t folder = folder_len(path, &name);
	size_t room = strlen(path) + strlen(suffix) + 32;
	char *temp = sim_alloc(room);

	snprintf(temp, room, "%.*s.%s.%ld.%s", (int)folder, path, name, (long)getpid(), suffix);
	return temp;
}

/* What stands behind the process number: SQLite keeps a journal for the file it vacuums into. */
static const char *const file_suffixes[] = { ".tmp", ".new", ".new-journal", NULL };
static const char *const folder_suffixes[] = { ".runs", NULL };

/* Whether a directory entry is ".NAME.PID.SUFFIX", and the owner's number. */
static bool is_temp_of(const char *entry, const char *name, const char *const *suffixes, long *pid)
{
	size_t len = strlen(name);
	char *end;

	if (entry[0] != '.' || strncmp(entry + 1, name, len) != 0 || entry[1 + len] != '.')
		return false;
	entry += len + 2;
	if (*entry < '1' || *entry > '9')
		return false;
	errno = 0;
	*pid = strtol(entry, &end, 10);
	for (; *suffixes; suffixes++)
		if (errno == 0 && strcmp(end, *suffixes) == 0)
			return true;
	return false;
}

static bool is_alive(long pid)
{
	return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

void output_remove_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(folder);
}

static void remove_stale_folder(const char *parent, const char *name)
{
	size_t room = strlen(parent) + strlen(name) + 2;
	char *path = sim_alloc(room);

	snprintf(path, room, "%s/%s", parent, name);
	output_remove_folder(path);
	free(path);
}

/* Of this target, what no living process but this one owns. */
static void remove_stale(const char *path, const char *const *suffixes)
{
	const char *name;
	size_t len = folder_len(path, &name);
	char *folder = len ? strndup(path, len) : strdup(".");
	DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *entry;
	long pid;

	while (dir && (entry = readdir(dir)) != NULL) {
		if (!is_temp_of(entry->d_name, name, suffixes, &pid) || (pid != (long)getpid() && is_alive(pid)))
			continue;
		if (suffixes == folder_suffixes)
			remove_stale_folder(folder, entry->d_name);
		else
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	free(folder);
}

void output_remove_stale(const char *path)
{
	remove_stale(path, file_suffixes);
}

char *output_temp_folder(const char *path, char *error)
{
	char *folder = output_temp_name(path, "runs");

	remove_stale(path, folder_suffixes);
	if (mkdir(folder, 0700) == 0)
		return folder;
	report_error(error, "%s: cannot be made: %s", folder, strerror(errno));
	free(folder);
	return NULL;
}

static bool sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool fine = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0 && close(fd) != 0)
		fine = false;
	return fine;
}

/* The rename lasts once its folder is on the disk. A file system that cannot sync a folder has done what it can. */
static void sync_folder_of(const char *path)
{
	const char *name;
	size_t len = folder_len(path, &name);
	char *folder = len ? strndup(path, len) : strdup(".");

	if (folder)
		sync_file(folder);
	free(folder);
}

bool output_commit(const char *temp, const char *path, char *error)
{
	if (!sync_file(temp) || rename(temp, path) != 0) {
		report_error(error, "cannot be written: %s", strerror(errno));
		unlink(temp);
		return false;
	}
	sync_folder_of(path);
	return true;
}

bool output_open(struct output *output, const char *path, unsigned mode, char *error)
{
	int fd;

	output_remove_stale(path);
	output->temp = output_temp_name(path, "tmp");
	fd = open(output->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
	output->file = fd >= 0 ? fdopen(fd, "wb") : NULL;
	if (!output->file) {
		report_error(error, "cannot be written: %s", strerror(errno));
		if (fd >= 0) {
			close(fd);
			unlink(output->temp);
		}
		free(output->temp);
		*output = (struct output){ 0 };
		return false;
	}
	setvbuf(output->file, NULL, _IOFBF, OUTPUT_BUFFER_BYTES);
	output->path = sim_strdup(path);
	return true;
}

static void output_free(struct output *output)
{
	free(output->path);
	free(output->temp);
	*output = (struct output){ 0 };
}

bool output_finish(struct output *output, char *error)
{
	bool fine;

	errno = 0;
	fine = fflush(output->file) == 0 && !ferror(output->file);
	if (fclose(output->file) != 0)
		fine = false;
	if (!fine) {
		report_error(error, "cannot be written: %s", strerror(errno ? errno : EIO));
		unlink(output->temp);
	} else {
		fine = output_commit(output->temp, output->path, error);
	}
	output_free(output);
	return fine;
}

void output_abandon(struct output *output)
{
	if (!output->file)
		return;
	fclose(output->file);
	unlink(output->temp);
	output_free(output);
}
