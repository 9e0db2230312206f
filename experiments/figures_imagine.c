/* experiments/figures_imagine.c: imagined rewards, actions, latents and observations, beside real episodes from the
 * same starts. */
#include "experiments/figures_imagine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/pca.h"
#include "experiments/program.h"
#include "experiments/spread.h"

enum { FEW = 4, LISTS = 4 + FEW + 1 }; /* trajectories drawn singly; lists of a panel: x, mean, low, high, few, real */
_Static_assert(FEW + 2 <= PLOT_SERIES, "and their mean, and the real one");

static int no_memory(void) { return program_fail(EXIT_DEVICE, "no memory for a plot"); }

static int finish(const plot_figure *figure, const char *folder, const char *name) {
    char stem[1300], message[1600];
    snprintf(stem, sizeof stem, "%.1200s/plots/%s", folder, name);
    if (plot_write(figure, stem, message, sizeof message) == CANVAS_FAILED) {
        return program_fail(EXIT_IO, "cannot plot %s", message);
    }
    return EXIT_OK;
}

/* ---- memory of a figure ------------------------------------------------------------------------------------------ */

typedef struct sheet {
    double *memory, *next, *sorted;
    char names[PLOT_PANELS][64];
} sheet;

static bool sheet_make(sheet *s, int panels, const dream *dream) {
    const size_t lists = (size_t)panels * LISTS * (size_t)(dream->steps + 1);
    s->memory = calloc(lists + (size_t)dream->rows, sizeof *s->memory);
    s->next = s->memory;
    s->sorted = s->memory + lists;
    return s->memory != NULL;
}

static double *take(sheet *s, int64_t count) {
    double *list = s->next;
    s->next += count;
    return list;
}

/* ---- a panel of trajectories ------------------------------------------------------------------------------------- */

/* One number of each row at each of `count` steps, of which the first is step `first`. */
typedef struct column {
    const float *values; /* [count * rows, width] */
    int64_t width, at, rows, count, first;
    bool share; /* how often it is 1, rather than how it lies */
} column;

static double value_at(const column *c, int64_t step, int64_t row) {
    return (double)c->values[(step * c->rows + row) * c->width + c->at];
}

static void summarise(sheet *s, const column *c, double *mean, double *low, double *high) {
    for (int64_t k = 0; k < c->count; k++) {
        for (int64_t i = 0; i < c->rows; i++) s->sorted[i] = value_at(c, k, i);
        const int64_t finite = spread_sort(s->sorted, c->rows);
        mean[k] = finite ? spread_mean(s->sorted, finite) : NAN;
        low[k] = spread_quantile(s->sorted, finite, 0.05);
        high[k] = spread_quantile(s->sorted, finite, 0.95);
    }
}

static void add_few(sheet *s, const column *c, const double *x, plot_panel *panel) {
    for (int64_t i = 0; i < FEW && i < c->rows; i++) {
        double *y = take(s, c->count);
        for (int64_t k = 0; k < c->count; k++) y[k] = value_at(c, k, i);
        panel->series[panel->series_count++] = (plot_series){.label = "some of them",
                                                             .style = PLOT_FAINT,
                                                             .color = PLOT_VERMILLION,
                                                             .count = c->count,
                                                             .x = x,
                                                             .y = y};
    }
}

static plot_panel imagined_panel(sheet *s, const column *c, const char *title) {
    plot_panel panel = {.title = title, .x_label = "imagined step", .series_count = 1};
    double *x = take(s, c->count), *mean = take(s, c->count), *low = take(s, c->count), *high = take(s, c->count);
    for (int64_t k = 0; k < c->count; k++) x[k] = (double)(c->first + k);
    summarise(s, c, mean, low, high);
    panel.series[0] = (plot_series){.label = c->share ? "imagined, share of trajectories" : "imagined, mean",
                                    .style = PLOT_LINE,
                                    .color = PLOT_VERMILLION,
                                    .count = c->count,
                                    .x = x,
                                    .y = mean};
    if (c->share) return panel;
    panel.series[0].low = low;
    panel.series[0].high = high;
    panel.series[0].band_label = "90% of the trajectories";
    add_few(s, c, x, &panel);
    return panel;
}

/* ---- the real episodes from the same starts ---------------------------------------------------------------------- */

/* Steps of the context; what comes then is imagined from. */
static int64_t behind(const imagined *what) { return what->context - 1; }

static int64_t real_length(const imagined *what, int64_t row) {
    return episodes_length(what->real, row, behind(what));
}

/* Mean over the episodes that go on until there, of values [steps * rows, width] of the real episodes. */
static void add_real(sheet *s, const imagined *what, const column *c, const float *values, int64_t until,
                     plot_panel *panel) {
    const int64_t rows = what->real->rows;
    double *mean = take(s, c->count);
    for (int64_t k = 0; k < c->count; k++) {
        double sum = 0;
        int64_t going = 0;
        for (int64_t i = 0; i < c->rows; i++) {
            if (real_length(what, i) < k + until) continue;
            sum += (double)values[((behind(what) + k) * rows + i) * c->width + c->at];
            going++;
        }
        mean[k] = going ? sum / (double)going : NAN;
    }
    panel->series[panel->series_count++] = (plot_series){.label = "really, mean from the same starts",
                                                         .style = PLOT_DASHED,
                                                         .color = PLOT_BLACK,
                                                         .count = c->count,
                                                         .x = panel->series[0].x,
                                                         .y = mean};
}

static void describe(const imagined *what, char *note, size_t size) {
    const double seconds = what->im->spaces->step_seconds;
    int length = snprintf(note, size, "%lld trajectories%s", (long long)what->dream->rows,
                          what->im->act ? "" : " under the actions really taken");
    if (what->im->gamma < 1) {
        length += snprintf(note + length, size - (size_t)length, ", discount %.4g a step", what->im->gamma);
    }
    if (seconds > 0) snprintf(note + length, size - (size_t)length, ", a step is %.4g s", seconds);
}

/* ---- rewards ----------------------------------------------------------------------------------------------------- */

/* Sums up to each step: [steps * rows]. */
static void sum_imagined(const dream *dream, float *sums) {
    for (int64_t i = 0; i < dream->rows; i++) {
        double sum = 0, weight = 1;
        for (int64_t at = i; at < dream->steps * dream->rows; at += dream->rows) {
            sum += weight * (double)dream->reward[at];
            weight *= (double)dream->going_on[at];
            sums[at] = (float)sum;
        }
    }
}

/* The same of the real episodes behind their context, where an episode's end adds nothing more. */
static void sum_real(const imagined *what, float *sums) {
    const episodes *real = what->real;
    const int64_t first = behind(what);
    for (int64_t i = 0; i < real->rows; i++) {
        const int64_t length = real_length(what, i);
        double sum = 0, weight = 1;
        for (int64_t t = first; t < real->steps; t++) {
            if (t - first < length) sum += weight * (double)real->reward[t * real->rows + i];
            weight *= what->im->gamma;
            sums[t * real->rows + i] = (float)sum;
        }
    }
}

int figure_imagined_rewards(const char *folder, const imagined *what) {
    const dream *d = what->dream;
    char title[160], note[160];
    sheet s = {0};
    float *sums = calloc((size_t)(d->steps * d->rows + what->real->steps * what->real->rows), sizeof *sums);
    float *real_sums = sums ? sums + d->steps * d->rows : NULL;
    if (!sums || !sheet_make(&s, 3, d)) {
        free(sums);
        return no_memory();
    }
    sum_imagined(d, sums);
    sum_real(what, real_sums);
    snprintf(title, sizeof title, "Imagined rewards of %s", what->env);
    describe(what, note, sizeof note);
    plot_figure figure = {
        .title = title, .note = note, .columns = 3, .panel_width = 320, .panel_height = 230, .panel_count = 3};
    column c = {.values = d->reward, .width = 1, .rows = d->rows, .count = d->steps, .first = 1};
    figure.panels[0] = imagined_panel(&s, &c, "reward of a step");
    add_real(&s, what, &c, what->real->reward, 1, &figure.panels[0]);
    c.values = sums;
    figure.panels[1] = imagined_panel(&s, &c, "discounted sum of the rewards until then");
    add_real(&s, what, &c, real_sums, 0, &figure.panels[1]);
    c.values = d->going_on;
    figure.panels[2] = imagined_panel(&s, &c, "discount times chance of going on");
    int code = finish(&figure, folder, "imagined_rewards");
    free(s.memory);
    free(sums);
    return code;
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

/* The environment's own units, where actions are no choices. */
static void in_env_units(const imagined *what, const float *from, int64_t rows, float *to) {
    rv_actor_to_env(what->im->spaces, rows, from, to);
}

int figure_imagined_actions(const char *folder, const imagined *what) {
    const dream *d = what->dream;
    const int64_t a = d->action_size, mine = d->steps * d->rows, theirs = what->real->steps * what->real->rows;
    const bool choices = what->im->spaces->action_choices > 0;
    const int panels = a < PLOT_PANELS ? (int)a : PLOT_PANELS;
    char title[160], note[160];
    sheet s = {0};
    float *values = calloc((size_t)(mine + theirs), (size_t)a * sizeof *values);
    if (!values || !sheet_make(&s, panels, d)) {
        free(values);
        return no_memory();
    }
    memcpy(values, d->action, (size_t)(mine * a) * sizeof *values);
    memcpy(values + mine * a, what->real->action, (size_t)(theirs * a) * sizeof *values);
    if (!choices) in_env_units(what, d->action, mine, values);
    if (!choices) in_env_units(what, what->real->action, theirs, values + mine * a);
    snprintf(title, sizeof title, "Imagined actions in %s", what->env);
    describe(what, note, sizeof note);
    plot_figure figure = {.title = title,
                          .note = note,
                          .columns = panels > 1 ? 2 : 1,
                          .panel_width = panels > 1 ? 430 : 720,
                          .panel_height = 230,
                          .panel_count = panels};
    for (int p = 0; p < panels; p++) {
        const column c = {.values = values, .width = a, .at = p, .rows = d->rows, .count = d->steps, .share = choices};
        figure.panels[p] = imagined_panel(&s, &c, action_name(what->im, p, s.names[p]));
        if (choices) figure.panels[p].y_label = "how often";
        add_real(&s, what, &c, values + mine * a, 1, &figure.panels[p]);
    }
    int code = finish(&figure, folder, "imagined_actions");
    free(s.memory);
    free(values);
    return code;
}

/* ---- latents ----------------------------------------------------------------------------------------------------- */

enum { DIMENSIONS = 5 };

static double variance_of(const dream *d, int64_t dimension) {
    const int64_t count = (d->steps + 1) * d->rows;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)d->latent[i * d->latent_size + dimension];
    for (int64_t i = 0; i < count; i++) {
        squares += pow((double)d->latent[i * d->latent_size + dimension] - sum / (double)count, 2);
    }
    return squares / (double)count;
}

/* The ones that vary most, most first. */
static int pick_dimensions(const dream *d, int64_t picked[DIMENSIONS]) {
    double variance[DIMENSIONS];
    int count = 0;
    for (int64_t z = 0; z < d->latent_size; z++) {
        const double v = variance_of(d, z);
        int place = count;
        while (place > 0 && v > variance[place - 1]) place--;
        if (place == DIMENSIONS) continue;
        if (count < DIMENSIONS) count++;
        for (int i = count - 1; i > place; i--) picked[i] = picked[i - 1], variance[i] = variance[i - 1];
        picked[place] = z;
        variance[place] = v;
    }
    return count;
}

/* Both components and the step of every point; to be freed. */
static double *project(const dream *d, double share[2]) {
    const int64_t points = (d->steps + 1) * d->rows;
    double *list = calloc((size_t)points, 3 * sizeof *list);
    if (list && pca_project(d->latent, points, d->latent_size, list, list + points, share)) {
        for (int64_t i = 0; i < points; i++) list[2 * points + i] = (double)(i / d->rows);
        return list;
    }
    free(list);
    return NULL;
}

static plot_panel component_panel(const dream *d, const double *list, const char *first, const char *second) {
    const int64_t points = (d->steps + 1) * d->rows;
    return (plot_panel){.title = "by their principal components",
                        .x_label = first,
                        .y_label = second,
                        .shade_label = "step",
                        .series_count = 1,
                        .series = {{.style = PLOT_POINTS,
                                    .count = points,
                                    .x = list,
                                    .y = list + points,
                                    .shade = list + 2 * points}}};
}

int figure_imagined_latents(const char *folder, const imagined *what) {
    const dream *d = what->dream;
    char title[160], note[160], first[96], second[96];
    int64_t picked[DIMENSIONS];
    double share[2];
    sheet s = {0};
    double *points = project(d, share);
    if (!points || !sheet_make(&s, DIMENSIONS, d)) {
        free(points);
        return no_memory();
    }
    snprintf(title, sizeof title, "Imagined latents of %s", what->env);
    describe(what, note, sizeof note);
    snprintf(first, sizeof first, "first, %.0f%% of the variance", 100 * share[0]);
    snprintf(second, sizeof second, "second, %.0f%%", 100 * share[1]);
    const int count = pick_dimensions(d, picked);
    plot_figure figure = {.title = title,
                          .note = note,
                          .columns = 3,
                          .panel_width = 330,
                          .panel_height = 240,
                          .panel_count = count + 1};
    figure.panels[0] = component_panel(d, points, first, second);
    for (int p = 0; p < count; p++) {
        const column c = {
            .values = d->latent, .width = d->latent_size, .at = picked[p], .rows = d->rows, .count = d->steps + 1};
        snprintf(s.names[p], sizeof s.names[p], "latent %lld of %lld", (long long)picked[p],
                 (long long)d->latent_size);
        figure.panels[p + 1] = imagined_panel(&s, &c, s.names[p]);
    }
    int code = finish(&figure, folder, "imagined_latents");
    free(s.memory);
    free(points);
    return code;
}

/* ---- observations ------------------------------------------------------------------------------------------------ */

int figure_imagined_observations(const char *folder, const imagined *what) {
    const dream *d = what->dream;
    const int panels = d->observation_size < PLOT_PANELS ? (int)d->observation_size : PLOT_PANELS;
    char title[160], note[160];
    sheet s = {0};
    if (!sheet_make(&s, panels, d)) return no_memory();
    snprintf(title, sizeof title, "Imagined observations of %s, as decoded", what->env);
    describe(what, note, sizeof note);
    plot_figure figure = {
        .title = title, .note = note, .columns = 2, .panel_width = 430, .panel_height = 205, .panel_count = panels};
    for (int p = 0; p < panels; p++) {
        const column c = {.values = d->observation,
                          .width = d->observation_size,
                          .at = p,
                          .rows = d->rows,
                          .count = d->steps,
                          .first = 1};
        const float *led_to = what->real->observation + what->real->rows * d->observation_size;
        figure.panels[p] = imagined_panel(&s, &c, observation_name(what->im, p, s.names[p]));
        add_real(&s, what, &c, led_to, 2, &figure.panels[p]); /* what an episode's last step leads to is not known */
    }
    int code = finish(&figure, folder, "imagined_observations");
    free(s.memory);
    return code;
}
