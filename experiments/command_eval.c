/* experiments/command_eval.c: `reverie eval RUN`: a run of any kind; here a world model on episodes that nothing has
 * seen. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/jobs.h"
#include "experiments/program.h"

typedef struct eval_settings {
    int64_t episodes, steps, horizon, seed;
    const char *device;
} eval_settings;

static const option options[] = {
    OPTION_WHOLE(eval_settings, episodes, "episodes", "20", 1, 65536, "episodes to act"),
    OPTION_WHOLE(eval_settings, steps, "steps", "0", 0, 1e6, "steps of each at most; 0: as the run's eval.steps"),
    OPTION_WHOLE(eval_settings, horizon, "horizon", "0", 0, 10000,
                 "steps to predict open loop; 0: as the run's eval.horizon"),
    OPTION_WHOLE(eval_settings, seed, "seed", "1", 0, 1e9, "of the episodes; none of them equals the run's own"),
    OPTION_TEXT(eval_settings, device, "device", NULL, "where to compute; by default as the run did"),
};
static const option_schema schema = {.options = options, .count = sizeof options / sizeof *options};

/* ---- returns ----------------------------------------------------------------------------------------------------- */

typedef struct spread {
    double mean, deviation; /* over the episodes; the deviation of a sample (n - 1) */
} spread;

/* Sums of rewards over each episode. */
static spread returns_of(const rv_dataset *data, const float *reward) {
    const int64_t episodes = rv_dataset_episodes(data);
    double sum = 0.0, squares = 0.0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < episodes; i++) {
            int64_t first, length;
            double total = 0.0;
            rv_dataset_episode(data, i, &first, &length);
            for (int64_t t = first; t < first + length; t++) total += reward[t];
            if (pass == 0) sum += total;
            else squares += (total - sum / (double)episodes) * (total - sum / (double)episodes);
        }
    }
    return (spread){sum / (double)episodes, episodes > 1 ? sqrt(squares / (double)(episodes - 1)) : 0.0};
}

static void print_returns(const rv_dataset *episodes, const rv_evaluation *evaluation) {
    const rv_transitions t = rv_dataset_transitions(episodes);
    const spread truth = returns_of(episodes, t.reward), model = returns_of(episodes, evaluation->step_reward);
    printf("return mean %.6g std %.6g n %lld; predicted mean %.6g std %.6g\n", truth.mean, truth.deviation,
           (long long)rv_dataset_episodes(episodes), model.mean, model.deviation);
}

/* ---- the command ----------------------------------------------------------------------------------------- */

static int judge(world_model_job *job, const eval_settings *s) {
    const int64_t steps = s->steps ? s->steps : job->settings.eval_steps;
    const uint64_t seed =
        (uint64_t)job->settings.seed + ((uint64_t)(s->seed + 2) << 32); /* beyond training's and its held-out ones */
    rv_env *env = NULL;
    rv_dataset *episodes = NULL;
    rv_evaluation *evaluation = NULL;
    int code = world_model_make_env(job, s->episodes, &env);
    if (code == EXIT_OK) code = world_model_collect_episodes(job, env, s->episodes, steps, seed, &episodes);
    rv_evaluate_options evaluate = {
        .size = sizeof evaluate, .horizon = s->horizon ? s->horizon : job->settings.eval_horizon, .seed = seed,
        .context = job->settings.sequence.context};
    if (code == EXIT_OK) code = world_model_evaluate(job, episodes, &evaluate, &evaluation);
    if (code == EXIT_OK) {
        printf("evaluation  %lld new steps, %lld open-loop starts\n\n", (long long)evaluation->transitions,
               (long long)evaluation->starts);
        world_model_print_evaluation(job, evaluation);
        print_returns(episodes, evaluation);
    }
    rv_evaluation_destroy(evaluation);
    rv_dataset_destroy(episodes);
    rv_env_destroy(env);
    return code;
}

static void print_help(void) {
    puts("Usage: reverie eval RUN [--key=value]...\n\n"
         "Of a world model: acts new episodes with the policy of evaluation (the environment's scripted one with\n"
         "noise, where it has one) and prints how well the run's model predicts them. The last line is\n\n"
         "  return mean M std S n N; predicted mean M std S\n\n"
         "the sum of rewards over an episode as it was acted, and as the model predicts it step by step.\n\nOptions");
    options_print(&schema, stdout);
    agent_eval_help();
}

static int world_model_eval(const char *folder, int argc, char **argv) {
    world_model_job job = {0};
    eval_settings settings = {0};
    option_list words = {0};
    int code = options_read(&schema, &settings, argc, argv, &words);
    job.settings.device = settings.device;
    if (code == EXIT_OK) code = world_model_open_run(&job, folder);
    if (code == EXIT_OK) code = judge(&job, &settings);
    world_model_release(&job);
    options_list_free(&words);
    return code;
}

int command_eval(int argc, char **argv) {
    char kind[64];
    if (program_wants_help(argc, argv)) {
        print_help();
        return EXIT_OK;
    }
    if (argc < 1 || argv[0][0] == '-') return program_fail(EXIT_USAGE, "eval needs a run folder: reverie eval RUN");
    int code = run_config_job(argv[0], kind, sizeof kind);
    if (code != EXIT_OK) return code;
    const job *job = job_find(kind);
    return job && job->agent ? agent_eval(job->agent, argv[0], argc - 1, argv + 1) : world_model_eval(argv[0], argc - 1, argv + 1);
}
