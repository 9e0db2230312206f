/* experiments/agent_returns.c: what a policy is worth: returns of episodes in fresh environments, printed and kept as
 * evaluation.json. `reverie eval RUN` of an agent. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/agent_job.h"
#include "experiments/json_out.h"
#include "experiments/program.h"
#include "experiments/spread.h"

/* ---- acting ------------------------------------------------------------------------------------------------------ */

/* The interval of Student's t; a single episode has none. */
static void summarise(agent_returns *r) {
    r->mean = spread_mean(r->value, r->count);
    r->deviation = spread_deviation(r->value, r->count);
    const double error = r->deviation / sqrt((double)r->count);
    const double half = r->count > 1 ? spread_student(0.95, r->count - 1) * error : NAN;
    r->low = r->mean - half;
    r->high = r->mean + half;
    r->least = r->most = r->value[0];
    for (int64_t i = 1; i < r->count; i++) {
        r->least = fmin(r->least, r->value[i]);
        r->most = fmax(r->most, r->value[i]);
    }
}

int agent_evaluate(agent_job *job, int64_t episodes, int64_t seed, agent_policy policy, agent_returns *returns) {
    const uint64_t from = (uint64_t)job->settings.seed + ((uint64_t)(seed + 1) << 32); /* beyond training's */
    rv_env *env = NULL;
    *returns = (agent_returns){.count = episodes,
                               .seed = seed,
                               .policy = policy,
                               .steps = agent_job_steps(job),
                               .value = calloc((size_t)episodes, sizeof(double))};
    if (!returns->value) return program_fail(EXIT_DEVICE, "no memory for returns");
    int code = environment_make(&job->settings.env, &job->env_options, episodes, &env);
    rv_status status = RV_OK;
    if (code == EXIT_OK) status = rv_agent_evaluate(job->agent, env, from, policy == POLICY_SAMPLE, returns->value);
    if (status != RV_OK) code = program_fail(program_code(status), "%s", rv_agent_message(job->agent));
    rv_env_destroy(env);
    if (code == EXIT_OK) summarise(returns);
    return code;
}

const char *agent_policy_text(agent_policy policy) {
    return policy == POLICY_SAMPLE ? "drawn actions" : "the policy's mode";
}

void agent_print_returns(const agent_returns *r) {
    printf("  returns from %.6g to %.6g; ", r->least, r->most);
    if (r->count > 1) {
        printf("95%% confidence interval of the mean %.6g to %.6g (Student's t)\n\n", r->low, r->high);
    } else {
        puts("of one episode there is no confidence interval\n");
    }
    printf("return mean %.6g std %.6g n %lld\n", r->mean, r->deviation, (long long)r->count);
}

/* ---- evaluation.json --------------------------------------------------------------------------------------------- */

void agent_list_returns(json_out *out, const agent_returns *r) {
    json_out_whole(out, "episodes", r->count);
    json_out_text(out, "policy", r->policy == POLICY_SAMPLE ? "sample" : "mean");
    json_out_number(out, "mean", r->mean);
    json_out_number(out, "deviation", r->deviation);
    json_out_number(out, "low_95", r->low);
    json_out_number(out, "high_95", r->high);
    json_out_number(out, "least", r->least);
    json_out_number(out, "most", r->most);
    json_out_numbers(out, "returns", r->value, r->count);
}

typedef struct evaluation {
    const agent_job *job;
    const agent_returns *returns;
} evaluation;

static void write_evaluation(FILE *file, const void *user) {
    const evaluation *e = user;
    json_out out = json_out_begin(file, true);
    json_out_text(&out, "kind", e->job->kind->name);
    json_out_text(&out, "env", e->job->settings.env.name);
    json_out_whole(&out, "env_steps", e->returns->steps);
    json_out_whole(&out, "seed", e->returns->seed);
    agent_list_returns(&out, e->returns);
    json_out_end(&out);
}

int agent_write_evaluation(const agent_job *job, const agent_returns *returns) {
    const evaluation e = {job, returns};
    return run_folder_write(&job->run, "evaluation.json", write_evaluation, &e);
}

int agent_read_evaluation(const run_folder *run, char env[64], agent_returns *returns) {
    char path[RUN_PATH_SIZE];
    json_error_t error;
    json_t *root = json_load_file(run_folder_file(run, "evaluation.json", path, sizeof path), JSON_REJECT_DUPLICATES,
                                  &error);
    if (!root) return program_fail(EXIT_IO, "%s:%d: %s", path, error.line, error.text);
    const char *name = json_string_value(json_object_get(root, "env"));
    const json_t *mean = json_object_get(root, "mean"), *steps = json_object_get(root, "env_steps");
    const bool whole = name && json_is_number(mean) && json_is_integer(steps);
    if (whole) snprintf(env, 64, "%s", name);
    *returns = (agent_returns){.mean = json_number_value(mean), .steps = json_integer_value(steps)};
    json_decref(root);
    return whole ? EXIT_OK : program_fail(EXIT_IO, "%s is no evaluation of an agent; reverie eval writes one", path);
}

/* ---- reverie eval ------------------------------------------------------------------------------------------------ */

typedef struct eval_settings {
    int64_t episodes, seed;
    int policy;
    const char *device;
} eval_settings;

static const option options[] = {
    OPTION_WHOLE(eval_settings, episodes, "episodes", "100", 1, 65536, "to act, one in each of as many environments"),
    OPTION_CHOICE(eval_settings, policy, "policy", "mean", AGENT_POLICIES,
                  "how to act: mean is the policy's mode, sample draws"),
    OPTION_WHOLE(eval_settings, seed, "seed", "1", 0, 1e9, "of the environments; none of them equals the run's own"),
    OPTION_TEXT(eval_settings, device, "device", NULL, "where to compute; by default as the run did"),
};
static const option_schema schema = {.options = options, .count = sizeof options / sizeof *options};

void agent_eval_help(void) {
    puts("\nOf an agent (dreamer, dreamer_v3): acts new episodes in fresh environments and keeps what they gave as\n"
         "RUN/evaluation.json. The last line is\n\n"
         "  return mean M std S n N\n\nthe sum of rewards over an episode.\n\nOptions");
    options_print(&schema, stdout);
}

int agent_eval(const agent_kind *kind, const char *folder, int argc, char **argv) {
    agent_job job = {.kind = kind};
    agent_returns returns = {0};
    eval_settings s = {0};
    option_list words = {0};
    int code = options_read(&schema, &s, argc, argv, &words);
    if (code == EXIT_OK) code = agent_open_run(&job, folder, s.device);
    if (code == EXIT_OK) code = agent_evaluate(&job, s.episodes, s.seed, (agent_policy)s.policy, &returns);
    if (code == EXIT_OK) code = agent_write_evaluation(&job, &returns);
    if (code == EXIT_OK) {
        printf("evaluation  %lld steps learnt from; %s\n\n", (long long)returns.steps,
               agent_policy_text((agent_policy)s.policy));
        agent_print_returns(&returns);
    }
    free(returns.value);
    agent_job_release(&job);
    options_list_free(&words);
    return code;
}
