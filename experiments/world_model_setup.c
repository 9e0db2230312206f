/* experiments/world_model_setup.c: device, environments, data, model and trainer of a run. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/program.h"
#include "experiments/sha256.h"
#include "experiments/world_model_job.h"

static int failed(rv_status status, const char *message) {
    return program_fail(program_code(status), "%s", message && message[0] ? message : rv_status_text(status));
}

void world_model_release(world_model_job *job) {
    tensorboard_close(job->events);
    history_free(&job->history);
    rv_evaluation_destroy(job->evaluation);
    rv_checkpoint_destroy(job->checkpoint);
    rv_trainer_destroy(job->trainer);
    rv_world_model_destroy(job->model);
    rv_sequence_model_destroy(job->sequence);
    rv_dataset_destroy(job->data);
    rv_dataset_destroy(job->validation);
    rv_dataset_destroy(job->held_out);
    rv_env_destroy(job->env);
    rv_env_destroy(job->held_out_env);
    rv_device_close(job->device);
    options_list_free(&job->list);
}

/* ---- environments --------------------------------------------------------------------------------------- */

int world_model_make_env(world_model_job *job, int64_t count, rv_env **env) {
    return environment_make(&job->settings.env, &job->env_options, count, env);
}

int world_model_make_envs(world_model_job *job) {
    const world_model_settings *s = &job->settings;
    int code = world_model_make_env(job, s->data_environments, &job->env);
    if (code == EXIT_OK) code = world_model_make_env(job, s->eval_episodes, &job->held_out_env);
    if (code != EXIT_OK) return code;
    job->spaces.size = sizeof job->spaces;
    rv_env_spaces_get(job->env, &job->spaces);
    if (s->data_policy != RV_POLICY_RANDOM && !rv_env_table_of(job->env)->scripted) {
        return program_fail(EXIT_CONFIG, "%s has no scripted policy; use --data.policy=random", s->env.name);
    }
    if (s->validation <= 0 && s->patience > 0) {
        return program_fail(EXIT_CONFIG, "train.patience needs data.validation above 0");
    }
    if (s->eval_horizon > s->eval_steps) {
        return program_fail(EXIT_CONFIG, "eval.horizon is %lld, beyond eval.steps of %lld", (long long)s->eval_horizon,
                            (long long)s->eval_steps);
    }
    return EXIT_OK;
}

/* ---- data -------------------------------------------------------------------------------------------------- */

typedef struct collecting {
    progress progress;
    int64_t episodes;
} collecting;

static int show_collecting(void *user, int64_t steps, int64_t episodes) {
    collecting *c = user;
    char details[64];
    snprintf(details, sizeof details, "episodes=%lld", (long long)episodes);
    progress_show(&c->progress, steps, details);
    return program_interrupted();
}

static int collect_into(world_model_job *job, rv_env *env, rv_collect_options options, rv_dataset **data) {
    collecting shown;
    rv_status status = rv_dataset_create(job->spaces.observation_size, job->spaces.action_size, data);
    if (status != RV_OK) return failed(status, rv_dataset_message(*data));
    progress_begin(&shown.progress, (progress_mode)job->settings.progress, "collect", "steps", options.steps);
    options.size = sizeof options;
    options.progress = show_collecting;
    options.user = &shown;
    status = rv_collect_world_model_data(env, &options, *data);
    progress_end(&shown.progress);
    if (status == RV_CANCELLED) {
        return program_fail(EXIT_INTERRUPTED, "interrupted while collecting: there is nothing to save yet");
    }
    if (status != RV_OK) return failed(status, rv_dataset_message(*data));
    if (rv_dataset_steps(*data) == 0) return program_fail(EXIT_DATA, "no data was collected");
    return EXIT_OK;
}

static void hash_data(sha256 *hash, const rv_dataset *data) {
    const rv_transitions t = rv_dataset_transitions(data);
    const size_t steps = (size_t)t.steps;
    sha256_add(hash, t.observation, steps * (size_t)t.observation_size * sizeof *t.observation);
    sha256_add(hash, t.action, steps * (size_t)t.action_size * sizeof *t.action);
    sha256_add(hash, t.reward, steps * sizeof *t.reward);
    sha256_add(hash, t.next_observation, steps * (size_t)t.observation_size * sizeof *t.next_observation);
    sha256_add(hash, t.first, steps);
    sha256_add(hash, t.terminated, steps);
    sha256_add(hash, t.truncated, steps);
}

static int hash_env(sha256 *hash, rv_env *env) {
    const size_t size = rv_env_state_size(env);
    void *bytes = malloc(size);
    if (!bytes) return program_fail(EXIT_DEVICE, "no memory for the environments' state");
    rv_status status = rv_env_save(env, bytes, size);
    if (status == RV_OK) sha256_add(hash, bytes, size);
    free(bytes);
    return status == RV_OK ? EXIT_OK : failed(status, rv_env_message(env));
}

/* What collecting left behind: data and the environments' states. */
static int make_data_hash(world_model_job *job) {
    sha256 hash;
    sha256_begin(&hash);
    hash_data(&hash, job->data);
    if (job->validation) hash_data(&hash, job->validation);
    hash_data(&hash, job->held_out);
    int code = job->settings.data_file ? EXIT_OK : hash_env(&hash, job->env); /* which then has not begun */
    if (code == EXIT_OK) code = hash_env(&hash, job->held_out_env);
    sha256_end(&hash, job->data_hash);
    return code;
}

static rv_collect_options evaluation_policy(const world_model_settings *s, rv_env *env, uint64_t seed) {
    return (rv_collect_options){.noise = s->eval_noise > 0 ? s->eval_noise : -1,
                                .policy = rv_env_table_of(env)->scripted ? RV_POLICY_SCRIPTED : RV_POLICY_RANDOM,
                                .seed = seed};
}

int world_model_collect_episodes(world_model_job *job, rv_env *env, int64_t episodes, int64_t steps, uint64_t seed,
                                 rv_dataset **data) {
    rv_collect_options options = evaluation_policy(&job->settings, env, seed);
    options.size = sizeof options;
    rv_status status = rv_dataset_create(job->spaces.observation_size, job->spaces.action_size, data);
    if (status == RV_OK) status = rv_collect_sequence_data(env, episodes, steps, &options, *data);
    return status == RV_OK ? EXIT_OK : failed(status, rv_dataset_message(*data));
}

static int collect_held_out(world_model_job *job) {
    const world_model_settings *s = &job->settings;
    rv_collect_options options =
        evaluation_policy(s, job->held_out_env, (uint64_t)s->seed + (UINT64_C(1) << 32)); /* far from training's */
    options.steps = s->eval_episodes * s->eval_steps;
    return collect_into(job, job->held_out_env, options, &job->held_out);
}

/* Whole episodes for validation; the rest is trained on. */
static int split(world_model_job *job) {
    rv_dataset *train = NULL;
    if (job->settings.validation <= 0) return EXIT_OK;
    rv_status status = rv_dataset_create(job->spaces.observation_size, job->spaces.action_size, &train);
    if (status == RV_OK) {
        status = rv_dataset_create(job->spaces.observation_size, job->spaces.action_size, &job->validation);
    }
    if (status == RV_OK) {
        status =
            rv_dataset_split(job->data, job->settings.validation, (uint64_t)job->settings.seed, train, job->validation);
    }
    if (status != RV_OK) {
        rv_dataset_destroy(train);
        return failed(status, rv_dataset_message(job->validation));
    }
    rv_dataset_destroy(job->data);
    job->data = train;
    if (rv_dataset_steps(job->validation) > 0) return EXIT_OK;
    return program_fail(EXIT_DATA,
                        "a single episode cannot be split; set data.validation to 0 or collect more with data.steps");
}

/* Transitions from a file, which must be of the environment's sizes: it is what the model is judged in. */
int world_model_load_data(world_model_job *job) {
    const char *path = job->settings.data_file;
    if (!path || job->data) return EXIT_OK;
    rv_status status = rv_dataset_load(path, &job->data);
    if (status != RV_OK) {
        int code = status == RV_IO_FAILED || access(path, R_OK) != 0 ? EXIT_IO
                   : status == RV_OUT_OF_MEMORY                      ? EXIT_DEVICE
                                                                     : EXIT_DATA;
        return program_fail(code, "%s", job->data ? rv_dataset_message(job->data) : "out of memory");
    }
    const rv_transitions t = rv_dataset_transitions(job->data);
    if (t.observation_size == job->spaces.observation_size && t.action_size == job->spaces.action_size) return EXIT_OK;
    return program_fail(
        EXIT_DATA,
        "%s has observations of %lld and actions of %lld columns, %s has %lld and %lld; "
                        "env.name says which environment",
        path, (long long)t.observation_size, (long long)t.action_size, job->settings.env.name,
        (long long)job->spaces.observation_size, (long long)job->spaces.action_size);
}

int world_model_save_data(world_model_job *job) {
    char path[RUN_PATH_SIZE];
    if (!job->settings.data_save) return EXIT_OK;
    rv_status status = rv_dataset_save(job->data, run_folder_file(&job->run, "data.npz", path, sizeof path));
    return status == RV_OK ? EXIT_OK : failed(status, rv_dataset_message(job->data));
}

static int collect_data(world_model_job *job) {
    const world_model_settings *s = &job->settings;
    rv_collect_options options = {.steps = s->data_steps,
                                  .episodes = s->data_episodes,
                                  .policy = (rv_policy)s->data_policy,
                                  .noise = s->data_noise > 0 ? s->data_noise : -1,
                                  .seed = (uint64_t)s->seed};
    return collect_into(job, job->env, options, &job->data);
}

int world_model_collect(world_model_job *job) {
    const world_model_settings *s = &job->settings;
    double begun = program_seconds();
    int code = s->data_file ? world_model_load_data(job) : collect_data(job);
    if (code == EXIT_OK) code = collect_held_out(job);
    if (code == EXIT_OK) code = split(job);
    if (code == EXIT_OK) code = make_data_hash(job);
    if (code != EXIT_OK) return code;
    job->collect_seconds = program_seconds() - begun;
    char steps[32], held[32];
    printf("data        %s steps in %lld episodes, and %s held out in %lld (%.2f s)\n",
           progress_count(rv_dataset_steps(job->data), steps), (long long)rv_dataset_episodes(job->data),
           progress_count(rv_dataset_steps(job->held_out), held), (long long)rv_dataset_episodes(job->held_out),
           job->collect_seconds);
    return EXIT_OK;
}

/* ---- model, trainer, checkpoint ------------------------------------------------------------------------------------ */

int world_model_make_trained(world_model_job *job) {
    const rv_transitions data = rv_dataset_transitions(job->data);
    const rv_transitions validation = job->validation ? rv_dataset_transitions(job->validation) : (rv_transitions){0};
    int code = job->kind->make_model(job, &data);
    return code == EXIT_OK ? job->kind->make_trainer(job, &data, job->validation ? &validation : NULL) : code;
}

run_config world_model_run_config(const world_model_job *job) {
    return (run_config){job->kind->schema, &job->settings,      sizeof job->settings, job->origins,
                        &job->env_options, WORLD_MODEL_PASSING, RUN_ONCE};
}

int world_model_make_checkpoint(world_model_job *job) {
    const run_config config = world_model_run_config(job);
    rv_status status = rv_checkpoint_create(job->device, &job->checkpoint);
    if (status == RV_OK) status = rv_trainer_checkpoint(job->trainer, job->checkpoint);
    if (status == RV_OK) status = rv_checkpoint_set(job->checkpoint, "data_sha256", job->data_hash);
    if (status == RV_OK) {
        status = run_describe(job->checkpoint, job->kind->name, &config, &job->spaces, rv_device_name(job->device));
    }
    return status == RV_OK ? EXIT_OK : failed(status, job->checkpoint ? rv_checkpoint_message(job->checkpoint) : "");
}

/* ---- evaluation ------------------------------------------------------------------------------------------------ */

int world_model_evaluate(world_model_job *job, const rv_dataset *held_out, const rv_evaluate_options *options,
                         rv_evaluation **evaluation) {
    rv_transitions data = rv_dataset_transitions(job->data);
    rv_status status = job->kind->evaluate(job, &data, held_out, options, evaluation);
    if (status == RV_OK) return EXIT_OK;
    const char *message = *evaluation ? (*evaluation)->message : "out of memory";
    if (status == RV_INVALID_ARGUMENT) return program_fail(EXIT_DATA, "%s", message);
    return failed(status, message);
}

/* ---- a run, for those who use it ------------------------------------------------------------------------- */

static int read_run(world_model_job *job, const char *folder) {
    char name[64];
    const char *device = job->settings.device;
    int code = run_config_job(folder, name, sizeof name);
    if (code != EXIT_OK) return code;
    job->kind = strcmp(name, sequence_kind.name) == 0 ? &sequence_kind : &vae_kind;
    code = run_read_settings(&job->run, folder, job->kind->schema, &job->list, &job->settings, job->origins,
                             &job->env_options);
    if (device) job->settings.device = device;
    return code;
}

int world_model_open_run(world_model_job *job, const char *folder) {
    char path[RUN_PATH_SIZE];
    int code = read_run(job, folder);
    if (code == EXIT_OK) code = world_model_make_envs(job);
    if (code == EXIT_OK) code = program_open_device(job->settings.device, &job->device);
    if (code == EXIT_OK) code = world_model_collect(job);
    if (code != EXIT_OK) return code;
    rv_transitions data = rv_dataset_transitions(job->data);
    code = job->kind->make_model(job, &data);
    if (code != EXIT_OK) return code;
    run_folder_file(&job->run, run_checkpoint_name, path, sizeof path);
    rv_status status = rv_checkpoint_create(job->device, &job->checkpoint);
    if (status == RV_OK) status = job->kind->checkpoint(job);
    if (status == RV_OK) status = rv_checkpoint_load(job->checkpoint, path);
    if (status == RV_OK) return EXIT_OK;
    return program_fail(program_code(status), "%s: %s", path,
                        job->checkpoint ? rv_checkpoint_message(job->checkpoint) : "out of memory");
}
