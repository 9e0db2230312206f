/* agents/evaluate.c: one-step and open-loop error of a world model, its baselines, and its uncertainty. */
#include "reverie/evaluate.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/linear.h"
#include "agents/rollout.h"

typedef struct evaluator {
    rv_world_model *model;
    rv_evaluate_options options;
    const rv_transitions *train;
    rv_transitions held;  /* out */
    int64_t *start;       /* [starts]: a held-out step each, with `horizon` steps of its episode ahead */
    rv_evaluation *out;
} evaluator;

static rv_status fail(rv_evaluation *evaluation, rv_status status, const char *text) {
    snprintf(evaluation->message, sizeof evaluation->message, "evaluate: %.200s", text);
    return status;
}

static rv_status rollout_failed(rv_evaluation *evaluation, rv_status status, rv_rollout *rollout) {
    if (status != RV_OK) fail(evaluation, status, rollout->message);
    rv_rollout_release(rollout);
    return status;
}

/* ---- where open-loop predictions begin ------------------------------------------------------------------ */

static bool pick_starts(evaluator *e, const rv_dataset *held_out) {
    const int64_t horizon = e->options.horizon;
    int64_t *all = calloc((size_t)e->held.steps + 1, sizeof *all), count = 0;
    if (!all) return false;
    for (int64_t i = 0; i < rv_dataset_episodes(held_out); i++) {
        int64_t first, length;
        rv_dataset_episode(held_out, i, &first, &length);
        for (int64_t s = 0; s + horizon <= length; s++) all[count++] = first + s;
    }
    e->out->starts = count < e->options.starts ? count : e->options.starts;
    for (int64_t i = 0; i < e->out->starts; i++) all[i] = all[i * count / e->out->starts]; /* never ahead of i */
    e->start = all;
    return true;
}

/* The truth k steps after a start: what the k-th step from it led to; k = 0 is the start itself. */
static const float *truth_at(const evaluator *e, int64_t start, int64_t k) {
    const int64_t o = e->held.observation_size;
    return k == 0 ? e->held.observation + start * o : e->held.next_observation + (start + k - 1) * o;
}

/* Row r begins at start r / samples; actions are [horizon, rows, A]. */
static void fill_inputs(const evaluator *e, int64_t rows, int64_t samples, float *observation, float *action) {
    const int64_t o = e->held.observation_size, a = e->held.action_size;
    for (int64_t r = 0; r < rows; r++) {
        int64_t start = e->start[r / samples];
        memcpy(observation + r * o, truth_at(e, start, 0), (size_t)o * sizeof(float));
        for (int64_t t = 0; t < e->options.horizon; t++) {
            memcpy(action + (t * rows + r) * a, e->held.action + (start + t) * a, (size_t)a * sizeof(float));
        }
    }
}

/* ---- one step -------------------------------------------------------------------------------------------- */

typedef struct sums {
    double *change, *change_square, *error_square; /* [O] */
    double reward_square;
} sums;

static void add_steps(const evaluator *e, int64_t first, int64_t count, const rv_rollout *rollout, sums *s) {
    const int64_t o = e->held.observation_size;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t d = 0; d < o; d++) {
            int64_t at = (first + i) * o + d;
            double before = e->held.observation[at], after = e->held.next_observation[at];
            double error = (double)rollout->predicted[i * o + d] - after, change = after - before;
            s->change[d] += change;
            s->change_square[d] += change * change;
            s->error_square[d] += error * error;
        }
        double error = (double)rollout->reward[i] - (double)e->held.reward[first + i];
        s->reward_square += error * error;
    }
}

static rv_status one_step(evaluator *e) {
    const int64_t o = e->held.observation_size, a = e->held.action_size, n = e->held.steps, rows = n < 512 ? n : 512;
    rv_rollout rollout;
    double *memory = calloc((size_t)o, 3 * sizeof *memory);
    if (!memory) return fail(e->out, RV_OUT_OF_MEMORY, "no memory");
    sums s = {memory, memory + o, memory + 2 * o, 0.0};
    rv_status status = rv_rollout_make(&rollout, e->model, rows, 1, false, 0);
    for (int64_t first = 0; status == RV_OK && first < n; first += rows) {
        int64_t count = n - first < rows ? n - first : rows;
        memcpy(rollout.observation, e->held.observation + first * o, (size_t)(count * o) * sizeof(float));
        memcpy(rollout.action, e->held.action + first * a, (size_t)(count * a) * sizeof(float));
        status = rv_rollout_run(&rollout);
        if (status == RV_OK) add_steps(e, first, count, &rollout, &s);
    }
    for (int64_t d = 0; d < o; d++) {
        double variance = s.change_square[d] - s.change[d] * s.change[d] / (double)n;
        e->out->change_r2[d] = variance > 0.0 ? 1.0 - s.error_square[d] / variance : 0.0;
    }
    e->out->reward_rmse = sqrt(s.reward_square / (double)n);
    e->out->transitions = n;
    free(memory);
    return rollout_failed(e->out, status, &rollout);
}

/* ---- open loop ------------------------------------------------------------------------------------------- */

static void baselines(const evaluator *e, const rv_linear_fit *fit, double *state, double *scratch) {
    const int64_t o = e->held.observation_size, horizon = e->options.horizon, starts = e->out->starts;
    for (int64_t i = 0; i < starts; i++) {
        const float *begin = truth_at(e, e->start[i], 0);
        for (int64_t d = 0; d < o; d++) state[d] = begin[d];
        for (int64_t k = 1; k <= horizon; k++) {
            rv_linear_fit_step(fit, state, e->held.action + (e->start[i] + k - 1) * e->held.action_size, scratch);
            const float *truth = truth_at(e, e->start[i], k);
            for (int64_t d = 0; d < o; d++) {
                double repeat = (double)begin[d] - (double)truth[d], linear = state[d] - (double)truth[d];
                e->out->repeat_rmse[(k - 1) * o + d] += repeat * repeat;
                e->out->linear_rmse[(k - 1) * o + d] += linear * linear;
            }
        }
    }
    for (int64_t i = 0; i < horizon * o; i++) {
        e->out->repeat_rmse[i] = sqrt(e->out->repeat_rmse[i] / (double)starts);
        e->out->linear_rmse[i] = sqrt(e->out->linear_rmse[i] / (double)starts);
    }
}

static rv_status linear_baseline(evaluator *e) {
    rv_linear_fit fit;
    double *state = calloc((size_t)e->held.observation_size, 2 * sizeof *state);
    rv_status status = rv_linear_fit_make(e->train, &fit);
    if (!state) status = RV_OUT_OF_MEMORY;
    if (status == RV_OK) baselines(e, &fit, state, state + e->held.observation_size);
    free(state);
    rv_linear_fit_release(&fit);
    return status == RV_OK ? RV_OK : fail(e->out, status, "linear regression: no memory");
}

static void open_loop_errors(evaluator *e, const rv_rollout *rollout) {
    const int64_t o = e->held.observation_size, starts = e->out->starts;
    for (int64_t k = 1; k <= e->options.horizon; k++) {
        for (int64_t d = 0; d < o; d++) {
            double error = 0.0, sum = 0.0, square = 0.0;
            for (int64_t i = 0; i < starts; i++) {
                double truth = truth_at(e, e->start[i], k)[d];
                double off = (double)rollout->predicted[((k - 1) * starts + i) * o + d] - truth;
                error += off * off;
                sum += truth;
                square += truth * truth;
            }
            double mean = sum / (double)starts;
            e->out->model_rmse[(k - 1) * o + d] = sqrt(error / (double)starts);
            e->out->truth_deviation[(k - 1) * o + d] = sqrt(fmax(square / (double)starts - mean * mean, 0.0));
        }
    }
}

static void keep_first_start(evaluator *e, const rv_rollout *rollout) {
    const int64_t o = e->held.observation_size, a = e->held.action_size;
    for (int64_t k = 0; k <= e->options.horizon; k++) {
        for (int64_t d = 0; d < o; d++) {
            e->out->truth[k * o + d] = truth_at(e, e->start[0], k)[d];
            e->out->mean[k * o + d] = k == 0 ? e->out->truth[d] : (double)rollout->predicted[(k - 1) * rollout->rows * o + d];
        }
    }
    memcpy(e->out->action, e->held.action + e->start[0] * a, (size_t)(e->options.horizon * a) * sizeof(float));
}

static rv_status open_loop(evaluator *e) {
    rv_rollout rollout;
    rv_status status = rv_rollout_make(&rollout, e->model, e->out->starts, e->options.horizon, false, 0);
    if (status == RV_OK) {
        fill_inputs(e, e->out->starts, 1, rollout.observation, rollout.action);
        status = rv_rollout_run(&rollout);
    }
    if (status == RV_OK) {
        open_loop_errors(e, &rollout);
        keep_first_start(e, &rollout);
    }
    return rollout_failed(e->out, status, &rollout);
}

/* ---- uncertainty ----------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Linear interpolation between the two nearest, as numpy does. */
static double quantile(const float *sorted, int64_t count, double q) {
    double at = q * (double)(count - 1);
    int64_t i = (int64_t)at;
    if (i + 1 >= count) return sorted[count - 1];
    return (double)sorted[i] + (at - (double)i) * ((double)sorted[i + 1] - (double)sorted[i]);
}

static void count_inside(evaluator *e, const rv_rollout *rollout, int64_t bands, float *sorted) {
    const int64_t o = e->held.observation_size, samples = e->options.samples;
    for (int64_t k = 1; k <= e->options.horizon; k++) {
        int64_t in_50 = 0, in_90 = 0;
        for (int64_t i = 0; i < bands * o; i++) {
            int64_t band = i / o, d = i % o;
            for (int64_t s = 0; s < samples; s++) {
                sorted[s] = rollout->predicted[((k - 1) * rollout->rows + band * samples + s) * o + d];
            }
            qsort(sorted, (size_t)samples, sizeof *sorted, ascending);
            double truth = truth_at(e, e->start[band * e->out->starts / bands], k)[d];
            double low = quantile(sorted, samples, 0.05), high = quantile(sorted, samples, 0.95);
            in_90 += truth >= low && truth <= high;
            in_50 += truth >= quantile(sorted, samples, 0.25) && truth <= quantile(sorted, samples, 0.75);
            if (band == 0) {
                e->out->low[k * o + d] = low;
                e->out->high[k * o + d] = high;
            }
        }
        e->out->inside_50[k - 1] = (double)in_50 / (double)(bands * o);
        e->out->inside_90[k - 1] = (double)in_90 / (double)(bands * o);
    }
    for (int64_t d = 0; d < o; d++) e->out->low[d] = e->out->high[d] = e->out->truth[d];
}

static rv_status uncertainty(evaluator *e) {
    const int64_t samples = e->options.samples, bands = e->options.bands < e->out->starts ? e->options.bands : e->out->starts;
    rv_rollout rollout;
    float *sorted = calloc((size_t)samples, sizeof *sorted);
    int64_t *all = e->start, *some = calloc((size_t)bands, sizeof *some);
    rv_status status = rv_rollout_make(&rollout, e->model, bands * samples, e->options.horizon, true, e->options.seed);
    if (!sorted || !some) status = RV_OUT_OF_MEMORY;
    if (status == RV_OK) {
        for (int64_t i = 0; i < bands; i++) some[i] = all[i * e->out->starts / bands];
        e->start = some;
        fill_inputs(e, bands * samples, samples, rollout.observation, rollout.action);
        e->start = all;
        status = rv_rollout_run(&rollout);
    }
    if (status == RV_OK) count_inside(e, &rollout, bands, sorted);
    free(sorted);
    free(some);
    return rollout_failed(e->out, status, &rollout);
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static bool allocate(rv_evaluation *out, int64_t o, int64_t a, int64_t horizon) {
    double **const lists[] = {&out->model_rmse, &out->repeat_rmse, &out->linear_rmse, &out->truth_deviation,
                              &out->truth,      &out->mean,        &out->low,         &out->high};
    bool ok = true;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        *lists[i] = calloc((size_t)horizon + 1, (size_t)o * sizeof(double));
        ok = ok && *lists[i];
    }
    out->change_r2 = calloc((size_t)o, sizeof(double));
    out->inside_50 = calloc((size_t)horizon, sizeof(double));
    out->inside_90 = calloc((size_t)horizon, sizeof(double));
    out->action = calloc((size_t)horizon, (size_t)a * sizeof(float));
    return ok && out->change_r2 && out->inside_50 && out->inside_90 && out->action;
}

void rv_evaluation_destroy(rv_evaluation *evaluation) {
    if (!evaluation) return;
    free(evaluation->change_r2);
    free(evaluation->model_rmse);
    free(evaluation->repeat_rmse);
    free(evaluation->linear_rmse);
    free(evaluation->truth_deviation);
    free(evaluation->inside_50);
    free(evaluation->inside_90);
    free(evaluation->truth);
    free(evaluation->mean);
    free(evaluation->low);
    free(evaluation->high);
    free(evaluation->action);
    free(evaluation);
}

static rv_status take_options(evaluator *e, const rv_evaluate_options *options) {
    if (options && options->size != sizeof *options) return fail(e->out, RV_INVALID_ARGUMENT, "options of another size");
    if (options) e->options = *options;
    rv_evaluate_options *o = &e->options;
    if (o->horizon == 0) o->horizon = 50;
    if (o->starts == 0) o->starts = 256;
    if (o->bands == 0) o->bands = 24;
    if (o->samples == 0) o->samples = 64;
    const int64_t limit = 1 << 20;
    if (o->horizon < 1 || o->horizon > limit || o->starts < 1 || o->starts > limit || o->bands < 1 || o->samples < 2 ||
        o->samples > limit || o->bands > limit) {
        return fail(e->out, RV_INVALID_ARGUMENT, "horizon, starts, bands or samples out of range");
    }
    return RV_OK;
}

static rv_status check_data(evaluator *e) {
    const rv_world_model_options *m = rv_world_model_options_get(e->model);
    const rv_transitions *const data[] = {e->train, &e->held};
    for (int i = 0; i < 2; i++) {
        if (data[i]->observation_size != m->observation_size || data[i]->action_size != m->action_size) {
            return fail(e->out, RV_SHAPE_MISMATCH, "the data has other sizes than the model");
        }
        if (data[i]->steps < 1) return fail(e->out, RV_INVALID_ARGUMENT, i ? "no held-out data" : "no training data");
    }
    return RV_OK;
}

static rv_status evaluate(evaluator *e, const rv_dataset *held_out, const rv_evaluate_options *options) {
    rv_status status = take_options(e, options);
    if (status == RV_OK) status = check_data(e);
    if (status != RV_OK) return status;
    e->out->observation_size = e->held.observation_size;
    e->out->horizon = e->options.horizon;
    if (!allocate(e->out, e->held.observation_size, e->held.action_size, e->options.horizon) || !pick_starts(e, held_out)) {
        return fail(e->out, RV_OUT_OF_MEMORY, "no memory");
    }
    if (e->out->starts == 0) {
        snprintf(e->out->message, sizeof e->out->message, "evaluate: no held-out episode has %lld steps; lower the horizon",
                 (long long)e->options.horizon);
        return RV_INVALID_ARGUMENT;
    }
    status = one_step(e);
    if (status == RV_OK) status = open_loop(e);
    if (status == RV_OK) status = linear_baseline(e);
    if (status == RV_OK) status = uncertainty(e);
    return status;
}

rv_status rv_evaluate_world_model(rv_world_model *model, const rv_transitions *train, const rv_dataset *held_out,
                                  const rv_evaluate_options *options, rv_evaluation **evaluation) {
    if (!evaluation) return RV_INVALID_ARGUMENT;
    *evaluation = calloc(1, sizeof **evaluation);
    if (!*evaluation) return RV_OUT_OF_MEMORY;
    if (!model || !train || !held_out) return fail(*evaluation, RV_INVALID_ARGUMENT, "a model, training data and held-out data are needed");
    evaluator e = {.model = model, .train = train, .held = rv_dataset_transitions(held_out), .out = *evaluation};
    rv_status status = evaluate(&e, held_out, options);
    free(e.start);
    return status;
}
