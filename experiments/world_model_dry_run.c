/* experiments/world_model_dry_run.c: `--dry-run`: what a run would take. */
#include <stdlib.h>

#include "experiments/program.h"
#include "experiments/world_model_job.h"

/* As many steps as a plan needs to be made; they hold nothing. */
static int make_blank_data(world_model_job *job) {
    const rv_env_spaces *spaces = &job->spaces;
    float *zeros = calloc((size_t)(spaces->observation_size + spaces->action_size), sizeof *zeros);
    rv_status status =
        zeros ? rv_dataset_create(spaces->observation_size, spaces->action_size, &job->data) : RV_OUT_OF_MEMORY;
    rv_transition row = {.observation = zeros, .action = zeros, .next_observation = zeros};
    for (int i = 0; i < 256 && status == RV_OK; i++) status = rv_dataset_append(job->data, &row);
    if (status == RV_OK) rv_dataset_cut(job->data);
    free(zeros);
    return status == RV_OK ? EXIT_OK : program_fail(program_code(status), "%s", rv_status_text(status));
}

static void print_params(rv_params *params) {
    puts("\nWeights");
    for (int i = 0; i < rv_params_count(params); i++) {
        int64_t rows = 0, cols = 0;
        rv_params_shape(params, i, &rows, &cols);
        printf("  %-44s [%lld, %lld]\n", rv_params_name(params, i), (long long)rows, (long long)cols);
    }
}

static void print_bytes(world_model_job *job) {
    const world_model_settings *s = &job->settings;
    const int64_t width = 2 * job->spaces.observation_size + job->spaces.action_size + 2;
    rv_plan_report report = {.size = sizeof report};
    rv_plan_report_get(rv_trainer_plan(job->trainer), &report);
    char text[4][32];
    printf("\nA training step   %lld launches in %lld dispatches, %.3g Gflop\n", (long long)report.launches,
           (long long)report.dispatches, 1e-9 * report.flops);
    printf("Arena             %s bytes (%s without reuse)\n", progress_count(report.arena_bytes, text[0]),
           progress_count(report.value_bytes, text[1]));
    printf("Weights           %s, %s bytes with gradients and moments\n",
           progress_count(rv_params_size(job->kind->params(job)), text[0]), progress_count(16 * rv_params_size(job->kind->params(job)), text[2]));
    printf("Data              about %s bytes, %lld steps\n", progress_count(s->data_steps * width * 4, text[3]),
           (long long)s->data_steps);
    printf("\nNothing was collected, trained or written.\n");
}

int world_model_dry_run(world_model_job *job) {
    printf("observation [%lld, %lld], action [%lld, %lld]\n", (long long)job->settings.batch,
           (long long)job->spaces.observation_size, (long long)job->settings.batch, (long long)job->spaces.action_size);
    int code = make_blank_data(job);
    if (code != EXIT_OK) return code;
    code = world_model_make_trained(job);
    if (code != EXIT_OK) return code;
    print_params(job->kind->params(job));
    print_bytes(job);
    return EXIT_OK;
}
