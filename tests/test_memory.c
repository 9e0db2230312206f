/* Every allocation fails in turn, the failed call is made again on the same device, and everything goes on as if
 * nothing had been: somebody said OUT_OF_MEMORY, the results are the same, no block is left. Failed jobs as a
 * whole: test_torture.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reverie/trainer.h"
#include "tests/support/allocator.h"
#include "tests/support/suite.h"

/* In memory where there is such a folder: each save waits for the disk twice. */
static char file_name[96];

/* ---- a life of a program, in stages that can be undone and done again ---- */

enum { BATCH = 6, INPUTS = 4, LATENT = 3 };

typedef struct life {
    const char *resource;
    rv_device_options options;
    rv_device *device;
    rv_params *params, *target;
    rv_random *random;
    rv_array *x, *rate, *loss, *slots, *replay;
    rv_graph *graph;
    rv_plan *plan;
    rv_checkpoint *file;
    rv_world_model *model;
    rv_trainer *trainer;
    float loss_value; /* of the first run */
} life;

static rv_status open_device(life *l) { return rv_device_open(l->resource, &l->options, &l->device); }

static void close_device(life *l) {
    rv_device_close(l->device);
    l->device = NULL;
}

static rv_status make_set(life *l, rv_params **params) {
    rv_status status = rv_params_create(l->device, params);
    if (status != RV_OK) return status;
    rv_params_add(*params, "encoder/weight", INPUTS, 2 * LATENT, RV_INIT_FAN_IN, 1.0f);
    rv_params_add(*params, "encoder/bias", 1, 2 * LATENT, RV_INIT_ZERO, 0.0f);
    rv_params_add(*params, "decoder/weight", LATENT, INPUTS, RV_INIT_TRUNCATED, 1.0f);
    return rv_params_commit(*params, 1);
}

static rv_status make_params(life *l) {
    rv_status status = make_set(l, &l->params);
    return status == RV_OK ? make_set(l, &l->target) : status;
}

static void drop_params(life *l) {
    rv_params_destroy(l->target);
    rv_params_destroy(l->params);
    l->params = l->target = NULL;
}

static rv_status make_arrays(life *l) {
    const float rate = 0.01f;
    const int32_t slots[BATCH] = {0, 1, 2, 3, 4, 5};
    float x[BATCH * INPUTS];
    rv_random_normal(2, 0, "x", 0, BATCH, INPUTS, x);
    rv_status status = rv_random_create(l->device, 5, &l->random);
    if (status == RV_OK) status = rv_array_create(l->device, RV_F32, BATCH, INPUTS, "x", &l->x);
    if (status == RV_OK) status = rv_array_create(l->device, RV_F32, 1, 1, "rate", &l->rate);
    if (status == RV_OK) status = rv_array_create(l->device, RV_F32, 1, 1, "loss", &l->loss);
    if (status == RV_OK) status = rv_array_create(l->device, RV_I32, BATCH, 1, "slots", &l->slots);
    if (status == RV_OK) status = rv_array_create(l->device, RV_F32, 8, LATENT, "replay", &l->replay);
    if (status == RV_OK) status = rv_array_write(l->x, 0, BATCH, x);
    if (status == RV_OK) status = rv_array_write(l->rate, 0, 1, &rate);
    if (status == RV_OK) status = rv_array_write(l->slots, 0, BATCH, slots);
    return status;
}

static void drop_arrays(life *l) {
    rv_array_destroy(l->replay);
    rv_array_destroy(l->slots);
    rv_array_destroy(l->loss);
    rv_array_destroy(l->rate);
    rv_array_destroy(l->x);
    rv_random_destroy(l->random);
    l->random = NULL;
    l->x = l->rate = l->loss = l->slots = l->replay = NULL;
}

static rv_status make_plan(life *l) {
    rv_status status = rv_graph_create(l->device, &l->graph);
    if (status != RV_OK) return status;
    rv_graph *g = l->graph;
    const char *watched[] = {"loss"};
    rv_graph_push(g, "encoder");
    rv_tensor x = rv_read(g, l->x);
    rv_tensor y = rv_linear1(x, rv_param(g, l->params, 0), rv_param(g, l->params, 1), RV_SILU);
    rv_graph_pop(g);
    rv_normal_sample z = rv_sample_normal(rv_slice_cols(y, 0, LATENT), rv_slice_cols(y, LATENT, LATENT),
                                          rv_random_state(g, l->random), "latent", 0);
    rv_tensor decoded = rv_matmul(z.value, rv_param(g, l->params, 2), 0, 0);
    rv_tensor loss = rv_mean(rv_add(rv_mse(decoded, x), rv_affine(z.kl, 0.1f, 0.0f)), RV_ALL);
    rv_watch(loss, watched, 1);
    rv_store(l->loss, loss);
    rv_store_rows(l->replay, z.value, rv_read(g, l->slots));
    /* its status stands in the graph as well, and the plan answers with it */
    rv_params_gradients(g, l->params, loss, NULL, 0);
    rv_params_adamw(g, l->params, rv_read(g, l->rate), RV_NONE, 1.0f, NULL);
    rv_params_ema(g, l->target, l->params, 0.1f);
    rv_random_advance(g, l->random);
    return rv_plan_create(g, NULL, &l->plan);
}

static void drop_plan(life *l) {
    rv_plan_destroy(l->plan);
    rv_graph_destroy(l->graph);
    l->plan = NULL;
    l->graph = NULL;
}

static rv_status run(life *l) {
    float value;
    rv_status status = rv_plan_run(l->plan);
    if (status == RV_OK) status = rv_array_read(l->loss, 0, 1, &value);
    if (status == RV_OK && l->loss_value == 0.0f) l->loss_value = value;
    return status;
}

static rv_status make_checkpoint(life *l) {
    rv_status status = rv_checkpoint_create(l->device, &l->file);
    if (status == RV_OK) status = rv_checkpoint_add_params(l->file, "model/", l->params);
    if (status == RV_OK) status = rv_checkpoint_add_params(l->file, "target/", l->target);
    if (status == RV_OK) status = rv_checkpoint_add_array(l->file, "random", rv_random_array(l->random));
    if (status == RV_OK) status = rv_checkpoint_set(l->file, "config", "latent: 3");
    return status;
}

static void drop_checkpoint(life *l) {
    rv_checkpoint_destroy(l->file);
    l->file = NULL;
}

static rv_status save(life *l) { return rv_checkpoint_save(l->file, file_name); }
static rv_status load(life *l) { return rv_checkpoint_load(l->file, file_name); }
static rv_status load_metadata(life *l) { return rv_checkpoint_load_metadata(l->file, file_name); }
static rv_status clear(life *l) { return rv_device_health_clear(l->device); }

typedef struct stage {
    const char *name;
    rv_status (*make)(life *);
    void (*drop)(life *); /* NULL: a failure leaves nothing behind */
} stage;

static const stage step[] = {
    {"open", open_device, close_device},
    {"params", make_params, drop_params},
    {"arrays", make_arrays, drop_arrays},
    {"plan", make_plan, drop_plan},
    {"run", run, NULL},
    {"checkpoint", make_checkpoint, drop_checkpoint},
    {"save", save, NULL},
    {"load", load, NULL},
    {"metadata", load_metadata, NULL},
    {"run again", run, NULL},
    {"clear", clear, NULL},
    {NULL, NULL, NULL},
};

/* ---- the same with a world model and its trainer ---- */

enum { STEPS = 20 };
static float observation[STEPS * INPUTS], action[STEPS], reward[STEPS], next_observation[STEPS * INPUTS];
static const rv_transitions data = {.steps = STEPS, .observation_size = INPUTS, .action_size = 1,
                                    .observation = observation, .action = action, .reward = reward,
                                    .next_observation = next_observation};

static rv_status make_model(life *l) {
    const rv_world_model_options options = {.size = sizeof options, .observation_size = INPUTS, .action_size = 1,
                                            .latent_size = LATENT, .vae_hidden = {1, {8}}, .dynamics_hidden = {1, {8}},
                                            .reward_hidden = {1, {8}}};
    rv_status status = rv_world_model_create(l->device, &options, 2, &l->model);
    return status == RV_OK ? rv_world_model_normalise_by(l->model, &data) : status;
}

static void drop_model(life *l) {
    rv_world_model_destroy(l->model);
    l->model = NULL;
}

static rv_status make_trainer(life *l) {
    const rv_trainer_options options = {.size = sizeof options, .batch = BATCH};
    return rv_trainer_create(l->model, &data, &options, &l->trainer);
}

static void drop_trainer(life *l) {
    rv_trainer_destroy(l->trainer);
    l->trainer = NULL;
}

static rv_status train(life *l) { return rv_trainer_run(l->trainer, 2); }

static rv_status read_metrics(life *l) {
    rv_metric metrics[RV_TRAINER_METRICS];
    rv_status status = rv_trainer_metrics(l->trainer, metrics);
    l->loss_value = metrics[0].value;
    return status;
}

static rv_status make_trainer_checkpoint(life *l) {
    rv_status status = rv_checkpoint_create(l->device, &l->file);
    return status == RV_OK ? rv_trainer_checkpoint(l->trainer, l->file) : status;
}

static const stage trainer[] = {
    {"open", open_device, close_device},
    {"model", make_model, drop_model},
    {"trainer", make_trainer, drop_trainer},
    {"train", train, NULL},
    {"metrics", read_metrics, NULL},
    {"checkpoint", make_trainer_checkpoint, drop_checkpoint},
    {"save", save, NULL},
    {"load", load, NULL},
    {NULL, NULL, NULL},
};

/* ---- living ---- */

/* Lives once. A stage that fails is undone and done again with memory enough. Whether an allocation failed. */
static bool live(const stage *stages, const char *resource, int64_t fail_at, bool from_then_on, float *loss) {
    rv_counting counting = {.fail_at = fail_at, .from_then_on = from_then_on};
    life l = {.resource = resource, .options = rv_counting_options(&counting)};
    bool reported = false;
    int count = 0;
    for (; stages[count].name; count++) {
        const stage *now = &stages[count];
        rv_status status = now->make(&l);
        if (status == RV_OK) continue;
        if (status != RV_OUT_OF_MEMORY) {
            fail_msg("%s, allocation %d, %s: %s", resource, (int)fail_at, now->name, rv_status_text(status));
        }
        reported = true;
        counting.fail_at = 0;
        if (now->drop) now->drop(&l);
        status = now->make(&l);
        if (status != RV_OK) {
            fail_msg("%s, allocation %d, %s again: %s", resource, (int)fail_at, now->name, rv_status_text(status));
        }
    }
    const bool failed = fail_at > 0 && counting.calls >= fail_at;
    if (failed && !reported) fail_msg("%s: nobody said that allocation %d failed", resource, (int)fail_at);
    *loss = l.loss_value;
    while (count-- > 0) {
        if (stages[count].drop) stages[count].drop(&l);
    }
    if (counting.live != 0) fail_msg("%s, allocation %d: %d blocks left", resource, (int)fail_at, (int)counting.live);
    return failed;
}

static void fail_each(const stage *stages, const char *resource, bool from_then_on) {
    float expected, loss;
    assert_false(live(stages, resource, 0, false, &expected));
    assert_true(expected > 0.0f);
    int64_t n = 1;
    for (; live(stages, resource, n, from_then_on, &loss); n++) assert_true(loss == expected);
    assert_true(n > 100); /* there were so many to fail */
    unlink(file_name);
}

static void test_step(void **state) { fail_each(step, *state, false); }
static void test_step_from_then_on(void **state) { fail_each(step, *state, true); }
static void test_trainer(void **state) { fail_each(trainer, *state, false); }

/* Objects that never had what they need can be asked and destroyed. */
static void test_destroy_half_made(void **state) {
    (void)state;
    for (long n = 1; n < 40; n++) {
        rv_counting counting = {.fail_at = n, .from_then_on = true};
        const rv_device_options options = rv_counting_options(&counting);
        rv_device *device;
        rv_params *params = NULL;
        rv_random *random = NULL;
        rv_array *array = NULL;
        rv_graph *graph = NULL;
        rv_plan *plan = NULL;
        rv_checkpoint *file = NULL;
        rv_status status = rv_device_open("cpu:reference", &options, &device);
        if (status != RV_OK) assert_status(status, RV_OUT_OF_MEMORY);
        rv_params_create(device, &params);
        rv_params_add(params, "w", 2, 2, RV_INIT_ZERO, 0.0f);
        rv_params_commit(params, 0);
        rv_random_create(device, 0, &random);
        rv_array_create(device, RV_F32, 2, 2, "a", &array);
        rv_graph_create(device, &graph);
        rv_store(array, rv_add(rv_read(graph, array), rv_param(graph, params, 0)));
        rv_random_advance(graph, random);
        rv_plan_create(graph, NULL, &plan);
        rv_plan_run(plan);
        rv_checkpoint_create(device, &file);
        rv_checkpoint_add_params(file, "", params);
        rv_checkpoint_save(file, file_name);
        assert_non_null(rv_device_message(device));
        assert_non_null(rv_params_message(params));
        assert_non_null(rv_graph_message(graph));
        assert_non_null(rv_plan_message(plan));
        assert_non_null(rv_checkpoint_message(file));
        rv_checkpoint_destroy(file);
        rv_plan_destroy(plan);
        rv_graph_destroy(graph);
        rv_array_destroy(array);
        rv_random_destroy(random);
        rv_params_destroy(params);
        rv_device_close(device);
        assert_int_equal(counting.live, 0);
    }
    unlink(file_name);
}

int main(void) {
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".";
    snprintf(file_name, sizeof file_name, "%s/reverie-test-memory-%ld.safetensors", folder, (long)getpid());
    rv_random_normal(3, 0, "observation", 0, STEPS, INPUTS, observation);
    rv_random_normal(3, 0, "next", 0, STEPS, INPUTS, next_observation);
    rv_random_normal(3, 0, "action", 0, STEPS, 1, action);
    rv_random_normal(3, 0, "reward", 0, STEPS, 1, reward);
    const struct CMUnitTest tests[] = {
        {"step on cpu:reference", test_step, NULL, NULL, "cpu:reference"},
        {"step on cpu", test_step, NULL, NULL, "cpu:threads=2"},
        {"step on check:cpu", test_step, NULL, NULL, "check:cpu:threads=1"},
        {"step on cpu, out of memory from then on", test_step_from_then_on, NULL, NULL, "cpu:threads=1"},
        {"world model on cpu", test_trainer, NULL, NULL, "cpu:threads=1"},
        cmocka_unit_test(test_destroy_half_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
