/* agents/calibrate.c: stretches a world model's bands until they hold what they say. */
#include <math.h>
#include <stdlib.h>

#include "agents/evaluator.h"
#include "agents/rollout.h"

enum { NEIGHBOURS = 2 }; /* horizons before and after that a row is taken from as well */
static const double widest = 1e3, narrowest = 1e-3;

typedef struct calibration {
    rv_world_model *model;
    rv_evaluate_options options;
    rv_transitions data;
    int64_t *start, starts, o;
    float *sorted;     /* [samples] */
    float *needed;     /* [horizon, O, starts] */
    float *row;        /* [starts * (2 NEIGHBOURS + 1)] */
    float *stretch;    /* [RV_STRETCH_STEPS, O] */
} calibration;

/* How far the band round `centre` must be stretched to reach the truth. */
static float stretch_needed(double truth, double centre, double low, double high) {
    double off = truth - centre, reach = off < 0 ? centre - low : high - centre;
    return (float)(reach > 0 ? fmin(fabs(off) / reach, widest) : off == 0 ? 0 : widest);
}

static void measure(calibration *c, const rv_rollout *means, const rv_rollout *drawn) {
    const int64_t samples = c->options.samples;
    for (int64_t k = 0; k < c->options.horizon; k++) {
        for (int64_t d = 0; d < c->o; d++) {
            for (int64_t i = 0; i < c->starts; i++) {
                for (int64_t s = 0; s < samples; s++) c->sorted[s] = drawn->predicted[(k * drawn->rows + i * samples + s) * c->o + d];
                qsort(c->sorted, (size_t)samples, sizeof *c->sorted, rv_ascending);
                c->needed[(k * c->o + d) * c->starts + i] =
                    stretch_needed(rv_evaluator_truth(&c->data, c->start[i], k + 1)[d], means->predicted[(k * means->rows + i) * c->o + d],
                                   rv_sorted_quantile(c->sorted, samples, 0.05), rv_sorted_quantile(c->sorted, samples, 0.95));
            }
        }
    }
}

/* What 90 % of the starts need, neighbouring horizons taken together. */
static void decide(calibration *c) {
    const int64_t last = c->options.horizon - 1;
    for (int64_t k = 0; k < RV_STRETCH_STEPS; k++) {
        const int64_t middle = k < last ? k : last;
        for (int64_t d = 0; d < c->o; d++) {
            int64_t count = 0;
            for (int64_t j = middle - NEIGHBOURS; j <= middle + NEIGHBOURS; j++) {
                if (j < 0 || j > last) continue;
                for (int64_t i = 0; i < c->starts; i++) c->row[count++] = c->needed[(j * c->o + d) * c->starts + i];
            }
            qsort(c->row, (size_t)count, sizeof *c->row, rv_ascending);
            c->stretch[k * c->o + d] = (float)fmax(rv_sorted_quantile(c->row, count, 0.9), narrowest);
        }
    }
}

static rv_status roll(calibration *c, rv_rollout *rollout, int64_t samples, bool sampled) {
    rv_status status = rv_rollout_make(rollout, c->model, c->starts * samples, c->options.horizon, sampled, c->options.seed);
    if (status != RV_OK) return status;
    rv_evaluator_fill(&c->data, c->start, rollout->rows, samples, c->options.horizon, rollout->observation, rollout->action);
    return rv_rollout_run(rollout);
}

/* The stretch is set to ones meanwhile, and back on a failure. */
static rv_status calibrate(calibration *c, rv_array *stretch, float *before) {
    rv_rollout means = {0}, drawn = {0};
    for (int64_t i = 0; i < RV_STRETCH_STEPS * c->o; i++) c->stretch[i] = 1;
    rv_status status = rv_array_read(stretch, 0, RV_STRETCH_STEPS, before);
    if (status == RV_OK) status = rv_array_write(stretch, 0, RV_STRETCH_STEPS, c->stretch);
    if (status == RV_OK) status = roll(c, &means, 1, false);
    if (status == RV_OK) status = roll(c, &drawn, c->options.samples, true);
    if (status == RV_OK) {
        measure(c, &means, &drawn);
        decide(c);
        status = rv_array_write(stretch, 0, RV_STRETCH_STEPS, c->stretch);
    } else {
        rv_array_write(stretch, 0, RV_STRETCH_STEPS, before);
    }
    rv_rollout_release(&means);
    rv_rollout_release(&drawn);
    return status;
}

static rv_status take_options(calibration *c, const rv_evaluate_options *options) {
    const int64_t limit = 1 << 20;
    if (options && options->size != sizeof *options) return RV_INVALID_ARGUMENT;
    if (options) c->options = *options;
    rv_evaluate_options *o = &c->options;
    if (o->horizon == 0) o->horizon = 50;
    if (o->bands == 0) o->bands = 128;
    if (o->samples == 0) o->samples = 64;
    const bool good = o->horizon > 0 && o->horizon <= limit && o->bands > 0 && o->bands <= limit && o->samples > 1 && o->samples <= limit;
    return good ? RV_OK : RV_INVALID_ARGUMENT;
}

static rv_status prepare(calibration *c, const rv_dataset *validation, float **before) {
    const size_t size = (size_t)(RV_STRETCH_STEPS * c->o);
    c->start = rv_evaluator_pick_starts(validation, c->options.horizon, c->options.bands, &c->starts);
    if (!c->start) return RV_OUT_OF_MEMORY;
    if (c->starts == 0) return RV_INVALID_ARGUMENT;
    c->sorted = calloc((size_t)c->options.samples, sizeof *c->sorted);
    c->needed = calloc((size_t)c->starts, (size_t)(c->options.horizon * c->o) * sizeof *c->needed);
    c->row = calloc((size_t)c->starts, (2 * NEIGHBOURS + 1) * sizeof *c->row);
    c->stretch = calloc(size, sizeof *c->stretch);
    *before = calloc(size, sizeof **before);
    return c->sorted && c->needed && c->row && c->stretch && *before ? RV_OK : RV_OUT_OF_MEMORY;
}

rv_status rv_calibrate_world_model(rv_world_model *model, const rv_dataset *validation, const rv_evaluate_options *options) {
    if (!model || !validation) return RV_INVALID_ARGUMENT;
    rv_array *stretch = rv_world_model_stretch(model);
    const rv_world_model_options *sizes = rv_world_model_options_get(model);
    if (!stretch || sizes->deterministic) return RV_WRONG_STATE;
    calibration c = {.model = model, .data = rv_dataset_transitions(validation), .o = sizes->observation_size};
    if (c.data.observation_size != sizes->observation_size || c.data.action_size != sizes->action_size) return RV_SHAPE_MISMATCH;
    float *before = NULL;
    rv_status status = take_options(&c, options);
    if (status == RV_OK) status = prepare(&c, validation, &before);
    if (status == RV_OK) status = calibrate(&c, stretch, before);
    free(c.start);
    free(c.sorted);
    free(c.needed);
    free(c.row);
    free(c.stretch);
    free(before);
    return status;
}
