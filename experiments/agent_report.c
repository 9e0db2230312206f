/* experiments/agent_report.c: what a run of an agent leaves behind: summary.json, the learning curve. */
#include <math.h>
#include <string.h>

#include "experiments/agent_job.h"
#include "experiments/json_out.h"
#include "experiments/plot.h"
#include "experiments/program.h"

/* ---- summary.json ------------------------------------------------------------------------------------------------ */

typedef struct summary {
    const agent_job *job;
    const agent_returns *returns;
    char state[65];
} summary;

static void write_summary(FILE *file, const void *user) {
    const summary *whole = user;
    const agent_job *job = whole->job;
    json_out out = json_out_begin(file, true);
    json_out_text(&out, "version", rv_version());
    json_out_text(&out, "kind", job->kind->name);
    json_out_text(&out, "env", job->settings.env.name);
    json_out_whole(&out, "seed", job->settings.seed);
    json_out_text(&out, "device", rv_device_name(job->device));
    json_out_whole(&out, "env_steps", agent_job_steps(job)); /* of the simulator */
    json_out_whole(&out, "action_repeat", job->settings.env.action_repeat);
    json_out_whole(&out, "episodes", rv_agent_episodes(job->agent));
    json_out_whole(&out, "updates", rv_agent_updates(job->agent));
    json_out_text(&out, "state_sha256", whole->state);
    json_out_object(&out, "evaluation");
    agent_list_returns(&out, whole->returns);
    json_out_object_end(&out);
    json_out_object(&out, "last_metrics");
    for (int m = 0; m < job->history.metric_count; m++) {
        json_out_number(&out, job->history.name[m], job->history.value[m][job->history.count - 1]);
    }
    json_out_object_end(&out);
    json_out_object(&out, "seconds");
    json_out_number(&out, "train", job->train_seconds);
    json_out_number(&out, "evaluate", job->evaluate_seconds);
    json_out_number(&out, "all", program_seconds() - job->begun);
    json_out_object_end(&out);
    json_out_end(&out);
}

int agent_write_summary(agent_job *job, const agent_returns *returns) {
    summary whole = {.job = job, .returns = returns};
    tensorboard_scalar(job->events, "evaluation/return", agent_job_steps(job), (float)returns->mean);
    int code = run_state_hash(&job->run, &job->history, NULL, whole.state);
    return code == EXIT_OK ? run_write_summary(&job->run, job->events, write_summary, &whole) : code;
}

/* ---- the learning curve ------------------------------------------------------------------------------------------ */

static int find_metric(const history *h, const char *name) {
    for (int m = 0; m < h->metric_count; m++) {
        if (strcmp(h->name[m], name) == 0) return m;
    }
    return -1;
}

/* About `most` rows of those that have a return, the last one among them. */
static int pick_rows(const double *y, int64_t count, int most, int64_t *rows) {
    int64_t known = 0, seen = 0;
    int picked = 0;
    for (int64_t i = 0; i < count; i++) known += isfinite(y[i]);
    const int64_t every = (known + most - 1) / most;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(y[i]) && (known - ++seen) % every == 0) rows[picked++] = i;
    }
    return picked;
}

void agent_print_curve(const history *h) {
    enum { MOST = 10, WIDTH = 40 };
    static const char bar[] = "########################################";
    _Static_assert(sizeof bar == WIDTH + 1, "a full bar");
    const int fresh = find_metric(h, "evaluation"), m = fresh >= 0 ? fresh : find_metric(h, "return");
    int64_t rows[MOST];
    const int count = m < 0 ? 0 : pick_rows(h->value[m], h->count, MOST, rows);
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < count; i++) low = fmin(low, h->value[m][rows[i]]);
    for (int i = 0; i < count; i++) high = fmax(high, h->value[m][rows[i]]);
    if (count == 0) return;
    printf("\n   seconds      steps     return   %s\n",
           fresh >= 0 ? "mean of 20 fresh episodes" : "mean of ten episodes in training");
    for (int i = 0; i < count; i++) {
        char steps[32];
        const double y = h->value[m][rows[i]], share = high > low ? (y - low) / (high - low) : 1;
        printf("%10.1f %10s %10.4g   %.*s\n", h->time[rows[i]], progress_count((int64_t)h->step[rows[i]], steps), y,
               1 + (int)(share * (WIDTH - 1)), bar);
    }
    putchar('\n');
}

static plot_panel return_panel(const history *h, int m, const double *x, const char *x_label) {
    return (plot_panel){.title = "return",
                        .x_label = x_label,
                        .y_label = "return of an episode",
                        .series_count = 1,
                        .series = {{.label = "in training, mean of ten episodes",
                                    .style = PLOT_LINE,
                                    .color = PLOT_BLUE,
                                    .count = h->count,
                                    .x = x,
                                    .y = h->value[m]}}};
}

static void add_evaluation(plot_panel *panel, const double *x, const agent_returns *r) {
    panel->series[panel->series_count++] = (plot_series){.label = "evaluation in fresh environments",
                                                         .style = PLOT_POINTS,
                                                         .color = PLOT_VERMILLION,
                                                         .count = 1,
                                                         .x = x,
                                                         .y = &r->mean};
}

int agent_plot(const char *folder, const char *title, const history *h, const agent_returns *returns) {
    char stem[1300], message[1600];
    const int m = find_metric(h, "return");
    if (!canvas_available()) {
        puts("plots       left out: this build has none (cairo was missing when it was configured)");
        return EXIT_OK;
    }
    if (h->count == 0 || m < 0) return program_fail(EXIT_DATA, "%s holds no returns yet", folder);
    plot_figure figure = {.title = title, .columns = 2, .panel_width = 320, .panel_height = 220, .panel_count = 2};
    figure.panels[0] = return_panel(h, m, h->step, "environment step");
    figure.panels[1] = return_panel(h, m, h->time, "seconds");
    if (returns) add_evaluation(&figure.panels[0], &h->step[h->count - 1], returns);
    if (returns) add_evaluation(&figure.panels[1], &h->time[h->count - 1], returns);
    snprintf(stem, sizeof stem, "%.1200s/plots/returns", folder);
    if (plot_write(&figure, stem, message, sizeof message) == CANVAS_FAILED) {
        return program_fail(EXIT_IO, "cannot plot %s", message);
    }
    printf("plots       %s.png and .svg\n", stem);
    return EXIT_OK;
}
