/* experiments/imagine_run.c: what a run's model imagines: figures, and tables on demand. */
#include "experiments/imagine_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/figures_imagine.h"
#include "experiments/program.h"

static const option options[] = {
    OPTION_WHOLE(imagine_settings, trajectories, "trajectories", "64", 1, 4096,
                 "to imagine, each from the start of a real episode"),
    OPTION_WHOLE(imagine_settings, horizon, "horizon", "50", 1, 10000, "steps to imagine and to predict"),
    OPTION_WHOLE(imagine_settings, context, "context", "0", 0, 1000,
                 "observations to see before; 0: 1, or where a model remembers them 5 or the run's eval.context"),
    OPTION_WHOLE(imagine_settings, rollouts, "rollouts", "4", 1, 64,
                 "episodes to predict under their own actions, each in a figure of its own"),
    OPTION_WHOLE(imagine_settings, samples, "samples", "64", 2, 4096,
                 "drawn predictions of each, whose middle 90% is the band"),
    OPTION_WHOLE(imagine_settings, seed, "seed", "1", 0, 1e9, "of episodes and draws"),
    OPTION_FLAG(imagine_settings, csv, "csv", "false", "also write the numbers, to imagined.csv and open_loop.csv"),
    OPTION_TEXT(imagine_settings, device, "device", NULL, "where to compute; by default as the run did"),
};
const option_schema imagine_schema = {.options = options, .count = sizeof options / sizeof *options};

/* ---- figures ----------------------------------------------------------------------------------------------------- */

static int draw_imagined(const imagine_job *run, const imagined *what) {
    const char *folder = run->folder->path;
    const bool policy = what->im->act != NULL;
    int code = figure_imagined_rewards(folder, what);
    if (code == EXIT_OK && policy) code = figure_imagined_actions(folder, what);
    if (code == EXIT_OK) code = figure_imagined_latents(folder, what);
    if (code == EXIT_OK) code = figure_imagined_observations(folder, what);
    if (code == EXIT_OK) {
        printf("plots       %s/plots/imagined_{rewards,%slatents,observations}.png and .svg\n", folder,
               policy ? "actions," : "");
    }
    return code;
}

static int imagine_on(const imagine_job *run) {
    const imagine_settings *s = run->settings;
    const dream_options options = {.context = run->context,
                                   .steps = s->horizon,
                                   .rows = s->trajectories,
                                   .samples = 1,
                                   .policy = run->im->act != NULL,
                                   .seed = run->seed};
    dream dream = {0};
    int code = imaginer_dream(run->im, run->real, &options, &dream);
    const imagined what = {run->im, run->env_name, run->context, run->real, &dream};
    if (code == EXIT_OK) code = draw_imagined(run, &what);
    if (code == EXIT_OK && s->csv) code = table_imagined(run->folder, &what);
    if (code == EXIT_OK && s->csv) printf("table       %s/imagined.csv\n", run->folder->path);
    dream_free(&dream);
    return code;
}

static int draw_open_loop(const imagine_job *run, const imagined *what, const open_loop *predicted, int64_t episode) {
    enum { MOST = PLOT_PANELS - 1 }; /* a panel is the reward's */
    const int64_t o = what->im->observation_size, shown = o < MOST ? o : MOST, rows = predicted->horizon + 1;
    const double *const from[] = {predicted->truth, predicted->mean, predicted->low, predicted->high};
    char name[48], note[128], text[PLOT_PANELS][64];
    const char *names[PLOT_PANELS];
    double *lists = calloc((size_t)(4 * rows * (shown + 1)), sizeof *lists);
    if (!lists) return program_fail(EXIT_DEVICE, "no memory for a plot");
    for (int64_t c = 0; c <= shown; c++) {
        const int64_t column = c < shown ? c : o; /* the last is the reward */
        names[c] = observation_name(what->im, column, text[c]);
        for (int64_t i = 0; i < 4 * rows; i++) {
            lists[i * (shown + 1) + c] = from[i / rows][i % rows * predicted->columns + column];
        }
    }
    const int64_t each = rows * (shown + 1);
    const rv_evaluation evaluation = {.observation_size = shown + 1,
                                      .horizon = predicted->horizon,
                                      .truth = lists,
                                      .mean = lists + each,
                                      .low = lists + 2 * each,
                                      .high = lists + 3 * each};
    snprintf(name, sizeof name, "imagine_%lld", (long long)episode + 1);
    snprintf(note, sizeof note, "episode %lld, from %lld observation%s and its actions, %lld drawn predictions",
             (long long)episode + 1, (long long)what->context, what->context > 1 ? "s" : "",
             (long long)run->settings->samples);
    const figure_text words = {run->env_name, note, shown + 1, names};
    int code = figure_open_loop(run->folder->path, name, &words, &evaluation);
    if (code == EXIT_OK) printf("plot        %s/plots/%s.png and .svg\n", run->folder->path, name);
    free(lists);
    return code;
}

static int predict_all(const imagine_job *run, const imagined *what) {
    const imagine_settings *s = run->settings;
    open_loop list[64];
    int64_t made = 0;
    int code = EXIT_OK;
    while (made < s->rollouts && code == EXIT_OK) {
        if (!open_loop_make(&list[made], what, made, s->samples)) {
            code = program_fail(EXIT_DEVICE, "no memory for predictions");
            break;
        }
        code = draw_open_loop(run, what, &list[made], made);
        made++;
    }
    if (code == EXIT_OK && s->csv) code = table_open_loop(run->folder, what, list, made);
    if (code == EXIT_OK && s->csv) printf("table       %s/open_loop.csv\n", run->folder->path);
    for (int64_t i = 0; i < made; i++) open_loop_free(&list[i]);
    return code;
}

static int predict(const imagine_job *run) {
    const imagine_settings *s = run->settings;
    const dream_options options = {.context = run->context,
                                   .steps = s->horizon,
                                   .rows = s->rollouts,
                                   .samples = s->samples,
                                   .seed = run->seed + 1};
    dream dream = {0};
    int code = imaginer_dream(run->im, run->real, &options, &dream);
    const imagined what = {run->im, run->env_name, run->context, run->real, &dream};
    if (code == EXIT_OK) code = predict_all(run, &what);
    dream_free(&dream);
    return code;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

int64_t imagine_rows(const imagine_settings *s) {
    return s->trajectories > s->rollouts ? s->trajectories : s->rollouts;
}

int imagine_draw(const imagine_job *run) {
    char path[RUN_PATH_SIZE];
    if (!canvas_available()) {
        return program_fail(EXIT_IO, "this build has no plots (cairo was missing when it was configured)");
    }
    mkdir(run_folder_file(run->folder, "plots", path, sizeof path), 0777); /* missing for good: writing tells */
    int code = imagine_on(run);
    return code == EXIT_OK ? predict(run) : code;
}
