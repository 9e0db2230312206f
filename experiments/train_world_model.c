/* experiments/train_world_model.c: `reverie train world_model` and `rssm`: collect, train, save, evaluate, plot. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/program.h"
#include "experiments/world_model_job.h"

static int failed(rv_status status, const char *message) {
    return program_fail(program_code(status), "%s", message && message[0] ? message : rv_status_text(status));
}

/* ---- help ------------------------------------------------------------------------------------------------- */

static void print_help(const world_model_kind *kind) {
    printf("Usage: reverie train %s [--key=value]...\n       reverie train FILE.yaml [--key=value]...\n\n%s\n"
           "The same command again goes on where an interrupted run stands. A file holds the same keys as YAML;\n"
           "what stands on the command line wins. `reverie config --job=%s --explain KEY` says more about one.\n\n"
           "Options\n",
           kind->name, kind->text, kind->name);
    options_print(kind->schema, stdout);
    environment_print_all();
}

/* ---- saving --------------------------------------------------------------------------------------------------- */

static int save(world_model_job *job) {
    char path[RUN_PATH_SIZE];
    int code = run_folder_sync_metrics(&job->run); /* first: a checkpoint needs the metrics before it */
    if (code != EXIT_OK) return code;
    rv_status status = rv_checkpoint_save(
        job->checkpoint, run_folder_file(&job->run, run_checkpoint_name, path, sizeof path));
    job->saved = program_seconds();
    return status == RV_OK ? EXIT_OK : failed(status, rv_checkpoint_message(job->checkpoint));
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* Names as in the history: the trainer's, then those of validation. */
static int name_metrics(world_model_job *job) {
    char texts[HISTORY_METRICS][32];
    const char *names[HISTORY_METRICS];
    const int count = rv_trainer_metric_count(job->trainer);
    int all = 0;
    for (int m = 0; m < count && all < HISTORY_METRICS; m++) {
        snprintf(texts[all++], 32, "%s", rv_trainer_metric_name(job->trainer, m));
    }
    for (int m = 0; m < count && all < HISTORY_METRICS && job->settings.validation > 0; m++) {
        const char *name = rv_trainer_metric_name(job->trainer, m);
        if (strcmp(name, "gradient_norm") != 0) snprintf(texts[all++], 32, "validation_%.20s", name);
    }
    for (int m = 0; m < all; m++) names[m] = texts[m];
    return history_name(&job->history, names, all) ? EXIT_OK : EXIT_BUG;
}

/* The report's figures in the order of those names. */
static void collect_values(const world_model_job *job, const rv_trainer_report *report, float values[HISTORY_METRICS]) {
    const int count = rv_trainer_metric_count(job->trainer);
    int all = 0;
    for (int m = 0; m < count; m++) values[all++] = report->training[m];
    for (int m = 0; m < count && all < job->history.metric_count; m++) {
        if (strcmp(rv_trainer_metric_name(job->trainer, m), "gradient_norm") != 0) {
            values[all++] = report->validation[m];
        }
    }
}

static void tag_of(const char *name, char tag[64]) {
    const bool validation = strncmp(name, "validation_", 11) == 0;
    snprintf(tag, 64, "%s/%s", validation ? "validation" : "train", validation ? name + 11 : name);
}

static int keep_metrics(world_model_job *job, const rv_trainer_report *report, double seconds) {
    float values[HISTORY_METRICS];
    collect_values(job, report, values);
    if (!history_add(&job->history, report->update, seconds, values)) {
        return program_fail(EXIT_DEVICE, "no memory for metrics; raise log.every");
    }
    return run_write_metrics(&job->run, &job->history, job->events, tag_of);
}

typedef struct training {
    world_model_job *job;
    progress progress;
    double begun;
    int code; /* of what went wrong in a report */
} training;

static void show_training(training *t, const rv_trainer_report *report) {
    char details[512] = "";
    size_t at = 0;
    for (int m = 0; m < rv_trainer_metric_count(t->job->trainer) && at < sizeof details; m++) {
        at += (size_t)snprintf(details + at, sizeof details - at, "%s%s=%.4g", m ? " " : "",
                               rv_trainer_metric_name(t->job->trainer, m), (double)report->training[m]);
    }
    progress_show(&t->progress, report->update, details);
}

static int report(void *user, const rv_trainer_report *report) {
    training *t = user;
    world_model_job *job = t->job;
    t->code = keep_metrics(job, report, program_seconds() - t->begun);
    show_training(t, report);
    if (t->code == EXIT_OK && program_seconds() - job->saved >= job->settings.save_seconds) t->code = save(job);
    job->interrupted = program_interrupted();
    return t->code != EXIT_OK || job->interrupted;
}

static int train_loop(world_model_job *job, double begun) {
    training t = {.job = job, .begun = begun};
    const rv_fit_options options = {.size = sizeof options,
                                    .updates = job->settings.train_steps,
                                    .every = job->settings.log_every,
                                    .patience = job->settings.patience,
                                    .progress = report,
                                    .user = &t};
    progress_begin(&t.progress, (progress_mode)job->settings.progress, "train", "updates", job->settings.train_steps);
    rv_status status = rv_trainer_fit(job->trainer, &options);
    progress_end(&t.progress);
    job->train_seconds = program_seconds() - begun;
    if (t.code != EXIT_OK) return t.code;
    if (status == RV_OK || job->interrupted) return EXIT_OK;
    if (status == RV_NON_FINITE) {
        return program_fail(EXIT_NUMERIC, "%s; a smaller train.learning_rate may help",
                            rv_trainer_message(job->trainer));
    }
    return failed(status, rv_trainer_message(job->trainer));
}

static int interrupted(const world_model_job *job) {
    return program_fail(
        EXIT_INTERRUPTED,
        "interrupted after %lld updates; the checkpoint is %s/%s, and the same command goes on from it",
        (long long)world_model_updates(job), job->run.path, run_checkpoint_name);
}

static int train(world_model_job *job) {
    const int64_t before = world_model_updates(job);
    const run_config config = world_model_run_config(job);
    int code = run_open_events(&job->run, &config, &job->spaces, before, &job->events);
    if (code == EXIT_OK && job->history.count == 0) code = name_metrics(job);
    if (code != EXIT_OK) return code;
    job->saved = program_seconds();
    code = train_loop(job, job->saved - job->history.seconds);
    const bool finishes = !job->interrupted && job->kind->finish;
    if (code == EXIT_OK && finishes) code = job->kind->finish(job);
    if (code == EXIT_OK && (finishes || world_model_updates(job) > before)) code = save(job);
    if (code != EXIT_OK) return code;
    if (job->interrupted) return interrupted(job);
    char steps[32], rate[32];
    printf("training    %s updates of %lld in %.2f s (%s a second)\n", progress_count(world_model_updates(job), steps),
           (long long)job->settings.batch, job->train_seconds,
           progress_count((int64_t)((double)world_model_updates(job) / fmax(job->train_seconds, 1e-9)), rate));
    return EXIT_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static int evaluate(world_model_job *job) {
    double begun = program_seconds();
    rv_evaluate_options options = {
        .size = sizeof options, .horizon = job->settings.eval_horizon, .seed = (uint64_t)job->settings.seed,
        .context = job->settings.sequence.context};
    int code = world_model_evaluate(job, job->held_out, &options, &job->evaluation);
    job->evaluate_seconds = program_seconds() - begun;
    if (code != EXIT_OK) return code;
    printf("evaluation  %lld held-out steps, %lld open-loop starts (%.2f s)\n\n",
           (long long)job->evaluation->transitions, (long long)job->evaluation->starts, job->evaluate_seconds);
    world_model_print_evaluation(job, job->evaluation);
    return EXIT_OK;
}

static int make(world_model_job *job) {
    int code = world_model_collect(job);
    if (code == EXIT_OK) code = world_model_save_data(job);
    if (code != EXIT_OK) return code;
    code = world_model_make_trained(job);
    if (code == EXIT_OK) code = world_model_make_checkpoint(job);
    return code;
}

static int run_in_folder(world_model_job *job) {
    const run_config config = world_model_run_config(job);
    int code = run_config_check(&job->run, &config, rv_device_name(job->device));
    if (code != EXIT_OK) return code;
    if (job->run.state == RUN_FINISHED) {
        printf("finished    already: %s/summary.json holds its figures; --fresh trains it anew\n", job->run.path);
        return EXIT_OK;
    }
    code = make(job);
    if (code == EXIT_OK) code = world_model_resume(job);
    if (code == EXIT_OK) code = train(job);
    if (code == EXIT_OK) code = evaluate(job);
    if (code == EXIT_OK) code = world_model_write_figures(job);
    if (code == EXIT_OK && program_interrupted()) code = interrupted(job);
    if (code == EXIT_OK) code = world_model_write_summary(job);
    return code;
}

static int run_job(world_model_job *job) {
    int code = world_model_make_envs(job);
    if (code == EXIT_OK) code = program_open_device(job->settings.device, &job->device);
    if (code == EXIT_OK && job->settings.dry_run) return world_model_dry_run(job);
    if (code == EXIT_OK) {
        code = world_model_load_data(job); /* first: a bad file must not cost a run that is to be replaced */
    }
    if (code == EXIT_OK) code = run_folder_open(&job->run, job->settings.out, job->settings.fresh);
    if (code == EXIT_OK) code = run_in_folder(job);
    int closed = run_folder_close(&job->run);
    return code == EXIT_OK ? closed : code;
}

int train_world_model(const world_model_kind *kind, const char *file, int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        print_help(kind);
        return EXIT_OK;
    }
    world_model_job job = {.kind = kind, .begun = program_seconds()};
    int code = run_take_settings(kind->schema, file, argc, argv, &job.list, &job.settings, job.origins,
                                 &job.env_options);
    if (code == EXIT_OK) {
        program_catch_interrupts();
        printf("reverie %s: %s of %s, into %s\n", rv_version(), kind->title, job.settings.env.name, job.settings.out);
        code = run_job(&job);
    }
    if (code == EXIT_OK && job.run.state != RUN_FINISHED && !job.settings.dry_run) {
        printf("done in %.2f s; reverie eval %s judges it on new episodes, --help lists every option\n",
               program_seconds() - job.begun, job.settings.out);
    }
    world_model_release(&job);
    return code;
}
