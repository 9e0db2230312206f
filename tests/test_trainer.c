/* The trainer: learns, repeats, resumes, and stops at bad numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reverie/random.h"
#include "reverie/trainer.h"

enum { N = 300, O = 4, A = 1 };

static float observation[N * O], action[N * A], reward[N], next_observation[N * O];
static const rv_transitions data = {.steps = N, .observation_size = O, .action_size = A, .observation = observation, .action = action,
                                    .reward = reward, .next_observation = next_observation};

/* A linear world with a product for a reward. */
static int make_data(void **state) {
    (void)state;
    rv_random_normal(1, 0, "observation", 0, N, O, observation);
    rv_random_uniform(1, 0, "action", 0, N, A, action);
    for (int r = 0; r < N; r++) {
        for (int c = 0; c < O; c++) {
            next_observation[r * O + c] = 0.9f * observation[r * O + c] + 0.2f * observation[r * O + (c + 1) % O] + 0.3f * action[r];
        }
        reward[r] = action[r] * observation[r * O];
    }
    return 0;
}

typedef struct rv_run {
    rv_device *device;
    rv_world_model *model;
    rv_trainer *trainer;
} rv_run;

static rv_run start(const char *resource, const rv_trainer_options *options) {
    rv_run run;
    if (rv_device_open(resource, NULL, &run.device) != RV_OK) fail_msg("%s", rv_device_message(run.device));
    rv_world_model_options sizes = {.size = sizeof sizes, .observation_size = O, .action_size = A, .latent_size = 8,
                                    .vae_hidden = {1, {32}}, .dynamics_hidden = {1, {32}}, .reward_hidden = {1, {16}}};
    if (rv_world_model_create(run.device, &sizes, 2, &run.model) != RV_OK) fail_msg("%s", rv_world_model_message(run.model));
    assert_int_equal(rv_world_model_normalise_by(run.model, &data), RV_OK);
    if (rv_trainer_create(run.model, &data, options, &run.trainer) != RV_OK) fail_msg("%s", rv_trainer_message(run.trainer));
    return run;
}

static void stop(rv_run run) {
    rv_trainer_destroy(run.trainer);
    rv_world_model_destroy(run.model);
    rv_device_close(run.device);
}

static void weights(rv_run run, rv_params_part part, float *out) {
    assert_int_equal(rv_array_read(rv_params_array(rv_world_model_params(run.model), part), 0, 1, out), RV_OK);
}

enum { MANY = 1 << 15 };
static int64_t flat(rv_run run) {
    int64_t size = rv_array_cols(rv_params_array(rv_world_model_params(run.model), RV_VALUE));
    assert_true(size <= MANY);
    return size;
}

static const char *const devices[] = {"cpu:threads=1", "cpu:threads=3", "cpu:isa=baseline", "cpu:reference", "check:cpu"};

static void learns_on_every_device(void **state) {
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        rv_run run = start(devices[d], NULL);
        rv_metric first[RV_TRAINER_METRICS], last[RV_TRAINER_METRICS];
        assert_int_equal(rv_trainer_run(run.trainer, 10), RV_OK);
        assert_int_equal(rv_trainer_metrics(run.trainer, first), RV_OK);
        assert_int_equal(rv_trainer_run(run.trainer, 140), RV_OK);
        assert_int_equal(rv_trainer_metrics(run.trainer, last), RV_OK);
        assert_string_equal(first[0].name, "loss");
        for (int m = 0; m < RV_TRAINER_METRICS; m++) assert_true(isfinite(last[m].value));
        if (!(last[0].value < 0.8f * first[0].value)) fail_msg("%s: loss %g after %g", devices[d], (double)last[0].value, (double)first[0].value);
        assert_int_equal(rv_trainer_steps(run.trainer), 150);
        stop(run);
    }
}

static void threads_and_runs_give_the_same_bits(void **state) {
    (void)state;
    static float first[MANY], other[MANY];
    const char *const same[] = {"cpu:threads=1", "cpu:threads=2", "cpu:threads=3", "cpu:threads=2"};
    for (size_t d = 0; d < sizeof same / sizeof *same; d++) {
        rv_run run = start(same[d], NULL);
        assert_int_equal(rv_trainer_run(run.trainer, 50), RV_OK);
        weights(run, RV_VALUE, d ? other : first);
        if (d) assert_memory_equal(first, other, (size_t)flat(run) * sizeof *first);
        stop(run);
    }
}

static void metrics_are_means_since_the_last_call(void **state) {
    (void)state;
    rv_run one = start("cpu", NULL), all = start("cpu", NULL);
    rv_metric single[RV_TRAINER_METRICS], mean[RV_TRAINER_METRICS];
    double sum = 0;
    for (int i = 0; i < 7; i++) {
        assert_int_equal(rv_trainer_run(one.trainer, 1), RV_OK);
        assert_int_equal(rv_trainer_metrics(one.trainer, single), RV_OK);
        sum += (double)single[0].value;
    }
    assert_int_equal(rv_trainer_metrics(one.trainer, single), RV_WRONG_STATE);
    assert_int_equal(rv_trainer_run(all.trainer, 7), RV_OK);
    assert_int_equal(rv_trainer_metrics(all.trainer, mean), RV_OK);
    assert_true(fabs(sum / 7 - (double)mean[0].value) < 1e-6);
    stop(one);
    stop(all);
}

static rv_checkpoint *describe(rv_run run) {
    rv_checkpoint *file;
    assert_int_equal(rv_checkpoint_create(run.device, &file), RV_OK);
    if (rv_trainer_checkpoint(run.trainer, file) != RV_OK) fail_msg("%s", rv_trainer_message(run.trainer));
    return file;
}

static void a_loaded_checkpoint_goes_on_as_if_nothing_happened(void **state) {
    (void)state;
    static float whole[MANY], resumed[MANY];
    char path[] = "/tmp/reverie-trainer-XXXXXX";
    close(mkstemp(path));
    rv_run run = start("cpu", NULL);
    assert_int_equal(rv_trainer_run(run.trainer, 20), RV_OK);
    rv_checkpoint *file = describe(run);
    if (rv_checkpoint_save(file, path) != RV_OK) fail_msg("%s", rv_checkpoint_message(file));
    rv_checkpoint_destroy(file);
    assert_int_equal(rv_trainer_run(run.trainer, 20), RV_OK);

    rv_run again = start("cpu:threads=3", NULL);
    file = describe(again);
    if (rv_checkpoint_load(file, path) != RV_OK) fail_msg("%s", rv_checkpoint_message(file));
    rv_checkpoint_destroy(file);
    assert_int_equal(rv_trainer_run(again.trainer, 20), RV_OK);
    for (int part = RV_VALUE; part <= RV_MOMENT2; part++) {
        weights(run, (rv_params_part)part, whole);
        weights(again, (rv_params_part)part, resumed);
        assert_memory_equal(whole, resumed, (size_t)flat(run) * sizeof *whole);
    }
    rv_metric a[RV_TRAINER_METRICS], b[RV_TRAINER_METRICS];
    assert_int_equal(rv_trainer_metrics(again.trainer, b), RV_OK);
    assert_int_equal(rv_trainer_run(run.trainer, 0), RV_OK);
    assert_int_equal(rv_trainer_metrics(run.trainer, a), RV_OK);
    assert_true(isfinite(b[0].value) && b[0].value < a[0].value); /* a's mean holds the first 20 too */
    stop(run);
    stop(again);
    unlink(path);
}

/* ---- windows, schedule, validation, the loop ---- */

static float metric(const rv_trainer *trainer, const float *values, const char *name) {
    for (int m = 0; m < rv_trainer_metric_count(trainer); m++) {
        if (strcmp(rv_trainer_metric_name(trainer, m), name) == 0) return values[m];
    }
    fail_msg("no metric %s", name);
    return 0;
}

static void the_learning_rate_follows_its_schedule(void **state) {
    (void)state;
    enum { WARMUP = 4, DECAY = 20 };
    /* Without gradient AdamW only decays the weights: by rate * weight_decay. */
    rv_trainer_options options = {.size = sizeof options, .learning_rate = 0.1f, .clip = 1e-30f, .learning_rate_warmup = WARMUP,
                                  .learning_rate_decay = DECAY, .adamw = {.weight_decay = 1, .eps = 1e6f}};
    rv_run run = start("cpu", &options);
    static float before[MANY], after[MANY];
    for (int update = 0; update < DECAY + 2; update++) {
        weights(run, RV_VALUE, before);
        assert_int_equal(rv_trainer_run(run.trainer, 1), RV_OK);
        weights(run, RV_VALUE, after);
        double wanted = 0.1 * fmin(1, (update + 1.0) / WARMUP) * 0.5 * (1 + cos(3.14159265358979 * fmin(1, (double)update / DECAY)));
        double sum = 0, moved = 0;
        for (int64_t i = 0; i < flat(run); i++) {
            sum += fabs((double)before[i]);
            moved += fabs((double)before[i]) - fabs((double)after[i]);
        }
        if (!(fabs(moved / sum - wanted) < 1e-5)) fail_msg("update %d: rate %g, not %g", update, moved / sum, wanted);
    }
    stop(run);
}

/* Windows of 3 over episodes of 2 steps: what follows an episode must count for nothing. */
static void windows_end_with_their_episode(void **state) {
    (void)state;
    enum { LENGTH = 2 };
    uint8_t truncated[N];
    for (int t = 0; t < N; t++) truncated[t] = t % LENGTH == LENGTH - 1;
    rv_transitions cut = data, other = data;
    static float elsewhere[N * O];
    memcpy(elsewhere, next_observation, sizeof elsewhere);
    for (int t = 0; t < N; t++) {
        for (int c = 0; c < O && t % LENGTH == 0; c++) elsewhere[t * O + c] += 100; /* the first step of each episode */
    }
    cut.truncated = truncated;
    other.truncated = truncated;
    other.next_observation = elsewhere;
    /* from the second row on, so that the one window of validation begins at the last step of an episode */
    rv_transitions views[2] = {cut, other};
    float loss[2];
    for (int v = 0; v < 2; v++) {
        views[v].steps = N - 1;
        views[v].observation += O, views[v].action += A, views[v].reward += 1, views[v].next_observation += O, views[v].truncated += 1;
        rv_trainer_options options = {.size = sizeof options, .window = 3, .validation = &views[v], .validation_batch = 1};
        rv_run run = start("cpu", &options);
        rv_metric metrics[RV_TRAINER_METRICS];
        assert_int_equal(rv_trainer_validate(run.trainer, metrics), RV_OK);
        assert_int_equal(rv_trainer_metric_count(run.trainer), 7);
        assert_string_equal(metrics[6].name, "prediction");
        assert_string_equal(metrics[7].name, "");
        loss[v] = metrics[0].value;
        stop(run);
    }
    assert_true(isfinite(loss[0]) && loss[0] == loss[1]);
}

static void a_longer_window_sees_the_rest_of_the_episode(void **state) {
    (void)state;
    float loss[2];
    static float elsewhere[N * O];
    memcpy(elsewhere, next_observation, sizeof elsewhere);
    for (int c = 0; c < O; c++) elsewhere[2 * O + c] += 100;
    for (int v = 0; v < 2; v++) {
        rv_transitions view = data;
        if (v) view.next_observation = elsewhere;
        rv_trainer_options options = {.size = sizeof options, .window = 3, .validation = &view, .validation_batch = 1};
        rv_run run = start("cpu", &options);
        rv_metric metrics[RV_TRAINER_METRICS];
        assert_int_equal(rv_trainer_validate(run.trainer, metrics), RV_OK);
        loss[v] = metrics[0].value;
        stop(run);
    }
    assert_true(loss[1] > 10 * loss[0]);
}

typedef struct rv_seen {
    int64_t reports, cancel_at, last;
} rv_seen;

static int see(void *user, const rv_trainer_report *report) {
    rv_seen *seen = user;
    assert_int_equal(report->updates, 60);
    assert_true(report->update > seen->last);
    seen->last = report->update;
    return ++seen->reports == seen->cancel_at;
}

static void fitting_reports_validates_and_can_be_cancelled(void **state) {
    (void)state;
    rv_trainer_options options = {.size = sizeof options, .window = 2, .validation = &data};
    rv_run run = start("cpu", &options);
    rv_seen seen = {.cancel_at = 2};
    rv_fit_options fit = {.size = sizeof fit, .updates = 60, .every = 25, .progress = see, .user = &seen};
    assert_int_equal(rv_trainer_fit(run.trainer, &fit), RV_CANCELLED);
    assert_int_equal(rv_trainer_steps(run.trainer), 50);
    assert_int_equal(rv_trainer_fit(run.trainer, &fit), RV_OK); /* goes on */
    assert_int_equal(rv_trainer_steps(run.trainer), 60);
    assert_int_equal(rv_trainer_fit(run.trainer, &fit), RV_OK); /* has nothing left to do */
    assert_int_equal(seen.reports, 3);
    int64_t count;
    const rv_trainer_report *history = rv_trainer_history(run.trainer, &count);
    assert_int_equal(count, 3);
    assert_true(history[0].update == 25 && history[1].update == 50 && history[2].update == 60);
    assert_true(history[2].training[0] < history[0].training[0] && history[2].validation[0] < history[0].validation[0]);
    assert_true(metric(run.trainer, history[2].training, "gradient_norm") > 0);
    assert_true(metric(run.trainer, history[2].validation, "prediction") > 0);
    stop(run);
}

static void it_stops_when_validation_no_longer_improves(void **state) {
    (void)state;
    /* a learning rate at which nothing is learnt */
    rv_trainer_options options = {.size = sizeof options, .learning_rate = 0.5f, .validation = &data};
    rv_run run = start("cpu", &options);
    rv_fit_options fit = {.size = sizeof fit, .updates = 1000, .every = 5, .patience = 3};
    assert_int_equal(rv_trainer_fit(run.trainer, &fit), RV_OK);
    int64_t count;
    const rv_trainer_report *history = rv_trainer_history(run.trainer, &count);
    assert_true(rv_trainer_steps(run.trainer) < 1000 && count > 3);
    float lowest = history[0].validation[0];
    for (int64_t i = 0; i < count - 3; i++) lowest = fminf(lowest, history[i].validation[0]);
    for (int64_t i = count - 3; i < count; i++) assert_true(history[i].validation[0] >= lowest);
    assert_true(history[count - 4].validation[0] == lowest);
    assert_int_equal(rv_trainer_fit(run.trainer, &fit), RV_OK); /* it has stopped */
    int64_t again;
    rv_trainer_history(run.trainer, &again);
    assert_int_equal(again, count);
    stop(run);

    run = start("cpu", NULL);
    assert_int_equal(rv_trainer_fit(run.trainer, &fit), RV_INVALID_ARGUMENT);
    assert_non_null(strstr(rv_trainer_message(run.trainer), "validation"));
    rv_metric metrics[RV_TRAINER_METRICS];
    assert_int_equal(rv_trainer_validate(run.trainer, metrics), RV_WRONG_STATE);
    stop(run);
}

static void a_fit_that_was_cut_ends_as_one_that_was_not(void **state) {
    (void)state;
    static float whole[MANY], resumed[MANY];
    char path[] = "/tmp/reverie-fit-XXXXXX";
    close(mkstemp(path));
    rv_trainer_options options = {.size = sizeof options, .window = 3, .validation = &data, .learning_rate_warmup = 10,
                                  .learning_rate_decay = 60, .kl_warmup = 30};
    rv_fit_options half = {.size = sizeof half, .updates = 30, .every = 10}, full = {.size = sizeof full, .updates = 60, .every = 10};
    rv_run run = start("cpu", &options);
    assert_int_equal(rv_trainer_fit(run.trainer, &half), RV_OK);
    rv_checkpoint *file = describe(run);
    if (rv_checkpoint_save(file, path) != RV_OK) fail_msg("%s", rv_checkpoint_message(file));
    rv_checkpoint_destroy(file);
    assert_int_equal(rv_trainer_fit(run.trainer, &full), RV_OK);
    rv_run again = start("cpu:threads=3", &options);
    file = describe(again);
    if (rv_checkpoint_load(file, path) != RV_OK) fail_msg("%s", rv_checkpoint_message(file));
    rv_checkpoint_destroy(file);
    assert_int_equal(rv_trainer_fit(again.trainer, &full), RV_OK);
    assert_int_equal(rv_trainer_steps(again.trainer), 30);
    for (int part = RV_VALUE; part <= RV_MOMENT2; part++) {
        weights(run, (rv_params_part)part, whole);
        weights(again, (rv_params_part)part, resumed);
        assert_memory_equal(whole, resumed, (size_t)flat(run) * sizeof *whole);
    }
    int64_t count, count_again;
    const rv_trainer_report *a = rv_trainer_history(run.trainer, &count), *b = rv_trainer_history(again.trainer, &count_again);
    assert_true(count == 6 && count_again == 3);
    assert_memory_equal(a + 3, b, 3 * sizeof *a);
    stop(run);
    stop(again);
    unlink(path);
}

static void a_bad_number_stops_learning_and_is_named(void **state) {
    (void)state;
    static float before[MANY], after[MANY];
    float kept = reward[17];
    reward[17] = NAN;
    rv_trainer_options options = {.size = sizeof options, .batch = N};
    rv_run run = start("cpu", &options);
    weights(run, RV_VALUE, before);
    /* a batch as large as the data draws row 17 within a few updates */
    assert_int_equal(rv_trainer_run(run.trainer, 30), RV_OK);
    rv_metric metrics[RV_TRAINER_METRICS];
    assert_int_equal(rv_trainer_metrics(run.trainer, metrics), RV_NON_FINITE);
    assert_non_null(strstr(rv_trainer_message(run.trainer), "loss"));
    weights(run, RV_VALUE, after);
    for (int64_t i = 0; i < flat(run); i++) assert_true(isfinite(after[i]));
    rv_checkpoint *file = describe(run);
    assert_int_equal(rv_checkpoint_save(file, "/tmp/reverie-must-not-be.safetensors"), RV_NON_FINITE);
    assert_int_not_equal(access("/tmp/reverie-must-not-be.safetensors", F_OK), 0);
    rv_checkpoint_destroy(file);
    stop(run);
    reward[17] = kept;
}

static void bad_input_is_refused(void **state) {
    (void)state;
    rv_run run = start("cpu", NULL);
    rv_trainer *trainer;
    rv_transitions none = data;
    none.steps = 0;
    assert_int_equal(rv_trainer_create(run.model, &none, NULL, &trainer), RV_INVALID_ARGUMENT);
    assert_non_null(strstr(rv_trainer_message(trainer), "collect"));
    rv_trainer_destroy(trainer);
    rv_transitions wide = data;
    wide.action_size = 2;
    assert_int_equal(rv_trainer_create(run.model, &wide, NULL, &trainer), RV_SHAPE_MISMATCH);
    rv_trainer_destroy(trainer);
    const rv_trainer_options bad[] = {{.size = sizeof bad[0], .window = RV_WINDOW_MAX + 1}, {.size = sizeof bad[0], .window = -1},
                                      {.size = sizeof bad[0], .batch = -1}, {.size = sizeof bad[0], .validation = &none},
                                      {.size = sizeof bad[0], .validation = &data, .validation_batch = -1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(rv_trainer_create(run.model, &data, &bad[i], &trainer), RV_INVALID_ARGUMENT);
        assert_true(strlen(rv_trainer_message(trainer)) > 10);
        rv_trainer_destroy(trainer);
    }
    assert_int_equal(rv_trainer_create(NULL, &data, NULL, &trainer), RV_INVALID_ARGUMENT);
    assert_int_equal(rv_trainer_run(NULL, 1), RV_INVALID_ARGUMENT);
    rv_trainer_destroy(NULL);
    stop(run);
}

static void a_closed_device_waits_for_its_objects(void **state) {
    (void)state;
    rv_run run = start("cpu", NULL);
    rv_device_close(run.device);
    assert_int_equal(rv_trainer_run(run.trainer, 3), RV_OK);
    rv_world_model_destroy(run.model);
    assert_int_equal(rv_trainer_run(run.trainer, 1), RV_OBJECT_GONE);
    rv_trainer_destroy(run.trainer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_on_every_device),
        cmocka_unit_test(threads_and_runs_give_the_same_bits),
        cmocka_unit_test(metrics_are_means_since_the_last_call),
        cmocka_unit_test(a_loaded_checkpoint_goes_on_as_if_nothing_happened),
        cmocka_unit_test(the_learning_rate_follows_its_schedule),
        cmocka_unit_test(windows_end_with_their_episode),
        cmocka_unit_test(a_longer_window_sees_the_rest_of_the_episode),
        cmocka_unit_test(fitting_reports_validates_and_can_be_cancelled),
        cmocka_unit_test(it_stops_when_validation_no_longer_improves),
        cmocka_unit_test(a_fit_that_was_cut_ends_as_one_that_was_not),
        cmocka_unit_test(a_bad_number_stops_learning_and_is_named),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(a_closed_device_waits_for_its_objects),
    };
    return cmocka_run_group_tests_name("trainer", tests, make_data, NULL);
}
