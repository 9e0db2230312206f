/* experiments/figures.c: losses, open-loop prediction, error against horizon, latents. */
#include "experiments/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/pca.h"
#include "experiments/program.h"

static int finish(const plot_figure *figure, const char *folder, const char *name) {
    char stem[1300], message[1600];
    snprintf(stem, sizeof stem, "%s/plots/%s", folder, name);
    if (plot_write(figure, stem, message, sizeof message) == CANVAS_FAILED) {
        return program_fail(EXIT_IO, "cannot plot %s", message);
    }
    return EXIT_OK;
}

static int no_memory(void) { return program_fail(EXIT_DEVICE, "no memory for a plot"); }

static int panel_count(const figure_text *text) {
    return text->dimensions < PLOT_PANELS ? (int)text->dimensions : PLOT_PANELS;
}

static const char *name_of(const figure_text *text, int64_t dimension) {
    return text->names ? text->names[dimension] : "";
}

/* Column d of rows [count, size]. */
static void column(const double *rows, int64_t count, int64_t size, int64_t d, double *out) {
    for (int64_t i = 0; i < count; i++) out[i] = rows[i * size + d];
}

/* ---- losses --------------------------------------------------------------------------------------------- */

/* A mean that forgets: over about a fiftieth of the run, without the pull towards its first value; of logarithms where
 * the axis shows those. */
static void smooth(const double *value, int64_t count, bool logarithm, double *out) {
    double keep = 1.0 - 1.0 / (1.0 + (double)count / 50.0), sum = 0.0, weight = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum = keep * sum + (1.0 - keep) * (logarithm ? log(value[i]) : value[i]);
        weight = keep * weight + (1.0 - keep);
        out[i] = logarithm ? exp(sum / weight) : sum / weight;
    }
}

static bool all_positive(const double *value, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!(value[i] > 0.0)) return false;
    }
    return true;
}

static int find_metric(const history *history, const char *name) {
    for (int m = 0; m < history->metric_count; m++) {
        if (strcmp(history->name[m], name) == 0) return m;
    }
    return -1;
}

static plot_panel loss_panel(const history *history, int m, double *soft) {
    char validation[48];
    const bool log_y = all_positive(history->value[m], history->count);
    smooth(history->value[m], history->count, log_y, soft);
    snprintf(validation, sizeof validation, "validation_%s", history->name[m]);
    const int held_out = find_metric(history, validation);
    plot_panel panel = {
        .title = history->name[m], .x_label = "update", .log_y = log_y, .series_count = held_out >= 0 ? 3 : 2};
    const plot_series all = {.color = PLOT_BLUE, .count = history->count, .x = history->step};
    panel.series[0] = panel.series[1] = panel.series[2] = all;
    panel.series[0].label = "as logged", panel.series[0].style = PLOT_FAINT, panel.series[0].y = history->value[m];
    panel.series[1].label = "smoothed", panel.series[1].style = PLOT_LINE, panel.series[1].y = soft;
    panel.series[2].label = "validation", panel.series[2].style = PLOT_DASHED, panel.series[2].color = PLOT_BLACK;
    panel.series[2].y = held_out >= 0 ? history->value[held_out] : NULL;
    return panel;
}

int figure_losses(const char *folder, const figure_text *text, const history *history) {
    char title[160];
    snprintf(title, sizeof title, "World model of %s: losses", text->env);
    plot_figure figure = {.title = title, .note = text->note, .columns = 3, .panel_width = 280, .panel_height = 195};
    double *smoothed = calloc((size_t)history->count + 1, (size_t)history->metric_count * sizeof *smoothed);
    if (!smoothed) return no_memory();
    for (int m = 0; m < history->metric_count && figure.panel_count < PLOT_PANELS; m++) {
        if (strncmp(history->name[m], "validation_", 11) == 0) continue;
        figure.panels[figure.panel_count++] = loss_panel(history, m, smoothed + (int64_t)m * history->count);
    }
    int code = finish(&figure, folder, "losses");
    free(smoothed);
    return code;
}

/* ---- open loop -------------------------------------------------------------------------------------------- */

int figure_open_loop(const char *folder, const char *name, const figure_text *text, const rv_evaluation *e) {
    const int64_t n = e->horizon + 1, o = e->observation_size;
    char title[160];
    snprintf(title, sizeof title, "Open-loop prediction of %s, %lld steps", text->env, (long long)e->horizon);
    plot_figure figure = {.title = title, .note = text->note, .columns = 2, .panel_width = 430, .panel_height = 205,
                          .panel_count = panel_count(text)};
    double *memory = calloc((size_t)n, (size_t)(1 + 4 * figure.panel_count) * sizeof *memory);
    if (!memory) return no_memory();
    for (int64_t i = 0; i < n; i++) memory[i] = (double)i;
    for (int d = 0; d < figure.panel_count; d++) {
        double *truth = memory + n * (1 + 4 * d), *mean = truth + n, *low = mean + n, *high = low + n;
        column(e->truth, n, o, d, truth);
        column(e->mean, n, o, d, mean);
        column(e->low, n, o, d, low);
        column(e->high, n, o, d, high);
        figure.panels[d] = (plot_panel){
            .title = name_of(text, d),
            .x_label = "steps ahead",
            .series_count = 2,
            .series = {{.label = "truth", .style = PLOT_LINE, .color = PLOT_BLACK, .count = n, .x = memory, .y = truth},
                       {.label = "predicted mean",
                        .style = PLOT_LINE,
                        .color = PLOT_VERMILLION,
                        .count = n,
                        .x = memory,
                        .y = mean,
                        .low = low,
                        .high = high,
                        .band_label = "90% of sampled predictions"}}};
    }
    int code = finish(&figure, folder, name);
    free(memory);
    return code;
}

/* ---- error against horizon ----------------------------------------------------------------------------------- */

int figure_horizon(const char *folder, const figure_text *text, const rv_evaluation *e) {
    const int64_t n = e->horizon, o = e->observation_size;
    char title[160], note[160];
    snprintf(title, sizeof title, "Open-loop error of %s against the horizon", text->env);
    snprintf(note, sizeof note, "over %lld held-out starts", (long long)e->starts);
    plot_figure figure = {.title = title, .note = note, .columns = 2, .panel_width = 430, .panel_height = 205,
                          .panel_count = panel_count(text)};
    double *memory = calloc((size_t)n, (size_t)(1 + 3 * figure.panel_count) * sizeof *memory);
    if (!memory) return no_memory();
    for (int64_t i = 0; i < n; i++) memory[i] = (double)(i + 1);
    for (int d = 0; d < figure.panel_count; d++) {
        double *model = memory + n * (1 + 3 * d), *repeat = model + n, *linear = repeat + n;
        column(e->model_rmse, n, o, d, model);
        column(e->repeat_rmse, n, o, d, repeat);
        column(e->linear_rmse, n, o, d, linear);
        figure.panels[d] = (plot_panel){.title = name_of(text, d),
                                        .x_label = "steps ahead",
                                        .y_label = "RMSE",
                                        .log_y = true,
                                        .series_count = 3,
                                        .series = {{.label = "world model",
                                                    .style = PLOT_LINE,
                                                    .color = PLOT_VERMILLION,
                                                    .count = n,
                                                    .x = memory,
                                                    .y = model},
                                                   {.label = "last observation repeated",
                                                    .style = PLOT_DASHED,
                                                    .color = PLOT_BLACK,
                                                    .count = n,
                                                    .x = memory,
                                                    .y = repeat},
                                                   {.label = "linear regression",
                                                    .style = PLOT_DOTTED,
                                                    .color = PLOT_BLUE,
                                                    .count = n,
                                                    .x = memory,
                                                    .y = linear}}};
    }
    int code = finish(&figure, folder, "horizon");
    free(memory);
    return code;
}

/* ---- latents ------------------------------------------------------------------------------------------------- */

bool figure_points_make(figure_points *points, const float *latent, int64_t latent_size, const float *observation,
                        int64_t dimensions, int64_t count) {
    double *memory = calloc((size_t)count + 1, (size_t)(2 + dimensions) * sizeof *memory);
    if (!memory) return false;
    *points = (figure_points){.count = count, .x = memory, .y = memory + count, .observation = memory + 2 * count};
    for (int64_t d = 0; d < dimensions; d++) {
        for (int64_t i = 0; i < count; i++) points->observation[d * count + i] = observation[i * dimensions + d];
    }
    if (pca_project(latent, count, latent_size, points->x, points->y, points->share)) return true;
    figure_points_free(points);
    return false;
}

void figure_points_free(figure_points *points) {
    free(points->x);
    *points = (figure_points){0};
}

int figure_latents(const char *folder, const figure_text *text, const figure_points *points) {
    const int panels = text->dimensions < 4 ? (int)text->dimensions : 4;
    char title[160], note[160], first[96], second[96];
    snprintf(title, sizeof title, "Latents of %s by their two largest principal components", text->env);
    snprintf(note, sizeof note, "%lld held-out observations", (long long)points->count);
    snprintf(first, sizeof first, "first, %.0f%% of the variance", 100.0 * points->share[0]);
    snprintf(second, sizeof second, "second, %.0f%%", 100.0 * points->share[1]);
    plot_figure figure = {
        .title = title, .note = note, .columns = 2, .panel_width = 430, .panel_height = 300, .panel_count = panels};
    for (int d = 0; d < panels; d++) {
        figure.panels[d] = (plot_panel){.title = name_of(text, d),
                                        .x_label = first,
                                        .y_label = second,
                                        .shade_label = "",
                                        .series_count = 1,
                                        .series = {{.style = PLOT_POINTS,
                                                    .count = points->count,
                                                    .x = points->x,
                                                    .y = points->y,
                                                    .shade = points->observation + d * points->count}}};
    }
    return finish(&figure, folder, "latents");
}
