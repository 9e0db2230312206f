/* experiments/command_plot.c: `reverie plot RUN`: the plots of a run, from its files alone; of several, one figure. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/curves.h"
#include "experiments/evaluation_file.h"
#include "experiments/jobs.h"
#include "experiments/program.h"

/* An agent's run: its learning curve, and what it was evaluated to. */
static int plot_agent(const run_folder *run) {
    char path[RUN_PATH_SIZE], env[64] = "the run";
    history history = {0};
    agent_returns returns = {0};
    int64_t offset;
    const bool evaluated = run_folder_has(run, "evaluation.json");
    int code = history_read(&history, run_folder_file(run, "metrics.jsonl", path, sizeof path), -1, &offset);
    if (code == EXIT_OK && evaluated) code = agent_read_evaluation(run, env, &returns);
    mkdir(run_folder_file(run, "plots", path, sizeof path), 0777); /* missing for good: writing tells */
    if (code == EXIT_OK) code = agent_plot(run->path, env, &history, evaluated ? &returns : NULL);
    history_free(&history);
    return code;
}

static int plot_run(const run_folder *run) {
    char path[RUN_PATH_SIZE];
    history history = {0};
    evaluation_file file = {0};
    int64_t offset;
    const bool evaluated = run_folder_has(run, "evaluation.json");
    if (!run_folder_has(run, "metrics.jsonl")) {
        return program_fail(EXIT_IO, "%s is no run: it has no metrics.jsonl", run->path);
    }
    int code = history_read(&history, run_folder_file(run, "metrics.jsonl", path, sizeof path), -1, &offset);
    if (code == EXIT_OK && evaluated) {
        code = evaluation_file_read(run_folder_file(run, "evaluation.json", path, sizeof path), &file);
    }
    if (code == EXIT_OK && !evaluated) puts("not evaluated yet: only the losses can be drawn");
    if (code == EXIT_OK && history.count == 0 && !evaluated) {
        code = program_fail(EXIT_DATA, "%s holds no metrics yet", run->path);
    }
    if (code == EXIT_OK) {
        mkdir(run_folder_file(run, "plots", path, sizeof path),
              0777); /* one that is missing for good shows when a plot is written */
        const figure_text text = {evaluated ? file.env : "the run", file.note, file.evaluation.observation_size,
                                  file.names};
        code = world_model_plot(run->path, &text, &history, evaluated ? &file.evaluation : NULL, &file.points);
    }
    history_free(&history);
    evaluation_file_free(&file);
    return code;
}

static void print_help(void) {
    puts("Usage: reverie plot RUN\n       reverie plot RUN... [--key=value]...\n\n"
         "Draws the plots of a run folder again from metrics.jsonl and evaluation.json, as PNG and SVG in\nRUN/plots. "
         "Works on a run that is still training, too.");
    plot_curves_help();
}

static int plot_one(const char *folder) {
    run_folder run = {0};
    char kind[64] = "";
    if (strlen(folder) >= sizeof run.path) return program_fail(EXIT_IO, "the path of the run folder is too long");
    strcpy(run.path, folder);
    if (run_folder_has(&run, "config.yaml")) {
        int code = run_config_job(folder, kind, sizeof kind);
        if (code != EXIT_OK) return code;
    }
    const job *job = job_find(kind);
    return job && job->agent ? plot_agent(&run) : plot_run(&run);
}

int command_plot(int argc, char **argv) {
    int runs = 0;
    if (program_wants_help(argc, argv)) {
        print_help();
        return EXIT_OK;
    }
    while (runs < argc && argv[runs][0] != '-') runs++;
    if (runs == 0) return program_fail(EXIT_USAGE, "plot needs a run folder, or several: reverie plot RUN...");
    return argc == 1 ? plot_one(argv[0]) : plot_curves(runs, argc, argv);
}
