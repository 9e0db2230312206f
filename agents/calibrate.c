/* agents/calibrate.c: widens or narrows a world model's bands until they hold what they say. */
#include <math.h>
#include <stdlib.h>

#include "agents/evaluator.h"
#include "agents/rollout.h"
#include "reverie/random.h"

enum { NEIGHBOURS = 2 }; /* horizons before and after that a row is taken from as well */
enum { HALVINGS = 10 };
static const double widest = 4, narrowest = 1e-3;
static const double held_by_stretch = 0.7, held_in_all = 0.9;

typedef struct calibration {
    rv_world_model *model;
    rv_evaluate_options options;
    rv_transitions data;
    int64_t *start, starts, o;
    float *sorted;     /* [samples] */
    float *needed;     /* [horizon, O, starts] */
    float *row;        /* [starts * (2 NEIGHBOURS + 1)] */
    float *normal;     /* [starts * samples]: standard normal */
    float *stretch, *noise, *before; /* [RV_STRETCH_STEPS, O]; before: [2] of them */
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

/* What enough of the starts need, neighbouring horizons taken together. */
static float decide_stretch(calibration *c, int64_t k, int64_t d) {
    int64_t count = 0;
    for (int64_t j = k - NEIGHBOURS; j <= k + NEIGHBOURS; j++) {
        if (j < 0 || j >= c->options.horizon) continue;
        for (int64_t i = 0; i < c->starts; i++) c->row[count++] = c->needed[(j * c->o + d) * c->starts + i];
    }
    qsort(c->row, (size_t)count, sizeof *c->row, rv_ascending);
    return (float)fmax(rv_sorted_quantile(c->row, count, held_by_stretch), narrowest);
}

/* Share of the truths inside the 90 % band of stretched draws with that much noise: with more than a twentieth of the
 * draws on either side. */
static double share_inside(const calibration *c, const rv_rollout *means, const rv_rollout *drawn, int64_t k, int64_t d, double stretch,
                           double noise) {
    const int64_t samples = c->options.samples;
    const double edge = 0.05 * (double)(samples - 1);
    int64_t inside = 0;
    for (int64_t i = 0; i < c->starts; i++) {
        const double centre = means->predicted[(k * means->rows + i) * c->o + d];
        const double off = rv_evaluator_truth(&c->data, c->start[i], k + 1)[d] - centre;
        int64_t below = 0, above = 0;
        for (int64_t s = 0; s < samples; s++) {
            double draw = stretch * ((double)drawn->predicted[(k * drawn->rows + i * samples + s) * c->o + d] - centre);
            draw += noise * (double)c->normal[i * samples + s];
            below += draw < off;
            above += draw > off;
        }
        inside += (double)below > edge && (double)above > edge;
    }
    return (double)inside / (double)c->starts;
}

/* The least noise that does, by bisection; as much as the largest error is surely enough. */
static float decide_noise(calibration *c, const rv_rollout *means, const rv_rollout *drawn, int64_t k, int64_t d, double stretch) {
    double low = 0, high = 0;
    for (int64_t i = 0; i < c->starts; i++) {
        double truth = rv_evaluator_truth(&c->data, c->start[i], k + 1)[d];
        high = fmax(high, fabs(truth - (double)means->predicted[(k * means->rows + i) * c->o + d]));
    }
    if (share_inside(c, means, drawn, k, d, stretch, 0) >= held_in_all) return 0;
    for (int h = 0; h < HALVINGS; h++) {
        double middle = (low + high) / 2;
        if (share_inside(c, means, drawn, k, d, stretch, middle) >= held_in_all) high = middle;
        else low = middle;
    }
    return (float)high;
}

static void decide(calibration *c, const rv_rollout *means, const rv_rollout *drawn) {
    const int64_t last = c->options.horizon - 1;
    for (int64_t k = 0; k < RV_STRETCH_STEPS; k++) {
        for (int64_t d = 0; d < c->o; d++) {
            const int64_t at = k * c->o + d;
            c->stretch[at] = k <= last ? decide_stretch(c, k, d) : c->stretch[last * c->o + d];
            c->noise[at] = k <= last ? decide_noise(c, means, drawn, k, d, (double)c->stretch[at]) : c->noise[last * c->o + d];
        }
    }
}

static rv_status roll(calibration *c, rv_rollout *rollout, int64_t samples, bool sampled) {
    const rv_predictor predictor = {.world = c->model, .context = 1};
    rv_status status = rv_rollout_make(rollout, &predictor, c->starts * samples, c->options.horizon, sampled, c->options.seed);
    if (status != RV_OK) return status;
    rv_evaluator_fill(&c->data, c->start, samples, rollout);
    return rv_rollout_run(rollout);
}

static rv_status write_both(calibration *c, const float *stretch, const float *noise) {
    rv_status status = rv_array_write(rv_world_model_stretch(c->model), 0, RV_STRETCH_STEPS, stretch);
    return status == RV_OK ? rv_array_write(rv_world_model_noise(c->model), 0, RV_STRETCH_STEPS, noise) : status;
}

/* The draws are as the latents have them meanwhile; on a failure, all is as before. */
static rv_status calibrate(calibration *c) {
    float *noise_before = c->before + RV_STRETCH_STEPS * c->o;
    rv_rollout means = {0}, drawn = {0};
    for (int64_t i = 0; i < RV_STRETCH_STEPS * c->o; i++) c->stretch[i] = 1;
    rv_status status = rv_array_read(rv_world_model_stretch(c->model), 0, RV_STRETCH_STEPS, c->before);
    if (status == RV_OK) status = rv_array_read(rv_world_model_noise(c->model), 0, RV_STRETCH_STEPS, noise_before);
    if (status != RV_OK) return status;
    status = write_both(c, c->stretch, c->noise);
    if (status == RV_OK) status = roll(c, &means, 1, false);
    if (status == RV_OK) status = roll(c, &drawn, c->options.samples, true);
    if (status == RV_OK) {
        measure(c, &means, &drawn);
        decide(c, &means, &drawn);
        status = write_both(c, c->stretch, c->noise);
    } else {
        write_both(c, c->before, noise_before);
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

static rv_status prepare(calibration *c, const rv_dataset *validation) {
    const size_t size = (size_t)(RV_STRETCH_STEPS * c->o), samples = (size_t)c->options.samples;
    c->start = rv_evaluator_pick_starts(validation, c->options.horizon, c->options.bands, &c->starts);
    if (!c->start) return RV_OUT_OF_MEMORY;
    if (c->starts == 0) return RV_INVALID_ARGUMENT;
    c->sorted = calloc(samples, sizeof *c->sorted);
    c->normal = calloc((size_t)c->starts, samples * sizeof *c->normal);
    c->needed = calloc((size_t)c->starts, (size_t)(c->options.horizon * c->o) * sizeof *c->needed);
    c->row = calloc((size_t)c->starts, (2 * NEIGHBOURS + 1) * sizeof *c->row);
    c->stretch = calloc(size, sizeof *c->stretch);
    c->noise = calloc(size, sizeof *c->noise);
    c->before = calloc(2 * size, sizeof *c->before);
    if (!c->sorted || !c->normal || !c->needed || !c->row || !c->stretch || !c->noise || !c->before) return RV_OUT_OF_MEMORY;
    rv_random_normal(c->options.seed, 0, "calibrate", 0, c->starts, c->options.samples, c->normal);
    return RV_OK;
}

rv_status rv_calibrate_world_model(rv_world_model *model, const rv_dataset *validation, const rv_evaluate_options *options) {
    if (!model || !validation) return RV_INVALID_ARGUMENT;
    const rv_world_model_options *sizes = rv_world_model_options_get(model);
    if (!rv_world_model_stretch(model) || sizes->deterministic) return RV_WRONG_STATE;
    calibration c = {.model = model, .data = rv_dataset_transitions(validation), .o = sizes->observation_size};
    if (c.data.observation_size != sizes->observation_size || c.data.action_size != sizes->action_size) return RV_SHAPE_MISMATCH;
    rv_status status = take_options(&c, options);
    if (status == RV_OK) status = prepare(&c, validation);
    if (status == RV_OK) status = calibrate(&c);
    float *const lists[] = {c.sorted, c.normal, c.needed, c.row, c.stretch, c.noise, c.before};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) free(lists[i]);
    free(c.start);
    return status;
}
