/* experiments/world_model_resume.c: a run goes on where its last checkpoint stands. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/config_file.h"
#include "experiments/program.h"
#include "experiments/sha256.h"
#include "experiments/world_model_job.h"

static const char checkpoint_name[] = "checkpoints/last.safetensors";

/* ---- the config ------------------------------------------------------------------------------------------------ */

int world_model_check_config(world_model_job *job) {
    const run_config config = world_model_run_config(job);
    return run_config_check(&job->run, &config, rv_device_name(job->device));
}

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
    char kind[64];
    const char *device = rv_checkpoint_get(job->checkpoint, "device");
    world_model_device_kind(job, kind);
    if (!device || strcmp(device, kind) != 0) {
        return program_fail(EXIT_CONFIG,
                            "the run was begun on the device %s, this is %s; --device=%s goes on, --fresh begins anew",
                            device ? device : "(unknown)", kind, device ? device : "auto");
    }
    int32_t updates;
    status = rv_array_read(rv_params_updates(rv_world_model_params(job->model)), 0, 1, &updates);
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
    if (job->run.state == RUN_NEW || !run_folder_has(&job->run, checkpoint_name)) {
        return run_folder_cut_metrics(&job->run, 0);
    }
    int code = load(job, run_folder_file(&job->run, checkpoint_name, path, sizeof path));
    if (code == EXIT_OK) code = resume_metrics(job);
    if (code != EXIT_OK) return code;
    char done[32], all[32];
    printf("resuming    after %s of %s updates\n", progress_count(world_model_updates(job), done),
           progress_count(job->settings.train_steps, all));
    return EXIT_OK;
}

/* ---- the state ------------------------------------------------------------------------------------------- */

static int hash_file(sha256 *hash, const char *path) {
    char block[1 << 16];
    FILE *file = fopen(path, "re");
    if (!file) return program_fail(EXIT_IO, "cannot read %s", path);
    for (size_t got = fread(block, 1, sizeof block, file); got > 0; got = fread(block, 1, sizeof block, file)) {
        sha256_add(hash, block, got);
    }
    bool bad = ferror(file) != 0;
    fclose(file);
    return bad ? program_fail(EXIT_IO, "cannot read %s", path) : EXIT_OK;
}

int world_model_state_hash(world_model_job *job, char text[65]) {
    char path[RUN_PATH_SIZE];
    const history *h = &job->history;
    sha256 hash;
    sha256_begin(&hash);
    int code = hash_file(&hash, run_folder_file(&job->run, checkpoint_name, path, sizeof path));
    sha256_add(&hash, job->data_hash, strlen(job->data_hash));
    sha256_add(&hash, h->step, (size_t)h->count * sizeof *h->step);
    for (int m = 0; m < h->metric_count; m++) {
        sha256_add(&hash, h->name[m], strlen(h->name[m]));
        sha256_add(&hash, h->value[m], (size_t)h->count * sizeof *h->value[m]);
    }
    sha256_end(&hash, text);
    return code;
}

/* ---- a run, for those who use it ------------------------------------------------------------------------- */

int world_model_open_run(world_model_job *job, const char *folder) {
    char path[RUN_PATH_SIZE];
    const char *device = job->settings.device;
    if (strlen(folder) >= sizeof job->run.path) return program_fail(EXIT_IO, "the path of the run folder is too long");
    strcpy(job->run.path, folder);
    run_folder_file(&job->run, "config.yaml", path, sizeof path);
    if (access(path, F_OK) != 0) return program_fail(EXIT_IO, "%s is no run: it has no config.yaml", folder);
    int code = config_read_file(path, &job->list);
    if (code == EXIT_OK) {
        code = options_apply(&world_model_schema, &job->list, &job->settings, job->origins, &job->env_options);
    }
    if (code != EXIT_OK) return code;
    if (device) job->settings.device = device;
    code = world_model_make_envs(job);
    if (code == EXIT_OK) code = program_open_device(job->settings.device, &job->device);
    if (code == EXIT_OK) code = world_model_collect(job);
    if (code != EXIT_OK) return code;
    rv_transitions data = rv_dataset_transitions(job->data);
    code = world_model_make_model(job, &data);
    if (code != EXIT_OK) return code;
    run_folder_file(&job->run, checkpoint_name, path, sizeof path);
    rv_status status = rv_checkpoint_create(job->device, &job->checkpoint);
    if (status == RV_OK) status = rv_world_model_checkpoint(job->model, "model/", job->checkpoint);
    if (status == RV_OK) status = rv_checkpoint_load(job->checkpoint, path);
    if (status == RV_OK) return EXIT_OK;
    return program_fail(program_code(status), "%s: %s", path,
                        job->checkpoint ? rv_checkpoint_message(job->checkpoint) : "out of memory");
}
