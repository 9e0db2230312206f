/* `reverie train dreamer`: what it leaves behind, how it goes on, how its runs are judged and drawn. */
#include "tests/program/kills.h"

#include "reverie/dreamer.h"

#define JOB                                                                                                            \
    "train dreamer --device=cpu --train.steps=600 --train.prefill=100 --train.update_every=2 --model.latent=4 "        \
    "--model.vae_hidden=12 --model.dynamics_hidden=12 --model.reward_hidden=8 --model.continue_hidden=8 "             \
    "--actor.hidden=12 --critic.hidden=12 --train.batch=6 --train.window=3 --imagine.trajectories=6 "                 \
    "--imagine.horizon=3 --eval.episodes=4 --log.every=50 "

static void leaves_a_run_behind(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB "--out=whole --fresh"), 0);
    expect("out.txt", "return mean");
    json_t *summary = read_json("whole", "summary.json"), *evaluation = json_object_get(summary, "evaluation");
    assert_int_equal(number(summary, "env_steps"), 600);
    assert_int_equal(number(summary, "updates"), 250);
    assert_int_equal(number(summary, "episodes"), 3);
    json_t *returns = json_object_get(evaluation, "returns");
    assert_int_equal(json_array_size(returns), 4);
    double sum = 0, mean = number(evaluation, "mean");
    for (size_t i = 0; i < 4; i++) sum += json_number_value(json_array_get(returns, i));
    assert_true(fabs(sum / 4 - mean) < 1e-6 * fabs(mean) && mean < 0);
    assert_true(number(evaluation, "low_95") < mean && mean < number(evaluation, "high_95"));
    json_decref(summary);

    json_t *metrics = read_metrics("whole");
    assert_int_equal(json_array_size(metrics), 12);
    const json_t *first = json_array_get(metrics, 0), *last = json_array_get(metrics, 11);
    assert_int_equal(number(first, "step"), 50);
    assert_true(json_is_null(json_object_get(first, "return")) && json_is_null(json_object_get(first, "loss")));
    assert_true(number(last, "return") < 0 && number(last, "length") == 200 && number(last, "loss") > 0);
    json_decref(metrics);
    assert_int_equal(run(JOB "--out=whole"), 0);
    expect("out.txt", "finished");
}

static void is_judged_and_drawn(void **unused) {
    (void)unused;
    assert_int_equal(run("eval whole --episodes=3"), 0);
    expect("out.txt", "confidence interval");
    expect("out.txt", " n 3");
    char *mode = read_file("out.txt");
    assert_int_equal(run("eval whole --episodes=3"), 0);
    char *again = read_file("out.txt");
    assert_string_equal(mode, again);
    assert_int_equal(run("eval whole --episodes=3 --policy=sample"), 0);
    char *drawn = read_file("out.txt");
    assert_string_not_equal(mode, drawn);
    free(mode);
    free(again);
    free(drawn);
    assert_int_equal(run("plot whole"), 0);
    assert_int_equal(run("eval whole --horizon=3"), 2); /* a world model's option */
}

static void choices_are_learnt_too(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB "--out=choices --fresh --env.name=cartpole --train.environments=3"), 0);
    json_t *summary = read_json("choices", "summary.json");
    assert_int_equal(number(summary, "env_steps"), 600);
    assert_true(number(summary, "episodes") > 3);
    json_decref(summary);
}

/* At the first line after the first update; a run that was killed behind it ends there too. */
static void stops_when_it_is_good_enough(void **unused) {
    (void)unused;
    assert_int_equal(run(JOB "--out=stopped --fresh --stop.return=-3000"), 0);
    expect("out.txt", "stop.return");
    expect("out.txt", "mean of 20 fresh episodes");
    json_t *summary = read_json("stopped", "summary.json"), *metrics = read_metrics("stopped");
    assert_int_equal(number(summary, "env_steps"), 150);
    assert_int_equal(json_array_size(metrics), 3);
    assert_true(json_is_null(json_object_get(json_array_get(metrics, 1), "evaluation")));
    assert_true(number(json_array_get(metrics, 2), "evaluation") >= -3000);
    assert_int_equal(remove("stopped/summary.json"), 0);
    assert_int_equal(run(JOB "--out=stopped --stop.return=-3000"), 0);
    expect("out.txt", "resuming");
    json_t *again = read_json("stopped", "summary.json");
    assert_int_equal(number(again, "env_steps"), 150);
    assert_string_equal(json_string_value(json_object_get(again, "state_sha256")),
                        json_string_value(json_object_get(summary, "state_sha256")));
    json_decref(again);
    json_decref(metrics);
    json_decref(summary);
    assert_int_equal(run(JOB "--out=stopped --stop.return=-2000"), 3); /* another run */
    assert_int_equal(run(JOB "--out=on --fresh --stop.return=0"), 0); /* no pendulum reaches that */
    summary = read_json("on", "summary.json");
    assert_int_equal(number(summary, "env_steps"), 600);
    json_decref(summary);
}

static void dry_run_says_what_it_takes(void **unused) {
    (void)unused;
    int64_t bytes;
    char words[64];
    assert_int_equal(run("train dreamer --dry-run --train.steps=12345"), 0);
    rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
    rv_env_spaces spaces = {.size = sizeof spaces};
    rv_env *env;
    assert_int_equal(rv_env_create("continuous_pendulum", 1, NULL, 0, &env), RV_OK);
    assert_int_equal(rv_env_spaces_get(env, &spaces), RV_OK);
    options.steps = 12345;
    assert_int_equal(rv_dreamer_replay_bytes(&options, &spaces, 1, &bytes), RV_OK);
    snprintf(words, sizeof words, "%d,%03d bytes", (int)(bytes / 1000), (int)(bytes % 1000));
    expect("out.txt", words);
    expect("out.txt", "12,345 steps");
    rv_env_destroy(env);
}

static void mistakes_are_told(void **unused) {
    (void)unused;
    static const mistake mistakes[] = {
        {"train dreamer --train.stepps=3", 2, "train.steps"},
        {"train dreamer --train.window=65", 3, "train.window"},
        {"train dreamer --out=bad --fresh --critic.bins=4", 3, "critic_bins"},
        {"train dreamer --out=bad --fresh --train.prefill=2", 3, "prefill"},
        {"train dreamer --env.name=nowhere", 3, "nowhere"},
        {"train dream", 2, "dreamer"},
        {JOB "--out=whole --imagine.horizon=4", 3, "imagine.horizon: 3 before, 4 now"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) expect_mistake(&mistakes[i]);
    assert_int_equal(run(JOB "--out=torn --fresh --train.steps=300"), 0);
    assert_int_equal(system("rm torn/summary.json; : >torn/metrics.jsonl"), 0);
    assert_int_equal(run(JOB "--out=torn --train.steps=300"), 7);
    expect("err.txt", "lacks lines");
}

/* The program's values are the library's recipes. */
static void configs_are_the_recipes(void **unused) {
    (void)unused;
    int count;
    const rv_dreamer_recipe *list = rv_dreamer_recipe_list(&count);
    for (int i = 0; i < count; i++) {
        const rv_dreamer_options *o = &list[i].options;
        char line[128], words[64];
        snprintf(line, sizeof line, "config --job=dreamer --name=%s", list[i].name);
        assert_int_equal(run(line), 0);
        const struct {
            const char *key;
            double value;
        } rows[] = {
            {"steps", (double)o->steps},
            {"prefill", (double)o->prefill},
            {"update_every", (double)o->update_every},
            {"updates_each", (double)o->updates_each},
            {"capacity", (double)o->replay},
            {"latent", (double)o->model.latent_size},
            {"batch", (double)o->batch},
            {"window", (double)o->window},
            {"prediction_weight", fmax((double)o->prediction_weight, 0)},
            {"kl_weight", (double)o->kl_weight},
            {"trajectories", (double)o->imagined},
            {"horizon", (double)o->horizon},
            {"gamma", (double)o->gamma},
            {"lambda", (double)o->lambda},
            {"entropy", (double)o->entropy_weight},
            {"bins", fmax((double)o->critic_bins, 0)},
            {"slow_rate", (double)o->slow_rate},
        };
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            snprintf(words, sizeof words, "\n  %s: %.6g ", rows[r].key, rows[r].value);
            if (rows[r].value >= 1e6) snprintf(words, sizeof words, "\n  %s: %.0f ", rows[r].key, rows[r].value);
            expect("out.txt", words);
        }
        const struct {
            const char *key;
            bool value;
        } flags[] = {{"linear_path", o->model.linear_path},
                     {"continue", o->model.continues},
                     {"normalise_reward", o->model.normalise_reward},
                     {"draw", o->draw_latents},
                     {"normalise", !o->raw_returns},
                     {"rms_norm", !o->plain},
                     {"symlog", o->symlog_value},
                     {"learning_rate_decay", !o->constant_rates}};
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++) {
            snprintf(words, sizeof words, "\n  %s: %s ", flags[f].key, flags[f].value ? "true" : "false");
            expect("out.txt", words);
        }
        const float rates[][2] = {{o->model_rate, o->model_clip}, {o->actor_rate, o->actor_clip},
                                  {o->critic_rate, o->critic_clip}};
        char *text = read_file("out.txt"), *at = text;
        for (int set = 0; set < 3; set++) {
            at = strstr(at, "learning_rate: ");
            assert_non_null(at);
            assert_true((float)atof(at + 15) == rates[set][0]);
            at = strstr(at, "clip: ");
            assert_non_null(at);
            assert_true((float)atof(at + 6) == rates[set][1]);
        }
        free(text);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(leaves_a_run_behind),
    cmocka_unit_test(is_judged_and_drawn),
    cmocka_unit_test(choices_are_learnt_too),
    cmocka_unit_test(stops_when_it_is_good_enough),
    cmocka_unit_test(dry_run_says_what_it_takes),
    cmocka_unit_test(mistakes_are_told),
    cmocka_unit_test(configs_are_the_recipes),
};
RUN_PROGRAM_TESTS(tests)
