/* experiments/command_imagine.c: `reverie imagine RUN`: a run of any kind; here those of world models, whose
 * predictions are drawn beside new episodes. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/agent_imagine.h"
#include "experiments/figures.h"
#include "experiments/imagine_run.h"
#include "experiments/jobs.h"
#include "experiments/program.h"

typedef struct rollout_settings {
    int64_t rollouts, horizon, samples, seed;
    const char *device;
} rollout_settings;

static const option options[] = {
    OPTION_WHOLE(rollout_settings, rollouts, "rollouts", "4", 1, 64,
                 "episodes to predict, each in a figure of its own"),
    OPTION_WHOLE(rollout_settings, horizon, "horizon", "0", 0, 10000, "steps to predict; 0: as the run's eval.horizon"),
    OPTION_WHOLE(rollout_settings, samples, "samples", "64", 2, 4096,
                 "drawn predictions, whose middle 90% is the band"),
    OPTION_WHOLE(rollout_settings, seed, "seed", "1", 0, 1e9, "of the episodes"),
    OPTION_TEXT(rollout_settings, device, "device", NULL, "where to compute; by default as the run did"),
};
static const option_schema schema = {.options = options, .count = sizeof options / sizeof *options};

static int draw(world_model_job *job, const rollout_settings *s, int64_t number, const rv_dataset *episode) {
    char name[48], note[96];
    rv_evaluation *evaluation = NULL;
    rv_evaluate_options evaluate = {.size = sizeof evaluate,
                                    .horizon = s->horizon ? s->horizon : job->settings.eval_horizon,
                                    .starts = 1,
                                    .bands = 1,
                                    .samples = s->samples,
                                    .seed = (uint64_t)s->seed};
    int code = world_model_evaluate(job, episode, &evaluate, &evaluation);
    snprintf(name, sizeof name, "imagine_%lld", (long long)number);
    snprintf(note, sizeof note, "episode %lld, %lld drawn predictions", (long long)number, (long long)s->samples);
    const rv_env_spaces *spaces = &job->spaces;
    const figure_text text = {job->settings.env.name, note, spaces->observation_size, spaces->observation_names};
    if (code == EXIT_OK) code = figure_open_loop(job->run.path, name, &text, evaluation);
    if (code == EXIT_OK) printf("plot        %s/plots/%s.png and .svg\n", job->run.path, name);
    rv_evaluation_destroy(evaluation);
    return code;
}

static int imagine_one(world_model_job *job, const rollout_settings *s, int64_t number, rv_env *env) {
    const int64_t steps = s->horizon ? s->horizon : job->settings.eval_horizon;
    const uint64_t seed = (uint64_t)job->settings.seed + ((uint64_t)(s->seed + 2) << 32) + (uint64_t)number;
    rv_dataset *episode = NULL;
    int code = world_model_collect_episodes(job, env, 1, steps + 1, seed, &episode);
    if (code == EXIT_OK) code = draw(job, s, number, episode);
    rv_dataset_destroy(episode);
    return code;
}

static int imagine(world_model_job *job, const rollout_settings *s) {
    char path[RUN_PATH_SIZE];
    rv_env *env = NULL;
    if (!canvas_available()) {
        return program_fail(EXIT_IO, "this build has no plots (cairo was missing when it was configured)");
    }
    mkdir(run_folder_file(&job->run, "plots", path, sizeof path), 0777);
    int code = world_model_make_env(job, 1, &env);
    for (int64_t i = 1; i <= s->rollouts && code == EXIT_OK; i++) code = imagine_one(job, s, i, env);
    rv_env_destroy(env);
    return code;
}

static int imagine_world_model(const char *folder, int argc, char **argv) {
    world_model_job job = {0};
    rollout_settings settings = {0};
    option_list words = {0};
    int code = options_read(&schema, &settings, argc, argv, &words);
    job.settings.device = settings.device;
    if (code == EXIT_OK) code = world_model_open_run(&job, folder);
    if (code == EXIT_OK) code = imagine(&job, &settings);
    world_model_release(&job);
    options_list_free(&words);
    return code;
}

/* ---- a sequence model, under the actions of new episodes --------------------------------------------------------- */

static int imagine_sequences(world_model_job *job, const imagine_settings *s) {
    const imaginer im = sequence_imaginer(job->sequence, &job->spaces);
    const int64_t rows = imagine_rows(s), context = s->context ? s->context : job->settings.sequence.context;
    const int64_t steps = context + s->horizon;
    episodes real = {0};
    rv_env *env = NULL;
    rv_dataset *data = NULL;
    const imagine_job run = {.folder = &job->run,
                             .env_name = job->settings.env.name,
                             .im = &im,
                             .real = &real,
                             .context = context,
                             .seed = (uint64_t)job->settings.seed + ((uint64_t)(s->seed + 2) << 32),
                             .settings = s};
    int code = world_model_make_env(job, rows, &env);
    if (code == EXIT_OK) code = world_model_collect_episodes(job, env, 2 * rows, steps, run.seed, &data);
    if (code == EXIT_OK) code = imaginer_take(&im, data, rows, context, steps, &real);
    if (code == EXIT_OK) code = imagine_draw(&run);
    episodes_free(&real);
    rv_dataset_destroy(data);
    rv_env_destroy(env);
    return code;
}

static int imagine_sequence_model(const char *folder, int argc, char **argv) {
    world_model_job job = {0};
    imagine_settings settings = {0};
    option_list words = {0};
    int code = options_read(&imagine_schema, &settings, argc, argv, &words);
    job.settings.device = settings.device;
    if (code == EXIT_OK) code = world_model_open_run(&job, folder);
    if (code == EXIT_OK) code = imagine_sequences(&job, &settings);
    world_model_release(&job);
    options_list_free(&words);
    return code;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static void print_help(void) {
    puts("Usage: reverie imagine RUN [--key=value]...\n\n"
         "Of a world model: acts new episodes; of each, the run's model sees the first observation and then only the\n"
         "actions. What it predicts is drawn beside the truth, with the band of drawn predictions, in\n"
         "RUN/plots/imagine_*.\n\nOptions");
    options_print(&schema, stdout);
    agent_imagine_help();
}

int command_imagine(int argc, char **argv) {
    char kind[64];
    if (program_wants_help(argc, argv)) {
        print_help();
        return EXIT_OK;
    }
    if (argc < 1 || argv[0][0] == '-') {
        return program_fail(EXIT_USAGE, "imagine needs a run folder: reverie imagine RUN");
    }
    int code = run_config_job(argv[0], kind, sizeof kind);
    if (code != EXIT_OK) return code;
    const job *job = job_find(kind);
    if (job && job->agent) return agent_imagine(job->agent, argv[0], argc - 1, argv + 1);
    return job && job->model == &sequence_kind ? imagine_sequence_model(argv[0], argc - 1, argv + 1)
                                               : imagine_world_model(argv[0], argc - 1, argv + 1);
}
