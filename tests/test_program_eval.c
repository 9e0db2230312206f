/* `reverie eval` of agents: both policies, Student's interval, evaluation.json, and the plot that is drawn from it. */
#include "tests/program/program.h"

#define JOB                                                                                                            \
    "train dreamer --device=cpu:threads=1 --train.steps=300 --train.prefill=100 --train.update_every=4 "               \
    "--model.latent=4 --model.vae_hidden=12 --model.dynamics_hidden=12 --model.reward_hidden=8 "                       \
    "--model.continue_hidden=8 --actor.hidden=12 --critic.hidden=12 --train.batch=6 --train.window=3 "                 \
    "--imagine.trajectories=6 --imagine.horizon=3 --eval.episodes=5 --log.every=50 --fresh --out=run"
#define JOB_V3                                                                                                         \
    "train dreamer_v3 --config=debug --device=cpu:threads=1 --env.name=cartpole --train.steps=400 --eval.episodes=4 "  \
    "--fresh --out=v3"

static void train(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB), 0);
    assert_int_equal(run(JOB_V3), 0);
}

static void near(double actual, double expected) {
    if (!(fabs(actual - expected) <= 1e-6 * fabs(expected) + 1e-9)) fail_msg("%.9g is not %.9g", actual, expected);
}

/* Everything else in evaluation.json follows from the returns; t is Student's for so many. */
static void check(const char *folder, int episodes, double t, const char *policy) {
    json_t *root = read_json(folder, "evaluation.json"), *list = json_object_get(root, "returns");
    double sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
    char line[128];
    assert_int_equal(json_array_size(list), episodes);
    assert_int_equal(number(root, "episodes"), episodes);
    assert_string_equal(json_string_value(json_object_get(root, "policy")), policy);
    for (int i = 0; i < episodes; i++) {
        const double value = json_number_value(json_array_get(list, (size_t)i));
        sum += value;
        least = fmin(least, value);
        most = fmax(most, value);
    }
    const double mean = sum / episodes;
    for (int i = 0; i < episodes; i++) squares += pow(json_number_value(json_array_get(list, (size_t)i)) - mean, 2);
    const double deviation = sqrt(squares / (episodes - 1)), half = t * deviation / sqrt(episodes);
    assert_true(deviation > 0);
    near(number(root, "mean"), mean);
    near(number(root, "deviation"), deviation);
    near(number(root, "low_95"), mean - half);
    near(number(root, "high_95"), mean + half);
    near(number(root, "least"), least);
    near(number(root, "most"), most);
    snprintf(line, sizeof line, "  returns from %.6g to %.6g; 95%% confidence interval of the mean ", least, most);
    expect("out.txt", line);
    expect("out.txt", "(Student's t)");
    snprintf(line, sizeof line, "return mean %.6g std %.6g n %d\n", mean, deviation, episodes);
    expect("out.txt", line);
    json_decref(root);
}

static char *returns_of(const char *folder) {
    json_t *root = read_json(folder, "evaluation.json");
    char *text = json_dumps(json_object_get(root, "returns"), 0);
    assert_non_null(text);
    json_decref(root);
    return text;
}

static void judged(void **unused) {
    (void)unused;
    static const char *const folders[] = {"run", "v3"};
    for (int i = 0; i < 2; i++) {
        char line[128];
        snprintf(line, sizeof line, "eval %s --episodes=6 --policy=mean", folders[i]);
        assert_int_equal(run(line), 0);
        check(folders[i], 6, 2.5705818366, "mean");
        char *mean = returns_of(folders[i]);
        assert_int_equal(run(line), 0);
        char *again = returns_of(folders[i]);
        assert_string_equal(mean, again);
        snprintf(line, sizeof line, "eval %s --episodes=10 --policy=sample", folders[i]);
        assert_int_equal(run(line), 0);
        check(folders[i], 10, 2.2621571628, "sample");
        char *sample = returns_of(folders[i]);
        assert_string_not_equal(mean, sample);
        snprintf(line, sizeof line, "eval %s --episodes=10 --policy=sample --seed=5", folders[i]);
        assert_int_equal(run(line), 0);
        char *others = returns_of(folders[i]);
        assert_string_not_equal(sample, others);
        free(mean);
        free(again);
        free(sample);
        free(others);
    }
}

/* Seed 0 is that of the evaluation at the end of training. */
static void the_runs_own(void **unused) {
    (void)unused;
    json_t *summary = read_json("run", "summary.json");
    char *own = json_dumps(json_object_get(json_object_get(summary, "evaluation"), "returns"), 0);
    assert_int_equal(run("eval run --episodes=5 --seed=0"), 0);
    char *again = returns_of("run");
    assert_string_equal(own, again);
    free(own);
    free(again);
    json_decref(summary);
}

static void one_episode_has_no_interval(void **unused) {
    (void)unused;
    assert_int_equal(run("eval run --episodes=1"), 0);
    expect("out.txt", "of one episode there is no confidence interval");
    expect("out.txt", " std 0 n 1\n");
    json_t *root = read_json("run", "evaluation.json");
    assert_true(json_is_null(json_object_get(root, "low_95")) && json_is_null(json_object_get(root, "high_95")));
    json_decref(root);
}

static void drawn_again(void **unused) {
    (void)unused;
    if (access("run/plots/returns.png", F_OK) != 0) skip();
    assert_int_equal(run(JOB), 0);
    assert_int_equal(system("cp run/plots/returns.png first.png && rm -r run/plots"), 0);
    assert_int_equal(run("plot run"), 0);
    assert_int_equal(system("cmp run/plots/returns.png first.png"), 0);
    assert_int_equal(run("eval run --episodes=2 --seed=9"), 0);
    assert_int_equal(run("plot run"), 0);
    assert_int_not_equal(system("cmp -s run/plots/returns.png first.png"), 0); /* the evaluation is another */
}

static void mistakes_are_told(void **unused) {
    (void)unused;
    static const mistake mistakes[] = {
        {"eval run --policy=greedy", 3, "mean"},
        {"eval run --episodes=0", 3, "episodes is 0"},
        {"eval run --polcy=mean", 2, "--policy"},
        {"eval bare", 7, "last.safetensors"},
        {"plot torn", 7, "reverie eval"},
    };
    assert_int_equal(system("rm -rf bare torn && mkdir bare torn && cp run/config.yaml bare &&"
                            "cp run/config.yaml run/metrics.jsonl torn && echo '{\"env\": 3}' >torn/evaluation.json"),
                     0);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) expect_mistake(&mistakes[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(train),
    cmocka_unit_test(judged),
    cmocka_unit_test(the_runs_own),
    cmocka_unit_test(one_episode_has_no_interval),
    cmocka_unit_test(drawn_again),
    cmocka_unit_test(mistakes_are_told),
};
RUN_PROGRAM_TESTS(tests)
