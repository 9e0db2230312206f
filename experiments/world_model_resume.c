/* experiments/world_model_resume.c: a run goes on where its last checkpoint stands. */
#include <string.h>

#include "experiments/program.h"
#include "experiments/world_model_job.h"

/* ---- the checkpoint ---------------------------------------------------------------------------------------------- */

static int unusable(rv_status status, const char *path, const char *why) {
    return program_fail(program_code(status), "%s: %s; --fresh begins the run anew", path, why);
}

static int load(world_model_job *job, const char *path) {
    rv_status status = rv_checkpoint_load(job->checkpoint, path);
    if (status != RV_OK) return unusable(status, path, rv_checkpoint_message(job->checkpoint));
    const char *hash = rv_checkpoint_get(job->checkpoint, "data_sha256");
    if (!hash || strcmp(hash, job->data_hash) != 0) {
        return program_fail(EXIT_DATA,
                            "%s was trained on other data than the environment gives now; --fresh begins the run anew",
                            path);
    }
    int code = run_check_device(job->checkpoint, rv_device_name(job->device));
    if (code != EXIT_OK) return code;
    int32_t updates;
    status = rv_array_read(rv_params_updates(job->kind->params(job)), 0, 1, &updates);
    if (status != RV_OK) return unusable(status, path, rv_status_text(status));
    job->base = updates - rv_trainer_steps(job->trainer);
    return EXIT_OK;
}

int64_t world_model_updates(const world_model_job *job) { return job->base + rv_trainer_steps(job->trainer); }

/* Metrics until the checkpoint; what was written after it will be written again. */
static int resume_metrics(world_model_job *job) {
    char path[RUN_PATH_SIZE];
    int64_t offset, updates = world_model_updates(job);
    history *h = &job->history;
    run_folder_file(&job->run, "metrics.jsonl", path, sizeof path);
    int code = history_read(h, path, updates, &offset);
    if (code != EXIT_OK) return code;
    if (h->count == 0 || (int64_t)h->step[h->count - 1] != updates) {
        return program_fail(EXIT_IO, "%s lacks update %lld, where the checkpoint stands; --fresh begins the run anew",
                            path, (long long)updates);
    }
    return run_folder_cut_metrics(&job->run, offset);
}

int world_model_resume(world_model_job *job) {
    char path[RUN_PATH_SIZE];
    if (job->run.state == RUN_NEW || !run_folder_has(&job->run, run_checkpoint_name)) {
        return run_folder_cut_metrics(&job->run, 0);
    }
    int code = load(job, run_folder_file(&job->run, run_checkpoint_name, path, sizeof path));
    if (code == EXIT_OK) code = resume_metrics(job);
    if (code != EXIT_OK) return code;
    char done[32], all[32];
    printf("resuming    after %s of %s updates\n", progress_count(world_model_updates(job), done),
           progress_count(job->settings.train_steps, all));
    return EXIT_OK;
}
