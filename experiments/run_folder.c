/* experiments/run_folder.c: making, refusing and filling the folder of a run. */
#include "experiments/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "experiments/program.h"

enum { PATH_SIZE = 1536 };

static int io_failed(const char *what, const char *path) {
    return program_fail(EXIT_IO, "%s %s: %s", what, path, strerror(errno));
}

const char *run_folder_file(const run_folder *run, const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", run->path, name);
    return path;
}

/* Makes a folder and those above it. */
static int make_folder(const char *path) {
    char part[PATH_SIZE];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash) *slash = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) return io_failed("cannot make the folder", part);
        if (!slash) break;
        *slash = '/';
    }
    struct stat about;
    if (stat(path, &about) != 0) return io_failed("cannot look at", path);
    if (!S_ISDIR(about.st_mode)) return program_fail(EXIT_IO, "%s is not a folder", path);
    return EXIT_OK;
}

static bool exists(const run_folder *run, const char *name) {
    char path[PATH_SIZE];
    return access(run_folder_file(run, name, path, sizeof path), F_OK) == 0;
}

static void remove_file(const run_folder *run, const char *name) {
    char path[PATH_SIZE];
    unlink(run_folder_file(run, name, path, sizeof path));
}

/* Plots of an earlier run: what ends in .png or .svg there. */
static void remove_plots(const run_folder *run) {
    char path[PATH_SIZE];
    DIR *folder = opendir(run_folder_file(run, "plots", path, sizeof path));
    if (!folder) return;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || (strcmp(dot, ".png") != 0 && strcmp(dot, ".svg") != 0)) continue;
        char name[sizeof entry->d_name + 8];
        snprintf(name, sizeof name, "plots/%s", entry->d_name);
        remove_file(run, name);
    }
    closedir(folder);
}

int run_folder_open(run_folder *run, const char *path, bool fresh) {
    char sub[PATH_SIZE];
    if (strlen(path) >= sizeof run->path) return program_fail(EXIT_IO, "the path of the run folder is too long");
    *run = (run_folder){0};
    strcpy(run->path, path);
    int code = make_folder(path);
    if (code != EXIT_OK) return code;
    bool holds_run = exists(run, "metrics.jsonl") || exists(run, "summary.json") || exists(run, "checkpoints/last.safetensors");
    if (holds_run && !fresh) {
        return program_fail(EXIT_IO, "%s holds a run already; --fresh replaces it, --out=DIR writes elsewhere", path);
    }
    code = make_folder(run_folder_file(run, "checkpoints", sub, sizeof sub));
    if (code == EXIT_OK) code = make_folder(run_folder_file(run, "plots", sub, sizeof sub));
    if (code != EXIT_OK) return code;

    run->metrics = fopen(run_folder_file(run, "metrics.jsonl", sub, sizeof sub), "ae");
    if (!run->metrics) return io_failed("cannot write", sub);
    setvbuf(run->metrics, NULL, _IOLBF, 0); /* whoever follows the file sees whole lines */
    if (flock(fileno(run->metrics), LOCK_EX | LOCK_NB) != 0) {
        fclose(run->metrics);
        run->metrics = NULL;
        return program_fail(EXIT_IO, "another process is writing to %s", path);
    }
    if (fresh) {
        remove_file(run, "summary.json");
        remove_file(run, "checkpoints/last.safetensors");
        remove_plots(run);
    }
    return ftruncate(fileno(run->metrics), 0) == 0 ? EXIT_OK : io_failed("cannot empty", sub);
}

int run_folder_close(run_folder *run) {
    if (!run->metrics) return EXIT_OK;
    char path[PATH_SIZE];
    run_folder_file(run, "metrics.jsonl", path, sizeof path);
    errno = 0;
    bool lost = ferror(run->metrics) != 0;
    lost = fclose(run->metrics) != 0 || lost;
    run->metrics = NULL;
    if (!lost) return EXIT_OK;
    if (errno == 0) errno = EIO;
    return io_failed("cannot write", path);
}

int run_folder_summary(const run_folder *run, void (*write)(FILE *file, const void *user), const void *user) {
    char path[PATH_SIZE], temporary[PATH_SIZE];
    run_folder_file(run, "summary.json", path, sizeof path);
    run_folder_file(run, "summary.json.part", temporary, sizeof temporary);
    FILE *file = fopen(temporary, "we");
    if (!file) return io_failed("cannot write", temporary);
    write(file, user);
    errno = 0;
    bool lost = ferror(file) != 0;
    lost = fclose(file) != 0 || lost;
    if (!lost && rename(temporary, path) == 0) return EXIT_OK;
    if (errno == 0) errno = EIO;
    int code = io_failed("cannot write", path);
    unlink(temporary);
    return code;
}
