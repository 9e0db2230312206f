/* Settings: YAML files, the command line, named configs, what is refused and how it is said. */
#include "tests/program/program.h"

#include "reverie/recipe.h"

/* ---- files that are refused ------------------------------------------------------------------------------ */

static void bad_files(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        int code;
        const char *words;
    } cases[] = {
        {"", 3, "bad.yaml:1: the file is empty"},
        {"# nothing but a comment\n", 3, "the file is empty"},
        {"train:\n  steps: 5\n  stesp: 6\n", 3, "bad.yaml:3: no key \"train.stesp\"; the nearest is train.steps"},
        {"seed: 1\nsteps: 5\n", 3, "bad.yaml:2: no key \"steps\""},
        {"train:\n  steps: many\n", 3, "bad.yaml:2: train.steps is \"many\", must be a whole number"},
        {"train:\n  steps: \"5\"\n", 3, "bad.yaml:2: train.steps is the text \"5\"; write it without quotes"},
        {"train:\n  steps: [5]\n", 3, "bad.yaml:2: train.steps is a list, must be one value"},
        {"train:\n  steps: 0\n", 3, "bad.yaml:2: train.steps is 0, must lie between 1 and 1000000000"},
        {"train:\n  learning_rate: 0,001\n", 3, "must be a number"},
        {"train:\n  learning_rate: .inf\n", 3, "must be a number"},
        {"train:\n  learning_rate:\n", 3, "bad.yaml:2: train.learning_rate has no value"},
        {"train:\n  learning_rate: ~\n", 3, "has no value"},
        {"data:\n  policy: clever\n", 3,
         "bad.yaml:2: data.policy is \"clever\", must be one of: random scripted mixed"},
        {"model:\n  continue: yes\n", 3, "bad.yaml:2: model.continue is \"yes\", must be true or false"},
        {"model:\n  vae_hidden: [128, [64]]\n", 3, "a list holds plain values only"},
        {"model:\n  vae_hidden: [1,2,3,4,5,6,7,8]\n", 3, "up to seven"},
        {"model:\n  vae_hidden: []\n", 3, "up to seven"},
        {"seed: 1\nseed: 2\n", 3, "bad.yaml:2: seed stands here again; line 1 has it already"},
        {"train.steps: 5\ntrain:\n  steps: 6\n", 3, "bad.yaml:3: train.steps stands here again"},
        {"seed: &one 1\n", 3, "bad.yaml:1: an anchor (&one)"},
        {"seed: &one 1\ndata:\n  steps: *one\n", 3, "an anchor"},
        {"train: &t {steps: 5}\n", 3, "an anchor"},
        {"seed: *one\n", 3, "an alias (*one)"},
        {"seed: !!int 1\n", 3, "a tag"},
        {"- seed\n- 1\n", 3, "bad.yaml:1: no config"},
        {"just words\n", 3, "no config"},
        {"seed: 1\n---\nseed: 2\n", 3, "a second document"},
        {"seed: 1\n  nonsense: [\n", 3, "bad.yaml:2: "},
        {"? [a, b]\n: 1\n", 3, "a key must be a name"},
        {"\"a\\0b\": 1\n", 3, "a zero byte"},
        {"a: {b: {c: {d: {e: {f: 1}}}}}\n", 3, "nested too deeply"},
        {"env:\n  name: continuous_cartpole\n  forse: 3\n", 3, "bad.yaml:3: "},
        {"env:\n  force: strong\n", 3, "bad.yaml:2: env.force is \"strong\", must be a number"},
        {"env:\n  name: continuous_carpole\n", 3, "nearest is \"continuous_cartpole\""},
        {"config: tuned\n", 3, "bad.yaml:1: config is \"tuned\", must be one of: default course"},
        {"job: dreams\n", 2, "no training job \"dreams\""},
        {"\x80\xff\n", 3, "bad.yaml:1: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file("bad.yaml", cases[i].text);
        int code = run("train bad.yaml --out=never");
        char *said = read_file("err.txt");
        if (code != cases[i].code || !strstr(said, cases[i].words)) {
            fail_msg("\"%s\" exits with %d and says:\n%s", cases[i].text, code, said);
        }
        free(said);
    }
    assert_int_equal(run("train missing.yaml"), 7);
    expect("err.txt", "missing.yaml");
    assert_int_equal(run("train ./"), 7);
    assert_int_not_equal(access("never", F_OK), 0); /* refused before any work */
}

static void an_alias_cannot_explode(void **unused) {
    (void)unused;
    FILE *file = fopen("bomb.yaml", "w");
    assert_non_null(file);
    for (int i = 0; i < 100000; i++) fputc('[', file);
    fclose(file);
    assert_int_equal(run("train bomb.yaml"), 3);
}

static void a_text_has_its_bounds(void **unused) {
    (void)unused;
    FILE *file = fopen("long.yaml", "w");
    assert_non_null(file);
    fprintf(file, "env:\n  name: \"%01100d\"\n", 0);
    fclose(file);
    assert_int_equal(run("train long.yaml"), 3);
    expect("err.txt", "long.yaml:2: env.name");
    expect("err.txt", "less than 1,024 bytes");
}

/* ---- files that are read --------------------------------------------------------------------------------------- */

static void expect_config(const char *folder, const char *line) {
    char path[256];
    snprintf(path, sizeof path, "%s/config.yaml", folder);
    expect(path, line);
}

static void a_file_and_flags(void **unused) {
    (void)unused;
    write_file(
        "good.yaml",
        "# a small run\nconfig: course\ndevice: cpu\nseed: 0x10\nenv: {name: continuous_cartpole, force: 9.5}\n"
        "data.steps: 6e2\ntrain:\n  steps: 20\n  batch: 8\n  learning_rate: 1e-4\nmodel:\n  vae_hidden: [32, 16]\n"
        "eval: {episodes: 2, steps: 60, horizon: 10}\nlog.every: 10\n");
    assert_int_equal(run("train good.yaml --out=file --fresh --train.batch=16"), 3); /* no hexadecimal */
    expect("err.txt", "good.yaml:4: seed");
    assert_int_equal(system("sed -i s/0x10/16/ good.yaml"), 0);
    assert_int_equal(run("train good.yaml --out=file --fresh --train.batch=16"), 0);
    expect_config("file", "seed: 16                                # good.yaml:4");
    expect_config("file", "  force: 9.5                            # good.yaml:5");
    expect_config("file", "  steps: 600                            # good.yaml:6");
    expect_config("file", "  batch: 16                             # command line");
    expect_config("file", "  learning_rate: 0.0001                 # good.yaml:10");
    expect_config("file", "  vae_hidden: [32,16]                   # good.yaml:12");
    expect_config("file", "  latent: 32                            # config course");
    expect_config("file", "  weight_decay: 0                       # default");
    expect_config("file", "  max_steps: 500                        # default");
    /* the resolved file is one itself, and gives the same run */
    assert_int_equal(run("train file/config.yaml --out=copy --fresh"), 0);
    json_t *one = read_metrics("file"), *two = read_metrics("copy");
    assert_true(json_equal(one, two));
    json_decref(one);
    json_decref(two);
    assert_int_equal(run("train file/config.yaml"), 0); /* it names its own folder: finished */
    expect("out.txt", "finished");
}

static void odd_folder_names(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model " SMALL "--out='a: \"b\" #c\\d' --fresh --train.steps=10"), 0);
    assert_int_equal(run("train world_model " SMALL "--out='a: \"b\" #c\\d' --train.steps=10"),
                     0); /* its config reads back */
    expect("out.txt", "finished");
}

/* ---- named configs ---------------------------------------------------------------------------------------------- */

static double number_of(const char *config, const char *key) {
    char line[128];
    snprintf(line, sizeof line, "\n%s: ", key);
    const char *at = strstr(config, line);
    if (!at) fail_msg("no line \"%s\" in:\n%s", key, config);
    return strncmp(at + strlen(line), "true", 4) == 0 ? 1.0 : strtod(at + strlen(line), NULL);
}

static void same(double written, double wanted) {
    if (fabs(written - wanted) > 1e-6 * fabs(wanted)) fail_msg("%g, not %g", written, wanted);
}

/* The program's values are the library's recipes. */
static void configs_are_the_recipes(void **unused) {
    (void)unused;
    static const char *const names[] = {"default", "course"};
    for (int i = 0; i < 2; i++) {
        char command[64];
        snprintf(command, sizeof command, "config --name=%s", names[i]);
        assert_int_equal(run(command), 0);
        /* only one group has each of these keys, so the first will do */
        char *text = read_file("out.txt");
        const rv_world_model_recipe *r = rv_world_model_recipe_find(names[i]);
        const char *data = strstr(text, "\ndata:") + 1, *model = strstr(text, "\nmodel:") + 1,
                   *train = strstr(text, "\ntrain:") + 1;
        same(number_of(data, "  steps"), (double)r->data_steps);
        same(number_of(data, "  validation"), r->validation);
        same(number_of(model, "  latent"), (double)r->model.latent_size);
        same(number_of(model, "  continue"), r->model.continues);
        same(number_of(model, "  linear_path"), r->model.linear_path);
        same(number_of(model, "  normalise_reward"), r->model.normalise_reward);
        same(number_of(model, "  calibrated"), r->model.calibrated);
        same(number_of(model, "  deterministic"), r->model.deterministic);
        same(number_of(model, "  absolute"), r->model.absolute);
        same(number_of(train, "  steps"), (double)r->updates);
        same(number_of(train, "  batch"), (double)r->trainer.batch);
        same(number_of(train, "  window"), (double)r->trainer.window);
        same(number_of(train, "  prediction_weight"), fmax((double)r->trainer.prediction_weight, 0.0));
        same(number_of(train, "  learning_rate"), (double)r->trainer.learning_rate);
        same(number_of(train, "  learning_rate_warmup"), (double)r->trainer.learning_rate_warmup);
        same(number_of(train, "  learning_rate_decay"), r->trainer.learning_rate_decay == r->updates);
        same(number_of(train, "  weight_decay"), (double)r->trainer.adamw.weight_decay);
        same(number_of(train, "  clip"), (double)r->trainer.clip);
        same(number_of(train, "  kl_weight"), (double)r->trainer.kl_weight);
        same(number_of(train, "  kl_warmup"), (double)r->trainer.kl_warmup);
        free(text);
        expect("out.txt", "  vae_hidden: [128,64] ");
        expect("out.txt", "  dynamics_hidden: [128,64] ");
        expect("out.txt", "  reward_hidden: [64,32] ");
    }
    assert_int_equal(run("config --name=tuned"), 3);
}

/* As YAML wants it: what stands in the first column, a key or the name of a group of keys, stands there once. */
static void groups_stand_together(void **unused) {
    (void)unused;
    static const char *const jobs[] = {"world_model", "rssm", "dreamer", "dreamer_v3"};
    for (size_t j = 0; j < sizeof jobs / sizeof *jobs; j++) {
        char command[64], seen[4096] = " ";
        snprintf(command, sizeof command, "config --job=%s", jobs[j]);
        assert_int_equal(run(command), 0);
        char *text = read_file("out.txt");
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
            char key[64] = " ";
            const size_t length = strcspn(line, ":");
            if (line[0] == ' ' || line[0] == '#' || !line[length] || length > 60) continue;
            snprintf(key + 1, sizeof key - 2, "%.*s ", (int)length, line);
            if (strstr(seen, key)) fail_msg("%s: \"%s\" stands there twice", jobs[j], line);
            assert_true(strlen(seen) + strlen(key) < sizeof seen);
            strcat(seen, key + 1);
        }
        assert_non_null(strstr(seen, " train "));
        free(text);
    }
}

static void keys_are_explained(void **unused) {
    (void)unused;
    assert_int_equal(run("config --explain train.learning_rate"), 0);
    expect("out.txt", "default   2e-3");
    expect("out.txt", "course    1e-3");
    expect("out.txt", "--train.learning_rate=2e-3");
    assert_int_equal(run("config --explain=env.force"), 0);
    expect("out.txt", "of continuous_cartpole");
    assert_int_equal(run("config --explain train.learning_rat"), 2);
    expect("err.txt", "the nearest is train.learning_rate");
    assert_int_equal(run("config --help"), 0);
    expect("out.txt", "course");
    /* what it lists is a file that train reads */
    assert_int_equal(run("config"), 0);
    assert_int_equal(system("cp out.txt listed.yaml"), 0);
    assert_int_equal(run("train listed.yaml --dry-run"), 0);
}

/* The example of docs/program.md. */
static void the_manual_is_right(void **unused) {
    (void)unused;
    char *page = read_file(RV_TEST_DIR "/../docs/program.md"), *begin = strstr(page, "```yaml\n") + 8;
    *strstr(begin, "```") = '\0';
    write_file("manual.yaml", begin);
    free(page);
    assert_int_equal(run("train manual.yaml --dry-run"), 0);
    assert_int_equal(run("train manual.yaml --dry-run --train.steps 5"), 0);
    assert_int_equal(run("train manual.yaml --dry-run train.steps=5"), 0);
}

static void data_of_your_own(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model " SMALL "--out=own --fresh --data.save"), 0);
    assert_int_equal(run("train world_model " SMALL "--out=theirs --fresh --data.file=own/data.npz"), 0);
    json_t *one = read_metrics("own"), *two = read_metrics("theirs");
    assert_true(json_equal(one, two)); /* the same data, the same training */
    json_decref(one);
    json_decref(two);
    static const struct {
        const char *file;
        int code;
    } cases[] = {
        {"bad_nan.npz", 4}, {"bad_empty.npz", 4}, {"bad_foreign.npz", 4}, {"bad_objects.npz", 4}, {"missing.npz", 7}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char arguments[1024];
        snprintf(arguments, sizeof arguments,
                 "train world_model " SMALL "--out=own --fresh --data.file=" RV_TEST_DIR "/golden/dataset/%s",
                 cases[i].file);
        int code = run(arguments);
        if (code != cases[i].code) fail_msg("%s exits with %d", cases[i].file, code);
        expect("err.txt", cases[i].file);
    }
    assert_int_equal(access("own/summary.json", F_OK), 0); /* the run that was to be replaced is still there */
    assert_int_equal(
        run("train world_model " SMALL "--out=own --fresh --data.file=own/data.npz --env.name=continuous_pendulum"), 4);
    expect("err.txt", "env.name");
}

static void wrapped_environments(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model " SMALL
                         "--out=wrapped --fresh --wrap.frame_stack=2 --wrap.action_repeat=2 --wrap.time_limit=40 "
                         "--wrap.reward_scale=0.5"),
                     0);
    json_t *summary = read_json("wrapped", "summary.json");
    assert_int_equal(json_object_size(json_object_get(summary, "change_r2")), 8);
    json_decref(summary);
}

static void a_dry_run_does_nothing(void **unused) {
    (void)unused;
    assert_int_equal(run("train world_model --dry-run --out=dry --device=cpu"), 0);
    static const char *const words[] = {"Weights", "Arena", "Data", "launches", "[64, 4]", "Nothing was"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) expect("out.txt", words[i]);
    assert_int_not_equal(access("dry", F_OK), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(bad_files),
    cmocka_unit_test(an_alias_cannot_explode),
    cmocka_unit_test(a_text_has_its_bounds),
    cmocka_unit_test(a_file_and_flags),
    cmocka_unit_test(odd_folder_names),
    cmocka_unit_test(configs_are_the_recipes),
    cmocka_unit_test(groups_stand_together),
    cmocka_unit_test(keys_are_explained),
    cmocka_unit_test(the_manual_is_right),
    cmocka_unit_test(data_of_your_own),
    cmocka_unit_test(wrapped_environments),
    cmocka_unit_test(a_dry_run_does_nothing),
};
RUN_PROGRAM_TESTS(tests)
