/* Noise: known answers, accuracy and moments of what is drawn, and the same draws however rows and columns are cut. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"
#include "core/noise.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

static rv_test_devices devices;

/* Random123's tests/kat_vectors, philox4x32 10: counter, key, words. */
static void test_known_answers(void **state) {
    (void)state;
    static const uint32_t known[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
         0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t x[4];
        memcpy(x, known[i], sizeof x);
        rv_philox(known[i][4], known[i][5], x);
        assert_memory_equal(x, known[i] + 6, sizeof x);
        /* the same block out of the loops over lanes, where it is not the first one */
        const rv_noise noise = {{known[i][4], known[i][5]}, known[i][1], known[i][2], known[i][3]};
        uint32_t words[RV_NOISE_CHUNK];
        rv_noise_chunk_words(&noise, known[i][0] - 5, words);
        for (int w = 0; w < 4; w++) assert_int_equal(words[w * RV_NOISE_LANES + 5], known[i][6 + w]);
    }
}

/* cuRAND's layout: key = seed; counter = (block, t, update, hash); word = element mod 4. */
static void test_layout(void **state) {
    (void)state;
    const uint64_t seed = 0x123456789abcdef0u;
    enum { ROWS = 5, COLS = 7 };
    uint32_t bits[ROWS * COLS];
    rv_random_bits(seed, 11, "latent", 3, ROWS, COLS, bits);
    assert_int_equal(rv_hash_name(""), 0x811c9dc5); /* FNV-1a's published answers */
    assert_int_equal(rv_hash_name("foobar"), 0xbf9cf968);
    assert_int_equal(rv_hash_name("latent"), 0x4f68098b);
    /* what curand_init(seed, 11 | hash << 32, 4 (block | 3 << 32) + word) and curand of CUDA 13.0 give, rows 0 and 1 */
    static const uint32_t curand[2][COLS] = {
        {0xdd58ecf9, 0xa6ed1e2f, 0xcb978d9a, 0x173c2975, 0x56ad4166, 0xd2b7485b, 0x9fa0fadd},
        {0x52153b28, 0x522f80fc, 0x66988033, 0xd7b0e9f1, 0xff4e7ef3, 0x052657b9, 0x29796403},
    };
    assert_memory_equal(bits, curand, sizeof curand);
    for (uint32_t row = 0; row < ROWS; row++) {
        for (uint32_t col = 0; col < COLS; col++) {
            uint32_t x[4] = {row * 2 + col / 4, 3, 11, 0x4f68098b};
            rv_philox(0x9abcdef0, 0x12345678, x);
            assert_int_equal(bits[row * COLS + col], x[col % 4]);
        }
    }
}

/* The bits of normals must not depend on compiler, vector width or optimisation. */
static void test_normals_fixed(void **state) {
    (void)state;
    enum { COUNT = 16384 };
    float *normals = malloc(COUNT * sizeof *normals);
    const rv_noise noise = {{1, 2}, 3, 4, 5};
    rv_noise_normal(&noise, 0, COUNT, 0, COUNT, normals);
    uint64_t hash = 0;
    for (int i = 0; i < COUNT; i++) {
        uint32_t bits;
        memcpy(&bits, &normals[i], sizeof bits);
        hash = hash * 31 + bits;
        assert_true(normals[i] == rv_noise_normal_one(&noise, 0, COUNT, i));
    }
    assert_true(hash == 0x45cd63a07c8d02feu);
    free(normals);
}

static void test_accuracy(void **state) {
    (void)state;
    const double turn = 6.283185307179586;
    double worst_log = 0, worst_sine = 0, worst_cosine = 0;
    for (uint32_t k = 0; k < 1u << 24; k += k < 4096 || k > (1u << 24) - 4096 ? 1 : 13) {
        const float u = rv_noise_to_uniform(k << 8);
        assert_true(u > 0.0f && u < 1.0f);
        assert_true(fabs(u - (k + 0.5) * 0x1p-24) <= 0x1p-25);
        worst_log = fmax(worst_log, fabs(rv_noise_log(u) / log((double)u) - 1.0));
        float sine, cosine, first, second;
        rv_noise_sincos(k << 8 | (k & 0xff), &sine, &cosine); /* the lower bits do not matter */
        worst_sine = fmax(worst_sine, fabs(sine - sin(turn * (k + 0.5) * 0x1p-24)));
        worst_cosine = fmax(worst_cosine, fabs(cosine - cos(turn * (k + 0.5) * 0x1p-24)));
        rv_noise_to_normals(k << 8, k << 8, &first, &second);
        assert_true(isfinite(first) && isfinite(second) && fabsf(first) < 5.9f && fabsf(second) < 5.9f);
    }
    assert_true(worst_log < 2e-7);
    assert_true(worst_sine < 2e-7);
    assert_true(worst_cosine < 2e-7);
}

/* Every 61st float from -0 to -80; all of them, taken once, stay within 8.4e-8. */
static void test_exp(void **state) {
    (void)state;
    const float end = -80.0f;
    uint32_t last;
    memcpy(&last, &end, sizeof last);
    double worst = 0;
    for (uint32_t bits = 0x80000000u; bits <= last; bits += 61) {
        float x;
        memcpy(&x, &bits, sizeof x);
        worst = fmax(worst, fabs(rv_noise_exp(x) / exp((double)x) - 1.0));
    }
    assert_true(worst < 8.4e-8);
    assert_true(rv_noise_exp(0.0f) == 1.0f && rv_noise_exp(end) > 0.0f);
    assert_true(rv_noise_exp(nextafterf(end, -99.0f)) == 0.0f && rv_noise_exp(-INFINITY) == 0.0f);
    assert_true(isnan(rv_noise_exp(NAN)));
    uint32_t payload = 0x7fffffffu, hash = 0; /* NaN of any kind; and bits that no compiler may change */
    float odd;
    memcpy(&odd, &payload, sizeof odd);
    assert_true(isnan(rv_noise_exp(odd)));
    for (int i = 0; i < 10000; i++) {
        const float y = rv_noise_exp((float)i * -0.0079f);
        uint32_t bits;
        memcpy(&bits, &y, sizeof bits);
        hash = hash * 31 + bits;
    }
    if (hash != 0x48bc8d8bu) fail_msg("hash is 0x%x", hash);
}

/* Against Box and Muller in double from the same words. */
static void test_normals_accurate(void **state) {
    (void)state;
    const double turn = 6.283185307179586;
    const rv_noise noise = {{7, 0}, 0, 0, 1};
    for (int64_t i = 0; i < 100000; i += 2) {
        const uint32_t a = rv_noise_bits_one(&noise, 0, 100000, i), b = rv_noise_bits_one(&noise, 0, 100000, i + 1);
        const double radius = sqrt(-2.0 * log((double)rv_noise_to_uniform(a)));
        const double angle = turn * ((b >> 8) + 0.5) * 0x1p-24;
        assert_true(fabs(rv_noise_normal_one(&noise, 0, 100000, i) - radius * sin(angle)) < 2e-7 * radius);
        assert_true(fabs(rv_noise_normal_one(&noise, 0, 100000, i + 1) - radius * cos(angle)) < 2e-7 * radius);
    }
}

/* Within five standard errors, for a fixed seed. */
static void test_moments(void **state) {
    (void)state;
    enum { ROWS = 1000, COLS = 1001 };
    const double n = (double)ROWS * COLS;
    float *x = malloc((size_t)ROWS * COLS * sizeof *x);
    rv_random_normal(99, 0, "moments", 0, ROWS, COLS, x);
    double sum[5] = {0}, neighbours = 0, rows = 0;
    for (int i = 0; i < ROWS * COLS; i++) {
        double power = 1;
        for (int p = 1; p <= 4; p++) sum[p] += power *= x[i];
        if (i + 1 < ROWS * COLS) neighbours += (double)x[i] * x[i + 1];
        if (i + COLS < ROWS * COLS) rows += (double)x[i] * x[i + COLS];
    }
    const double expected[5] = {1, 0, 1, 0, 3}, spread[5] = {0, 1, 2, 15, 96};
    for (int p = 1; p <= 4; p++) assert_true(fabs(sum[p] / n - expected[p]) < 5 * sqrt(spread[p] / n));
    assert_true(fabs(neighbours / n) < 5 / sqrt(n));
    assert_true(fabs(rows / n) < 5 / sqrt(n));

    rv_random_uniform(99, 0, "moments", 0, ROWS, COLS, x);
    int64_t bins[16] = {0};
    for (int i = 0; i < ROWS * COLS; i++) {
        assert_true(x[i] > 0.0f && x[i] < 1.0f);
        bins[(int)(x[i] * 16)]++;
    }
    double square = 0;
    for (int i = 0; i < 16; i++) square += (bins[i] - n / 16) * (bins[i] - n / 16) / (n / 16);
    assert_true(square < 50); /* chi-square of 15 degrees: 1 in 100 000 */
    free(x);
}

/* Columns, rows and strides in any cut give the elements of the whole. */
static void test_cuts(void **state) {
    (void)state;
    enum { ROWS = 9, MOST = 200, PAD = 3 };
    const rv_noise noise = {{3, 4}, 5, 6, 7};
    static float whole[ROWS * MOST], cut[ROWS * (MOST + PAD) + 1];
    for (int width = 1; width <= MOST; width += width < 10 ? 1 : 19) {
        rv_noise_normal_rows(&noise, 0, ROWS, width, width, whole);
        for (int row = 0; row < ROWS; row++) {
            for (int col = 0; col < width; col++) {
                assert_true(whole[row * width + col] == rv_noise_normal_one(&noise, row, width, col));
            }
            for (int first = 0; first < width; first += 3) {
                const int last = first + (width - first + 1) / 2;
                cut[last - first] = -99.0f;
                rv_noise_normal(&noise, row, width, first, last, cut);
                assert_memory_equal(cut, whole + row * width + first, (size_t)(last - first) * sizeof *cut);
                assert_true(cut[last - first] == -99.0f);
            }
        }
        for (int i = 0; i < ROWS * (MOST + PAD); i++) cut[i] = -99.0f;
        rv_noise_normal_rows(&noise, 2, ROWS, width, width + PAD, cut);
        for (int row = 2; row < ROWS; row++) {
            const float *at = cut + (row - 2) * (width + PAD);
            assert_memory_equal(at, whole + row * width, (size_t)width * sizeof *at);
            for (int pad = 0; pad < PAD; pad++) assert_true(at[width + pad] == -99.0f);
        }
    }
}

static void test_index(void **state) {
    (void)state;
    assert_int_equal(rv_noise_to_index(0, 10), 0);
    assert_int_equal(rv_noise_to_index(0xffffffff, 10), 9);
    assert_int_equal(rv_noise_to_index(0xffffffff, INT32_MAX), INT32_MAX - 1);
    assert_int_equal(rv_noise_to_index(0xffffffff, 0), 0);
    assert_int_equal(rv_noise_to_index(0xffffffff, -5), 0);
    assert_int_equal(rv_noise_to_index(0x80000000, 10), 5);
}

/* ---- on devices ---- */

enum { ROWS = 17, COLS = 33 };

/* Draws on the device what the host draws; `extra` records another draw first; `advance` runs come before. */
static void compare_with_host(const char *name, int extra, int advance) {
    rv_device *device;
    assert_ok(rv_device_open(name, NULL, &device), rv_device_message(device));
    rv_random *random;
    rv_graph *graph;
    rv_plan *plan;
    rv_array *uniform, *normal, *index;
    const uint64_t seed = 0xfedcba9876543210u;
    assert_ok(rv_random_create(device, seed, &random), rv_device_message(device));
    assert_ok(rv_array_create(device, RV_F32, ROWS, COLS, "uniform", &uniform), "uniform");
    assert_ok(rv_array_create(device, RV_F32, ROWS, COLS, "normal", &normal), "normal");
    assert_ok(rv_array_create(device, RV_I32, ROWS, 1, "index", &index), "index");
    assert_ok(rv_graph_create(device, &graph), rv_device_message(device));
    rv_tensor noise = rv_random_state(graph, random);
    if (extra) rv_store(normal, rv_normal(noise, "other", 0, ROWS, COLS));
    rv_store(uniform, rv_uniform(noise, "u", 4, ROWS, COLS));
    rv_store(normal, rv_normal(noise, "n", 5, ROWS, COLS));
    rv_store(index, rv_uniform_index(noise, "i", 6, ROWS, 1, rv_cast(rv_fill(graph, 1, 1, 1000.0f), RV_I32)));
    rv_random_advance(graph, random);
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    rv_graph_destroy(graph);
    for (int run = 0; run <= advance; run++) assert_ok(rv_plan_run(plan), rv_plan_message(plan));

    static float got[ROWS * COLS], expected[ROWS * COLS];
    static uint32_t bits[ROWS];
    static int32_t indices[ROWS];
    assert_ok(rv_array_read(uniform, 0, ROWS, got), rv_array_message(uniform));
    rv_random_uniform(seed, (uint32_t)advance, "u", 4, ROWS, COLS, expected);
    assert_memory_equal(got, expected, sizeof got);
    assert_ok(rv_array_read(normal, 0, ROWS, got), rv_array_message(normal));
    rv_random_normal(seed, (uint32_t)advance, "n", 5, ROWS, COLS, expected);
    assert_memory_equal(got, expected, sizeof got);
    assert_ok(rv_array_read(index, 0, ROWS, indices), rv_array_message(index));
    rv_random_bits(seed, (uint32_t)advance, "i", 6, ROWS, 1, bits);
    for (int i = 0; i < ROWS; i++) assert_int_equal(indices[i], (int32_t)((uint64_t)bits[i] * 1000 >> 32));

    rv_plan_destroy(plan);
    rv_array_destroy(index);
    rv_array_destroy(normal);
    rv_array_destroy(uniform);
    rv_random_destroy(random);
    rv_device_close(device);
}

/* Millions of each kind, in rows of every length modulo 4: a device whose last bit differs somewhere shows it. */
static void compare_many(const char *name, int64_t rows, int64_t cols) {
    rv_device *device;
    assert_ok(rv_device_open(name, NULL, &device), rv_device_message(device));
    rv_random *random;
    rv_graph *graph;
    rv_plan *plan;
    rv_array *arrays[3];
    static const char *const names[] = {"normals", "uniforms", "indices"};
    const uint64_t seed = 0x0123456789abcdefu;
    const size_t count = (size_t)(rows * cols);
    assert_ok(rv_random_create(device, seed, &random), rv_device_message(device));
    assert_ok(rv_graph_create(device, &graph), rv_device_message(device));
    const rv_tensor noise = rv_random_state(graph, random), most = rv_cast(rv_fill(graph, 1, 1, 1e9f), RV_I32);
    const rv_tensor drawn[] = {rv_normal(noise, "n", 1, rows, cols), rv_uniform(noise, "u", 2, rows, cols),
                               rv_uniform_index(noise, "i", 3, rows, cols, most)};
    for (int k = 0; k < 3; k++) {
        assert_ok(rv_array_create(device, k == 2 ? RV_I32 : RV_F32, rows, cols, names[k], &arrays[k]), names[k]);
        rv_store(arrays[k], drawn[k]);
    }
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    rv_graph_destroy(graph);
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));

    uint32_t *got = malloc(count * sizeof *got), *expected = malloc(count * sizeof *expected);
    for (int k = 0; k < 3; k++) {
        assert_ok(rv_array_read(arrays[k], 0, rows, got), rv_array_message(arrays[k]));
        if (k == 0) rv_random_normal(seed, 0, "n", 1, rows, cols, (float *)expected);
        else if (k == 1) rv_random_uniform(seed, 0, "u", 2, rows, cols, (float *)expected);
        else rv_random_bits(seed, 0, "i", 3, rows, cols, expected);
        for (size_t i = 0; k == 2 && i < count; i++) expected[i] = (uint32_t)((uint64_t)expected[i] * 1000000000u >> 32);
        assert_memory_equal(got, expected, count * sizeof *got);
        rv_array_destroy(arrays[k]);
    }
    free(got);
    free(expected);
    rv_plan_destroy(plan);
    rv_random_destroy(random);
    rv_device_close(device);
}

static void test_devices_draw_the_same(void **state) {
    (void)state;
    for (int i = 0; i < devices.count; i++) {
        bool absent;
        rv_device *device = rv_device_open_for_test(&devices, i, &absent);
        rv_device_close(device);
        if (absent) continue;
        assert_non_null(device);
        compare_with_host(devices.names[i], 0, 0);
        compare_with_host(devices.names[i], 1, 3);
        for (int64_t cols = 1021; cols < 1025; cols++) compare_many(devices.names[i], RV_SLOW_RUN ? 99 : 1024, cols);
    }
}

int main(int argc, char **argv) {
    rv_devices_from(&devices, argc, argv, "cpu cpu:isa=baseline cpu:isa=avx2 cpu:reference check:cpu opencl:0");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_normals_fixed),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_normals_accurate),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_devices_draw_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
