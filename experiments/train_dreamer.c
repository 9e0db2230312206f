/* experiments/train_dreamer.c: `reverie train dreamer`: act and learn, save, evaluate, plot. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/dreamer_job.h"
#include "experiments/program.h"

static const char checkpoint_name[] = "checkpoints/last.safetensors";

static int failed(const dreamer_job *job, rv_status status) {
    if (status == RV_NON_FINITE) {
        return program_fail(EXIT_NUMERIC, "%s; smaller learning rates may help", rv_agent_message(job->dreamer));
    }
    return program_fail(program_code(status), "%s", rv_agent_message(job->dreamer));
}

static void print_help(void) {
    puts("Usage: reverie train dreamer [--key=value]...\n       reverie train FILE.yaml [--key=value]...\n\n"
         "An agent that acts in an environment, learns a world model from what it sees (variational autoencoder,\n"
         "latent dynamics, reward model), and in that imagines trajectories on which actor and critic learn. Leaves\n"
         "metrics, a learning curve and a checkpoint in a folder, and evaluates the policy in fresh environments.\n"
         "The same command again goes on where an interrupted run stands. A file holds the same keys as YAML;\n"
         "what stands on the command line wins.\n\nOptions");
    options_print(&dreamer_schema, stdout);
    environment_print_all();
}

/* ---- saving and going on ----------------------------------------------------------------------------------------- */

static int save(dreamer_job *job) {
    char path[RUN_PATH_SIZE];
    int code = run_folder_sync_metrics(&job->run); /* first: a checkpoint needs the metrics before it */
    if (code != EXIT_OK) return code;
    rv_status status = rv_agent_save(job->dreamer, job->checkpoint,
                                       run_folder_file(&job->run, checkpoint_name, path, sizeof path));
    job->saved = program_seconds();
    return status == RV_OK ? EXIT_OK : failed(job, status);
}

static int check_device(const dreamer_job *job) {
    char kind[64];
    const char *device = rv_checkpoint_get(job->checkpoint, "device");
    run_config_device(rv_device_name(job->device), kind);
    if (device && strcmp(device, kind) == 0) return EXIT_OK;
    return program_fail(EXIT_CONFIG,
                        "the run was begun on the device %s, this is %s; --device=%s goes on, --fresh begins anew",
                        device ? device : "(unknown)", kind, device ? device : "auto");
}

/* Whether the line is there that was written last before the checkpoint. */
static bool has_last_line(const dreamer_job *job) {
    const history *h = &job->history;
    const int64_t steps = rv_agent_steps(job->dreamer), every = job->settings.log_every;
    const int64_t last = h->count > 0 ? (int64_t)h->step[h->count - 1] : 0;
    return last / every == steps / every && (last == steps || steps < job->settings.steps);
}

/* Weights, replay, environments, counters, and the metrics until then; what was logged after will be logged again. */
static int resume(dreamer_job *job) {
    char path[RUN_PATH_SIZE], done[32], all[32];
    int64_t offset;
    if (job->run.state == RUN_NEW || !run_folder_has(&job->run, checkpoint_name)) {
        return run_folder_cut_metrics(&job->run, 0);
    }
    int code = dreamer_load(job, run_folder_file(&job->run, checkpoint_name, path, sizeof path));
    if (code == EXIT_OK) code = check_device(job);
    if (code != EXIT_OK) return code;
    run_folder_file(&job->run, "metrics.jsonl", path, sizeof path);
    code = history_read(&job->history, path, rv_agent_steps(job->dreamer), &offset);
    if (code == EXIT_OK && !has_last_line(job)) {
        code = program_fail(EXIT_IO, "%s lacks lines before step %lld, where the checkpoint is; --fresh begins anew",
                            path, (long long)rv_agent_steps(job->dreamer));
    }
    if (code == EXIT_OK) code = run_folder_cut_metrics(&job->run, offset);
    if (code != EXIT_OK) return code;
    printf("resuming    after %s of %s steps\n", progress_count(rv_agent_steps(job->dreamer), done),
           progress_count(job->settings.steps, all));
    return EXIT_OK;
}

/* ---- metrics ----------------------------------------------------------------------------------------------------- */

static int open_events(dreamer_job *job) {
    const int64_t steps = rv_agent_steps(job->dreamer);
    job->events = tensorboard_open(job->run.path, steps > 0 ? steps + 1 : 0);
    if (!job->events) {
        return program_fail(EXIT_IO, "cannot write a TensorBoard file to %s: %s", job->run.path, strerror(errno));
    }
    const run_config settings = dreamer_run_config(job);
    char *config = steps == 0 ? run_config_text(&settings, &job->spaces) : NULL;
    if (config) tensorboard_text(job->events, "config", 0, config);
    free(config);
    return EXIT_OK;
}

static bool name_metrics(history *h, const rv_metric metrics[RV_AGENT_METRICS]) {
    const char *names[RV_AGENT_METRICS];
    int count = 0;
    while (count < RV_AGENT_METRICS && metrics[count].name[0]) {
        names[count] = metrics[count].name;
        count++;
    }
    return history_name(h, names, count);
}

static bool about_acting(const char *name) { return strcmp(name, "return") == 0 || strcmp(name, "length") == 0; }

static int keep_metrics(dreamer_job *job, double seconds, float *mean_return) {
    history *h = &job->history;
    rv_metric metrics[RV_AGENT_METRICS];
    float values[RV_AGENT_METRICS];
    char tag[64];
    const int64_t steps = rv_agent_steps(job->dreamer);
    rv_status status = rv_agent_metrics(job->dreamer, metrics);
    if (status != RV_OK) return failed(job, status);
    if (h->count == 0 && !name_metrics(h, metrics)) return EXIT_BUG;
    for (int m = 0; m < h->metric_count; m++) {
        values[m] = metrics[m].value;
        if (strcmp(metrics[m].name, "return") == 0) *mean_return = values[m];
        snprintf(tag, sizeof tag, "%s/%s", about_acting(metrics[m].name) ? "episode" : "train", metrics[m].name);
        if (isfinite(values[m])) tensorboard_scalar(job->events, tag, steps, values[m]);
    }
    if (!history_add(h, steps, seconds, values)) return program_fail(EXIT_DEVICE, "no memory for metrics");
    history_write_last(h, job->run.metrics);
    if (!ferror(job->run.metrics) && tensorboard_flush(job->events)) return EXIT_OK;
    return program_fail(
        EXIT_IO,
        "cannot write the metrics in %s: %s; the last checkpoint is whole, and the same command goes on from it",
        job->run.path, strerror(errno ? errno : EIO));
}

/* ---- acting and learning ----------------------------------------------------------------------------------------- */

enum { PIECE = 10 }; /* steps after which an interruption is looked for */

static bool finished(const dreamer_job *job) { return rv_agent_steps(job->dreamer) >= job->settings.steps; }

/* Up to the next line of metrics: at whole multiples of log.every, also after a resumption in between. */
static int run_to_next_line(dreamer_job *job, progress *shown, const char *details) {
    const int64_t every = job->settings.log_every, all = job->settings.steps;
    int64_t next = (rv_agent_steps(job->dreamer) / every + 1) * every;
    if (next > all) next = all;
    while (rv_agent_steps(job->dreamer) < next && !job->interrupted) {
        const int64_t left = next - rv_agent_steps(job->dreamer);
        rv_status status = rv_agent_run(job->dreamer, left < PIECE ? left : PIECE);
        if (status != RV_OK) return failed(job, status);
        progress_show(shown, rv_agent_steps(job->dreamer), details);
        job->interrupted = program_interrupted();
    }
    return EXIT_OK;
}

static int train_loop(dreamer_job *job, progress *shown, double begun) {
    char details[96] = "";
    float mean_return = NAN;
    int code = EXIT_OK;
    while (code == EXIT_OK && !finished(job) && !job->interrupted) {
        code = run_to_next_line(job, shown, details);
        if (code != EXIT_OK || job->interrupted) break;
        code = keep_metrics(job, program_seconds() - begun, &mean_return);
        if (isfinite(mean_return)) {
            snprintf(details, sizeof details, "return=%.4g episodes=%lld", (double)mean_return,
                     (long long)rv_agent_episodes(job->dreamer));
        }
        if (code == EXIT_OK && program_seconds() - job->saved >= job->settings.save_seconds) code = save(job);
    }
    return code;
}

static int interrupted(const dreamer_job *job) {
    return program_fail(EXIT_INTERRUPTED,
                        "interrupted after %lld steps; the checkpoint is %s/%s, and the same command goes on from it",
                        (long long)rv_agent_steps(job->dreamer), job->run.path, checkpoint_name);
}

static int train(dreamer_job *job) {
    progress shown;
    const int64_t before = rv_agent_steps(job->dreamer);
    int code = open_events(job);
    if (code != EXIT_OK) return code;
    job->saved = program_seconds();
    const double begun = job->saved - job->history.seconds;
    progress_begin(&shown, (progress_mode)job->settings.progress, "train", "steps", job->settings.steps);
    code = train_loop(job, &shown, begun);
    progress_end(&shown);
    job->train_seconds = program_seconds() - begun;
    if (code == EXIT_OK && rv_agent_steps(job->dreamer) > before) code = save(job);
    if (code != EXIT_OK) return code;
    if (job->interrupted) return interrupted(job);
    char steps[32], updates[32];
    printf("training    %s steps, %lld episodes, %s updates in %.2f s\n",
           progress_count(rv_agent_steps(job->dreamer), steps), (long long)rv_agent_episodes(job->dreamer),
           progress_count(rv_agent_updates(job->dreamer), updates), job->train_seconds);
    return EXIT_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static int judge(dreamer_job *job) {
    dreamer_returns returns = {0};
    const dreamer_settings *s = &job->settings;
    const double begun = program_seconds();
    int code = dreamer_evaluate(job, s->eval_episodes, 0, s->eval_drawn, &returns);
    job->evaluate_seconds = program_seconds() - begun;
    if (code == EXIT_OK) {
        printf("evaluation  fresh environments, %s (%.2f s)\n\n", s->eval_drawn ? "drawn actions" : "the policy's mode",
               job->evaluate_seconds);
        dreamer_print_returns(&returns);
        code = dreamer_plot(job->run.path, s->env.name, &job->history, &returns);
    }
    if (code == EXIT_OK && program_interrupted()) code = interrupted(job);
    if (code == EXIT_OK) code = dreamer_write_summary(job, &returns);
    free(returns.value);
    return code;
}

static int run_in_folder(dreamer_job *job) {
    const run_config config = dreamer_run_config(job);
    int code = run_config_check(&job->run, &config, rv_device_name(job->device));
    if (code != EXIT_OK) return code;
    if (job->run.state == RUN_FINISHED) {
        printf("finished    already: %s/summary.json holds its figures; --fresh trains it anew\n", job->run.path);
        return EXIT_OK;
    }
    code = dreamer_make(job);
    if (code == EXIT_OK) code = resume(job);
    if (code == EXIT_OK) code = train(job);
    return code == EXIT_OK ? judge(job) : code;
}

static int run_job(dreamer_job *job) {
    int code = dreamer_make_env(job);
    if (code == EXIT_OK) code = program_open_device(job->settings.device, &job->device);
    if (code == EXIT_OK && job->settings.dry_run) return dreamer_dry_run(job);
    if (code == EXIT_OK) code = run_folder_open(&job->run, job->settings.out, job->settings.fresh);
    if (code == EXIT_OK) code = run_in_folder(job);
    int closed = run_folder_close(&job->run);
    return code == EXIT_OK ? closed : code;
}

int train_dreamer(const char *file, int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        print_help();
        return EXIT_OK;
    }
    dreamer_job job = {.begun = program_seconds()};
    int code = dreamer_read_settings(&job, file, argc, argv);
    if (code == EXIT_OK) {
        program_catch_interrupts();
        printf("reverie %s: dreamer in %s, into %s\n", rv_version(), job.settings.env.name, job.settings.out);
        code = run_job(&job);
    }
    if (code == EXIT_OK && job.run.state != RUN_FINISHED && !job.settings.dry_run) {
        printf("done in %.2f s; reverie eval %s judges it in fresh environments, --help lists every option\n",
               program_seconds() - job.begun, job.settings.out);
    }
    dreamer_release(&job);
    return code;
}
