/* tests/test_determinism.c: the same bits for replays and separate runs, for any number of threads, again and
 * again; noise with the same bits everywhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/case_run.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"
#include "tests/support/train_step.h"

enum { STEPS = 50 };

/* FNV-1a of the words and normals in test_golden_noise. */
#define GOLDEN_WORDS 0x017bbb83217f1a4fu
#define GOLDEN_NORMALS 0x9e09ab4bc68c6fedu

/* Runs the step on a new device; NULL loss is fine. 0: the device is not there. */
static uint64_t hash_of(const char *resource, int replay, float *loss) {
    rv_device *device;
    rv_status status = rv_device_open(resource, NULL, &device);
    if (status == RV_NO_DEVICE || status == RV_NOT_BUILT_IN) {
        rv_device_close(device);
        return 0;
    }
    assert_ok(status, rv_device_message(device));
    rv_train_step step;
    assert_ok(rv_train_step_open(&step, device, replay), step.message);
    for (int i = 0; i < STEPS; i++) {
        assert_ok(rv_train_step_run(&step), step.message);
        if (i == 0 && loss) assert_ok(rv_array_read(step.loss, 0, 1, &loss[0]), "");
    }
    if (loss) assert_ok(rv_array_read(step.loss, 0, 1, &loss[1]), "");
    assert_status(rv_device_health(device, NULL), RV_OK);
    uint64_t hash = rv_train_step_hash(&step);
    assert_true(hash != 0);
    rv_train_step_close(&step);
    rv_device_close(device);
    return hash;
}

static void test_replays_are_separate_runs(void **state) {
    const char *resource = *state;
    float loss[2];
    uint64_t replayed = hash_of(resource, 1, loss);
    assert_true(loss[1] < 0.9f * loss[0]); /* it learns: the hash is of something */
    assert_true(hash_of(resource, 0, NULL) == replayed);
    assert_true(hash_of(resource, 1, NULL) == replayed);
}

static void test_threads(void **state) {
    (void)state;
    uint64_t one = hash_of("cpu:threads=1", 1, NULL);
    assert_true(hash_of("cpu:threads=2", 1, NULL) == one);
    assert_true(hash_of("cpu:threads=3", 1, NULL) == one);
    assert_true(hash_of("cpu", 1, NULL) == one);
}

/* Every case of the table, to the bit: what a device cuts for its threads must not show. */
static int differs(const rv_case *item, rv_case_mode mode, rv_device *const *threads) {
    double *first[RV_CASE_MAX_INPUTS] = {NULL};
    int different = 0;
    for (int d = 0; d < 3; d++) {
        rv_case_run run;
        assert_ok(rv_case_open(&run, threads[d], item, mode, NULL), run.message);
        assert_ok(rv_case_execute(&run), run.message);
        for (int k = 0; k < run.output_count; k++) {
            double *values = rv_case_read(&run, k);
            assert_non_null(values);
            if (d == 0) {
                first[k] = values;
                continue;
            }
            if (memcmp(first[k], values, (size_t)rv_case_output_count(&run, k) * sizeof *values) != 0) different = 1;
            free(values);
        }
        rv_case_close(&run);
    }
    for (int k = 0; k < RV_CASE_MAX_INPUTS; k++) free(first[k]);
    return different;
}

static void test_cases_and_threads(void **state) {
    (void)state;
    static const char *const names[] = {"cpu:threads=1", "cpu:threads=2", "cpu:threads=3"};
    rv_device *threads[3];
    for (int d = 0; d < 3; d++) assert_ok(rv_device_open(names[d], NULL, &threads[d]), rv_device_message(threads[d]));
    rv_case_list *cases = rv_cases_create();
    int failures = 0;
    for (int i = 0; i < cases->count; i++) {
        const rv_case *item = &cases->items[i];
        if (item->flags & RV_CASE_LARGE) continue;
        if (RV_SLOW_RUN && (item->flags & (RV_CASE_TALL | RV_CASE_STRIDED)) != RV_CASE_TALL) continue; /* not cut */
        for (int mode = 0; mode < 2; mode++) {
            if (mode == RV_CASE_GRADIENT && rv_case_differentiable(item) == 0) continue;
            if (!differs(item, mode, threads)) continue;
            print_error("%s%s: other bits with other threads\n", item->name, mode ? " gradient" : "");
            failures++;
        }
    }
    rv_cases_destroy(cases);
    for (int d = 0; d < 3; d++) rv_device_close(threads[d]);
    assert_int_equal(failures, 0);
}

/* The wrapper reuses no memory, launches in recorded order, and changes no bit. */
static void test_check_changes_nothing(void **state) {
    (void)state;
    assert_true(hash_of("check:cpu", 1, NULL) == hash_of("cpu", 1, NULL));
    assert_true(hash_of("check:cpu:reference", 1, NULL) == hash_of("cpu:reference", 1, NULL));
}

/* The hash sees a single step more or less. */
static void test_hash_bites(void **state) {
    (void)state;
    rv_device *device;
    assert_ok(rv_device_open("cpu", NULL, &device), rv_device_message(device));
    rv_train_step step;
    assert_ok(rv_train_step_open(&step, device, 1), step.message);
    uint64_t before = rv_train_step_hash(&step);
    assert_ok(rv_train_step_run(&step), step.message);
    assert_true(rv_train_step_hash(&step) != before);
    rv_train_step_close(&step);
    rv_device_close(device);
}

/* ---- noise: test_noise.c asks what is drawn, here that all devices draw it ----------------------- */

static void draw_on(const char *resource, uint64_t seed, const char *name, uint32_t t, int advance, int rows, int cols,
                    float *out) {
    rv_device *device;
    rv_status status = rv_device_open(resource, NULL, &device);
    if (status == RV_NO_DEVICE) {
        rv_device_close(device);
        memset(out, 0, sizeof(float) * (size_t)(rows * cols));
        return;
    }
    assert_ok(status, rv_device_message(device));
    rv_random *random;
    rv_graph *graph;
    rv_array *array;
    rv_plan *plan;
    assert_ok(rv_random_create(device, seed, &random), rv_device_message(device));
    assert_ok(rv_array_create(device, RV_F32, rows, cols, "noise", &array), "");
    assert_ok(rv_graph_create(device, &graph), "");
    rv_store(array, rv_normal(rv_random_state(graph, random), name, t, rows, cols));
    rv_random_advance(graph, random);
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    for (int i = 0; i <= advance; i++) assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    assert_ok(rv_array_read(array, 0, rows, out), rv_array_message(array));
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(array);
    rv_random_destroy(random);
    rv_device_close(device);
}

/* Every device's draw is the host's, at every width's remainder, to the bit; update counts runs. */
static void test_noise_everywhere(void **state) {
    (void)state;
    static const char *const resources[] = {"cpu:reference",    "cpu",          "cpu:threads=3",
                                            "cpu:isa=baseline", "cpu:isa=avx2", "cpu:isa=avx512",
                                            "cpu:double",       "check:cpu"};
    enum { ROWS = 13, MOST = 40 };
    float host[ROWS * MOST], drawn[ROWS * MOST];
    for (size_t k = 0; k < sizeof resources / sizeof *resources; k++) {
        for (int cols = 1; cols <= MOST; cols += cols < 18 ? 1 : 11) {
            rv_random_normal(0x123456789abcdefu, 2, "z", 7, ROWS, cols, host);
            draw_on(resources[k], 0x123456789abcdefu, "z", 7, 2, ROWS, cols, drawn);
            if (drawn[0] == 0 && strstr(resources[k], "isa")) break; /* not on this machine */
            assert_memory_equal(host, drawn, sizeof(float) * (size_t)(ROWS * cols));
        }
    }
}

/* The bits themselves, so that no later version changes them unseen. */
static void test_golden_noise(void **state) {
    (void)state;
    enum { COUNT = 65536 };
    float *x = malloc(COUNT * sizeof *x);
    uint32_t *bits = malloc(COUNT * sizeof *bits);
    assert_true(x && bits);
    rv_random_bits(42, 3, "golden", 1, COUNT / 32, 32, bits);
    rv_random_normal(42, 3, "golden", 1, COUNT / 32, 32, x);
    uint64_t words = rv_hash_bytes(RV_HASH_START, bits, COUNT * sizeof *bits);
    uint64_t normals = rv_hash_bytes(RV_HASH_START, x, COUNT * sizeof *x);
    free(x);
    free(bits);
    if (words != GOLDEN_WORDS || normals != GOLDEN_NORMALS) {
        fail_msg("words 0x%016llx, normals 0x%016llx", (unsigned long long)words, (unsigned long long)normals);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {"replays on cpu", test_replays_are_separate_runs, NULL, NULL, "cpu"},
        {"replays on cpu:reference", test_replays_are_separate_runs, NULL, NULL, "cpu:reference"},
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_cases_and_threads),
        cmocka_unit_test(test_check_changes_nothing),
        cmocka_unit_test(test_hash_bites),
        cmocka_unit_test(test_noise_everywhere),
        cmocka_unit_test(test_golden_noise),
    };
    return cmocka_run_group_tests_name("determinism", tests, NULL, NULL);
}
