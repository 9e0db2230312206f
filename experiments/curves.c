/* experiments/curves.c: runs read, put into groups, and summarised. */
#include "experiments/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/config_file.h"
#include "experiments/program.h"
#include "experiments/run_folder.h"
#include "experiments/spread.h"

/* Keys that say nothing about what is learnt, as do those of evaluation; "device" counts where time is the axis. */
static const char aside[] = "seed out config fresh dry_run progress save.seconds data.save log.every";

void curves_free(curves *c) {
    for (int i = 0; i < c->run_count; i++) {
        options_list_free(&c->run[i].config);
        history_free(&c->run[i].history);
        free(c->run[i].x);
    }
    for (int g = 0; g < c->group_count; g++) free(c->group[g].x);
    *c = (curves){0};
}

static int no_memory(void) { return program_fail(EXIT_DEVICE, "no memory for the curves"); }

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int find_metric(const history *h, const char *name) {
    for (int m = 0; m < h->metric_count; m++) {
        if (strcmp(h->name[m], name) == 0) return m;
    }
    return -1;
}

static int no_metric(const curves_run *run, const char *metric) {
    char names[HISTORY_METRICS * 34] = "";
    for (int m = 0; m < run->history.metric_count; m++) {
        if (m) strcat(names, ", ");
        strcat(names, run->history.name[m]);
    }
    return program_fail(EXIT_CONFIG, "%s has no metric \"%s\"; it has %s", run->path, metric, names);
}

/* What is finite of the metric. */
static int take_values(const curves *c, curves_run *run) {
    const history *h = &run->history;
    const int m = find_metric(h, c->metric);
    const double *x = c->axis == CURVES_SECONDS ? h->time : h->step;
    if (m < 0) return no_metric(run, c->metric);
    run->x = calloc((size_t)h->count + 1, 2 * sizeof *run->x);
    if (!run->x) return no_memory();
    run->y = run->x + h->count;
    for (int64_t i = 0; i < h->count; i++) {
        if (!isfinite(h->value[m][i])) continue;
        run->x[run->count] = x[i];
        run->y[run->count++] = h->value[m][i];
    }
    if (run->count > 0) return EXIT_OK;
    return program_fail(EXIT_DATA, "%s has no value of \"%s\" yet: train it further, or leave it out", run->path,
                        c->metric);
}

static int read_run(curves *c, const char *path, const char *metric) {
    char file[RUN_PATH_SIZE];
    int64_t offset;
    run_folder folder = {0};
    curves_run *run = &c->run[c->run_count++];
    run->path = path;
    if (strlen(path) >= sizeof folder.path) return program_fail(EXIT_IO, "the path of the run folder is too long");
    strcpy(folder.path, path);
    if (!run_folder_has(&folder, "config.yaml") || !run_folder_has(&folder, "metrics.jsonl")) {
        return program_fail(EXIT_IO, "%s is no run: it has no %s", path,
                            run_folder_has(&folder, "config.yaml") ? "metrics.jsonl" : "config.yaml");
    }
    int code = config_read_file(run_folder_file(&folder, "config.yaml", file, sizeof file), &run->config);
    if (code != EXIT_OK) return code;
    code = history_read(&run->history, run_folder_file(&folder, "metrics.jsonl", file, sizeof file), -1, &offset);
    if (code != EXIT_OK) return code;
    if (run->history.count == 0) return program_fail(EXIT_DATA, "%s holds no metrics yet", path);
    if (!metric) metric = find_metric(&run->history, "return") >= 0 ? "return" : "loss";
    if (!c->metric[0]) snprintf(c->metric, sizeof c->metric, "%s", metric);
    return take_values(c, run);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static const char *value_of(const curves_run *run, const char *key) {
    for (int i = run->config.count - 1; i >= 0; i--) {
        if (strcmp(run->config.entries[i].key, key) == 0) return run->config.entries[i].value;
    }
    return NULL;
}

static bool counts(const curves *c, const char *key) {
    if (strncmp(key, "eval.", 5) == 0) return false;
    return !config_among(aside, key) && (c->axis == CURVES_SECONDS || strcmp(key, "device") != 0);
}

/* Whether each key of `a` has the same value in `b`. */
static bool within(const curves *c, const curves_run *a, const curves_run *b) {
    for (int i = 0; i < a->config.count; i++) {
        const char *key = a->config.entries[i].key, *other = value_of(b, key);
        if (counts(c, key) && (!other || strcmp(other, value_of(a, key)) != 0)) return false;
    }
    return true;
}

static const curves_run *first_of(const curves *c, int group) {
    for (int i = 0; i < c->run_count; i++) {
        if (c->run[i].group == group) return &c->run[i];
    }
    return NULL;
}

static int put_into_groups(curves *c) {
    for (int i = 0; i < c->run_count; i++) c->run[i].group = -1;
    for (int i = 0; i < c->run_count; i++) {
        curves_run *run = &c->run[i];
        for (int g = 0; g < c->group_count && run->group < 0; g++) {
            const curves_run *other = first_of(c, g);
            if (within(c, run, other) && within(c, other, run)) run->group = g;
        }
        if (run->group < 0 && c->group_count == CURVES_GROUPS) {
            return program_fail(EXIT_CONFIG,
                                "these runs have more than %d configurations, and the figure no more colours; leave out "
                                "%s",
                                (int)CURVES_GROUPS, run->path);
        }
        if (run->group < 0) run->group = c->group_count++;
        c->group[run->group].runs++;
    }
    return EXIT_OK;
}

/* Whether two groups that both have the key differ in it. */
static bool differs(const curves *c, const char *key) {
    const char *known = NULL;
    for (int g = 0; g < c->group_count; g++) {
        const char *value = value_of(first_of(c, g), key);
        if (known && value && strcmp(known, value) != 0) return true;
        if (value) known = value;
    }
    return false;
}

/* Whether a key belongs into labels: one in which groups differ; of options that environments happen to share none but
 * their name, where that differs. `brief`: job and environment alone. */
static bool labels(const curves *c, const char *key, bool brief) {
    const bool name = strcmp(key, "env.name") == 0;
    if (!counts(c, key) || !differs(c, key)) return false;
    if (brief) return name || strcmp(key, "job") == 0;
    return name || strncmp(key, "env.", 4) != 0 || !differs(c, "env.name");
}

static void label_by_keys(curves *c, bool brief) {
    enum { LONG = 96 };
    for (int g = 0; g < c->group_count; g++) {
        const curves_run *run = first_of(c, g);
        char *label = c->group[g].label;
        int length = 0;
        label[0] = '\0';
        for (int i = 0; i < run->config.count && length < LONG; i++) {
            const char *key = run->config.entries[i].key;
            if (!labels(c, key, brief)) continue;
            length += snprintf(label + length, sizeof c->group[g].label - (size_t)length, "%s%.24s=%.24s",
                               length ? ", " : "", key, run->config.entries[i].value);
        }
    }
}

static bool all_labels_differ(const curves *c) {
    for (int g = 0; g < c->group_count; g++) {
        for (int other = 0; other < g; other++) {
            if (strcmp(c->group[g].label, c->group[other].label) == 0) return false;
        }
    }
    return true;
}

/* By the keys in which the groups differ: between jobs, most of whose keys do, by as few as tell them apart; where keys
 * do not, by a run's folder. And by how the runs are summarised. */
static void label_groups(curves *c) {
    if (c->group_count > 1) label_by_keys(c, differs(c, "job"));
    if (!all_labels_differ(c)) label_by_keys(c, false);
    const bool clear = all_labels_differ(c);
    for (int g = 0; g < c->group_count; g++) {
        curves_group *group = &c->group[g];
        if (!clear) snprintf(group->label, sizeof group->label, "%.96s", first_of(c, g)->path);
        const size_t length = strlen(group->label), room = sizeof group->label - length;
        if (group->runs > 1) {
            snprintf(group->label + length, room, "%smedian of %d runs", length ? ": " : "", group->runs);
        } else if (length == 0) {
            snprintf(group->label, room, "one run");
        }
    }
}

static void name_environment(curves *c) {
    const char *name = value_of(&c->run[0], "env.name");
    for (int i = 1; i < c->run_count && name; i++) {
        const char *other = value_of(&c->run[i], "env.name");
        if (!other || strcmp(other, name) != 0) name = NULL;
    }
    snprintf(c->env, sizeof c->env, "%s", name ? name : "");
}

/* ---- summaries --------------------------------------------------------------------------------------------------- */

/* Linearly between the values beside it; within the run's range. */
static double value_at(const curves_run *run, double x) {
    int64_t low = 0, high = run->count - 1;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (run->x[middle] <= x) low = middle;
        else high = middle;
    }
    if (x >= run->x[high]) return run->y[high];
    const double wide = run->x[high] - run->x[low];
    return wide > 0 ? run->y[low] + (x - run->x[low]) / wide * (run->y[high] - run->y[low]) : run->y[low];
}

/* Whether all runs of a group have values at the very places of the first within [from, to]. */
static bool share_places(const curves *c, int g, double from, double to) {
    const curves_run *first = first_of(c, g);
    for (int i = 0; i < c->run_count; i++) {
        const curves_run *run = &c->run[i];
        int64_t at = 0;
        if (run->group != g) continue;
        while (at < run->count && run->x[at] < from) at++;
        for (int64_t k = 0; k < first->count; k++) {
            if (first->x[k] < from || first->x[k] > to) continue;
            if (at == run->count || run->x[at++] != first->x[k]) return false;
        }
    }
    return true;
}

/* The places of a group, into x (NULL: only counted); where all of its runs have values. */
static int64_t find_places(const curves *c, int g, double *x) {
    enum { PLACES = 300 };
    double from = -INFINITY, to = INFINITY;
    for (int i = 0; i < c->run_count; i++) {
        if (c->run[i].group != g) continue;
        from = fmax(from, c->run[i].x[0]);
        to = fmin(to, c->run[i].x[c->run[i].count - 1]);
    }
    const curves_run *first = first_of(c, g);
    int64_t count = 0;
    if (from > to) return 0;
    if (!share_places(c, g, from, to)) {
        for (int64_t i = 0; i < PLACES && x; i++) x[i] = from + (to - from) * (double)i / (PLACES - 1);
        return PLACES;
    }
    for (int64_t i = 0; i < first->count; i++) {
        if (first->x[i] < from || first->x[i] > to) continue;
        if (x) x[count] = first->x[i];
        count++;
    }
    return count;
}

static int summarise(curves *c, int g) {
    curves_group *group = &c->group[g];
    const double share = c->band == CURVES_QUARTILES ? 0.25 : 0;
    group->count = find_places(c, g, NULL);
    if (group->count == 0) {
        return program_fail(EXIT_DATA, "the runs \"%s\" have no %s in common; leave the shortest out", group->label,
                            c->axis == CURVES_SECONDS ? "seconds" : "steps");
    }
    group->x = calloc((size_t)group->count, 4 * sizeof *group->x);
    if (!group->x) return no_memory();
    group->middle = group->x + group->count;
    group->low = group->middle + group->count;
    group->high = group->low + group->count;
    find_places(c, g, group->x);
    for (int64_t k = 0; k < group->count; k++) {
        double values[CURVES_RUNS];
        int64_t count = 0;
        for (int i = 0; i < c->run_count; i++) {
            if (c->run[i].group == g) values[count++] = value_at(&c->run[i], group->x[k]);
        }
        count = spread_sort(values, count);
        group->middle[k] = spread_quantile(values, count, 0.5);
        group->low[k] = spread_quantile(values, count, share);
        group->high[k] = spread_quantile(values, count, 1 - share);
    }
    return EXIT_OK;
}

int curves_read(curves *c, const char *const *paths, int count, const char *metric, curves_axis axis,
                curves_band band) {
    *c = (curves){.axis = axis, .band = band};
    if (count > CURVES_RUNS) {
        return program_fail(EXIT_USAGE, "%d runs are too many for one figure: it takes %d", count, (int)CURVES_RUNS);
    }
    int code = EXIT_OK;
    for (int i = 0; i < count && code == EXIT_OK; i++) code = read_run(c, paths[i], metric);
    if (code == EXIT_OK) code = put_into_groups(c);
    if (code == EXIT_OK) label_groups(c);
    for (int g = 0; g < c->group_count && code == EXIT_OK; g++) code = summarise(c, g);
    if (code == EXIT_OK) name_environment(c);
    return code;
}
