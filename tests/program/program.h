/* What the tests of the program share: running it, and looking at what it leaves behind. */
#ifndef TESTS_PROGRAM_PROGRAM_H
#define TESTS_PROGRAM_PROGRAM_H

#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program; /* set by the build: the program under test */

/* A small run of a training job. */
#define SMALL                                                                                                          \
    "--config=course --device=cpu --data.steps=1200 --train.steps=60 --eval.episodes=3 --eval.steps=70 "                \
    "--eval.horizon=20 "                                                                                               \
    "--train.batch=16 "

/* The whole of a file, ended by a zero; NULL where there is none. */
static inline char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    text[size] = '\0';
    fclose(file);
    return text;
}

/* Runs the program in a shell; what it printed is left in out.txt and err.txt. Returns the exit code. */
static inline int run(const char *arguments) {
    char line[2048];
    int length = snprintf(line, sizeof line, "'%s' %s >out.txt 2>err.txt </dev/null", program, arguments);
    assert_in_range(length, 1, (int)sizeof line - 1);
    int status = system(line);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline void expect(const char *file, const char *words) {
    char *text = read_file(file);
    assert_non_null(text);
    if (!strstr(text, words)) fail_msg("%s lacks \"%s\":\n%s", file, words, text);
    free(text);
}

static inline void expect_empty(const char *file) {
    char *text = read_file(file);
    assert_non_null(text);
    assert_string_equal(text, "");
    free(text);
}

/* metrics.jsonl as a JSON list, each line without its time. */
static inline json_t *read_metrics(const char *folder) {
    char path[256];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    char *text = read_file(path), *rest = NULL;
    assert_non_null(text);
    json_t *list = json_array();
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        json_t *row = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(row);
        assert_true(json_is_number(json_object_get(row, "seconds")));
        json_object_del(row, "seconds");
        json_array_append_new(list, row);
    }
    free(text);
    return list;
}

/* A file of the run folder as JSON. */
static inline json_t *read_json(const char *folder, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static inline double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* Arguments that are refused: with which exit code, and which words. */
typedef struct mistake {
    const char *arguments;
    int code;
    const char *words;
} mistake;

static inline void expect_mistake(const mistake *m) {
    const int code = run(m->arguments);
    char *text = read_file("err.txt");
    if (code != m->code || !strstr(text, m->words)) fail_msg("\"%s\" exits with %d:\n%s", m->arguments, code, text);
    free(text);
}

static inline void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Runs the tests where the build has a program. */
#define RUN_PROGRAM_TESTS(tests)                                        \
    int main(void) {                                                    \
        program = getenv("REVERIE_PROGRAM");                            \
        if (!program) {                                                 \
            puts("REVERIE_PROGRAM is not set: the program was not built"); \
            return 0;                                                   \
        }                                                               \
        return cmocka_run_group_tests(tests, NULL, NULL);               \
    }

#endif
