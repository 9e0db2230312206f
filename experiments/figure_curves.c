/* experiments/figure_curves.c: the learning curves of several runs in one figure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/curves.h"
#include "experiments/plot.h"
#include "experiments/program.h"
#include "experiments/run_folder.h"

typedef struct curves_settings {
    const char *out, *metric;
    int axis, band;
    bool csv;
} curves_settings;

static const option options[] = {
    OPTION_TEXT(curves_settings, out, "out", "curves", "the figure: OUT.png and OUT.svg"),
    OPTION_CHOICE(curves_settings, axis, "x", "steps", "steps seconds", "what goes across"),
    OPTION_TEXT(curves_settings, metric, "metric", NULL, "what goes up, a key of metrics.jsonl; return, or else loss"),
    OPTION_CHOICE(curves_settings, band, "band", "range", "range quartiles",
                  "of runs that differ only in the seed: from the least to the most, or the middle half"),
    OPTION_FLAG(curves_settings, csv, "csv", "false", "also write the numbers, to OUT.csv"),
};
static const option_schema schema = {.options = options, .count = sizeof options / sizeof *options};

void plot_curves_help(void) {
    puts("\nOf several runs, or with options: their learning curves in one figure. Runs whose configs differ only\n"
         "in the seed form one band, with their median; every other difference makes a group of its own, named by\n"
         "it.\n\n"
         "Options");
    options_print(&schema, stdout);
}

static const char *axis_text(const curves *c) {
    if (c->axis == CURVES_SECONDS) return "seconds of training";
    return strcmp(c->metric, "return") == 0 ? "environment step" : "step";
}

static plot_series group_series(const curves *c, int g) {
    const curves_group *group = &c->group[g];
    plot_series series = {.label = group->label,
                          .style = PLOT_LINE,
                          .color = (plot_color)g,
                          .count = group->count,
                          .x = group->x,
                          .y = group->middle};
    if (group->runs == 1) return series;
    series.low = group->low;
    series.high = group->high;
    series.band_label = c->band == CURVES_QUARTILES ? "middle half of the runs" : "least to most of the runs";
    return series;
}

static int draw(const curves *c, const char *stem) {
    char title[160], message[1600];
    snprintf(title, sizeof title, "Learning curves%s%s", c->env[0] ? " in " : "", c->env);
    plot_figure figure = {.title = title, .columns = 1, .panel_width = 720, .panel_height = 340, .panel_count = 1};
    plot_panel *panel = &figure.panels[0];
    *panel = (plot_panel){.x_label = axis_text(c),
                          .y_label = strcmp(c->metric, "return") == 0 ? "return of an episode" : c->metric,
                          .series_count = c->group_count};
    for (int g = 0; g < c->group_count; g++) panel->series[g] = group_series(c, g);
    if (plot_write(&figure, stem, message, sizeof message) == CANVAS_FAILED) {
        return program_fail(EXIT_IO, "cannot plot %s", message);
    }
    printf("plot        %s.png and .svg\n", stem);
    return EXIT_OK;
}

static void write_table(FILE *file, const void *user) {
    const curves *c = user;
    fprintf(file, "group,runs,%s,median,low,high\n", c->axis == CURVES_SECONDS ? "seconds" : "step");
    for (int g = 0; g < c->group_count; g++) {
        const curves_group *group = &c->group[g];
        for (int64_t k = 0; k < group->count; k++) {
            fprintf(file, "\"%s\",%d,%.9g,%.9g,%.9g,%.9g\n", group->label, group->runs, group->x[k], group->middle[k],
                    group->low[k], group->high[k]);
        }
    }
}

static int write_csv(const curves *c, const char *stem) {
    run_folder folder = {.path = "."};
    char name[1100];
    const char *slash = strrchr(stem, '/');
    if (slash) snprintf(folder.path, sizeof folder.path, "%.*s", (int)(slash - stem), stem);
    snprintf(name, sizeof name, "%s.csv", slash ? slash + 1 : stem);
    int code = run_folder_write(&folder, name, write_table, c);
    if (code == EXIT_OK) printf("table       %s.csv\n", stem);
    return code;
}

/* OUT.png means OUT too. */
static void take_stem(const char *out, char stem[1024]) {
    snprintf(stem, 1024, "%s", out);
    char *dot = strrchr(stem, '.');
    if (dot && (strcmp(dot, ".png") == 0 || strcmp(dot, ".svg") == 0)) *dot = '\0';
}

static void print_groups(const curves *c) {
    for (int g = 0; g < c->group_count; g++) {
        const curves_group *group = &c->group[g];
        printf("%-11s %s, to %s %.6g: %s %.6g\n", g ? "" : "curves", group->label,
               c->axis == CURVES_SECONDS ? "second" : "step", group->x[group->count - 1], c->metric,
               group->middle[group->count - 1]);
    }
}

int plot_curves(int count, int argc, char **argv) {
    curves_settings s = {0};
    option_list words = {0};
    char stem[1024];
    curves *c = calloc(1, sizeof *c);
    if (!c) return program_fail(EXIT_DEVICE, "no memory for the curves");
    int code = options_read(&schema, &s, argc - count, argv + count, &words);
    if (code == EXIT_OK && !canvas_available()) {
        code = program_fail(EXIT_IO, "this build has no plots (cairo was missing when it was configured)");
    }
    if (code == EXIT_OK) {
        code = curves_read(c, (const char *const *)argv, count, s.metric, (curves_axis)s.axis, (curves_band)s.band);
    }
    if (code == EXIT_OK) take_stem(s.out, stem);
    if (code == EXIT_OK) print_groups(c);
    if (code == EXIT_OK) code = draw(c, stem);
    if (code == EXIT_OK && s.csv) code = write_csv(c, stem);
    curves_free(c);
    free(c);
    options_list_free(&words);
    return code;
}
