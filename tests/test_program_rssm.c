/* `reverie train rssm`: what it leaves behind, how it is judged, and that it remembers. */
#include "tests/program/kills.h"

#define JOB                                                                                                           \
    "train rssm --device=cpu --model.size=debug --model.latent=categorical --data.steps=1000 --train.steps=60 "        \
    "--train.batch=4 --train.length=8 "                                                                              \
    "--eval.episodes=3 --eval.steps=60 --eval.horizon=15 --eval.context=4 --log.every=10 "

static void leaves_a_run_behind(void **unused) {
    (void)unused;
    static const char *const losses[] = {"loss", "reconstruction", "dyn", "rep", "reward", "continue"};
    assert_int_equal(run(JOB "--out=whole --fresh"), 0);
    expect("out.txt", "repeat last");
    json_t *metrics = read_metrics("whole");
    assert_int_equal(json_array_size(metrics), 6);
    const json_t *last = json_array_get(metrics, 5);
    assert_int_equal(number(last, "step"), 60);
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        char name[64];
        snprintf(name, sizeof name, "validation_%s", losses[i]);
        assert_true(number(last, losses[i]) > 0 && number(last, name) > 0);
    }
    json_decref(metrics);
    json_t *summary = read_json("whole", "summary.json");
    assert_string_equal(json_string_value(json_object_get(summary, "kind")), "rssm");
    const json_t *ahead = json_object_get(summary, "open_loop_15");
    assert_true(number(ahead, "model_error") > 0 && number(ahead, "repeat_last_error") > 0);
    assert_true(number(ahead, "linear_error") > 0 && number(ahead, "reward_rmse") > 0);
    json_decref(summary);
    assert_int_equal(access("whole/evaluation.json", F_OK), 0);
    assert_int_equal(run(JOB "--out=whole"), 0);
    expect("out.txt", "finished");
    assert_int_equal(run(JOB "--out=whole --train.length=9"), 3);
    expect("err.txt", "train.length: 8 before, 9 now");
}

static void is_judged_and_drawn(void **unused) {
    (void)unused;
    assert_int_equal(run("eval whole --episodes=3"), 0);
    expect("out.txt", " n 3; predicted mean");
    char *once = read_file("out.txt");
    assert_int_equal(run("eval whole --episodes=3"), 0);
    expect("out.txt", strstr(once, "return mean"));
    free(once);
    assert_int_equal(run("plot whole"), 0);
    assert_int_equal(run("inspect whole/checkpoints/last.safetensors"), 0);
    expect("out.txt", "dyn/hidden");
    expect("out.txt", "kind: rssm");
}

/* Reward for the cue of five steps ago: of the best guess without a memory little is left. */
static void remembers(void **unused) {
    (void)unused;
    assert_int_equal(run("train rssm --config=memory --device=cpu --train.steps=600 --out=memory --fresh"), 0);
    json_t *summary = read_json("memory", "summary.json");
    assert_true(fabs(pow(number(summary, "memoryless_reward_rmse"), 2) - 0.75 * 8 / 15) < 0.06);
    assert_true(number(summary, "reward_error_share") < 0.3);
    json_decref(summary);
}

static void has_both_kinds_of_latents(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB "--out=planet --fresh --config=planet --model.size=planet --model.latent=auto "
                             "--model.deter=8 --model.hidden=6 --model.units=6 --model.stoch=3"),
                     0);
    assert_int_equal(run("inspect planet/checkpoints/last.safetensors"), 0);
    expect("out.txt", "dyn/gru/w_h");
    expect("out.txt", "post/std");
    assert_int_equal(run("config --job=rssm --name=planet"), 0);
    expect("out.txt", "size: planet");
}

static void dry_run_says_what_it_takes(void **unused) {
    (void)unused;
    assert_int_equal(run("train rssm --dry-run --out=none --model.size=size1m --model.latent=categorical"), 0);
    expect("out.txt", "launches");
    expect("out.txt", "bytes with gradients and moments");
    expect("out.txt", "prior/logits/weight");
    assert_int_not_equal(access("none", F_OK), 0);
}

static void mistakes_are_told(void **unused) {
    (void)unused;
    static const mistake mistakes[] = {
        {"train rssm --train.window=3", 2, "train."},
        {"train rssm --model.size=size2m", 3, "size1m"},
        {"train rssm --out=bad --fresh --model.deter=10 --model.blocks=4", 3, "blocks"},
        {"train rssm --out=bad --fresh --data.steps=40 --data.validation=0 --train.length=4000", 3, "4000"},
        {"config --job=rsm", 3, "rsm"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) expect_mistake(&mistakes[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(leaves_a_run_behind),
    cmocka_unit_test(is_judged_and_drawn),
    cmocka_unit_test(remembers),
    cmocka_unit_test(has_both_kinds_of_latents),
    cmocka_unit_test(dry_run_says_what_it_takes),
    cmocka_unit_test(mistakes_are_told),
};
RUN_PROGRAM_TESTS(tests)
