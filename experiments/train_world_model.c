/* experiments/train_world_model.c: `reverie train world_model`: collect, train, save, evaluate, plot. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/json.h"
#include "experiments/program.h"
#include "experiments/world_model_job.h"

static int failed(rv_status status, const char *message) {
    return program_fail(program_code(status), "%s", message[0] ? message : rv_status_text(status));
}

/* ---- help ------------------------------------------------------------------------------------------------- */

static void print_environments(void) {
    const rv_env_table *list[64];
    int count = rv_env_list(list, 64);
    puts("\nEnvironments and their options");
    for (int i = 0; i < count && i < 64; i++) {
        printf("  %s: %s\n", list[i]->name, list[i]->text);
        for (int o = 0; o < list[i]->option_count; o++) {
            const rv_env_option *option = &list[i]->options[o];
            printf("    --env.%-20s %s [%g, %g to %g]\n", option->name, option->text, option->standard, option->low, option->high);
        }
    }
}

static void print_help(void) {
    puts("Usage: reverie train world_model [--key=value]...\n\n"
         "Collects data in an environment, trains a world model on it (variational autoencoder, latent dynamics,\n"
         "reward model), evaluates it on held-out episodes, and leaves metrics, plots and a checkpoint in a folder.\n\nOptions");
    options_print(world_model_options, world_model_option_count, stdout);
    print_environments();
}

/* ---- set up ------------------------------------------------------------------------------------------------ */

static int open_device(world_model_job *job) {
    rv_status status = rv_device_open(job->settings.device, NULL, &job->device);
    if (status == RV_OK) {
        printf("device      %s, %s\n", rv_device_name(job->device), rv_device_description(job->device));
        return EXIT_OK;
    }
    return program_fail(EXIT_DEVICE, "%s", job->device ? rv_device_message(job->device) : "out of memory");
}

static int make_env(world_model_job *job, int64_t count, rv_env **env) {
    rv_env_setting settings[32];
    for (int i = 0; i < job->env_options.count; i++) {
        settings[i] = (rv_env_setting){job->env_options.name[i], job->env_options.value[i]};
    }
    rv_status status = rv_env_create(job->settings.env, count, settings, job->env_options.count, env);
    if (status == RV_OK) return EXIT_OK;
    return program_fail(program_code(status), "%s", rv_env_message(*env));
}

static int make_envs(world_model_job *job) {
    int code = make_env(job, job->settings.data_environments, &job->env);
    if (code == EXIT_OK) code = make_env(job, job->settings.eval_episodes, &job->held_out_env);
    if (code != EXIT_OK) return code;
    job->spaces.size = sizeof job->spaces;
    rv_env_spaces_get(job->env, &job->spaces);
    if (job->settings.data_policy != RV_POLICY_RANDOM && !rv_env_table_of(job->env)->scripted) {
        return program_fail(EXIT_CONFIG, "%s has no scripted policy; use --data.policy=random", job->settings.env);
    }
    if (job->settings.eval_horizon > job->settings.eval_steps) {
        return program_fail(EXIT_CONFIG, "eval.horizon is %lld, beyond eval.steps of %lld", (long long)job->settings.eval_horizon,
                            (long long)job->settings.eval_steps);
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
    if (status == RV_CANCELLED) return program_fail(EXIT_INTERRUPTED, "interrupted while collecting: there is nothing to save yet");
    if (status != RV_OK) return failed(status, rv_dataset_message(*data));
    if (rv_dataset_steps(*data) == 0) return program_fail(EXIT_DATA, "no data was collected");
    return EXIT_OK;
}

static int collect(world_model_job *job) {
    const world_model_settings *s = &job->settings;
    const uint64_t held_out_seed = (uint64_t)s->seed + (UINT64_C(1) << 32); /* far from the seeds of training */
    double begun = program_seconds();
    rv_collect_options options = {.steps = s->data_steps, .episodes = s->data_episodes, .policy = (rv_policy)s->data_policy,
                                  .noise = s->data_noise > 0 ? s->data_noise : -1, .seed = (uint64_t)s->seed};
    int code = collect_into(job, job->env, options, &job->data);
    if (code != EXIT_OK) return code;
    options = (rv_collect_options){.steps = s->eval_episodes * s->eval_steps, .noise = s->eval_noise > 0 ? s->eval_noise : -1,
                                   .policy = rv_env_table_of(job->env)->scripted ? RV_POLICY_SCRIPTED : RV_POLICY_RANDOM,
                                   .seed = held_out_seed};
    code = collect_into(job, job->held_out_env, options, &job->held_out);
    if (code != EXIT_OK) return code;
    job->collect_seconds = program_seconds() - begun;
    char steps[32], held[32];
    printf("data        %s steps in %lld episodes, and %s held out in %lld (%.2f s)\n", progress_count(rv_dataset_steps(job->data), steps),
           (long long)rv_dataset_episodes(job->data), progress_count(rv_dataset_steps(job->held_out), held),
           (long long)rv_dataset_episodes(job->held_out), job->collect_seconds);
    return EXIT_OK;
}

/* ---- model and trainer --------------------------------------------------------------------------------------- */

static rv_sizes sizes(const option_sizes *from) {
    rv_sizes to = {.count = from->count};
    for (int i = 0; i < from->count; i++) to.size[i] = from->size[i];
    return to;
}

static int make_model(world_model_job *job) {
    const world_model_settings *s = &job->settings;
    rv_world_model_options options = {.size = sizeof options,
                                      .observation_size = job->spaces.observation_size,
                                      .action_size = job->spaces.action_size,
                                      .latent_size = s->latent,
                                      .vae_hidden = sizes(&s->vae_hidden),
                                      .dynamics_hidden = sizes(&s->dynamics_hidden),
                                      .reward_hidden = sizes(&s->reward_hidden),
                                      .deterministic = s->deterministic,
                                      .absolute = s->absolute};
    rv_transitions data = rv_dataset_transitions(job->data);
    rv_status status = rv_world_model_create(job->device, &options, (uint64_t)s->seed, &job->model);
    if (status == RV_OK) status = rv_world_model_normalise_by(job->model, &data);
    if (status != RV_OK) return failed(status, rv_world_model_message(job->model));

    rv_trainer_options training = {.size = sizeof training,
                                   .batch = s->batch,
                                   .learning_rate = (float)s->learning_rate,
                                   .clip = (float)s->clip,
                                   .kl_weight = s->kl_weight > 0 ? (float)s->kl_weight : -1.0f,
                                   .kl_warmup = s->kl_warmup,
                                   .adamw = {.weight_decay = (float)s->weight_decay},
                                   .seed = (uint64_t)s->seed};
    status = rv_trainer_create(job->model, &data, &training, &job->trainer);
    if (status != RV_OK) return failed(status, rv_trainer_message(job->trainer));
    char weights[32];
    printf("model       %s weights, latent of %lld\n", progress_count(rv_params_size(rv_world_model_params(job->model)), weights),
           (long long)s->latent);
    return EXIT_OK;
}

static int make_checkpoint(world_model_job *job) {
    rv_status status = rv_checkpoint_create(job->device, &job->checkpoint);
    if (status == RV_OK) status = rv_trainer_checkpoint(job->trainer, job->checkpoint);
    char *config = status == RV_OK ? world_model_config(job) : NULL;
    if (status == RV_OK && !config) status = RV_OUT_OF_MEMORY;
    if (status == RV_OK) status = rv_checkpoint_set(job->checkpoint, "config", config);
    if (status == RV_OK) status = rv_checkpoint_set(job->checkpoint, "kind", "world_model");
    if (status == RV_OK) status = rv_checkpoint_set(job->checkpoint, "version", rv_version());
    free(config);
    return status == RV_OK ? EXIT_OK : failed(status, job->checkpoint ? rv_checkpoint_message(job->checkpoint) : "");
}

static int save(world_model_job *job) {
    char path[1536];
    rv_status status = rv_checkpoint_save(job->checkpoint, run_folder_file(&job->run, "checkpoints/last.safetensors", path, sizeof path));
    job->saved = program_seconds();
    return status == RV_OK ? EXIT_OK : failed(status, rv_checkpoint_message(job->checkpoint));
}

/* ---- training -------------------------------------------------------------------------------------------------- */

static int make_history(world_model_job *job) {
    history *h = &job->history;
    h->capacity = job->settings.train_steps / job->settings.log_every + 2;
    h->step = calloc((size_t)h->capacity, (RV_TRAINER_METRICS + 1) * sizeof *h->step);
    if (!h->step) return program_fail(EXIT_DEVICE, "no memory for %lld lines of metrics; raise log.every", (long long)h->capacity);
    for (int m = 0; m < RV_TRAINER_METRICS; m++) h->value[m] = h->step + (m + 1) * h->capacity;
    return EXIT_OK;
}

static void keep_metrics(world_model_job *job, const rv_metric *metrics, double seconds) {
    history *h = &job->history;
    int64_t step = rv_trainer_steps(job->trainer);
    json line = json_begin(job->run.metrics, false);
    json_whole(&line, "step", step);
    json_number(&line, "seconds", seconds);
    h->step[h->count] = (double)step;
    h->metric_count = RV_TRAINER_METRICS;
    for (int m = 0; m < RV_TRAINER_METRICS; m++) {
        h->name[m] = metrics[m].name;
        h->value[m][h->count] = metrics[m].value;
        json_number(&line, metrics[m].name, (double)metrics[m].value);
    }
    json_end(&line);
    h->count++;
}

static void show_training(progress *shown, const rv_metric *metrics, int64_t steps) {
    char details[256] = "";
    int at = 0;
    for (int m = 0; m < RV_TRAINER_METRICS && at < (int)sizeof details; m++) {
        at += snprintf(details + at, sizeof details - (size_t)at, "%s%s=%.4g", m ? " " : "", metrics[m].name, (double)metrics[m].value);
    }
    progress_show(shown, steps, details);
}

static int train_loop(world_model_job *job, progress *shown, double begun) {
    const world_model_settings *s = &job->settings;
    while (rv_trainer_steps(job->trainer) < s->train_steps && !(job->interrupted = program_interrupted())) {
        int64_t left = s->train_steps - rv_trainer_steps(job->trainer);
        rv_metric metrics[RV_TRAINER_METRICS];
        rv_status status = rv_trainer_run(job->trainer, left < s->log_every ? left : s->log_every);
        if (status == RV_OK) status = rv_trainer_metrics(job->trainer, metrics);
        if (status == RV_NON_FINITE) {
            progress_end(shown);
            return program_fail(EXIT_NUMERIC, "%s; a smaller train.learning_rate may help", rv_trainer_message(job->trainer));
        }
        if (status != RV_OK) return failed(status, rv_trainer_message(job->trainer));
        keep_metrics(job, metrics, program_seconds() - begun);
        show_training(shown, metrics, rv_trainer_steps(job->trainer));
        if (program_seconds() - job->saved > 60.0) {
            int code = save(job);
            if (code != EXIT_OK) return code;
        }
    }
    return EXIT_OK;
}

static int train(world_model_job *job) {
    progress shown;
    int code = make_history(job);
    if (code != EXIT_OK) return code;
    double begun = job->saved = program_seconds();
    progress_begin(&shown, (progress_mode)job->settings.progress, "train", "updates", job->settings.train_steps);
    code = train_loop(job, &shown, begun);
    progress_end(&shown);
    if (code != EXIT_OK) return code;
    job->train_seconds = program_seconds() - begun;
    code = save(job);
    if (code != EXIT_OK) return code;
    if (job->interrupted) {
        return program_fail(EXIT_INTERRUPTED, "interrupted after %lld updates; the checkpoint is %s/checkpoints/last.safetensors",
                            (long long)rv_trainer_steps(job->trainer), job->run.path);
    }
    char steps[32], rate[32];
    printf("training    %s updates of %lld in %.2f s (%s a second)\n", progress_count(rv_trainer_steps(job->trainer), steps),
           (long long)job->settings.batch, job->train_seconds,
           progress_count((int64_t)((double)rv_trainer_steps(job->trainer) / fmax(job->train_seconds, 1e-9)), rate));
    return EXIT_OK;
}

/* ---- evaluation ------------------------------------------------------------------------------------------------- */

static int evaluate(world_model_job *job) {
    double begun = program_seconds();
    rv_transitions data = rv_dataset_transitions(job->data);
    rv_evaluate_options options = {.size = sizeof options, .horizon = job->settings.eval_horizon, .seed = (uint64_t)job->settings.seed};
    rv_status status = rv_evaluate_world_model(job->model, &data, job->held_out, &options, &job->evaluation);
    job->evaluate_seconds = program_seconds() - begun;
    if (status == RV_OK) return EXIT_OK;
    const char *message = job->evaluation ? job->evaluation->message : "out of memory";
    if (status == RV_INVALID_ARGUMENT) return program_fail(EXIT_DATA, "%s", message);
    return failed(status, message);
}

static int run_job(world_model_job *job) {
    int code = make_envs(job);
    if (code == EXIT_OK) code = open_device(job);
    if (code == EXIT_OK) code = run_folder_open(&job->run, job->settings.out, job->settings.fresh);
    if (code == EXIT_OK) code = collect(job);
    if (code == EXIT_OK) code = make_model(job);
    if (code == EXIT_OK) code = make_checkpoint(job);
    if (code == EXIT_OK) code = train(job);
    if (code == EXIT_OK) code = evaluate(job);
    if (code == EXIT_OK) world_model_print_results(job);
    if (code == EXIT_OK) code = world_model_plot(job);
    if (code == EXIT_OK) code = world_model_write_summary(job);
    int closed = run_folder_close(&job->run);
    return code == EXIT_OK ? closed : code;
}

static void release(world_model_job *job) {
    free(job->history.step);
    rv_evaluation_destroy(job->evaluation);
    rv_checkpoint_destroy(job->checkpoint);
    rv_trainer_destroy(job->trainer);
    rv_world_model_destroy(job->model);
    rv_dataset_destroy(job->data);
    rv_dataset_destroy(job->held_out);
    rv_env_destroy(job->env);
    rv_env_destroy(job->held_out_env);
    rv_device_close(job->device);
}

int train_world_model(int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        print_help();
        return EXIT_OK;
    }
    world_model_job job = {.begun = program_seconds(), .env_options = {.prefix = "env."}};
    int code = options_read(world_model_options, world_model_option_count, &job.settings, argc, argv, &job.env_options);
    if (code != EXIT_OK) return code;
    program_catch_interrupts();
    printf("reverie %s: world model of %s, into %s\n", rv_version(), job.settings.env, job.settings.out);
    code = run_job(&job);
    if (code == EXIT_OK) {
        printf("done in %.2f s; --train.steps=5000 --fresh trains longer, --help lists every option\n", program_seconds() - job.begun);
    }
    release(&job);
    return code;
}
