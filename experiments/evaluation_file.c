/* experiments/evaluation_file.c: the arrays of an evaluation as JSON, and back. */
#include "experiments/evaluation_file.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/json_out.h"
#include "experiments/program.h"

/* The lists that the figures need, and their lengths: rows of the observation's dimensions, or single values. */
static const struct {
    const char *key;
    size_t offset;
    bool begins; /* one row more: what the model saw */
} lists[] = {
    {"model_rmse", offsetof(rv_evaluation, model_rmse), false},
    {"repeat_last_rmse", offsetof(rv_evaluation, repeat_rmse), false},
    {"linear_rmse", offsetof(rv_evaluation, linear_rmse), false},
    {"truth", offsetof(rv_evaluation, truth), true},
    {"mean", offsetof(rv_evaluation, mean), true},
    {"low", offsetof(rv_evaluation, low), true},
    {"high", offsetof(rv_evaluation, high), true},
};
enum { LIST_COUNT = sizeof lists / sizeof *lists };

static double **list_of(rv_evaluation *e, int i) { return (double **)(void *)((char *)e + lists[i].offset); }
static const double *list_in(const rv_evaluation *e, int i) {
    const double *list;
    memcpy(&list, (const char *)e + lists[i].offset, sizeof list);
    return list;
}
static int64_t length_of(const rv_evaluation *e, int i) { return (e->horizon + lists[i].begins) * e->observation_size; }

/* ---- writing ------------------------------------------------------------------------------------------------- */

typedef struct contents {
    const figure_text *text;
    const rv_evaluation *evaluation;
    const figure_points *points;
} contents;

static void write_file(FILE *file, const void *user) {
    const contents *c = user;
    const rv_evaluation *e = c->evaluation;
    json_out out = json_out_begin(file, true);
    json_out_text(&out, "env", c->text->env);
    json_out_text(&out, "note", c->text->note);
    json_out_whole(&out, "observation_size", e->observation_size);
    json_out_whole(&out, "horizon", e->horizon);
    json_out_whole(&out, "starts", e->starts);
    if (c->text->names) json_out_texts(&out, "names", c->text->names, e->observation_size);
    for (int i = 0; i < LIST_COUNT; i++) json_out_numbers(&out, lists[i].key, list_in(e, i), length_of(e, i));
    json_out_numbers(&out, "latent_share", c->points->share, 2);
    json_out_numbers(&out, "latent_x", c->points->x, c->points->count);
    json_out_numbers(&out, "latent_y", c->points->y, c->points->count);
    json_out_numbers(&out, "latent_observation", c->points->observation, c->points->count * e->observation_size);
    json_out_end(&out);
}

int evaluation_file_write(const run_folder *run, const figure_text *text, const rv_evaluation *evaluation,
                          const figure_points *points) {
    const contents c = {text, evaluation, points};
    return run_folder_write(run, "evaluation.json", write_file, &c);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static bool read_numbers(const json_t *root, const char *key, int64_t count, double *numbers) {
    const json_t *list = json_object_get(root, key);
    if (!json_is_array(list) || (int64_t)json_array_size(list) != count) return false;
    for (int64_t i = 0; i < count; i++) {
        const json_t *number = json_array_get(list, (size_t)i);
        if (!json_is_number(number) && !json_is_null(number)) return false;
        numbers[i] = json_is_null(number) ? (double)NAN : json_number_value(number);
    }
    return true;
}

static bool read_names(const json_t *root, evaluation_file *file) {
    const int64_t count = file->evaluation.observation_size;
    const json_t *list = json_object_get(root, "names");
    file->name = calloc((size_t)count, sizeof *file->name);
    file->names = calloc((size_t)count, sizeof *file->names);
    if (!file->name || !file->names) return false;
    for (int64_t d = 0; d < count; d++) {
        const char *name = json_string_value(json_array_get(list, (size_t)d));
        if (name) snprintf(file->name[d], sizeof file->name[d], "%s", name);
        else snprintf(file->name[d], sizeof file->name[d], "observation %lld", (long long)d);
        file->names[d] = file->name[d];
    }
    return true;
}

static bool read_all(const json_t *root, evaluation_file *file) {
    enum { LIMIT = 1 << 20 };
    rv_evaluation *e = &file->evaluation;
    const char *env = json_string_value(json_object_get(root, "env")),
               *note = json_string_value(json_object_get(root, "note"));
    snprintf(file->env, sizeof file->env, "%s", env ? env : "");
    snprintf(file->note, sizeof file->note, "%s", note ? note : "");
    e->observation_size = json_integer_value(json_object_get(root, "observation_size"));
    e->horizon = json_integer_value(json_object_get(root, "horizon"));
    e->starts = json_integer_value(json_object_get(root, "starts"));
    int64_t count = (int64_t)json_array_size(json_object_get(root, "latent_x"));
    if (!env || e->observation_size < 1 || e->observation_size > LIMIT || e->horizon < 1 || e->horizon > LIMIT ||
        count > LIMIT)
        return false;
    int64_t total = (2 + e->observation_size) * count;
    for (int i = 0; i < LIST_COUNT; i++) total += length_of(e, i);
    double *at = file->memory = calloc((size_t)total, sizeof *at);
    if (!at || !read_names(root, file)) return false;
    for (int i = 0; i < LIST_COUNT; i++) {
        *list_of(e, i) = at;
        if (!read_numbers(root, lists[i].key, length_of(e, i), at)) return false;
        at += length_of(e, i);
    }
    file->points = (figure_points){.count = count, .x = at, .y = at + count, .observation = at + 2 * count};
    return read_numbers(root, "latent_share", 2, file->points.share) &&
           read_numbers(root, "latent_x", count, file->points.x) &&
           read_numbers(root, "latent_y", count, file->points.y) &&
           read_numbers(root, "latent_observation", count * e->observation_size, file->points.observation);
}

int evaluation_file_read(const char *path, evaluation_file *file) {
    json_error_t error;
    *file = (evaluation_file){0};
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!root) return program_fail(EXIT_IO, "%s:%d: %s", path, error.line, error.text);
    bool whole = json_is_object(root) && read_all(root, file);
    json_decref(root);
    return whole ? EXIT_OK : program_fail(EXIT_IO, "%s is no evaluation of a world model", path);
}

void evaluation_file_free(evaluation_file *file) {
    free(file->name);
    free(file->names);
    free(file->memory);
    *file = (evaluation_file){0};
}
