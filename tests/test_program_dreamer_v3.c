/* `reverie train dreamer_v3`: what it leaves behind, its recipes and sizes, how its runs are judged. */
#include "tests/program/kills.h"

#include "reverie/dreamer_v3_agent.h"

#define JOB                                                                                                           \
    "train dreamer_v3 --device=cpu --config=debug --env.name=dmc_cartpole_swingup --wrap.action_repeat=2 "             \
    "--train.steps=2400 --train.ratio=16 --eval.episodes=4 --log.every=200 "

static void leaves_a_run_behind(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB "--out=whole --fresh"), 0);
    expect("out.txt", "return mean");
    json_t *summary = read_json("whole", "summary.json"), *evaluation = json_object_get(summary, "evaluation");
    assert_string_equal(json_string_value(json_object_get(summary, "kind")), "dreamer_v3");
    assert_int_equal(number(summary, "env_steps"), 2400); /* of the simulator: 1,200 actions */
    assert_int_equal(number(summary, "action_repeat"), 2);
    assert_int_equal(number(summary, "updates"), (1200 - 40) * 16 / (4 * 8));
    assert_int_equal(number(summary, "episodes"), 2); /* 500 actions each, in each of two environments */
    assert_int_equal(json_array_size(json_object_get(evaluation, "returns")), 4);
    assert_true(number(evaluation, "mean") > 0);
    json_decref(summary);
    json_t *metrics = read_metrics("whole");
    assert_int_equal(json_array_size(metrics), 12);
    const json_t *last = json_array_get(metrics, 11);
    assert_int_equal(number(last, "step"), 2400);
    assert_true(number(last, "reconstruction") > 0 && number(last, "return") >= 0 && number(last, "length") == 500);
    json_decref(metrics);
    assert_int_equal(run(JOB "--out=whole"), 0);
    expect("out.txt", "finished");
    assert_int_equal(run(JOB "--out=whole --imagine.horizon=4"), 3);
    expect("err.txt", "imagine.horizon: 3 before, 4 now");
}

static void is_judged_and_drawn(void **unused) {
    (void)unused;
    char *text[3];
    static const char *const commands[] = {"eval whole --episodes=3", "eval whole --episodes=3 --policy=mean",
                                           "eval whole --episodes=3 --policy=sample"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(commands[i]), 0);
        expect("out.txt", "confidence interval");
        expect("out.txt", " n 3");
        text[i] = read_file("out.txt");
    }
    assert_string_equal(text[0], text[1]);
    assert_string_not_equal(strstr(text[1], "return mean"), strstr(text[2], "return mean"));
    for (int i = 0; i < 3; i++) free(text[i]);
    assert_int_equal(run("plot whole"), 0);
    assert_int_equal(run("inspect whole/checkpoints/last.safetensors"), 0);
    expect("out.txt", "kind: dreamer_v3");
    expect("out.txt", "slow/");
}

static void choices_are_learnt_too(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB "--out=choices --fresh --env.name=cartpole --wrap.action_repeat=1"), 0);
    json_t *summary = read_json("choices", "summary.json");
    assert_int_equal(number(summary, "env_steps"), 2400);
    assert_true(number(summary, "episodes") > 3);
    json_decref(summary);
}

/* The figures that `reverie config` shows are the library's, defaults filled in. */
static void configs_are_the_recipes(void **unused) {
    (void)unused;
    int count;
    const rv_dreamer_v3_recipe *list = rv_dreamer_v3_recipe_list(&count);
    rv_device *device;
    assert_int_equal(rv_device_open("cpu:threads=1", NULL, &device), RV_OK);
    for (int i = 0; i < count; i++) {
        char line[128], words[64];
        rv_env *env;
        rv_agent *agent;
        snprintf(line, sizeof line, "config --job=dreamer_v3 --name=%s", list[i].name);
        assert_int_equal(run(line), 0);
        assert_int_equal(rv_env_create("dmc_pendulum_swingup", list[i].environments, NULL, 0, &env), RV_OK);
        rv_dreamer_v3_agent_options small = list[i].options; /* what lasts long to make is not looked at */
        small.steps = 100 * list[i].environments;
        assert_int_equal(rv_dreamer_v3_agent_create(device, env, &small, &agent), RV_OK);
        const rv_dreamer_v3_agent_options *o = rv_dreamer_v3_agent_options_get(agent);
        const rv_dreamer_v3_options *l = &o->learner;
        const struct {
            const char *key;
            double value;
        } rows[] = {
            {"environments", (double)list[i].environments},
            {"steps", (double)list[i].options.steps},
            {"capacity", (double)o->replay},
            {"start", (double)o->start},
            {"ratio", (double)o->train_ratio},
            {"batch", (double)o->batch},
            {"length", (double)o->length},
            {"learning_rate", (double)l->learning_rate},
            {"warmup", (double)l->warmup},
            {"deter", (double)l->model.rssm.deter},
            {"hidden", (double)l->model.rssm.hidden},
            {"stoch", (double)l->model.rssm.stoch},
            {"classes", (double)l->model.rssm.classes},
            {"blocks", (double)l->model.rssm.blocks},
            {"units", (double)l->model.units},
            {"horizon", (double)l->horizon},
            {"horizon", (double)l->model.horizon},
            {"lambda", (double)l->lambda},
            {"entropy", (double)l->entropy},
            {"slow_rate", (double)l->slow_rate},
        };
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            snprintf(words, sizeof words, rows[r].value >= 1e6 ? "\n  %s: %.0f " : "\n  %s: %.6g ", rows[r].key,
                     rows[r].value);
            expect("out.txt", words);
        }
        rv_agent_destroy(agent);
        rv_env_destroy(env);
    }
    rv_device_close(device);
}

static void dry_run_says_what_it_takes(void **unused) {
    (void)unused;
    int64_t bytes;
    char words[64];
    assert_int_equal(run("train dreamer_v3 --dry-run --out=none --config=dmc_proprio --train.steps=20000"), 0);
    rv_dreamer_v3_agent_options options = rv_dreamer_v3_recipe_find("dmc_proprio")->options;
    rv_env_spaces spaces = {.size = sizeof spaces};
    rv_env *env;
    assert_int_equal(rv_env_create("dmc_pendulum_swingup", 1, NULL, 0, &env), RV_OK);
    assert_int_equal(rv_env_spaces_get(env, &spaces), RV_OK);
    rv_env_destroy(env);
    options.steps = 20000;
    assert_int_equal(rv_dreamer_v3_agent_replay_bytes(&options, &spaces, 16, &bytes), RV_OK);
    snprintf(words, sizeof words, "%d,%03d,%03d bytes, 20,000 steps", (int)(bytes / 1000000),
             (int)(bytes / 1000 % 1000), (int)(bytes % 1000));
    expect("out.txt", words);
    expect("out.txt", "An update");
    expect("out.txt", "dyn/hidden");
    assert_int_not_equal(access("none", F_OK), 0);
}

/* A size replaces the recipe's, a single number that of either. */
static void sizes_have_names(void **unused) {
    (void)unused;
    assert_int_equal(run("train dreamer_v3 --dry-run --model.size=size1m --model.units=32 --train.steps=2000 "
                         "--train.batch=2 --train.length=4"), 0);
    expect("out.txt", "dyn/deter/weight                             [512, 64]");
    expect("out.txt", "enc/0/weight                                 [3, 32]");
}

static void mistakes_are_told(void **unused) {
    (void)unused;
    static const mistake mistakes[] = {
        {"train dreamer_v3 --train.rattio=3", 2, "train.ratio"},
        {"train dreamer_v3 --config=huge", 3, "dmc_proprio"},
        {"train dreamer_v3 --out=bad --fresh --train.start=5", 3, "start"},
        {"train dreamer_v3 --out=bad --fresh --wrap.action_repeat=4 --train.steps=3", 3, "wrap.action_repeat"},
        {"train dreamer_v4", 2, "dreamer_v3"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) expect_mistake(&mistakes[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(leaves_a_run_behind),
    cmocka_unit_test(is_judged_and_drawn),
    cmocka_unit_test(choices_are_learnt_too),
    cmocka_unit_test(configs_are_the_recipes),
    cmocka_unit_test(dry_run_says_what_it_takes),
    cmocka_unit_test(sizes_have_names),
    cmocka_unit_test(mistakes_are_told),
};
RUN_PROGRAM_TESTS(tests)
