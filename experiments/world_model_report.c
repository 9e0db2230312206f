/* experiments/world_model_report.c: what a run leaves behind: results, summary.json, plots. */
#include <stdlib.h>
#include <string.h>

#include "experiments/json.h"
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

void world_model_print_results(const world_model_job *job) {
    const rv_evaluation *e = job->evaluation;
    const int64_t o = e->observation_size, k = shown_horizon(e);
    printf("evaluation  %lld held-out steps, %lld open-loop starts (%.2f s)\n\n", (long long)e->transitions, (long long)e->starts,
           job->evaluate_seconds);
    printf("  %-24s %12s   error (RMSE) %lld steps ahead\n", "", "R2 of the", (long long)k);
    printf("  %-24s %12s   %10s %12s %10s\n", "", "change", "model", "repeat last", "linear");
    for (int64_t d = 0; d < o && d < 16; d++) {
        char text[48];
        int64_t at = (k - 1) * o + d;
        printf("  %-24s %12.3f   %10.4g %12.4g %10.4g\n", name_of(job, d, text), e->change_r2[d], e->model_rmse[at], e->repeat_rmse[at],
               e->linear_rmse[at]);
    }
    printf("\n  reward error (RMSE) %.3g; truth within the 90%% band: %.0f%% at 1 step, %.0f%% at %lld\n\n", e->reward_rmse,
           100.0 * e->inside_90[0], 100.0 * e->inside_90[k - 1], (long long)k);
}

/* ---- summary.json ----------------------------------------------------------------------------------------- */

static void write_dimensions(json *out, const world_model_job *job, const char *key, const double *row) {
    json_object(out, key);
    for (int64_t d = 0; d < job->evaluation->observation_size; d++) {
        char text[48];
        json_number(out, name_of(job, d, text), row[d]);
    }
    json_object_end(out);
}

static void write_horizon(json *out, const world_model_job *job, int64_t k) {
    const rv_evaluation *e = job->evaluation;
    const int64_t at = (k - 1) * e->observation_size;
    double r2[64];
    char key[48];
    snprintf(key, sizeof key, "open_loop_%lld", (long long)k);
    json_object(out, key);
    write_dimensions(out, job, "model_rmse", e->model_rmse + at);
    write_dimensions(out, job, "repeat_last_rmse", e->repeat_rmse + at);
    write_dimensions(out, job, "linear_rmse", e->linear_rmse + at);
    if (e->observation_size <= 64) {
        for (int64_t d = 0; d < e->observation_size; d++) {
            double deviation = e->truth_deviation[at + d], ratio = e->model_rmse[at + d] / deviation;
            r2[d] = deviation > 0.0 ? 1.0 - ratio * ratio : 0.0;
        }
        write_dimensions(out, job, "r2", r2);
    }
    json_number(out, "inside_50", e->inside_50[k - 1]);
    json_number(out, "inside_90", e->inside_90[k - 1]);
    json_object_end(out);
}

static void write_summary(FILE *file, const void *user) {
    const world_model_job *job = user;
    const rv_evaluation *e = job->evaluation;
    json out = json_begin(file, true);
    json_text(&out, "version", rv_version());
    json_text(&out, "env", job->settings.env);
    json_whole(&out, "seed", job->settings.seed);
    json_text(&out, "device", rv_device_name(job->device));
    json_whole(&out, "data_steps", rv_dataset_steps(job->data));
    json_whole(&out, "data_episodes", rv_dataset_episodes(job->data));
    json_whole(&out, "weights", rv_params_size(rv_world_model_params(job->model)));
    json_whole(&out, "train_steps", rv_trainer_steps(job->trainer));
    json_whole(&out, "batch", job->settings.batch);
    json_object(&out, "losses");
    for (int m = 0; m < job->history.metric_count; m++) json_number(&out, job->history.name[m], job->history.value[m][job->history.count - 1]);
    json_object_end(&out);
    json_whole(&out, "held_out_steps", e->transitions);
    json_number(&out, "reward_rmse", e->reward_rmse);
    write_dimensions(&out, job, "change_r2", e->change_r2);
    const int64_t horizons[] = {1, 5, 15, e->horizon};
    int64_t last = 0;
    for (int i = 0; i < 4; i++) {
        if (horizons[i] > last && horizons[i] <= e->horizon) write_horizon(&out, job, last = horizons[i]);
    }
    json_object(&out, "seconds");
    json_number(&out, "collect", job->collect_seconds);
    json_number(&out, "train", job->train_seconds);
    json_number(&out, "evaluate", job->evaluate_seconds);
    json_number(&out, "plot", job->plot_seconds);
    json_number(&out, "all", program_seconds() - job->begun);
    json_object_end(&out);
    json_end(&out);
}

int world_model_write_summary(const world_model_job *job) {
    int code = run_folder_summary(&job->run, write_summary, job);
    if (code == EXIT_OK) {
        printf("checkpoint  %s/checkpoints/last.safetensors\n", job->run.path);
        printf("figures     %s/summary.json, %s/metrics.jsonl\n", job->run.path, job->run.path);
    }
    return code;
}

/* ---- plots -------------------------------------------------------------------------------------------------- */

static int plot_latents(const world_model_job *job, const figure_text *text) {
    enum { POINTS = 800 };
    rv_transitions data = rv_dataset_transitions(job->held_out);
    const int64_t count = data.steps < POINTS ? data.steps : POINTS, o = data.observation_size, z = job->settings.latent;
    float *observation = calloc((size_t)count, (size_t)(o + z) * sizeof *observation), *latent = observation ? observation + count * o : NULL;
    if (!observation) return program_fail(EXIT_DEVICE, "no memory for a plot");
    for (int64_t i = 0; i < count; i++) {
        memcpy(observation + i * o, data.observation + i * data.steps / count * o, (size_t)o * sizeof *observation);
    }
    rv_status status = rv_evaluate_latents(job->model, observation, count, latent);
    int code = status == RV_OK ? figure_latents(job->run.path, text, latent, z, observation, count)
                               : program_fail(program_code(status), "latents: %s", rv_status_text(status));
    free(observation);
    return code;
}

int world_model_plot(world_model_job *job) {
    if (!canvas_available()) {
        puts("plots       left out: this build has none (cairo was missing when it was configured)");
        return EXIT_OK;
    }
    double begun = program_seconds();
    char note[128];
    snprintf(note, sizeof note, "batch %lld, seed %lld", (long long)job->settings.batch, (long long)job->settings.seed);
    figure_text text = {job->settings.env, note, job->spaces.observation_size, job->spaces.observation_names};
    int code = figure_losses(job->run.path, &text, &job->history);
    if (code == EXIT_OK) code = figure_open_loop(job->run.path, &text, job->evaluation);
    if (code == EXIT_OK) code = figure_horizon(job->run.path, &text, job->evaluation);
    if (code == EXIT_OK) code = plot_latents(job, &text);
    job->plot_seconds = program_seconds() - begun;
    if (code == EXIT_OK) {
        printf("plots       %s/plots/{losses,open_loop,horizon,latents}.png and .svg (%.2f s)\n", job->run.path, job->plot_seconds);
    }
    return code;
}
