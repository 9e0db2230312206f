/* experiments/command_eval.c: `reverie eval RUN`: a run of any kind; here a world model on episodes that nothing has
 * seen. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/dreamer_job.h"
#include "experiments/program.h"
#include "experiments/world_model_job.h"

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

/* ---- predicted rewards ----------------------------------------------------------------------------------------- */

enum { ROWS = 256 };

typedef struct predictor {
    rv_array *observation, *action, *reward;
    rv_plan *plan;
} predictor;

static rv_status make_predictor(world_model_job *job, predictor *p) {
    const int64_t o = job->spaces.observation_size, a = job->spaces.action_size;
    rv_graph *graph = NULL;
    rv_status status = rv_array_create(job->device, RV_F32, ROWS, o, "observation", &p->observation);
    if (status == RV_OK) status = rv_array_create(job->device, RV_F32, ROWS, a, "action", &p->action);
    if (status == RV_OK) status = rv_array_create(job->device, RV_F32, ROWS, 1, "reward", &p->reward);
    if (status == RV_OK) status = rv_graph_create(job->device, &graph);
    if (status == RV_OK) {
        rv_gaussian latent = rv_world_model_encode(graph, job->model, rv_read(graph, p->observation));
        rv_store(p->reward, rv_world_model_predict(graph, job->model, latent.mean, rv_read(graph, p->action)).reward);
        status = rv_plan_create(graph, NULL, &p->plan);
    }
    rv_graph_destroy(graph);
    return status;
}

static void destroy_predictor(predictor *p) {
    rv_plan_destroy(p->plan);
    rv_array_destroy(p->observation);
    rv_array_destroy(p->action);
    rv_array_destroy(p->reward);
}

/* reward [steps, 1] that the model predicts for every step, from the observation before it. */
static rv_status predict_rewards(predictor *p, const rv_transitions *t, float *reward) {
    rv_status status = RV_OK;
    for (int64_t first = 0; first < t->steps && status == RV_OK; first += ROWS) {
        int64_t count = t->steps - first < ROWS ? t->steps - first : ROWS;
        status = rv_array_write(p->observation, 0, count, t->observation + first * t->observation_size);
        if (status == RV_OK) status = rv_array_write(p->action, 0, count, t->action + first * t->action_size);
        if (status == RV_OK) status = rv_plan_run(p->plan);
        if (status == RV_OK) status = rv_array_read(p->reward, 0, count, reward + first);
    }
    return status;
}

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

static int print_returns(world_model_job *job, const rv_dataset *episodes) {
    predictor p = {0};
    rv_transitions t = rv_dataset_transitions(episodes);
    float *predicted = calloc((size_t)t.steps, sizeof *predicted);
    rv_status status = predicted ? make_predictor(job, &p) : RV_OUT_OF_MEMORY;
    if (status == RV_OK) status = predict_rewards(&p, &t, predicted);
    if (status == RV_OK) {
        spread truth = returns_of(episodes, t.reward), model = returns_of(episodes, predicted);
        printf("return mean %.6g std %.6g n %lld; predicted mean %.6g std %.6g\n", truth.mean, truth.deviation,
               (long long)rv_dataset_episodes(episodes), model.mean, model.deviation);
    }
    destroy_predictor(&p);
    free(predicted);
    return status == RV_OK ? EXIT_OK
                           : program_fail(program_code(status), "predicted returns: %s", rv_status_text(status));
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
        .size = sizeof evaluate, .horizon = s->horizon ? s->horizon : job->settings.eval_horizon, .seed = seed};
    if (code == EXIT_OK) code = world_model_evaluate(job, episodes, &evaluate, &evaluation);
    if (code == EXIT_OK) {
        printf("evaluation  %lld new steps, %lld open-loop starts\n\n", (long long)evaluation->transitions,
               (long long)evaluation->starts);
        world_model_print_evaluation(job, evaluation);
        code = print_returns(job, episodes);
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
    dreamer_eval_help();
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
    return strcmp(kind, "dreamer") == 0 ? dreamer_eval(argv[0], argc - 1, argv + 1)
                                        : world_model_eval(argv[0], argc - 1, argv + 1);
}
