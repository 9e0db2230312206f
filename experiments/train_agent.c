/* experiments/train_agent.c: `reverie train dreamer` and `dreamer_v3`: act and learn, save, evaluate, plot. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/agent_job.h"
#include "experiments/program.h"

static int failed(const agent_job *job, rv_status status) {
    if (status == RV_NON_FINITE) {
        return program_fail(EXIT_NUMERIC, "%s; smaller learning rates may help", rv_agent_message(job->agent));
    }
    return program_fail(program_code(status), "%s", rv_agent_message(job->agent));
}

static void print_help(const agent_kind *kind) {
    printf("Usage: reverie train %s [--key=value]...\n       reverie train FILE.yaml [--key=value]...\n\n%s\n"
           "Leaves metrics, a learning curve and a checkpoint in a folder, and evaluates the policy in fresh\n"
           "environments. The same command again goes on where an interrupted run stands. A file holds the same keys\n"
           "as YAML; what stands on the command line wins.\n\nOptions\n",
           kind->name, kind->text);
    options_print(kind->schema, stdout);
    environment_print_all();
}

/* ---- saving and going on ----------------------------------------------------------------------------------------- */

static int save(agent_job *job) {
    char path[RUN_PATH_SIZE];
    int code = run_folder_sync_metrics(&job->run); /* first: a checkpoint needs the metrics before it */
    if (code != EXIT_OK) return code;
    rv_status status = rv_agent_save(job->agent, job->checkpoint,
                                     run_folder_file(&job->run, run_checkpoint_name, path, sizeof path));
    job->saved = program_seconds();
    return status == RV_OK ? EXIT_OK : failed(job, status);
}

/* Of the simulator, whole actions. */
static int64_t all_steps(const agent_job *job) {
    const int64_t repeat = job->settings.env.action_repeat;
    return job->settings.steps / repeat * repeat;
}

/* Whether the line is there that was written last before the checkpoint. */
static bool has_last_line(const agent_job *job) {
    const history *h = &job->history;
    const int64_t steps = agent_job_steps(job), every = job->settings.log_every;
    const int64_t last = h->count > 0 ? (int64_t)h->step[h->count - 1] : 0;
    return last / every == steps / every && (last == steps || steps < all_steps(job));
}

/* Weights, replay, environments, counters, and the metrics until then; what was logged after will be logged again. */
static int resume(agent_job *job) {
    char path[RUN_PATH_SIZE], done[32], all[32];
    int64_t offset;
    if (job->run.state == RUN_NEW || !run_folder_has(&job->run, run_checkpoint_name)) {
        return run_folder_cut_metrics(&job->run, 0);
    }
    int code = agent_load(job, run_folder_file(&job->run, run_checkpoint_name, path, sizeof path));
    if (code == EXIT_OK) code = run_check_device(job->checkpoint, rv_device_name(job->device));
    if (code != EXIT_OK) return code;
    run_folder_file(&job->run, "metrics.jsonl", path, sizeof path);
    code = history_read(&job->history, path, agent_job_steps(job), &offset);
    if (code == EXIT_OK && !has_last_line(job)) {
        code = program_fail(EXIT_IO, "%s lacks lines before step %lld, where the checkpoint is; --fresh begins anew",
                            path, (long long)agent_job_steps(job));
    }
    if (code == EXIT_OK) code = run_folder_cut_metrics(&job->run, offset);
    if (code != EXIT_OK) return code;
    printf("resuming    after %s of %s steps\n", progress_count(agent_job_steps(job), done),
           progress_count(all_steps(job), all));
    return EXIT_OK;
}

/* ---- metrics ----------------------------------------------------------------------------------------------------- */

enum { STOP_EPISODES = 20 };
static const int64_t stop_seed = 1000000001; /* beyond those that `reverie eval` can be asked for */

static bool may_stop(const agent_job *job) { return job->settings.stop_return < 1e30; }

/* The same episodes at each line; NaN before the first update. */
static int judge_early(agent_job *job, rv_metric *metric) {
    agent_returns returns = {0};
    int code = EXIT_OK;
    *metric = (rv_metric){"evaluation", NAN};
    if (rv_agent_updates(job->agent) > 0)
        code = agent_evaluate(job, STOP_EPISODES, stop_seed, (agent_policy)job->settings.eval_policy, &returns);
    if (code == EXIT_OK && returns.value) metric->value = (float)returns.mean;
    free(returns.value);
    return code;
}

/* By the last line, which a resumed run has read. */
static bool reached(const agent_job *job) {
    const history *h = &job->history;
    if (!may_stop(job) || h->count == 0) return false;
    return h->value[h->metric_count - 1][h->count - 1] >= job->settings.stop_return;
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

static void tag_of(const char *name, char tag[64]) {
    const bool acting = strcmp(name, "return") == 0 || strcmp(name, "length") == 0 || strcmp(name, "evaluation") == 0;
    snprintf(tag, 64, "%s/%s", acting ? "episode" : "train", name);
}

static int keep_metrics(agent_job *job, double seconds, float *mean_return) {
    history *h = &job->history;
    rv_metric metrics[RV_AGENT_METRICS];
    float values[RV_AGENT_METRICS];
    rv_status status = rv_agent_metrics(job->agent, metrics);
    if (status != RV_OK) return failed(job, status);
    int count = 0, code = EXIT_OK;
    while (count < RV_AGENT_METRICS - 1 && metrics[count].name[0]) count++;
    if (may_stop(job)) code = judge_early(job, &metrics[count]);
    if (code != EXIT_OK) return code;
    if (h->count == 0 && !name_metrics(h, metrics)) return EXIT_BUG;
    for (int m = 0; m < h->metric_count; m++) {
        values[m] = metrics[m].value;
        if (strcmp(metrics[m].name, "return") == 0) *mean_return = values[m];
    }
    if (!history_add(h, agent_job_steps(job), seconds, values)) {
        return program_fail(EXIT_DEVICE, "no memory for metrics; raise log.every");
    }
    return run_write_metrics(&job->run, h, job->events, tag_of);
}

/* ---- acting and learning ----------------------------------------------------------------------------------------- */

enum { PIECE = 10 }; /* steps after which an interruption is looked for */

static bool finished(const agent_job *job) { return agent_job_steps(job) >= all_steps(job) || reached(job); }

/* The step of the next line of metrics: whole multiples of log.every, also after a resumption in between; the end. */
static int64_t next_line(const agent_job *job) {
    const int64_t every = job->settings.log_every, next = (agent_job_steps(job) / every + 1) * every;
    return next < all_steps(job) ? next : all_steps(job);
}

/* Up to that step, or until it is interrupted before. */
static int run_to(agent_job *job, int64_t next, progress *shown, const char *details) {
    const int64_t repeat = job->settings.env.action_repeat;
    while (agent_job_steps(job) < next && !job->interrupted) {
        const int64_t left = (next - agent_job_steps(job) + repeat - 1) / repeat;
        rv_status status = rv_agent_run(job->agent, left < PIECE ? left : PIECE);
        if (status != RV_OK) return failed(job, status);
        progress_show(shown, agent_job_steps(job), details);
        job->interrupted = program_interrupted();
    }
    return EXIT_OK;
}

static int train_loop(agent_job *job, progress *shown, double begun) {
    char details[96] = "";
    float mean_return = NAN;
    int code = EXIT_OK;
    while (code == EXIT_OK && !finished(job) && !job->interrupted) {
        const int64_t next = next_line(job);
        code = run_to(job, next, shown, details);
        if (code != EXIT_OK || agent_job_steps(job) < next) break;
        code = keep_metrics(job, program_seconds() - begun, &mean_return);
        if (isfinite(mean_return)) {
            snprintf(details, sizeof details, "return=%.4g episodes=%lld", (double)mean_return,
                     (long long)rv_agent_episodes(job->agent));
        }
        if (code == EXIT_OK && program_seconds() - job->saved >= job->settings.save_seconds) code = save(job);
    }
    return code;
}

static int interrupted(const agent_job *job) {
    return program_fail(EXIT_INTERRUPTED,
                        "interrupted after %lld steps; the checkpoint is %s/%s, and the same command goes on from it",
                        (long long)agent_job_steps(job), job->run.path, run_checkpoint_name);
}

static int train(agent_job *job) {
    progress shown;
    const int64_t before = agent_job_steps(job);
    const run_config config = agent_run_config(job);
    int code = run_open_events(&job->run, &config, &job->spaces, before, &job->events);
    if (code != EXIT_OK) return code;
    job->saved = program_seconds();
    const double begun = job->saved - job->history.seconds;
    progress_begin(&shown, (progress_mode)job->settings.progress, "train", "steps", all_steps(job));
    code = train_loop(job, &shown, begun);
    progress_end(&shown);
    job->train_seconds = program_seconds() - begun;
    if (code == EXIT_OK && agent_job_steps(job) > before) code = save(job);
    if (code != EXIT_OK) return code;
    if (job->interrupted) return interrupted(job);
    char steps[32], updates[32];
    printf("training    %s steps, %lld episodes, %s updates in %.2f s\n",
           progress_count(agent_job_steps(job), steps), (long long)rv_agent_episodes(job->agent),
           progress_count(rv_agent_updates(job->agent), updates), job->train_seconds);
    if (reached(job)) printf("stopped     there: %d fresh episodes reach stop.return\n", STOP_EPISODES);
    agent_print_curve(&job->history);
    return EXIT_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static int judge(agent_job *job) {
    agent_returns returns = {0};
    const agent_settings *s = &job->settings;
    const double begun = program_seconds();
    int code = agent_evaluate(job, s->eval_episodes, 0, (agent_policy)s->eval_policy, &returns);
    job->evaluate_seconds = program_seconds() - begun;
    if (code == EXIT_OK) {
        printf("evaluation  fresh environments, %s (%.2f s)\n\n", agent_policy_text((agent_policy)s->eval_policy),
               job->evaluate_seconds);
        agent_print_returns(&returns);
        code = agent_write_evaluation(job, &returns);
    }
    if (code == EXIT_OK) code = agent_plot(job->run.path, s->env.name, &job->history, &returns);
    if (code == EXIT_OK && program_interrupted()) code = interrupted(job);
    if (code == EXIT_OK) code = agent_write_summary(job, &returns);
    free(returns.value);
    return code;
}

static int run_in_folder(agent_job *job) {
    const run_config config = agent_run_config(job);
    int code = run_config_check(&job->run, &config, rv_device_name(job->device));
    if (code != EXIT_OK) return code;
    if (job->run.state == RUN_FINISHED) {
        printf("finished    already: %s/summary.json holds its figures; --fresh trains it anew\n", job->run.path);
        return EXIT_OK;
    }
    code = agent_make(job);
    if (code == EXIT_OK) code = resume(job);
    if (code == EXIT_OK) code = train(job);
    return code == EXIT_OK ? judge(job) : code;
}

static int run_job(agent_job *job) {
    int code = agent_make_env(job);
    if (code == EXIT_OK) code = program_open_device(job->settings.device, &job->device);
    if (code == EXIT_OK && job->settings.dry_run) return agent_dry_run(job);
    if (code == EXIT_OK) code = run_folder_open(&job->run, job->settings.out, job->settings.fresh);
    if (code == EXIT_OK) code = run_in_folder(job);
    int closed = run_folder_close(&job->run);
    return code == EXIT_OK ? closed : code;
}

int train_agent(const agent_kind *kind, const char *file, int argc, char **argv) {
    if (program_wants_help(argc, argv)) {
        print_help(kind);
        return EXIT_OK;
    }
    agent_job job = {.kind = kind, .begun = program_seconds()};
    int code = run_take_settings(kind->schema, file, argc, argv, &job.list, &job.settings, job.origins,
                                 &job.env_options);
    if (code == EXIT_OK) {
        program_catch_interrupts();
        printf("reverie %s: %s in %s, into %s\n", rv_version(), kind->name, job.settings.env.name, job.settings.out);
        code = run_job(&job);
    }
    if (code == EXIT_OK && job.run.state != RUN_FINISHED && !job.settings.dry_run) {
        printf("done in %.2f s; reverie eval %s judges it in fresh environments, --help lists every option\n",
               program_seconds() - job.begun, job.settings.out);
    }
    agent_job_release(&job);
    return code;
}
