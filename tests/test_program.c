/* The program from outside: help, mistakes and their exit codes, a real short run, what it leaves behind. */
#include "tests/program/program.h"

#include "reverie/collect.h"
#include "reverie/evaluate.h"

/* ---- help and mistakes -------------------------------------------------------------------------------- */

static void help_everywhere(void **unused) {
    (void)unused;
    static const char *const cases[][2] = {
        {"--help", "Commands"},
        {"-h", "train"},
        {"help", "Exit codes"},
        {"train --help", "world_model"},
        {"train world_model --help", "--train.steps"},
        {"train world_model --train.steps=5 --help", "--env.force"},
        {"devices --help", "Usage: reverie devices"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(run(cases[i][0]), 0);
        expect("out.txt", cases[i][1]);
        expect_empty("err.txt");
    }
    assert_int_equal(run("--version"), 0);
    expect("out.txt", "reverie " RV_VERSION "\n");
    assert_int_equal(run("devices"), 0);
    expect("out.txt", "cpu          available");
    expect("out.txt", "\nauto chose ");
    expect_empty("err.txt");
}

/* The same in both forms, and a device of it can be opened. */
static void devices_as_json(void **unused) {
    (void)unused;
    assert_int_equal(run("devices --json"), 0);
    json_t *all = json_load_file("out.txt", JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(all);
    const json_t *backends = json_object_get(all, "backends"), *cpu = json_object_get(json_object_get(all, "devices"), "cpu");
    assert_int_equal(json_object_size(backends), 3);
    assert_true(json_is_true(json_object_get(json_object_get(backends, "cpu"), "available")));
    assert_true(json_is_false(json_object_get(cpu, "gpu")));
    assert_true(json_integer_value(json_object_get(cpu, "units")) > 0);
    assert_true(json_integer_value(json_object_get(cpu, "memory_bytes")) > 1 << 20);
    assert_int_equal(strncmp(json_string_value(json_object_get(all, "auto")), "auto chose ", 11), 0);
    const char *resource;
    json_t *one;
    json_object_foreach(json_object_get(all, "devices"), resource, one) {
        char line[128];
        snprintf(line, sizeof line, "train world_model --dry-run --device=%s", resource);
        assert_int_equal(run(line), 0);
        expect("out.txt", "device      ");
        assert_int_equal(run("devices"), 0);
        expect("out.txt", resource);
        expect("out.txt", json_string_value(json_object_get(one, "name")));
    }
    json_decref(all);
}

static void every_command_says_what_auto_chose(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model --dry-run"), 0);
    char *text = read_file("out.txt");
    const char *said = strstr(text, "device      auto chose ");
    assert_non_null(said);
    if (!strstr(said, "auto chose cuda:")) assert_non_null(strstr(said, "; not cuda: "));
    free(text);
    assert_int_equal(run("train world_model --dry-run --device=nonsense:0"), 5);
    expect("err.txt", "auto, cuda, opencl, cpu");
}

static void mistakes_are_named(void **unused) {
    (void)unused;
    static const struct {
        const char *arguments;
        int code;
        const char *words;
    } cases[] = {
        {"", 2, "Usage"},
        {"trian", 2, "nearest is \"train\""},
        {"train", 2, "reverie train world_model"},
        {"train wrold_model", 2, "nearest is \"world_model\""},
        {"train world_model --train.stesp=5", 2, "nearest is --train.steps"},
        {"train world_model --steps=5", 2, "steps"},
        {"train world_model train.stesp=5", 2, "nearest is --train.steps"},
        {"train world_model quickly", 2, "--key=value"},
        {"train world_model --seed", 2, "needs a value"},
        {"devices --all", 2, "no option \"all\""},
        {"train world_model --train.steps=many", 3, "whole number"},
        {"train world_model --train.steps=2.5", 3, "whole number"},
        {"train world_model --train.steps=0", 3, "between 1"},
        {"train world_model --train.learning_rate=nan", 3, "number"},
        {"train world_model --train.learning_rate=0,001", 3, "number"},
        {"train world_model --data.policy=clever", 3, "random scripted mixed"},
        {"train world_model --model.vae_hidden=128,,x", 3, "128,64"},
        {"train world_model --fresh=perhaps", 3, "true or false"},
        {"train world_model --env.name=continuous_carpole --out=never", 3, "nearest is \"continuous_cartpole\""},
        {"train world_model --env.forse=3 --out=never", 3, "nearest is \"force\""},
        {"train world_model --env.force=-3 --out=never", 3, "between"},
        {"train world_model --eval.horizon=300 --out=never", 3, "eval.steps"},
        {"train world_model --device=abacus --out=never", 5, "abacus"},
        {"train world_model --device=cuda:0 --out=never", 5, "cuda"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code = run(cases[i].arguments);
        if (code != cases[i].code) fail_msg("\"%s\" exits with %d, not %d", cases[i].arguments, code, cases[i].code);
        expect("err.txt", cases[i].words);
    }
    assert_int_not_equal(access("never", F_OK), 0); /* refused before any work */
}

static void lost_output_is_an_error(void **unused) {
    (void)unused;
    char line[1024];
    if (access("/dev/full", W_OK) != 0) skip();
    snprintf(line, sizeof line, "'%s' --help >/dev/full 2>err.txt", program);
    int status = system(line);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    expect("err.txt", "standard output");
}

static void folders_that_cannot_be(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model --out=/proc/none/such"), 7);
    expect("err.txt", "/proc/none");
    FILE *file = fopen("plain_file", "w");
    fclose(file);
    assert_int_equal(run("train world_model --out=plain_file"), 7);
    assert_int_equal(run("train world_model --out=plain_file/below"), 7);
    expect("err.txt", "plain_file");
}

/* ---- a real run ------------------------------------------------------------------------------------------ */

static void check_picture(const char *folder, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/plots/%s.png", folder, name);
    char *bytes = read_file(path);
    assert_non_null(bytes);
    assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
    free(bytes);
    snprintf(path, sizeof path, "%s/plots/%s.svg", folder, name);
    bytes = read_file(path);
    assert_non_null(bytes);
    assert_non_null(strstr(bytes, "<svg"));
    assert_non_null(strstr(bytes, "</svg>"));
    free(bytes);
}

static void trains_and_leaves_its_files(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model " SMALL "--out=a/run --fresh"), 0);
    expect("out.txt", "world model of continuous_cartpole");
    expect("out.txt", "R2 of the");
    json_t *metrics = read_metrics("a/run");
    assert_int_equal(json_array_size(metrics), 6);
    for (size_t i = 0; i < 6; i++) {
        json_t *row = json_array_get(metrics, i);
        assert_int_equal(json_integer_value(json_object_get(row, "step")), 10 * (i + 1));
        assert_true(isfinite(json_number_value(json_object_get(row, "loss"))));
        assert_true(json_number_value(json_object_get(row, "reconstruction")) > 0.0);
    }
    double first = json_number_value(json_object_get(json_array_get(metrics, 0), "reconstruction"));
    double last = json_number_value(json_object_get(json_array_get(metrics, 5), "reconstruction"));
    assert_true(last < 0.8 * first); /* it learns */
    json_decref(metrics);
    if (access("a/run/plots/losses.png", F_OK) == 0) {
        static const char *const names[] = {"losses", "open_loop", "horizon", "latents"};
        for (int i = 0; i < 4; i++) check_picture("a/run", names[i]);
    } else {
        expect("out.txt", "left out");
    }
}

static void same_seed_same_metrics(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model " SMALL "--out=a/run"), 0); /* it is finished */
    expect("out.txt", "finished");
    json_t *before = read_metrics("a/run");
    assert_int_equal(run("train world_model " SMALL "--out=a/run --fresh"), 0);
    json_t *after = read_metrics("a/run");
    assert_true(json_equal(before, after));
    assert_int_equal(run("train world_model " SMALL "--out=b --fresh --seed=1"), 0);
    json_t *other = read_metrics("b");
    assert_false(json_equal(before, other));
    json_decref(before);
    json_decref(after);
    json_decref(other);
}

/* A model made from the checkpoint evaluates to the figures that the run wrote down. */
static void checkpoint_loads_again(void **unused) {
    (void)unused;
    rv_device *device;
    rv_checkpoint *file;
    rv_world_model *model;
    rv_env *env;
    rv_dataset *train, *held_out;
    rv_evaluation *evaluation;
    assert_int_equal(rv_device_open("cpu", NULL, &device), RV_OK);
    assert_int_equal(rv_checkpoint_create(device, &file), RV_OK);
    assert_int_equal(rv_checkpoint_load_metadata(file, "a/run/checkpoints/last.safetensors"), RV_OK);
    json_t *config = json_loads(rv_checkpoint_get(file, "config"), 0, NULL);
    assert_non_null(config);
    assert_string_equal(json_string_value(json_object_get(config, "train.steps")), "60");
    assert_int_equal(json_integer_value(json_object_get(config, "observation_size")), 4);
    json_decref(config);

    const rv_world_model_options options = {.size = sizeof options, .observation_size = 4, .action_size = 1};
    assert_int_equal(rv_world_model_create(device, &options, 999, &model), RV_OK);
    assert_int_equal(rv_world_model_checkpoint(model, "model/", file), RV_OK);
    assert_int_equal(rv_checkpoint_load(file, "a/run/checkpoints/last.safetensors"), RV_OK);

    rv_dataset_create(4, 1, &train);
    rv_dataset_create(4, 1, &held_out);
    assert_int_equal(rv_env_create("continuous_cartpole", 8, NULL, 0, &env), RV_OK);
    rv_collect_options collect = {
        .size = sizeof collect, .steps = 1200, .policy = RV_POLICY_MIXED, .noise = 0.3, .seed = 0};
    assert_int_equal(rv_collect_world_model_data(env, &collect, train), RV_OK);
    rv_env_destroy(env);
    assert_int_equal(rv_env_create("continuous_cartpole", 3, NULL, 0, &env), RV_OK);
    collect = (rv_collect_options){
        .size = sizeof collect, .steps = 210, .policy = RV_POLICY_SCRIPTED, .noise = 0.3, .seed = UINT64_C(1) << 32};
    assert_int_equal(rv_collect_world_model_data(env, &collect, held_out), RV_OK);
    rv_env_destroy(env);

    rv_transitions data = rv_dataset_transitions(train);
    rv_evaluate_options evaluate = {.size = sizeof evaluate, .horizon = 20};
    assert_int_equal(rv_evaluate_world_model(model, &data, held_out, &evaluate, &evaluation), RV_OK);
    json_t *summary = json_load_file("a/run/summary.json", JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(summary);
    assert_int_equal(json_integer_value(json_object_get(summary, "train_steps")), 60);
    static const char *const names[] = {"cart position", "cart velocity", "pole angle", "pole angular velocity"};
    for (int d = 0; d < 4; d++) {
        double written = json_number_value(json_object_get(json_object_get(summary, "change_r2"), names[d]));
        assert_true(written != 0.0);
        assert_true(fabs(written - evaluation->change_r2[d]) <= 1e-6 * fabs(written));
        json_t *ahead =
            json_object_get(json_object_get(json_object_get(summary, "open_loop_15"), "model_rmse"), names[d]);
        written = json_number_value(ahead);
        assert_true(fabs(written - evaluation->model_rmse[14 * 4 + d]) <= 1e-6 * written);
    }
    json_decref(summary);
    rv_evaluation_destroy(evaluation);
    rv_dataset_destroy(train);
    rv_dataset_destroy(held_out);
    rv_checkpoint_destroy(file);
    rv_world_model_destroy(model);
    rv_device_close(device);
}

/* ---- interrupted ------------------------------------------------------------------------------------------ */

static pid_t begin_long_run(void) {
    pid_t child = fork();
    if (child != 0) return child;
    int out = open("out.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666),
        err = open("err.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execl(program, program, "train", "world_model", "--train.steps=100000000", "--data.steps=500", "--out=long",
          "--fresh", (char *)NULL);
    _exit(127);
}

static void interrupt_saves(void **unused) {
    (void)unused;
    struct stat about = {0};
    unlink("long/metrics.jsonl");
    pid_t child = begin_long_run();
    assert_true(child > 0);
    for (int tick = 0; tick < 6000 && (stat("long/metrics.jsonl", &about) != 0 || about.st_size == 0); tick++) {
        usleep(10000);
    }
    assert_true(about.st_size > 0); /* it trains */

    int status = 0;
    char line[1024];
    snprintf(line, sizeof line, "'%s' train world_model --out=long --fresh >/dev/null 2>second.txt", program);
    int second = system(line);
    assert_int_equal(WEXITSTATUS(second), 7); /* two on one run */
    expect("second.txt", "another process");

    kill(child, SIGINT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
    expect("err.txt", "interrupted after");
    assert_int_equal(access("long/checkpoints/last.safetensors", R_OK), 0);
    json_t *metrics = read_metrics("long"); /* every line is whole */
    assert_true(json_array_size(metrics) > 0);
    json_decref(metrics);
}

static void divergence_is_numeric(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model " SMALL
                         "--out=c --fresh --train.learning_rate=10 --train.clip=1e9 --train.kl_weight=1000 "
                         "--train.steps=3000"),
                     6);
    expect("err.txt", "train.learning_rate");
    assert_int_not_equal(access("c/checkpoints/last.safetensors", F_OK), 0); /* nothing poisoned is saved */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(help_everywhere),
    cmocka_unit_test(devices_as_json),
    cmocka_unit_test(every_command_says_what_auto_chose),
    cmocka_unit_test(mistakes_are_named),
    cmocka_unit_test(lost_output_is_an_error),
    cmocka_unit_test(folders_that_cannot_be),
    cmocka_unit_test(trains_and_leaves_its_files),
    cmocka_unit_test(same_seed_same_metrics),
    cmocka_unit_test(checkpoint_loads_again),
    cmocka_unit_test(interrupt_saves),
    cmocka_unit_test(divergence_is_numeric),
};
RUN_PROGRAM_TESTS(tests)
