/* Every allocation fails in turn: a typed status, no crash, no leak, and the same call then succeeds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/internal.h"
#include "tests/support/suite.h"

/* In memory where there is such a folder: each save waits for the disk twice. */
static char file_name[96];

/* ---- an allocator that counts and fails ---- */

typedef struct counter {
    size_t bytes, blocks; /* in use */
    long calls;           /* allocations asked for since it was set */
    long fail;            /* which one fails, from 1 on; 0: none */
    bool lasting;         /* and all after it */
    long failed;          /* how many did */
} counter;

typedef union block {
    size_t bytes;
    max_align_t align;
} block;

static void *resize(void *user, void *memory, size_t bytes) {
    counter *c = user;
    block *old = memory ? (block *)memory - 1 : NULL;
    if (bytes == 0) {
        if (old) {
            c->bytes -= old->bytes;
            c->blocks--;
            memset(old + 1, 0xdd, old->bytes);
        }
        free(old);
        return NULL;
    }
    c->calls++;
    if (c->fail && (c->calls == c->fail || (c->lasting && c->calls > c->fail))) {
        c->failed++;
        return NULL;
    }
    /* always moves, so that nothing gets by with a pointer from before */
    block *fresh = malloc(sizeof *fresh + bytes);
    if (!fresh) return NULL;
    fresh->bytes = bytes;
    memset(fresh + 1, 0xcd, bytes);
    c->bytes += bytes;
    c->blocks++;
    if (old) {
        memcpy(fresh + 1, old + 1, old->bytes < bytes ? old->bytes : bytes);
        resize(c, memory, 0);
    }
    return fresh + 1;
}

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
    float first_loss;
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
    rv_status status = rv_plan_run(l->plan);
    return status == RV_OK ? rv_array_read(l->loss, 0, 1, &l->first_loss) : status;
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

static const struct {
    const char *name;
    rv_status (*make)(life *);
    void (*drop)(life *); /* NULL: a failure leaves nothing behind */
} stages[] = {
    {"open", open_device, close_device},  {"params", make_params, drop_params},
    {"arrays", make_arrays, drop_arrays}, {"plan", make_plan, drop_plan},
    {"run", run, NULL},                   {"checkpoint", make_checkpoint, drop_checkpoint},
    {"save", save, NULL},                 {"load", load, NULL},
    {"metadata", load_metadata, NULL},    {"run again", run, NULL},
    {"clear", clear, NULL},
};
enum { STAGES = sizeof stages / sizeof *stages };

/* Lives once. A stage that fails is undone and done again with memory enough. Returns how many allocations
 * failed, and sets *loss to what the run gave. */
static long live(const char *resource, long fail, bool lasting, float *loss) {
    counter c = {.fail = fail, .lasting = lasting};
    life l = {.resource = resource, .options = {.size = sizeof l.options, .allocator = {resize, &c}}};
    bool reported = false;
    for (int i = 0; i < STAGES; i++) {
        rv_status status = stages[i].make(&l);
        if (status != RV_OK) {
            if (status != RV_OUT_OF_MEMORY || c.failed == 0) {
                fail_msg("%s, allocation %ld, %s: %s", resource, fail, stages[i].name, rv_status_text(status));
            }
            reported = true;
            c.fail = 0;
            if (stages[i].drop) stages[i].drop(&l);
            status = stages[i].make(&l);
            if (status != RV_OK) {
                fail_msg("%s, allocation %ld, %s again: %s: %s", resource, fail, stages[i].name, rv_status_text(status),
                         rv_device_message(l.device));
            }
        }
        if (i == 4) *loss = l.first_loss;
    }
    if (c.failed > 0 && !reported) fail_msg("%s: nobody said that allocation %ld failed", resource, fail);
    for (int i = STAGES - 1; i >= 0; i--) {
        if (stages[i].drop) stages[i].drop(&l);
    }
    if (c.blocks != 0 || c.bytes != 0) {
        fail_msg("%s, allocation %ld: %zu blocks of %zu bytes were left", resource, fail, c.blocks, c.bytes);
    }
    return c.failed;
}

static void fail_each(const char *resource, bool lasting) {
    float expected, loss;
    assert_int_equal(live(resource, 0, false, &expected), 0);
    assert_true(expected > 0.0f);
    long n = 1;
    for (; live(resource, n, lasting, &loss) > 0; n++) assert_true(loss == expected);
    assert_true(n > 100); /* there were so many to fail */
    print_message("%s: %ld allocations failed%s\n", resource, n - 1, lasting ? " with all after them" : "");
    unlink(file_name);
}

static void test_reference(void **state) {
    (void)state;
    fail_each("cpu:reference", false);
}

static void test_cpu(void **state) {
    (void)state;
    fail_each("cpu:threads=2", false);
}

static void test_check(void **state) {
    (void)state;
    fail_each("check:cpu:threads=1", false);
}

/* Out of memory from then on, until the stage is done again. */
static void test_lasting(void **state) {
    (void)state;
    fail_each("cpu:threads=1", true);
}

/* Objects that never had what they need can be asked and destroyed. */
static void test_destroy_half_made(void **state) {
    (void)state;
    for (long n = 1; n < 40; n++) {
        counter c = {.fail = n, .lasting = true};
        const rv_device_options options = {.size = sizeof options, .allocator = {resize, &c}};
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
        assert_int_equal(c.blocks, 0);
        assert_int_equal(c.bytes, 0);
    }
    unlink(file_name);
}

int main(void) {
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".";
    snprintf(file_name, sizeof file_name, "%s/reverie-test-memory-%ld.safetensors", folder, (long)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference), cmocka_unit_test(test_cpu),     cmocka_unit_test(test_check),
        cmocka_unit_test(test_lasting),   cmocka_unit_test(test_destroy_half_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
