/* experiments/dreamer_setup.c: environments, dreamer and checkpoint of a run, and what they would take. */
#include <stdlib.h>
#include <string.h>

#include "experiments/config_file.h"
#include "experiments/dreamer_job.h"
#include "experiments/program.h"

static int failed(rv_status status, const char *message) {
    return program_fail(program_code(status), "%s", message && message[0] ? message : rv_status_text(status));
}

void dreamer_release(dreamer_job *job) {
    tensorboard_close(job->events);
    history_free(&job->history);
    rv_checkpoint_destroy(job->checkpoint);
    rv_agent_destroy(job->dreamer);
    rv_env_destroy(job->env);
    rv_device_close(job->device);
    options_list_free(&job->list);
}

int dreamer_make_env(dreamer_job *job) {
    int code = environment_make(&job->settings.env, &job->env_options, job->settings.environments, &job->env);
    if (code != EXIT_OK) return code;
    job->spaces.size = sizeof job->spaces;
    rv_env_spaces_get(job->env, &job->spaces);
    return EXIT_OK;
}

/* ---- the dreamer and its checkpoint ------------------------------------------------------------------------------ */

static rv_status describe(dreamer_job *job) {
    char device[64];
    const run_config settings = dreamer_run_config(job);
    run_config_device(rv_device_name(job->device), device);
    char *config = run_config_text(&settings, &job->spaces);
    rv_status status = config ? rv_checkpoint_set(job->checkpoint, "config", config) : RV_OUT_OF_MEMORY;
    if (status == RV_OK) status = rv_checkpoint_set(job->checkpoint, "device", device);
    if (status == RV_OK) status = rv_checkpoint_set(job->checkpoint, "kind", "dreamer");
    if (status == RV_OK) status = rv_checkpoint_set(job->checkpoint, "version", rv_version());
    free(config);
    return status;
}

int dreamer_make(dreamer_job *job) {
    const rv_dreamer_options options = dreamer_options(&job->settings);
    rv_status status = rv_dreamer_create(job->device, job->env, &options, &job->dreamer);
    if (status != RV_OK) return failed(status, rv_agent_message(job->dreamer));
    status = rv_checkpoint_create(job->device, &job->checkpoint);
    if (status == RV_OK) status = rv_agent_checkpoint(job->dreamer, job->checkpoint);
    if (status == RV_OK) status = describe(job);
    return status == RV_OK ? EXIT_OK : failed(status, job->checkpoint ? rv_checkpoint_message(job->checkpoint) : "");
}

int dreamer_load(dreamer_job *job, const char *path) {
    rv_status status = rv_agent_load(job->dreamer, job->checkpoint, path);
    if (status == RV_OK) return EXIT_OK;
    return program_fail(program_code(status), "%s: %s; --fresh begins the run anew", path,
                        rv_agent_message(job->dreamer));
}

int dreamer_open_run(dreamer_job *job, const char *folder, const char *device) {
    char path[RUN_PATH_SIZE];
    if (strlen(folder) >= sizeof job->run.path) return program_fail(EXIT_IO, "the path of the run folder is too long");
    strcpy(job->run.path, folder);
    int code = config_read_file(run_folder_file(&job->run, "config.yaml", path, sizeof path), &job->list);
    if (code == EXIT_OK) {
        code = options_apply(&dreamer_schema, &job->list, &job->settings, job->origins, &job->env_options);
    }
    if (code != EXIT_OK) return code;
    if (device) job->settings.device = device;
    code = dreamer_make_env(job);
    if (code == EXIT_OK) code = program_open_device(job->settings.device, &job->device);
    if (code == EXIT_OK) code = dreamer_make(job);
    if (code != EXIT_OK) return code;
    return dreamer_load(job, run_folder_file(&job->run, "checkpoints/last.safetensors", path, sizeof path));
}

/* ---- --dry-run --------------------------------------------------------------------------------------------------- */

static void print_params(const char *name, rv_params *params) {
    for (int i = 0; i < rv_params_count(params); i++) {
        char full[96];
        int64_t rows = 0, cols = 0;
        rv_params_shape(params, i, &rows, &cols);
        snprintf(full, sizeof full, "%s/%s", name, rv_params_name(params, i));
        printf("  %-44s [%lld, %lld]\n", full, (long long)rows, (long long)cols);
    }
}

static void print_plan(const char *name, rv_plan *plan) {
    rv_plan_report report = {.size = sizeof report};
    char text[32];
    rv_plan_report_get(plan, &report);
    printf("%-17s %lld launches in %lld dispatches, %.3g Gflop, arena of %s bytes\n", name, (long long)report.launches,
           (long long)report.dispatches, 1e-9 * report.flops, progress_count(report.arena_bytes, text));
}

int dreamer_dry_run(dreamer_job *job) {
    const rv_dreamer_options options = dreamer_options(&job->settings);
    char text[2][32];
    int64_t bytes = 0;
    int code = dreamer_make(job);
    if (code != EXIT_OK) return code;
    rv_agent *d = job->dreamer;
    rv_params *const sets[] = {rv_world_model_params(rv_dreamer_model(d)), rv_dreamer_actor_params(d),
                               rv_dreamer_critic_params(d)};
    static const char *const names[] = {"model", "actor", "critic"};
    int64_t weights = 0;
    puts("Weights");
    for (int i = 0; i < 3; i++) {
        print_params(names[i], sets[i]);
        weights += rv_params_size(sets[i]);
    }
    rv_dreamer_replay_bytes(&options, &job->spaces, job->settings.environments, &bytes);
    puts("");
    print_plan("An update", rv_agent_train_plan(d));
    print_plan("Acting", rv_agent_act_plan(d));
    printf("Weights           %s bytes with gradients and moments\n", progress_count(16 * weights, text[0]));
    printf("Replay            %s bytes, %s steps\n", progress_count(bytes, text[0]),
           progress_count(rv_replay_stream_rows(rv_agent_replay(d)) * job->settings.environments, text[1]));
    printf("\nNothing was acted, trained or written.\n");
    return EXIT_OK;
}
