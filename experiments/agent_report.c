/* experiments/agent_report.c: what a policy is worth: returns, summary.json, the learning curve. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/agent_job.h"
#include "experiments/json_out.h"
#include "experiments/plot.h"
#include "experiments/program.h"

/* ---- evaluation ------------------------------------------------------------------------------------------------ */

static void spread(agent_returns *r) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < r->count; i++) sum += r->value[i];
    r->mean = sum / (double)r->count;
    for (int64_t i = 0; i < r->count; i++) squares += (r->value[i] - r->mean) * (r->value[i] - r->mean);
    r->deviation = r->count > 1 ? sqrt(squares / (double)(r->count - 1)) : 0;
    const double half = 1.96 * r->deviation / sqrt((double)r->count);
    r->low = r->mean - half;
    r->high = r->mean + half;
}

int agent_evaluate(agent_job *job, int64_t episodes, int64_t seed, agent_policy policy, agent_returns *returns) {
    const uint64_t from = (uint64_t)job->settings.seed + ((uint64_t)(seed + 1) << 32); /* beyond training's */
    rv_env *env = NULL;
    *returns = (agent_returns){.count = episodes, .value = calloc((size_t)episodes, sizeof(double))};
    if (!returns->value) return program_fail(EXIT_DEVICE, "no memory for returns");
    int code = environment_make(&job->settings.env, &job->env_options, episodes, &env);
    rv_status status = RV_OK;
    if (code == EXIT_OK) status = rv_agent_evaluate(job->agent, env, from, policy == POLICY_SAMPLE, returns->value);
    if (status != RV_OK) code = program_fail(program_code(status), "%s", rv_agent_message(job->agent));
    rv_env_destroy(env);
    if (code == EXIT_OK) spread(returns);
    return code;
}

const char *agent_policy_text(agent_policy policy) {
    return policy == POLICY_SAMPLE ? "drawn actions" : "the policy's mode";
}

void agent_print_returns(const agent_returns *r) {
    double least = r->value[0], most = r->value[0];
    for (int64_t i = 1; i < r->count; i++) {
        least = fmin(least, r->value[i]);
        most = fmax(most, r->value[i]);
    }
    printf("  returns from %.6g to %.6g; 95%% confidence interval of the mean %.6g to %.6g\n\n", least, most, r->low,
           r->high);
    printf("return mean %.6g std %.6g n %lld\n", r->mean, r->deviation, (long long)r->count);
}

/* ---- summary.json ------------------------------------------------------------------------------------------------ */

typedef struct summary {
    const agent_job *job;
    const agent_returns *returns;
    char state[65];
} summary;

static void write_summary(FILE *file, const void *user) {
    const summary *whole = user;
    const agent_job *job = whole->job;
    const agent_returns *r = whole->returns;
    json_out out = json_out_begin(file, true);
    json_out_text(&out, "version", rv_version());
    json_out_text(&out, "kind", job->kind->name);
    json_out_text(&out, "env", job->settings.env.name);
    json_out_whole(&out, "seed", job->settings.seed);
    json_out_text(&out, "device", rv_device_name(job->device));
    json_out_whole(&out, "env_steps", agent_job_steps(job)); /* of the simulator */
    json_out_whole(&out, "action_repeat", job->settings.env.action_repeat);
    json_out_whole(&out, "episodes", rv_agent_episodes(job->agent));
    json_out_whole(&out, "updates", rv_agent_updates(job->agent));
    json_out_text(&out, "state_sha256", whole->state);
    json_out_object(&out, "evaluation");
    json_out_whole(&out, "episodes", r->count);
    json_out_text(&out, "policy", job->settings.eval_policy == POLICY_SAMPLE ? "sample" : "mean");
    json_out_number(&out, "mean", r->mean);
    json_out_number(&out, "deviation", r->deviation);
    json_out_number(&out, "low_95", r->low);
    json_out_number(&out, "high_95", r->high);
    json_out_numbers(&out, "returns", r->value, r->count);
    json_out_object_end(&out);
    json_out_object(&out, "last_metrics");
    for (int m = 0; m < job->history.metric_count; m++) {
        json_out_number(&out, job->history.name[m], job->history.value[m][job->history.count - 1]);
    }
    json_out_object_end(&out);
    json_out_object(&out, "seconds");
    json_out_number(&out, "train", job->train_seconds);
    json_out_number(&out, "evaluate", job->evaluate_seconds);
    json_out_number(&out, "all", program_seconds() - job->begun);
    json_out_object_end(&out);
    json_out_end(&out);
}

int agent_write_summary(agent_job *job, const agent_returns *returns) {
    summary whole = {.job = job, .returns = returns};
    tensorboard_scalar(job->events, "evaluation/return", agent_job_steps(job), (float)returns->mean);
    int code = run_state_hash(&job->run, &job->history, NULL, whole.state);
    return code == EXIT_OK ? run_write_summary(&job->run, job->events, write_summary, &whole) : code;
}

/* ---- the learning curve ------------------------------------------------------------------------------------------ */

static int find_metric(const history *h, const char *name) {
    for (int m = 0; m < h->metric_count; m++) {
        if (strcmp(h->name[m], name) == 0) return m;
    }
    return -1;
}

static plot_panel return_panel(const history *h, int m, const double *x, const char *x_label) {
    return (plot_panel){.title = "return",
                        .x_label = x_label,
                        .y_label = "return of an episode",
                        .series_count = 1,
                        .series = {{.label = "in training, mean of ten episodes",
                                    .style = PLOT_LINE,
                                    .color = PLOT_BLUE,
                                    .count = h->count,
                                    .x = x,
                                    .y = h->value[m]}}};
}

static void add_evaluation(plot_panel *panel, const double *x, const agent_returns *r) {
    panel->series[panel->series_count++] = (plot_series){.label = "evaluation in fresh environments",
                                                         .style = PLOT_POINTS,
                                                         .color = PLOT_VERMILLION,
                                                         .count = 1,
                                                         .x = x,
                                                         .y = &r->mean};
}

int agent_plot(const char *folder, const char *title, const history *h, const agent_returns *returns) {
    char stem[1300], message[1600];
    const int m = find_metric(h, "return");
    if (!canvas_available()) {
        puts("plots       left out: this build has none (cairo was missing when it was configured)");
        return EXIT_OK;
    }
    if (h->count == 0 || m < 0) return program_fail(EXIT_DATA, "%s holds no returns yet", folder);
    plot_figure figure = {.title = title, .columns = 2, .panel_width = 320, .panel_height = 220, .panel_count = 2};
    figure.panels[0] = return_panel(h, m, h->step, "environment step");
    figure.panels[1] = return_panel(h, m, h->time, "seconds");
    if (returns) add_evaluation(&figure.panels[0], &h->step[h->count - 1], returns);
    if (returns) add_evaluation(&figure.panels[1], &h->time[h->count - 1], returns);
    snprintf(stem, sizeof stem, "%.1200s/plots/returns", folder);
    if (plot_write(&figure, stem, message, sizeof message) == CANVAS_FAILED) {
        return program_fail(EXIT_IO, "cannot plot %s", message);
    }
    printf("plots       %s.png and .svg\n", stem);
    return EXIT_OK;
}

/* ---- reverie eval ------------------------------------------------------------------------------------------------ */

typedef struct eval_settings {
    int64_t episodes, seed;
    int policy;
    const char *device;
} eval_settings;

static const option eval_options[] = {
    OPTION_WHOLE(eval_settings, episodes, "episodes", "100", 1, 65536, "to act, one in each of as many environments"),
    OPTION_CHOICE(eval_settings, policy, "policy", "mean", AGENT_POLICIES,
                  "how to act: mean is the policy's mode, sample draws"),
    OPTION_WHOLE(eval_settings, seed, "seed", "1", 0, 1e9, "of the environments; none of them equals the run's own"),
    OPTION_TEXT(eval_settings, device, "device", NULL, "where to compute; by default as the run did"),
};
static const option_schema eval_schema = {.options = eval_options, .count = sizeof eval_options / sizeof *eval_options};

void agent_eval_help(void) {
    puts("\nOf an agent (dreamer, dreamer_v3): acts new episodes in fresh environments. The last line is\n\n"
         "  return mean M std S n N\n\nthe sum of rewards over an episode.\n\nOptions");
    options_print(&eval_schema, stdout);
}

int agent_eval(const agent_kind *kind, const char *folder, int argc, char **argv) {
    agent_job job = {.kind = kind};
    agent_returns returns = {0};
    eval_settings s = {0};
    option_list words = {0};
    int code = options_read(&eval_schema, &s, argc, argv, &words);
    if (code == EXIT_OK) code = agent_open_run(&job, folder, s.device);
    if (code == EXIT_OK) code = agent_evaluate(&job, s.episodes, s.seed, (agent_policy)s.policy, &returns);
    if (code == EXIT_OK) {
        printf("evaluation  %lld steps learnt from; %s\n\n", (long long)agent_job_steps(&job),
               agent_policy_text((agent_policy)s.policy));
        agent_print_returns(&returns);
    }
    free(returns.value);
    agent_job_release(&job);
    options_list_free(&words);
    return code;
}
