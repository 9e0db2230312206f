/* Runs that are killed at random moments and go on: each ends as the one that was left alone. */
#ifndef TESTS_PROGRAM_KILLS_H
#define TESTS_PROGRAM_KILLS_H

#include "tests/program/program.h"

#include <time.h>

static inline double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

/* Begins the program, as run() would; its output goes to out.txt and err.txt. */
static inline pid_t begin(const char *arguments) {
    char line[2048];
    snprintf(line, sizeof line, "exec '%s' %s >out.txt 2>err.txt </dev/null", program, arguments);
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    assert_true(child > 0);
    return child;
}

/* The exit code, or 1000 + the signal that ended it. */
static inline int end(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline void get_hash(const char *folder, char hash[65]) {
    json_t *summary = read_json(folder, "summary.json");
    snprintf(hash, 65, "%s", json_string_value(json_object_get(summary, "state_sha256")));
    assert_int_equal(strlen(hash), 64);
    json_decref(summary);
}

static inline void assert_hash(const char *folder, const char *wanted) {
    char hash[65];
    get_hash(folder, hash);
    assert_string_equal(hash, wanted);
}

/* Whether the last run went on from a checkpoint. */
static inline bool went_on(void) {
    char *out = read_file("out.txt");
    bool found = strstr(out, "resuming") != NULL;
    free(out);
    return found;
}

static inline void assert_same_metrics(const char *folder, const char *other) {
    json_t *a = read_metrics(folder), *b = read_metrics(other);
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
}

typedef struct kills {
    const char *job;              /* arguments without --out */
    double seconds;               /* that a run takes */
    char reference[65];           /* of the folder `whole` */
    int done, finished, resumed;  /* kills; whole runs; runs that went on from a checkpoint */
} kills;

/* Nothing is left of checkpoints that were being written. */
static inline void assert_one_checkpoint(void) {
    assert_int_equal(system("ls killed/checkpoints >files.txt"), 0);
    char *text = read_file("files.txt");
    assert_string_equal(text, "last.safetensors\n");
    free(text);
}

static inline void end_in_peace(kills *k) {
    assert_one_checkpoint();
    assert_hash("killed", k->reference);
    assert_same_metrics("whole", "killed");
    k->finished++;
}

/* Lets it run for a part of the time that it takes, then sends a signal; its exit code. */
static inline int kill_once(kills *k, bool fresh, unsigned *random) {
    char line[1536];
    const double moment = k->seconds * 1.05 * (double)rand_r(random) / (double)RAND_MAX;
    const int signal = rand_r(random) % 4 == 0 ? SIGINT : SIGKILL;
    snprintf(line, sizeof line, "%s --out=killed%s", k->job, fresh ? " --fresh" : "");
    pid_t child = begin(line);
    const double begun = now();
    siginfo_t gone = {0};
    while (now() - begun < moment && gone.si_pid == 0) {
        usleep(1000);
        waitid(P_PID, (id_t)child, &gone, WEXITED | WNOHANG | WNOWAIT);
    }
    if (gone.si_pid != 0 && fresh) k->seconds = now() - begun; /* it was quicker than the one that was timed */
    kill(child, signal);
    const int code = end(child);
    k->resumed += went_on();
    if (code != 1000 + SIGKILL && code != 1000 + SIGINT && code != 130 && code != 0) {
        char *text = read_file("err.txt");
        fail_msg("exits with %d:\n%s", code, text);
    }
    return code;
}

/* RV_KILLS (`few`) kills, one or more to a run. */
static inline void kill_and_go_on(const char *job, int few) {
    const char *wanted = getenv("RV_KILLS");
    const int count = wanted ? atoi(wanted) : few;
    kills k = {.job = job};
    char line[1536];
    unsigned random = (unsigned)time(NULL);
    printf("seed of the moments: %u\n", random);
    assert_int_equal(system("rm -rf killed"), 0); /* of another job: one that is killed at once would not replace it */
    const double begun = now();
    snprintf(line, sizeof line, "%s --out=whole --fresh", job);
    assert_int_equal(run(line), 0);
    k.seconds = now() - begun;
    get_hash("whole", k.reference);
    for (bool fresh = true; k.done < count;) {
        fresh = kill_once(&k, fresh, &random) == 0;
        if (fresh) {
            end_in_peace(&k);
            continue;
        }
        k.done++;
        if (k.done < count && rand_r(&random) % 2 != 0) continue;
        snprintf(line, sizeof line, "%s --out=killed", job); /* this one may end in peace */
        assert_int_equal(run(line), 0);
        k.resumed += went_on();
        end_in_peace(&k);
        fresh = true;
    }
    printf("%d kills, %d resumptions, %d runs, all of one hash\n", k.done, k.resumed, k.finished);
}

#endif
