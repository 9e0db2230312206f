/* experiments/agent_setup.c: environments, agent and checkpoint of a run, and what they would take. */
#include <stdlib.h>
#include <string.h>

#include "experiments/agent_job.h"
#include "experiments/program.h"

static int failed(rv_status status, const char *message) {
    return program_fail(program_code(status), "%s", message && message[0] ? message : rv_status_text(status));
}

void agent_job_release(agent_job *job) {
    tensorboard_close(job->events);
    history_free(&job->history);
    rv_checkpoint_destroy(job->checkpoint);
    rv_agent_destroy(job->agent);
    rv_env_destroy(job->env);
    rv_device_close(job->device);
    options_list_free(&job->list);
}

int agent_make_env(agent_job *job) {
    int code = environment_make(&job->settings.env, &job->env_options, job->settings.environments, &job->env);
    if (code != EXIT_OK) return code;
    job->spaces.size = sizeof job->spaces;
    rv_env_spaces_get(job->env, &job->spaces);
    return EXIT_OK;
}

/* ---- the agent and its checkpoint -------------------------------------------------------------------------------- */

run_config agent_run_config(const agent_job *job) {
    return (run_config){job->kind->schema, &job->settings,    sizeof job->settings, job->origins,
                        &job->env_options, AGENT_PASSING, RUN_ONCE};
}

/* The agent's own: an action that is repeated is one. */
static int64_t own_steps(const agent_job *job) { return job->settings.steps / job->settings.env.action_repeat; }
static int64_t own_prefill(const agent_job *job) {
    const int64_t repeat = job->settings.env.action_repeat;
    return (job->settings.prefill + repeat - 1) / repeat;
}

int64_t agent_job_steps(const agent_job *job) {
    return rv_agent_steps(job->agent) * job->settings.env.action_repeat;
}

int agent_make(agent_job *job) {
    const agent_settings *s = &job->settings;
    if (own_steps(job) < 1) {
        return program_fail(EXIT_CONFIG, "train.steps is %lld, less than one action of wrap.action_repeat %lld",
                            (long long)s->steps, (long long)s->env.action_repeat);
    }
    rv_status status = job->kind->create(s, own_steps(job), own_prefill(job), job->device, job->env, &job->agent);
    if (status != RV_OK) return failed(status, rv_agent_message(job->agent));
    const run_config config = agent_run_config(job);
    status = rv_checkpoint_create(job->device, &job->checkpoint);
    if (status == RV_OK) status = rv_agent_checkpoint(job->agent, job->checkpoint);
    if (status == RV_OK) {
        status = run_describe(job->checkpoint, job->kind->name, &config, &job->spaces, rv_device_name(job->device));
    }
    return status == RV_OK ? EXIT_OK : failed(status, job->checkpoint ? rv_checkpoint_message(job->checkpoint) : "");
}

int agent_load(agent_job *job, const char *path) {
    rv_status status = rv_agent_load(job->agent, job->checkpoint, path);
    if (status == RV_OK) return EXIT_OK;
    return program_fail(program_code(status), "%s: %s; --fresh begins the run anew", path,
                        rv_agent_message(job->agent));
}

int agent_open_run(agent_job *job, const char *folder, const char *device) {
    char path[RUN_PATH_SIZE];
    int code = run_read_settings(&job->run, folder, job->kind->schema, &job->list, &job->settings, job->origins,
                                 &job->env_options);
    if (code != EXIT_OK) return code;
    if (device) job->settings.device = device;
    code = agent_make_env(job);
    if (code == EXIT_OK) code = program_open_device(job->settings.device, &job->device);
    if (code == EXIT_OK) code = agent_make(job);
    if (code != EXIT_OK) return code;
    return agent_load(job, run_folder_file(&job->run, run_checkpoint_name, path, sizeof path));
}

/* ---- --dry-run --------------------------------------------------------------------------------------------------- */

static void print_weights(const agent_weights *set) {
    for (int i = 0; i < rv_params_count(set->params); i++) {
        char full[96];
        int64_t rows = 0, cols = 0;
        rv_params_shape(set->params, i, &rows, &cols);
        snprintf(full, sizeof full, "%s%s%s", set->name, set->name[0] ? "/" : "", rv_params_name(set->params, i));
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

int agent_dry_run(agent_job *job) {
    char text[2][32];
    int64_t bytes = 0, count = 0, weight_bytes = 0;
    int code = agent_make(job);
    if (code != EXIT_OK) return code;
    agent_weights list[AGENT_WEIGHTS];
    const int sets = job->kind->weights(job->agent, list);
    puts("Weights");
    for (int i = 0; i < sets; i++) {
        const int64_t size = rv_params_size(list[i].params);
        if (list[i].trained) print_weights(&list[i]);
        count += list[i].trained ? size : 0;
        weight_bytes += (list[i].trained ? 16 : 4) * size;
    }
    rv_status status = job->kind->replay_bytes(&job->settings, own_steps(job), own_prefill(job), &job->spaces, &bytes);
    if (status != RV_OK) return failed(status, "the replay's size");
    puts("");
    print_plan("An update", rv_agent_train_plan(job->agent));
    print_plan("Acting", rv_agent_act_plan(job->agent));
    printf("Weights           %s, %s bytes with gradients, moments and slow copies\n", progress_count(count, text[0]),
           progress_count(weight_bytes, text[1]));
    printf("Replay            %s bytes, %s steps\n", progress_count(bytes, text[0]),
           progress_count(rv_replay_stream_rows(rv_agent_replay(job->agent)) * job->settings.environments, text[1]));
    printf("\nNothing was acted, trained or written.\n");
    return EXIT_OK;
}
