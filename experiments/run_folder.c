/* experiments/run_folder.c: making, refusing and filling the folder of a run. */
#include "experiments/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "experiments/program.h"

static int io_failed(const char *what, const char *path) {
    return program_fail(EXIT_IO, "%s %s: %s", what, path, strerror(errno));
}

const char *run_folder_file(const run_folder *run, const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", run->path, name);
    return path;
}

/* Makes a folder and those above it. */
static int make_folder(const char *path) {
    char part[RUN_PATH_SIZE];
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

bool run_folder_has(const run_folder *run, const char *name) {
    char path[RUN_PATH_SIZE];
    return access(run_folder_file(run, name, path, sizeof path), F_OK) == 0;
}

static void remove_file(const run_folder *run, const char *name) {
    char path[RUN_PATH_SIZE];
    unlink(run_folder_file(run, name, path, sizeof path));
}

static bool is_plot(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".png") == 0 || strcmp(dot, ".svg") == 0);
}

/* A checkpoint that was being written when its run was killed. */
static bool is_unfinished(const char *name) { return strncmp(name, "last.safetensors.tmp-", 21) == 0; }

static bool is_event_file(const char *name) { return strncmp(name, "events.out.tfevents.", 20) == 0; }

/* Removes the files in RUN/FOLDER that are of a kind. */
static void remove_kind(const run_folder *run, const char *sub, bool (*of_kind)(const char *name)) {
    char path[RUN_PATH_SIZE];
    DIR *folder = opendir(run_folder_file(run, sub, path, sizeof path));
    if (!folder) return;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char name[sizeof entry->d_name + 32];
        if (!of_kind(entry->d_name)) continue;
        snprintf(name, sizeof name, "%s/%s", sub, entry->d_name);
        remove_file(run, name);
    }
    closedir(folder);
}

/* config.yaml goes last: killed at any moment in between, what is left is a run of that config without a checkpoint. */
static int remove_run(run_folder *run) {
    static const char *const files[] = {"summary.json", "evaluation.json", "checkpoints/last.safetensors",
                                        "data.npz",     "imagined.csv",    "open_loop.csv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) remove_file(run, files[i]);
    remove_kind(run, "plots", is_plot);
    remove_kind(run, ".", is_event_file);
    int code = run_folder_cut_metrics(run, 0);
    if (code == EXIT_OK) remove_file(run, "config.yaml");
    return code;
}

/* Opens metrics.jsonl and with it takes the lock. */
static int open_metrics(run_folder *run) {
    char path[RUN_PATH_SIZE];
    run->metrics = fopen(run_folder_file(run, "metrics.jsonl", path, sizeof path), "ae");
    if (!run->metrics) return io_failed("cannot write", path);
    setvbuf(run->metrics, NULL, _IOLBF, 0); /* whoever follows the file sees whole lines */
    if (flock(fileno(run->metrics), LOCK_EX | LOCK_NB) == 0) return EXIT_OK;
    fclose(run->metrics);
    run->metrics = NULL;
    return program_fail(EXIT_IO, "another process is writing to %s; wait for it, or use --out=DIR", run->path);
}

static int look(run_folder *run) {
    struct stat about;
    bool metrics = fstat(fileno(run->metrics), &about) == 0 && about.st_size > 0;
    if (run_folder_has(run, "config.yaml")) {
        run->state = run_folder_has(run, "summary.json") ? RUN_FINISHED : RUN_UNFINISHED;
        return EXIT_OK;
    }
    if (metrics || run_folder_has(run, "summary.json") || run_folder_has(run, "checkpoints/last.safetensors")) {
        return program_fail(
            EXIT_IO, "%s holds a run without config.yaml; --fresh replaces it, --out=DIR writes elsewhere", run->path);
    }
    return EXIT_OK;
}

int run_folder_open(run_folder *run, const char *path, bool fresh) {
    char sub[RUN_PATH_SIZE];
    if (strlen(path) >= sizeof run->path) return program_fail(EXIT_IO, "the path of the run folder is too long");
    *run = (run_folder){0};
    strcpy(run->path, path);
    int code = make_folder(path);
    if (code == EXIT_OK) code = make_folder(run_folder_file(run, "checkpoints", sub, sizeof sub));
    if (code == EXIT_OK) code = make_folder(run_folder_file(run, "plots", sub, sizeof sub));
    if (code == EXIT_OK) code = open_metrics(run);
    if (code != EXIT_OK) return code;
    remove_kind(run, "checkpoints", is_unfinished);
    return fresh ? remove_run(run) : look(run);
}

int run_folder_cut_metrics(run_folder *run, int64_t offset) {
    if (ftruncate(fileno(run->metrics), offset) == 0) return EXIT_OK;
    char path[RUN_PATH_SIZE];
    return io_failed("cannot cut", run_folder_file(run, "metrics.jsonl", path, sizeof path));
}

int run_folder_sync_metrics(run_folder *run) {
    char path[RUN_PATH_SIZE];
    errno = 0;
    if (fflush(run->metrics) == 0 && !ferror(run->metrics) && fsync(fileno(run->metrics)) == 0) return EXIT_OK;
    if (errno == 0) errno = EIO;
    return io_failed("cannot write", run_folder_file(run, "metrics.jsonl", path, sizeof path));
}

int run_folder_close(run_folder *run) {
    if (!run->metrics) return EXIT_OK;
    char path[RUN_PATH_SIZE];
    run_folder_file(run, "metrics.jsonl", path, sizeof path);
    errno = 0;
    bool lost = ferror(run->metrics) != 0;
    lost = fclose(run->metrics) != 0 || lost;
    run->metrics = NULL;
    if (!lost) return EXIT_OK;
    if (errno == 0) errno = EIO;
    return io_failed("cannot write", path);
}

int run_folder_write(const run_folder *run, const char *name, void (*write)(FILE *file, const void *user),
                     const void *user) {
    char path[RUN_PATH_SIZE], temporary[RUN_PATH_SIZE + 8];
    run_folder_file(run, name, path, sizeof path);
    snprintf(temporary, sizeof temporary, "%s.part", path);
    FILE *file = fopen(temporary, "we");
    if (!file) return io_failed("cannot write", temporary);
    write(file, user);
    errno = 0;
    bool lost = fflush(file) != 0 || ferror(file) || fsync(fileno(file)) != 0;
    lost = fclose(file) != 0 || lost;
    if (!lost && rename(temporary, path) == 0) return EXIT_OK;
    if (errno == 0) errno = EIO;
    int code = io_failed("cannot write", path);
    unlink(temporary);
    return code;
}
