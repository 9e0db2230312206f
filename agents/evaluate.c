/* agents/evaluate.c: one-step and open-loop error of a world model, its baselines, and its uncertainty. */
#include "reverie/evaluate.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/evaluator.h"
#include "agents/linear.h"
#include "agents/rollout.h"

static rv_status fail(rv_evaluation *evaluation, rv_status status, const char *text) {
    snprintf(evaluation->message, sizeof evaluation->message, "evaluate: %.200s", text);
    return status;
}

static rv_status rollout_failed(rv_evaluation *evaluation, rv_status status, rv_rollout *rollout) {
    if (status != RV_OK) fail(evaluation, status, rollout->message);
    rv_rollout_release(rollout);
    return status;
}

/* ---- one step -------------------------------------------------------------------------------------------- */

typedef struct sums {
    double *change, *change_square, *error_square; /* [O] */
    double reward, reward_square, reward_error; /* sums of it, its square, the squared error */
} sums;

static void add_steps(const rv_evaluator *e, int64_t first, int64_t count, const rv_rollout *rollout, sums *s) {
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
        double reward = e->held.reward[first + i], error = (double)rollout->reward[i] - reward;
        s->reward += reward;
        s->reward_square += reward * reward;
        s->reward_error += error * error;
        e->out->step_reward[first + i] = rollout->reward[i];
    }
}

static rv_status one_step(rv_evaluator *e) {
    enum { ROWS = 512 };
    const int64_t o = e->held.observation_size, n = e->held.steps, rows = n < ROWS ? n : ROWS;
    int64_t start[ROWS];
    rv_rollout rollout;
    double *memory = calloc((size_t)o, 3 * sizeof *memory);
    if (!memory) return fail(e->out, RV_OUT_OF_MEMORY, "no memory");
    sums s = {memory, memory + o, memory + 2 * o, 0.0, 0.0, 0.0};
    rv_status status = rv_rollout_make(&rollout, &e->model, rows, 1, false, 0);
    for (int64_t first = 0; status == RV_OK && first < n; first += rows) {
        int64_t count = n - first < rows ? n - first : rows;
        for (int64_t i = 0; i < rows; i++) start[i] = first + (i < count ? i : count - 1);
        rv_evaluator_fill(&e->held, start, 1, &rollout);
        status = rv_rollout_run(&rollout);
        if (status == RV_OK) add_steps(e, first, count, &rollout, &s);
    }
    for (int64_t d = 0; d < o; d++) {
        double variance = s.change_square[d] - s.change[d] * s.change[d] / (double)n;
        e->out->change_r2[d] = variance > 0.0 ? 1.0 - s.error_square[d] / variance : 0.0;
    }
    e->out->reward_rmse = sqrt(s.reward_error / (double)n);
    e->out->reward_deviation = sqrt(fmax(s.reward_square - s.reward * s.reward / (double)n, 0.0) / (double)n);
    e->out->transitions = n;
    free(memory);
    return rollout_failed(e->out, status, &rollout);
}

/* ---- open loop ------------------------------------------------------------------------------------------- */

static void baselines(const rv_evaluator *e, const rv_linear_fit *fit, double *state, double *scratch) {
    const int64_t o = e->held.observation_size, horizon = e->options.horizon, starts = e->out->starts;
    for (int64_t i = 0; i < starts; i++) {
        const float *begin = rv_evaluator_truth(&e->held, e->start[i], 0);
        for (int64_t d = 0; d < o; d++) state[d] = begin[d];
        for (int64_t k = 1; k <= horizon; k++) {
            rv_linear_fit_step(fit, state, e->held.action + (e->start[i] + k - 1) * e->held.action_size, scratch);
            const float *truth = rv_evaluator_truth(&e->held, e->start[i], k);
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

static rv_status reward_baseline(rv_evaluator *e) {
    rv_linear_fit fit;
    double sum = 0.0, reward;
    rv_status status = rv_reward_fit_make(e->train, &fit);
    for (int64_t t = 0; t < e->held.steps && status == RV_OK; t++) {
        rv_linear_fit_predict(&fit, e->held.observation + t * fit.observation_size, e->held.action + t * fit.action_size, &reward);
        sum += (reward - (double)e->held.reward[t]) * (reward - (double)e->held.reward[t]);
    }
    e->out->memoryless_reward_rmse = sqrt(sum / (double)e->held.steps);
    rv_linear_fit_release(&fit);
    return status == RV_OK ? RV_OK : fail(e->out, status, "regression of the reward: no memory");
}

static rv_status linear_baseline(rv_evaluator *e) {
    rv_linear_fit fit;
    double *state = calloc((size_t)e->held.observation_size, 2 * sizeof *state);
    rv_status status = rv_linear_fit_make(e->train, &fit);
    if (!state) status = RV_OUT_OF_MEMORY;
    if (status == RV_OK) baselines(e, &fit, state, state + e->held.observation_size);
    free(state);
    rv_linear_fit_release(&fit);
    return status == RV_OK ? RV_OK : fail(e->out, status, "linear regression: no memory");
}

static void open_loop_errors(rv_evaluator *e, const rv_rollout *rollout) {
    const int64_t o = e->held.observation_size, starts = e->out->starts;
    for (int64_t k = 1; k <= e->options.horizon; k++) {
        for (int64_t d = 0; d < o; d++) {
            double error = 0.0, sum = 0.0, square = 0.0;
            for (int64_t i = 0; i < starts; i++) {
                double truth = rv_evaluator_truth(&e->held, e->start[i], k)[d];
                double off = (double)rollout->predicted[((k - 1) * starts + i) * o + d] - truth;
                error += off * off;
                sum += truth;
                square += truth * truth;
            }
            double mean = sum / (double)starts;
            e->out->model_rmse[(k - 1) * o + d] = sqrt(error / (double)starts);
            double variance = fmax(square / (double)starts - mean * mean, 0.0);
            e->out->truth_deviation[(k - 1) * o + d] = sqrt(variance);
            e->out->open_loop_r2[(k - 1) * o + d] = variance > 0.0 ? 1.0 - error / (double)starts / variance : 0.0;
        }
        double error = 0.0;
        for (int64_t i = 0; i < starts; i++) {
            double off = (double)rollout->reward[(k - 1) * starts + i] - (double)e->held.reward[e->start[i] + k - 1];
            error += off * off;
        }
        e->out->open_loop_reward_rmse[k - 1] = sqrt(error / (double)starts);
    }
}

static void keep_first_start(rv_evaluator *e, const rv_rollout *rollout) {
    const int64_t o = e->held.observation_size, a = e->held.action_size;
    for (int64_t k = 0; k <= e->options.horizon; k++) {
        for (int64_t d = 0; d < o; d++) {
            e->out->truth[k * o + d] = rv_evaluator_truth(&e->held, e->start[0], k)[d];
            e->out->mean[k * o + d] = k == 0 ? e->out->truth[d] : (double)rollout->predicted[(k - 1) * rollout->rows * o + d];
        }
    }
    memcpy(e->out->action, e->held.action + e->start[0] * a, (size_t)(e->options.horizon * a) * sizeof(float));
}

static rv_status open_loop(rv_evaluator *e) {
    rv_rollout rollout;
    rv_status status = rv_rollout_make(&rollout, &e->model, e->out->starts, e->options.horizon, false, 0);
    if (status == RV_OK) {
        rv_evaluator_fill(&e->held, e->start, 1, &rollout);
        status = rv_rollout_run(&rollout);
    }
    if (status == RV_OK) {
        open_loop_errors(e, &rollout);
        keep_first_start(e, &rollout);
    }
    return rollout_failed(e->out, status, &rollout);
}

/* One figure a horizon: over the dimensions, each in units of its own deviation over all held-out steps. */
static void pool_errors(rv_evaluator *e) {
    const int64_t o = e->held.observation_size, n = e->held.steps;
    double *const from[] = {e->out->model_rmse, e->out->repeat_rmse, e->out->linear_rmse};
    double *const to[] = {e->out->model_error, e->out->repeat_error, e->out->linear_error};
    for (int64_t d = 0; d < o; d++) {
        double sum = 0.0, square = 0.0;
        for (int64_t s = 0; s < n; s++) sum += e->held.observation[s * o + d];
        for (int64_t s = 0; s < n; s++) square += pow(e->held.observation[s * o + d] - sum / (double)n, 2);
        if (!(square > 0.0)) continue;
        for (int i = 0; i < 3; i++) {
            for (int64_t k = 0; k < e->options.horizon; k++) to[i][k] += from[i][k * o + d] * from[i][k * o + d] / (square / (double)n);
        }
    }
    for (int i = 0; i < 3; i++) {
        for (int64_t k = 0; k < e->options.horizon; k++) to[i][k] = sqrt(to[i][k] / (double)o);
    }
}

/* ---- uncertainty ----------------------------------------------------------------------------------------- */

static void count_inside(rv_evaluator *e, const rv_rollout *rollout, int64_t bands, float *sorted) {
    const int64_t o = e->held.observation_size, samples = e->options.samples;
    for (int64_t k = 1; k <= e->options.horizon; k++) {
        int64_t in_50 = 0, in_90 = 0;
        for (int64_t i = 0; i < bands * o; i++) {
            int64_t band = i / o, d = i % o;
            for (int64_t s = 0; s < samples; s++) {
                sorted[s] = rollout->predicted[((k - 1) * rollout->rows + band * samples + s) * o + d];
            }
            qsort(sorted, (size_t)samples, sizeof *sorted, rv_ascending);
            double truth = rv_evaluator_truth(&e->held, e->start[band * e->out->starts / bands], k)[d];
            double low = rv_sorted_quantile(sorted, samples, 0.05), high = rv_sorted_quantile(sorted, samples, 0.95);
            in_90 += truth >= low && truth <= high;
            in_50 += truth >= rv_sorted_quantile(sorted, samples, 0.25) && truth <= rv_sorted_quantile(sorted, samples, 0.75);
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

static rv_status uncertainty(rv_evaluator *e) {
    const int64_t samples = e->options.samples, bands = e->options.bands < e->out->starts ? e->options.bands : e->out->starts;
    rv_rollout rollout;
    float *sorted = calloc((size_t)samples, sizeof *sorted);
    int64_t *some = calloc((size_t)bands, sizeof *some);
    rv_status status = rv_rollout_make(&rollout, &e->model, bands * samples, e->options.horizon, true, e->options.seed);
    if (!sorted || !some) status = RV_OUT_OF_MEMORY;
    if (status == RV_OK) {
        for (int64_t i = 0; i < bands; i++) some[i] = e->start[i * e->out->starts / bands];
        rv_evaluator_fill(&e->held, some, samples, &rollout);
        status = rv_rollout_run(&rollout);
    }
    if (status == RV_OK) count_inside(e, &rollout, bands, sorted);
    free(sorted);
    free(some);
    return rollout_failed(e->out, status, &rollout);
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static bool make_list(double **list, int64_t rows, int64_t cols) {
    *list = calloc((size_t)rows, (size_t)cols * sizeof **list);
    return *list != NULL;
}

static bool allocate(rv_evaluation *out, int64_t o, int64_t a, int64_t horizon, int64_t steps) {
    double **const rows[] = {&out->model_rmse, &out->repeat_rmse, &out->linear_rmse, &out->truth_deviation, &out->open_loop_r2,
                             &out->truth,      &out->mean,        &out->low,         &out->high};
    double **const columns[] = {&out->model_error, &out->repeat_error, &out->linear_error, &out->open_loop_reward_rmse,
                                &out->inside_50,   &out->inside_90};
    bool ok = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) ok = make_list(rows[i], horizon + 1, o) && ok;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) ok = make_list(columns[i], horizon, 1) && ok;
    ok = make_list(&out->change_r2, 1, o) && ok;
    out->action = calloc((size_t)horizon, (size_t)a * sizeof(float));
    out->step_reward = calloc((size_t)steps, sizeof(float));
    return ok && out->action && out->step_reward;
}

void rv_evaluation_destroy(rv_evaluation *evaluation) {
    if (!evaluation) return;
    double *const lists[] = {evaluation->change_r2,    evaluation->model_rmse,   evaluation->repeat_rmse,  evaluation->linear_rmse,
                             evaluation->truth_deviation, evaluation->open_loop_r2, evaluation->model_error,  evaluation->repeat_error,
                             evaluation->linear_error, evaluation->open_loop_reward_rmse, evaluation->inside_50, evaluation->inside_90,
                             evaluation->truth,        evaluation->mean,         evaluation->low,          evaluation->high};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) free(lists[i]);
    free(evaluation->action);
    free(evaluation->step_reward);
    free(evaluation);
}

/* Of sequences fewer: each is a context too. */
static int64_t default_bands(const rv_predictor *model) {
    return model->sequence ? 8 : rv_world_model_stretch(model->world) ? 96 : 24;
}

static rv_status take_options(rv_evaluator *e, const rv_evaluate_options *options) {
    if (options && options->size != sizeof *options) return fail(e->out, RV_INVALID_ARGUMENT, "options of another size");
    if (options) e->options = *options;
    rv_evaluate_options *o = &e->options;
    if (o->horizon == 0) o->horizon = 50;
    if (o->starts == 0) o->starts = 256;
    if (o->bands == 0) o->bands = default_bands(&e->model);
    if (o->samples == 0) o->samples = 64;
    if (o->context == 0) o->context = 16;
    const int64_t limit = 1 << 20;
    if (e->model.sequence) e->model.context = o->context;
    if (o->context < 1 || o->context > limit || o->horizon < 1 || o->horizon > limit || o->starts < 1 || o->starts > limit || o->bands < 1 || o->samples < 2 ||
        o->samples > limit || o->bands > limit) {
        return fail(e->out, RV_INVALID_ARGUMENT, "horizon, starts, bands, samples or context out of range");
    }
    return RV_OK;
}

static rv_status check_data(rv_evaluator *e) {
    const int64_t o = rv_predictor_observation_size(&e->model), a = rv_predictor_action_size(&e->model);
    const rv_transitions *const data[] = {e->train, &e->held};
    for (int i = 0; i < 2; i++) {
        if (data[i]->observation_size != o || data[i]->action_size != a) {
            return fail(e->out, RV_SHAPE_MISMATCH, "the data has other sizes than the model");
        }
        if (data[i]->steps < 1) return fail(e->out, RV_INVALID_ARGUMENT, i ? "no held-out data" : "no training data");
    }
    return RV_OK;
}

static rv_status evaluate(rv_evaluator *e, const rv_dataset *held_out, const rv_evaluate_options *options) {
    rv_status status = take_options(e, options);
    if (status == RV_OK) status = check_data(e);
    if (status != RV_OK) return status;
    e->out->observation_size = e->held.observation_size;
    e->out->horizon = e->options.horizon;
    e->start = rv_evaluator_pick_starts(held_out, e->options.horizon, e->options.starts, &e->out->starts);
    if (!e->start || !allocate(e->out, e->held.observation_size, e->held.action_size, e->options.horizon, e->held.steps)) {
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
    if (status == RV_OK) status = reward_baseline(e);
    if (status == RV_OK) pool_errors(e);
    if (status == RV_OK) status = uncertainty(e);
    return status;
}

static rv_status evaluate_predictor(rv_predictor model, const rv_transitions *train, const rv_dataset *held_out,
                                    const rv_evaluate_options *options, rv_evaluation **evaluation) {
    if (!evaluation) return RV_INVALID_ARGUMENT;
    *evaluation = calloc(1, sizeof **evaluation);
    if (!*evaluation) return RV_OUT_OF_MEMORY;
    if ((!model.world && !model.sequence) || !train || !held_out) {
        return fail(*evaluation, RV_INVALID_ARGUMENT, "a model, training data and held-out data are needed");
    }
    rv_evaluator e = {.model = model, .train = train, .held = rv_dataset_transitions(held_out), .out = *evaluation};
    rv_status status = evaluate(&e, held_out, options);
    free(e.start);
    return status;
}

rv_status rv_evaluate_world_model(rv_world_model *model, const rv_transitions *train, const rv_dataset *held_out,
                                  const rv_evaluate_options *options, rv_evaluation **evaluation) {
    return evaluate_predictor((rv_predictor){.world = model, .context = 1}, train, held_out, options, evaluation);
}

rv_status rv_evaluate_sequence_model(rv_sequence_model *model, const rv_transitions *train, const rv_dataset *held_out,
                                     const rv_evaluate_options *options, rv_evaluation **evaluation) {
    return evaluate_predictor((rv_predictor){.sequence = model}, train, held_out, options, evaluation);
}
