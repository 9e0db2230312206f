/* experiments/imaginer.c: episodes acted for real, and dreams that begin in them. */
#include "experiments/imaginer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/program.h"

static int failed(rv_status status, const char *what, const char *message) {
    return program_fail(program_code(status), "%s: %s", what, message && message[0] ? message : rv_status_text(status));
}

static int no_memory(void) { return program_fail(EXIT_DEVICE, "no memory for what is imagined"); }

static float *make_rows(int64_t rows, int64_t cols) { return calloc((size_t)rows, (size_t)cols * sizeof(float)); }

/* ---- what really happens -------------------------------------------------------------------------------------- */

static int episodes_make(const imaginer *im, int64_t rows, int64_t steps, episodes *real) {
    *real = (episodes){.rows = rows,
                       .steps = steps,
                       .observation_size = im->observation_size,
                       .action_size = im->action_size,
                       .observation = make_rows((steps + 1) * rows, im->observation_size),
                       .action = make_rows(steps * rows, im->action_size),
                       .reward = make_rows(steps * rows, 1),
                       .is_first = make_rows((steps + 1) * rows, 1)};
    return real->observation && real->action && real->reward && real->is_first ? EXIT_OK : no_memory();
}

void episodes_free(episodes *real) {
    free(real->observation);
    free(real->action);
    free(real->reward);
    free(real->is_first);
    *real = (episodes){0};
}

int64_t episodes_length(const episodes *real, int64_t row, int64_t from) {
    int64_t t = from;
    while (t < real->steps && (t == from || real->is_first[t * real->rows + row] == 0)) t++;
    return t - from;
}

static void take_episode(episodes *real, int64_t row, const rv_transitions *from, int64_t first, int64_t length) {
    const int64_t o = real->observation_size, a = real->action_size, rows = real->rows;
    const size_t seen = (size_t)o * sizeof(float), acted = (size_t)a * sizeof(float);
    real->is_first[row] = 1;
    if (length < real->steps) real->is_first[length * rows + row] = 1;
    for (int64_t t = 0; t < length && t < real->steps; t++) {
        const int64_t at = t * rows + row;
        memcpy(real->observation + at * o, from->observation + (first + t) * o, seen);
        memcpy(real->observation + (at + rows) * o, from->next_observation + (first + t) * o, seen);
        memcpy(real->action + at * a, from->action + (first + t) * a, acted);
        real->reward[at] = from->reward[first + t];
    }
}

int imaginer_take(const imaginer *im, const rv_dataset *data, int64_t rows, int64_t context, int64_t steps,
                  episodes *real) {
    const rv_transitions from = rv_dataset_transitions(data);
    int64_t taken = 0, first = 0, length = 0;
    int code = episodes_make(im, rows, steps, real);
    for (int64_t i = 0; taken < rows && code == EXIT_OK; i++) {
        if (rv_dataset_episode(data, i, &first, &length) != RV_OK) {
            return program_fail(EXIT_DATA,
                                "of %lld new episodes %lld go on behind their first %lld observations, and %lld are "
                                "needed; use a smaller context, or fewer trajectories and rollouts",
                                (long long)i, (long long)taken, (long long)context, (long long)rows);
        }
        if (length >= context) take_episode(real, taken++, &from, first, length);
    }
    return code;
}

/* A plan of one step of the policy. */
typedef struct actor {
    rv_array *observation, *is_first, *action, *memory;
    rv_random *noise;
    rv_plan *plan;
    float *env_action;
    uint8_t *ended;
} actor;

static rv_status record_actor(const imaginer *im, actor *a) {
    rv_graph *graph = NULL;
    rv_status status = rv_graph_create(im->device, &graph);
    if (status == RV_OK) {
        rv_store(a->action, im->act(im->self, graph, rv_read(graph, a->observation), rv_read(graph, a->is_first),
                                    a->memory, rv_random_state(graph, a->noise)));
        rv_random_advance(graph, a->noise);
        status = rv_plan_create(graph, NULL, &a->plan);
    }
    rv_graph_destroy(graph);
    return status;
}

static int make_actor(const imaginer *im, int64_t rows, uint64_t seed, actor *a) {
    const struct {
        rv_array **array;
        int64_t cols;
        const char *name;
    } wanted[] = {{&a->observation, im->observation_size, "observation"},
                  {&a->is_first, 1, "is_first"},
                  {&a->action, im->action_size, "action"},
                  {&a->memory, im->memory_size > 0 ? im->memory_size : 1, "memory"}};
    rv_status status = rv_random_create(im->device, seed, &a->noise);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && status == RV_OK; i++) {
        status = rv_array_create(im->device, RV_F32, rows, wanted[i].cols, wanted[i].name, wanted[i].array);
    }
    if (status == RV_OK) status = record_actor(im, a);
    if (status != RV_OK) return failed(status, "acting", a->plan ? rv_plan_message(a->plan) : NULL);
    a->env_action = make_rows(rows, im->spaces->action_size);
    a->ended = calloc((size_t)rows, 2);
    return a->env_action && a->ended ? EXIT_OK : no_memory();
}

static void free_actor(actor *a) {
    rv_plan_destroy(a->plan);
    rv_random_destroy(a->noise);
    rv_array_destroy(a->observation);
    rv_array_destroy(a->is_first);
    rv_array_destroy(a->action);
    rv_array_destroy(a->memory);
    free(a->env_action);
    free(a->ended);
}

static int act_step(const imaginer *im, actor *a, rv_env *env, episodes *real, int64_t t) {
    const int64_t rows = real->rows, now = t * rows, next = now + rows;
    float *action = real->action + now * real->action_size;
    uint8_t *terminated = a->ended, *truncated = a->ended + rows;
    rv_status status = rv_array_write(a->observation, 0, rows, real->observation + now * real->observation_size);
    if (status == RV_OK) status = rv_array_write(a->is_first, 0, rows, real->is_first + now);
    if (status == RV_OK) status = rv_plan_run(a->plan);
    if (status == RV_OK) status = rv_array_read(a->action, 0, rows, action);
    if (status != RV_OK) return failed(status, "acting", NULL);
    rv_actor_to_env(im->spaces, rows, action, a->env_action);
    rv_env_result result = {.observation = real->observation + next * real->observation_size,
                            .reward = real->reward + now,
                            .terminated = terminated,
                            .truncated = truncated};
    status = rv_env_step(env, a->env_action, &result);
    for (int64_t i = 0; i < rows; i++) real->is_first[next + i] = terminated[i] || truncated[i] ? 1.0f : 0.0f;
    return status == RV_OK ? EXIT_OK : failed(status, "acting", rv_env_message(env));
}

int imaginer_act(const imaginer *im, rv_env *env, int64_t steps, uint64_t seed, episodes *real) {
    const int64_t rows = rv_env_count(env);
    actor a = {0};
    int code = episodes_make(im, rows, steps, real);
    if (code == EXIT_OK) code = make_actor(im, rows, seed, &a);
    rv_status status = code == EXIT_OK ? rv_env_reset(env, seed, real->observation) : RV_OK;
    if (status != RV_OK) code = failed(status, "acting", rv_env_message(env));
    for (int64_t i = 0; i < rows && code == EXIT_OK; i++) real->is_first[i] = 1;
    for (int64_t t = 0; t < steps && code == EXIT_OK; t++) code = act_step(im, &a, env, real, t);
    free_actor(&a);
    return code;
}

/* ---- what is imagined ------------------------------------------------------------------------------------------ */

enum { OBSERVATION, LATENT, ACTION, REWARD, GOING_ON, PARTS };

/* The context and, unless the policy acts, the actions behind it, as a plan reads them. */
typedef struct dreaming {
    int64_t rows;
    rv_array *observation, *is_first, *seen_action, *action;
    rv_random *noise;
    rv_plan *plan;
    rv_array *out[PARTS];
} dreaming;

/* Rows of the steps [first, first + steps), each episode `samples` times. */
static rv_status upload(rv_device *device, const float *from, int64_t cols, const episodes *real,
                        const dream_options *o, int64_t first, int64_t steps, const char *name, rv_array **array) {
    const int64_t rows = o->rows * o->samples;
    float *values = make_rows(steps * rows, cols);
    rv_status status = values ? rv_array_create(device, RV_F32, steps * rows, cols, name, array) : RV_OUT_OF_MEMORY;
    for (int64_t i = 0; i < steps * rows && status == RV_OK; i++) {
        const int64_t row = (first + i / rows) * real->rows + i % rows / o->samples;
        memcpy(values + i * cols, from + row * cols, (size_t)cols * sizeof *values);
    }
    if (status == RV_OK) status = rv_array_write(*array, 0, steps * rows, values);
    free(values);
    return status;
}

static rv_status upload_all(const imaginer *im, const episodes *real, const dream_options *o, dreaming *d) {
    const int64_t c = o->context, a = real->action_size;
    rv_status status = upload(im->device, real->observation, real->observation_size, real, o, 0, c, "observation",
                              &d->observation);
    if (status == RV_OK) status = upload(im->device, real->is_first, 1, real, o, 0, c, "is_first", &d->is_first);
    if (status == RV_OK) status = upload(im->device, real->action, a, real, o, 0, c, "action", &d->seen_action);
    if (status == RV_OK && !o->policy) {
        status = upload(im->device, real->action, a, real, o, c - 1, o->steps, "action", &d->action);
    }
    if (status == RV_OK) status = rv_random_create(im->device, o->seed, &d->noise);
    return status;
}

static rv_status store_parts(const imaginer *im, imaginer_tensors t, dreaming *d) {
    static const char *const names[PARTS] = {"imagined observation", "latent", "imagined action", "reward", "going on"};
    const rv_tensor part[PARTS] = {[OBSERVATION] = t.observation,
                                   [LATENT] = t.latent,
                                   [ACTION] = t.action,
                                   [REWARD] = t.reward,
                                   [GOING_ON] = t.going_on};
    for (int i = 0; i < PARTS; i++) {
        rv_status status = rv_array_create(im->device, RV_F32, rv_tensor_rows(part[i]), rv_tensor_cols(part[i]),
                                           names[i], &d->out[i]);
        if (status != RV_OK) return status;
        rv_store(d->out[i], part[i]);
    }
    return RV_OK;
}

static int record_dream(const imaginer *im, const dream_options *o, dreaming *d) {
    rv_graph *graph = NULL;
    rv_status status = rv_graph_create(im->device, &graph);
    if (status == RV_OK) {
        const imaginer_context context = {.steps = o->context,
                                          .rows = d->rows,
                                          .observation = rv_read(graph, d->observation),
                                          .action = rv_read(graph, d->seen_action),
                                          .is_first = rv_read(graph, d->is_first)};
        rv_tensor actions = o->policy ? RV_NONE : rv_read(graph, d->action);
        const imaginer_tensors tensors =
            im->imagine(im->self, graph, &context, actions, o->steps, rv_random_state(graph, d->noise));
        status = rv_graph_status(graph);
        if (status == RV_OK) status = store_parts(im, tensors, d);
        if (status == RV_OK) status = rv_plan_create(graph, NULL, &d->plan);
    }
    int code = EXIT_OK;
    if (status != RV_OK) {
        code = failed(status, "imagining", d->plan ? rv_plan_message(d->plan) : rv_graph_message(graph));
    }
    rv_graph_destroy(graph);
    return code;
}

static int read_parts(dreaming *d, dream *out) {
    float **const to[PARTS] = {&out->observation, &out->latent, &out->action, &out->reward, &out->going_on};
    rv_status status = rv_plan_run(d->plan);
    for (int i = 0; i < PARTS && status == RV_OK; i++) {
        const int64_t rows = rv_array_rows(d->out[i]);
        *to[i] = make_rows(rows, rv_array_cols(d->out[i]));
        if (!*to[i]) return no_memory();
        status = rv_array_read(d->out[i], 0, rows, *to[i]);
    }
    if (status != RV_OK) return failed(status, "imagining", rv_plan_message(d->plan));
    out->latent_size = rv_array_cols(d->out[LATENT]);
    return EXIT_OK;
}

int imaginer_dream(const imaginer *im, const episodes *real, const dream_options *o, dream *out) {
    dreaming d = {.rows = o->rows * o->samples};
    *out = (dream){.rows = d.rows,
                   .steps = o->steps,
                   .observation_size = im->observation_size,
                   .action_size = im->action_size};
    rv_status status = upload_all(im, real, o, &d);
    int code = status == RV_OK ? EXIT_OK : failed(status, "imagining", NULL);
    if (code == EXIT_OK) code = record_dream(im, o, &d);
    if (code == EXIT_OK) code = read_parts(&d, out);
    rv_plan_destroy(d.plan);
    rv_random_destroy(d.noise);
    rv_array *const arrays[] = {d.observation, d.is_first, d.seen_action, d.action};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) rv_array_destroy(arrays[i]);
    for (int i = 0; i < PARTS; i++) rv_array_destroy(d.out[i]);
    return code;
}

void dream_free(dream *dream) {
    free(dream->observation);
    free(dream->latent);
    free(dream->action);
    free(dream->reward);
    free(dream->going_on);
    *dream = (struct dream){0};
}
