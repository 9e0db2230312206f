/* experiments/world_model_report.c: what a run leaves behind: results, summary.json, plots. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/evaluation_file.h"
#include "experiments/json_out.h"
#include "experiments/program.h"
#include "experiments/world_model_job.h"

/* ---- on stdout -------------------------------------------------------------------------------------------- */

static const char *name_of(const world_model_job *job, int64_t dimension, char text[48]) {
    if (job->spaces.observation_names) return job->spaces.observation_names[dimension];
    snprintf(text, 48, "observation %lld", (long long)dimension);
    return text;
}

/* The horizon that the table shows: 15 steps, as the course does, or what there is. */
static int64_t shown_horizon(const rv_evaluation *e) { return e->horizon < 15 ? e->horizon : 15; }

void world_model_print_evaluation(const world_model_job *job, const rv_evaluation *e) {
    const int64_t o = e->observation_size, k = shown_horizon(e);
    printf("  %-24s %9s   %lld steps ahead, open loop\n", "", "R2 of the", (long long)k);
    printf("  %-24s %9s   %9s %10s %12s %10s\n", "", "change", "R2", "error", "repeat last", "linear");
    for (int64_t d = 0; d < o && d < 16; d++) {
        char text[48];
        int64_t at = (k - 1) * o + d;
        printf("  %-24s %9.3f   %9.3f %10.4g %12.4g %10.4g\n", name_of(job, d, text), e->change_r2[d],
               e->open_loop_r2[at], e->model_rmse[at], e->repeat_rmse[at], e->linear_rmse[at]);
    }
    printf("  %-24s %9s   %9s %10.4g %12.4g %10.4g\n", "all, in deviations", "", "", e->model_error[k - 1],
           e->repeat_error[k - 1], e->linear_error[k - 1]);
    printf(
        "\n  reward error %.3g (its deviation is %.3g, a fit without memory errs by %.3g); "
        "truth within the 90%% band: %.0f%% at 1 step, %.0f%% at %lld\n\n",
        e->reward_rmse, e->reward_deviation, e->memoryless_reward_rmse, 100.0 * e->inside_90[0],
        100.0 * e->inside_90[k - 1], (long long)k);
}

/* ---- summary.json ----------------------------------------------------------------------------------------- */

static void write_dimensions(json_out *out, const world_model_job *job, const char *key, const double *row) {
    json_out_object(out, key);
    for (int64_t d = 0; d < job->evaluation->observation_size; d++) {
        char text[48];
        json_out_number(out, name_of(job, d, text), row[d]);
    }
    json_out_object_end(out);
}

static void write_horizon(json_out *out, const world_model_job *job, int64_t k) {
    const rv_evaluation *e = job->evaluation;
    const int64_t at = (k - 1) * e->observation_size;
    char key[48];
    snprintf(key, sizeof key, "open_loop_%lld", (long long)k);
    json_out_object(out, key);
    write_dimensions(out, job, "r2", e->open_loop_r2 + at);
    write_dimensions(out, job, "model_rmse", e->model_rmse + at);
    write_dimensions(out, job, "repeat_last_rmse", e->repeat_rmse + at);
    write_dimensions(out, job, "linear_rmse", e->linear_rmse + at);
    json_out_number(out, "model_error", e->model_error[k - 1]);
    json_out_number(out, "repeat_last_error", e->repeat_error[k - 1]);
    json_out_number(out, "linear_error", e->linear_error[k - 1]);
    json_out_number(out, "reward_rmse", e->open_loop_reward_rmse[k - 1]);
    json_out_number(out, "inside_50", e->inside_50[k - 1]);
    json_out_number(out, "inside_90", e->inside_90[k - 1]);
    json_out_object_end(out);
}

/* The squared error over that without a memory; NaN where every reward is the same. */
static double reward_error_share(const rv_evaluation *e) {
    return e->reward_deviation > 0 ? pow(e->reward_rmse / e->memoryless_reward_rmse, 2) : (double)NAN;
}

typedef struct summary {
    const world_model_job *job;
    rv_params *params;
    char state[65];
} summary;

static void write_summary(FILE *file, const void *user) {
    const summary *whole = user;
    const world_model_job *job = whole->job;
    const rv_evaluation *e = job->evaluation;
    json_out out = json_out_begin(file, true);
    json_out_text(&out, "version", rv_version());
    json_out_text(&out, "kind", job->kind->name);
    json_out_text(&out, "env", job->settings.env.name);
    json_out_whole(&out, "seed", job->settings.seed);
    json_out_text(&out, "device", rv_device_name(job->device));
    json_out_whole(&out, "data_steps", rv_dataset_steps(job->data));
    json_out_whole(&out, "data_episodes", rv_dataset_episodes(job->data));
    json_out_whole(&out, "weights", rv_params_size(whole->params));
    json_out_whole(&out, "train_steps", world_model_updates(job));
    json_out_whole(&out, "env_steps", /* with those held back for validation */
                   rv_dataset_steps(job->data) + (job->validation ? rv_dataset_steps(job->validation) : 0));
    json_out_whole(&out, "updates", world_model_updates(job));
    json_out_whole(&out, "batch", job->settings.batch);
    json_out_text(&out, "state_sha256", whole->state);
    json_out_object(&out, "losses");
    for (int m = 0; m < job->history.metric_count; m++) {
        json_out_number(&out, job->history.name[m], job->history.value[m][job->history.count - 1]);
    }
    json_out_object_end(&out);
    json_out_whole(&out, "held_out_steps", e->transitions);
    json_out_number(&out, "reward_rmse", e->reward_rmse);
    json_out_number(&out, "reward_deviation", e->reward_deviation);
    json_out_number(&out, "memoryless_reward_rmse", e->memoryless_reward_rmse);
    json_out_number(&out, "reward_error_share", reward_error_share(e));
    write_dimensions(&out, job, "change_r2", e->change_r2);
    const int64_t horizons[] = {1, 5, 15, e->horizon};
    int64_t last = 0;
    for (int i = 0; i < 4; i++) {
        if (horizons[i] > last && horizons[i] <= e->horizon) write_horizon(&out, job, last = horizons[i]);
    }
    json_out_object(&out, "seconds");
    json_out_number(&out, "collect", job->collect_seconds);
    json_out_number(&out, "train", job->train_seconds);
    json_out_number(&out, "evaluate", job->evaluate_seconds);
    json_out_number(&out, "plot", job->plot_seconds);
    json_out_number(&out, "all", program_seconds() - job->begun);
    json_out_object_end(&out);
    json_out_end(&out);
}

/* The final figures for TensorBoard too. */
static void write_events(const world_model_job *job) {
    const rv_evaluation *e = job->evaluation;
    char name[48], tag[128];
    for (int64_t d = 0; d < e->observation_size; d++) {
        snprintf(tag, sizeof tag, "evaluation/change_r2/%s", name_of(job, d, name));
        for (char *c = tag; *c; c++) *c = *c == ' ' ? '_' : *c;
        tensorboard_scalar(job->events, tag, world_model_updates(job), (float)e->change_r2[d]);
    }
    tensorboard_scalar(job->events, "evaluation/reward_rmse", world_model_updates(job), (float)e->reward_rmse);
}

int world_model_write_summary(world_model_job *job) {
    summary whole = {.job = job, .params = job->kind->params(job)};
    write_events(job);
    int code = run_state_hash(&job->run, &job->history, job->data_hash, whole.state);
    return code == EXIT_OK ? run_write_summary(&job->run, job->events, write_summary, &whole) : code;
}

/* ---- plots -------------------------------------------------------------------------------------------------- */

/* Draws every figure of a run; the evaluation's only where there is one. */
int world_model_plot(const char *folder, const figure_text *text, const history *history,
                     const rv_evaluation *evaluation, const figure_points *points) {
    if (!canvas_available()) {
        puts("plots       left out: this build has none (cairo was missing when it was configured)");
        return EXIT_OK;
    }
    double begun = program_seconds();
    int code = history->count > 0 ? figure_losses(folder, text, history) : EXIT_OK;
    figure_text plain = *text;
    plain.note = NULL;
    if (code == EXIT_OK && evaluation) code = figure_open_loop(folder, "open_loop", &plain, evaluation);
    if (code == EXIT_OK && evaluation) code = figure_horizon(folder, text, evaluation);
    if (code == EXIT_OK && evaluation && points->count > 0) code = figure_latents(folder, text, points);
    if (code != EXIT_OK) return code;
    printf("plots       %s/plots/%s.png and .svg (%.2f s)\n", folder,
           !evaluation         ? "losses"
           : points->count > 0 ? "{losses,open_loop,horizon,latents}"
                               : "{losses,open_loop,horizon}",
           program_seconds() - begun);
    return EXIT_OK;
}

int world_model_write_figures(world_model_job *job) {
    double begun = program_seconds();
    char note[128];
    figure_points points = {0};
    snprintf(note, sizeof note, "batch %lld, seed %lld", (long long)job->settings.batch, (long long)job->settings.seed);
    const figure_text text = {job->settings.env.name, note, job->spaces.observation_size,
                              job->spaces.observation_names};
    int code = job->kind->points ? job->kind->points(job, &points) : EXIT_OK;
    if (code == EXIT_OK) code = evaluation_file_write(&job->run, &text, job->evaluation, &points);
    if (code == EXIT_OK) code = world_model_plot(job->run.path, &text, &job->history, job->evaluation, &points);
    figure_points_free(&points);
    job->plot_seconds = program_seconds() - begun;
    return code;
}
