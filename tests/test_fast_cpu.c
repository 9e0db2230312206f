/* tests/test_fast_cpu.c: the fast CPU device from inside: products against plain loops, the cut of rows, vector
 * maths against libm in double, the thread pool. Every test runs with each instruction set that this machine has. */
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "backends/cpu/fast.h"
#include "core/internal.h"
#include "reverie/random.h"

static const char *const devices[] = {"cpu:isa=baseline", "cpu:isa=avx2", "cpu:isa=avx512"};
static _Alignas(64) char scratch[RV_SCRATCH];

typedef void (*kernels_fn)(const rv_kernels *kernels);

/* Calls `test` with every table of kernels that runs here. */
static void with_each_isa(kernels_fn test) {
    int tested = 0;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        rv_device *device;
        if (rv_device_open(devices[i], NULL, &device) == RV_OK) {
            test(((const rv_cpu *)device->state)->fast->kernels);
            tested++;
        }
        rv_device_close(device);
    }
    assert_true(tested > 0);
}

/* ---- steps made by hand ------------------------------------------------------------------------------------- */

typedef struct matrix {
    rv_buffer buffer;
    rv_operand operand;
} matrix;

/* rows x cols, `gap` unused elements between the rows; what nobody writes stays NaN. */
static void matrix_make(matrix *m, int64_t rows, int64_t cols, int64_t gap) {
    const size_t count = (size_t)(rows * (cols + gap)) + 1;
    m->buffer = (rv_buffer){.memory = malloc(count * sizeof(float)), .bytes = count * sizeof(float)};
    assert_non_null(m->buffer.memory);
    for (size_t i = 0; i < count; i++) ((float *)(void *)m->buffer.memory)[i] = NAN;
    m->operand = (rv_operand){.buffer = &m->buffer, .rows = rows, .cols = cols, .stride = cols + gap, .dtype = RV_F32};
}

static float *element(const matrix *m, int64_t r, int64_t c) { return rv_f32(&m->operand) + r * m->operand.stride + c; }

static void matrix_normal(matrix *m, const char *name, int64_t rows, int64_t cols, int64_t gap) {
    float *values = malloc((size_t)(rows * cols + 1) * sizeof *values);
    assert_non_null(values);
    rv_random_normal(5, 0, name, 0, rows, cols, values);
    matrix_make(m, rows, cols, gap);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) *element(m, r, c) = values[r * cols + c];
    free(values);
}

static void matrix_free(matrix *m) {
    free(m->buffer.memory);
    m->buffer.memory = NULL;
}

static rv_step step_of(const rv_kernels *kernels, rv_op op) {
    const rv_kernel *kernel = kernels->op[op];
    assert_non_null(kernel);
    return (rv_step){.run = kernel->run, .kernel = kernel, .launch = {.op = op}};
}

/* Every element within 1e-5 of |expected| + its root mean square; gaps still NaN. */
static void assert_close(const matrix *actual, const double *expected) {
    const int64_t rows = actual->operand.rows, cols = actual->operand.cols;
    double square = 0;
    for (int64_t i = 0; i < rows * cols; i++) square += expected[i] * expected[i];
    const double rms = sqrt(square / (double)(rows * cols));
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < actual->operand.stride; c++) {
            const double x = (double)*element(actual, r, c);
            if (c >= cols) assert_true(isnan(x));
            else assert_true(fabs(x - expected[r * cols + c]) <= 1e-5 * (fabs(expected[r * cols + c]) + rms));
        }
    }
}

/* ---- products --------------------------------------------------------------------------------------------------- */

static const int64_t sizes[] = {1, 4, 7, 33, 65, 130};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void check_linear(const rv_kernels *kernels, int64_t rows, const int64_t *depths, int parts, int64_t cols, int64_t gap) {
    matrix x[4], w, bias, y, again;
    int64_t depth = 0;
    for (int i = 0; i < parts; i++) {
        const char name[] = {'x', (char)('0' + i), 0};
        matrix_normal(&x[i], name, rows, depths[i], gap);
        depth += depths[i];
    }
    matrix_normal(&w, "w", depth, cols, gap);
    matrix_normal(&bias, "bias", 1, cols, 0);
    matrix_make(&y, rows, cols, gap);
    matrix_make(&again, rows, cols, gap);
    rv_step step = step_of(kernels, RV_OP_LINEAR);
    step.launch.input_count = 2 + parts;
    step.launch.output_count = 2;
    step.launch.input[0] = w.operand;
    step.launch.input[1] = bias.operand;
    for (int i = 0; i < parts; i++) step.launch.input[2 + i] = x[i].operand;
    step.launch.output[0] = y.operand;
    step.run(&step, 0, rows, scratch);

    double *expected = calloc((size_t)(rows * cols), sizeof *expected);
    assert_non_null(expected);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++) {
            double sum = (double)*element(&bias, 0, c);
            for (int64_t i = 0, k = 0; i < parts; i++)
                for (int64_t j = 0; j < depths[i]; j++, k++) sum += (double)*element(&x[i], r, j) * (double)*element(&w, k, c);
            expected[r * cols + c] = sum;
        }
    }
    assert_close(&y, expected);
    free(expected);

    /* any cut of the rows gives the same bits */
    step.launch.output[0] = again.operand;
    for (int64_t share = 1; share <= 17; share += 4) {
        for (int64_t first = 0; first < rows; first += share) step.run(&step, first, first + share < rows ? first + share : rows, scratch);
        for (int64_t r = 0; r < rows; r++)
            assert_memory_equal(element(&again, r, 0), element(&y, r, 0), (size_t)cols * sizeof(float));
    }
    for (int i = 0; i < parts; i++) matrix_free(&x[i]);
    matrix_free(&w);
    matrix_free(&bias);
    matrix_free(&y);
    matrix_free(&again);
}

static void linear_on(const rv_kernels *kernels) {
    for (int i = 0; i < SIZES; i++)
        for (int j = 0; j < SIZES; j++)
            for (int k = 0; k < SIZES; k++) check_linear(kernels, sizes[i], &sizes[j], 1, sizes[k], (i + j + k) % 2 * 3);
    check_linear(kernels, 33, (int64_t[]){32, 1}, 2, 128, 0);
    check_linear(kernels, 7, (int64_t[]){5, 300, 1, 33}, 4, 65, 2);   /* several passes over k */
    check_linear(kernels, 40, (int64_t[]){300, 290}, 2, 520, 5);      /* far rows, read from a copy */
    check_linear(kernels, 300, (int64_t[]){17}, 1, 70, 0);            /* several blocks of rows */
}
static void test_linear(void **state) {
    (void)state;
    with_each_isa(linear_on);
}

/* All pieces of a step, one by one, and what comes after them. */
static void run_pieces(rv_step *step) {
    const rv_kernel *kernel = step->kernel;
    const int64_t partials = kernel->partials ? kernel->partials(&step->launch) : 0;
    step->partial = partials ? malloc((size_t)partials * sizeof(float)) : NULL;
    assert_true(step->partial || !partials);
    for (int64_t piece = 0, pieces = kernel->pieces(&step->launch); piece < pieces; piece++) step->run(step, piece, piece + 1, scratch);
    if (kernel->finish) kernel->finish(step, 0, 0, scratch);
    free(step->partial);
}

static void check_matmul(const rv_kernels *kernels, int64_t m, int64_t k, int64_t n, int transpose_a, int transpose_b, int64_t gap) {
    matrix a, b, y;
    matrix_normal(&a, "a", transpose_a ? k : m, transpose_a ? m : k, gap);
    matrix_normal(&b, "b", transpose_b ? n : k, transpose_b ? k : n, gap);
    matrix_make(&y, m, n, gap);
    rv_step step = step_of(kernels, RV_OP_MATMUL);
    step.launch.input_count = 2;
    step.launch.output_count = 1;
    step.launch.input[0] = a.operand;
    step.launch.input[1] = b.operand;
    step.launch.output[0] = y.operand;
    step.launch.attributes.i[0] = transpose_a;
    step.launch.attributes.i[1] = transpose_b;
    float *packed = NULL;
    if (transpose_b) {
        rv_pack pack = {rv_f32(&b.operand), n, k, b.operand.stride, RV_PACK_TRANSPOSED, NULL, 0, false};
        pack.to = packed = aligned_alloc(64, (kernels->pack_size(&pack) * sizeof(float) + 63) / 64 * 64);
        assert_non_null(packed);
        kernels->pack_run(&pack, 0, kernels->pack_panels(&pack));
        step.packed[0] = packed;
    }
    if (transpose_a) run_pieces(&step);
    else step.run(&step, 0, m, scratch);
    double *expected = calloc((size_t)(m * n), sizeof *expected);
    assert_non_null(expected);
    for (int64_t r = 0; r < m; r++)
        for (int64_t j = 0; j < k; j++)
            for (int64_t c = 0; c < n; c++)
                expected[r * n + c] += (double)*(transpose_a ? element(&a, j, r) : element(&a, r, j)) *
                                       (double)*(transpose_b ? element(&b, c, j) : element(&b, j, c));
    assert_close(&y, expected);
    free(expected);
    free(packed);
    matrix_free(&a);
    matrix_free(&b);
    matrix_free(&y);
}

static void matmul_on(const rv_kernels *kernels) {
    for (int i = 0; i < SIZES; i++)
        for (int j = 0; j < SIZES; j++)
            for (int k = 0; k < SIZES; k++)
                for (int flags = 0; flags < 4; flags++)
                    check_matmul(kernels, sizes[i], sizes[j], sizes[k], flags & 1, flags >> 1, (i + j + k) % 3);
    for (int flags = 0; flags < 4; flags++) check_matmul(kernels, 300, 290, 270, flags & 1, flags >> 1, 1);
    for (int flags = 1; flags < 4; flags += 2) check_matmul(kernels, 20, 4500, 70, flags & 1, flags >> 1, 1); /* segments */
}
static void test_matmul(void **state) {
    (void)state;
    with_each_isa(matmul_on);
}

static void wgrad_on(const rv_kernels *kernels) {
    static const int64_t cases[][4] = {{1, 1, 1, 1},        {7, 33, 2, 65},      {64, 128, 1, 64},    {65, 5, 1, 4},
                                       {300, 140, 300, 70}, {4097, 260, 3, 65}, {16385, 130, 1, 5}}; /* the last two in segments */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t rows = cases[i][0], first = cases[i][1], second = cases[i][2], cols = cases[i][3];
        matrix d, x[2], dw, dbias;
        matrix_normal(&d, "d", rows, cols, 1);
        matrix_normal(&x[0], "x0", rows, first, 0);
        matrix_normal(&x[1], "x1", rows, second, 2);
        matrix_make(&dw, first + second, cols, 0);
        matrix_make(&dbias, 1, cols, 0);
        rv_step step = step_of(kernels, RV_OP_LINEAR_WGRAD);
        step.launch.input_count = 3;
        step.launch.output_count = 2;
        step.launch.input[0] = d.operand;
        for (int k = 0; k < 2; k++) step.launch.input[1 + k] = x[k].operand;
        step.launch.output[0] = dw.operand;
        step.launch.output[1] = dbias.operand;
        run_pieces(&step);
        double *weights = calloc((size_t)((first + second) * cols), sizeof *weights), *bias = calloc((size_t)cols, sizeof *bias);
        assert_true(weights && bias);
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t c = 0; c < cols; c++) {
                const double slope = (double)*element(&d, r, c);
                bias[c] += slope;
                for (int64_t k = 0; k < first + second; k++)
                    weights[k * cols + c] += slope * (double)*(k < first ? element(&x[0], r, k) : element(&x[1], r, k - first));
            }
        }
        assert_close(&dw, weights);
        assert_close(&dbias, bias);
        free(weights);
        free(bias);
        matrix_free(&d);
        matrix_free(&x[0]);
        matrix_free(&x[1]);
        matrix_free(&dw);
        matrix_free(&dbias);
    }
}
static void test_linear_wgrad(void **state) {
    (void)state;
    with_each_isa(wgrad_on);
}

/* ---- vector maths --------------------------------------------------------------------------------------------------- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double elu(double x) { return x > 0 ? x : expm1(x); }
static double symlog(double x) { return copysign(log1p(fabs(x)), x); }
static double symexp(double x) { return copysign(expm1(fabs(x)), x); }

typedef struct function {
    rv_map map;
    double (*exact)(double);
    double low, high; /* where most samples lie */
    double ulps;      /* of the result */
    double absolute;  /* beside that: near zeros of sin and cos */
} function;

static const function functions[] = {
    {RV_MAP_EXP, exp, -104, 88.7, 2, 0},        {RV_MAP_LOG, log, 0, 1e6, 2, 0},
    {RV_MAP_TANH, tanh, -10, 10, 4, 0},         {RV_MAP_SIGMOID, sigmoid, -100, 30, 4, 0},
    {RV_MAP_SOFTPLUS, softplus, -90, 30, 4, 0}, {RV_MAP_ELU, elu, -20, 10, 3, 0},
    {RV_MAP_SYMLOG, symlog, -1e4, 1e4, 4, 0},   {RV_MAP_SYMEXP, symexp, -80, 80, 3, 0},
    {RV_MAP_SIN, sin, -100, 100, 3, 2e-7},      {RV_MAP_COS, cos, -1000, 1000, 3, 2e-7},
    {RV_MAP_SIN, sin, -1e6, 1e6, 3, 2e-7},      {RV_MAP_RELU, NULL, -1, 1, 0, 0},
};
enum { SAMPLES = 1 << 18 };

static double relu(double x) { return x < 0 ? 0 : x; }

/* Units in the last place of the float next to `exact`. */
static double ulp_of(double exact) {
    const double size = fabs(exact) < 0x1p-126 ? 0x1p-126 : fabs(exact);
    return ldexp(1, ilogb(size) - 23);
}

/* Half of the samples even over [low, high], half of any magnitude, and the special ones first. */
static void fill_samples(const function *f, float *x) {
    static const float special[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 1e-40f, -1e-40f, 0x1p-126f, 3e38f, -3e38f, 1.0f, -1.0f};
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < SAMPLES; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        const double u = (double)(state >> 11) * 0x1p-53;
        const double wide = exp(-87 + u * (87 + log(f->high))) * (state & 1024 ? 1 : -1);
        x[i] = (float)(i % 2 ? f->low + u * (f->high - f->low) : f->low >= 0 ? fabs(wide) : wide);
    }
    memcpy(x, special, sizeof special);
}

static void maths_on(const rv_kernels *kernels) {
    matrix x, y;
    matrix_make(&x, 1, SAMPLES, 0);
    matrix_make(&y, 1, SAMPLES, 0);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        const function *f = &functions[i];
        fill_samples(f, rv_f32(&x.operand));
        rv_step step = step_of(kernels, RV_OP_MAP1);
        step.launch.input_count = step.launch.output_count = 1;
        step.launch.input[0] = x.operand;
        step.launch.output[0] = y.operand;
        step.launch.attributes.i[0] = f->map;
        step.run(&step, 0, 1, scratch);
        for (int k = 0; k < SAMPLES; k++) {
            const double exact = (f->exact ? f->exact : relu)((double)*element(&x, 0, k)), actual = (double)*element(&y, 0, k);
            const bool fine = isnan(exact)                 ? isnan(actual)
                              : fabs(exact) >= 0x1.ffffffp127 ? actual == exact || isinf(actual)
                                                            : fabs(actual - exact) <= f->ulps * ulp_of(exact) + f->absolute;
            if (!fine) fail_msg("%s(%.9g) is %.9g, should be %.9g", rv_map_name(f->map), (double)*element(&x, 0, k), actual, exact);
        }
    }
    matrix_free(&x);
    matrix_free(&y);
}
static void test_maths(void **state) {
    (void)state;
    with_each_isa(maths_on);
}

/* ---- the pool ---------------------------------------------------------------------------------------------------------- */

typedef struct tally {
    _Atomic int runs[1000];
    _Atomic int strangers; /* workers beyond the number of threads */
    int threads;
} tally;

static void count_run(void *work, int64_t task, int worker) {
    tally *t = work;
    atomic_fetch_add(&t->runs[task], 1);
    if (worker < 0 || worker >= t->threads) atomic_fetch_add(&t->strangers, 1);
    if (task % 97 == 0) sched_yield();
}

/* Every task once, whatever their number and however long the threads had nothing to do. */
static void test_pool(void **state) {
    (void)state;
    rv_device *device;
    assert_int_equal(rv_device_open("cpu:threads=1", NULL, &device), RV_OK);
    static tally t;
    for (int threads = 1; threads <= 5; threads++) {
        rv_pool *pool;
        rv_error error = {0};
        assert_int_equal(rv_pool_open(&device->services, threads, &error, &pool), RV_OK);
        t.threads = threads;
        for (int round = 0; round < 400; round++) {
            const int64_t tasks = round * 37 % 1001;
            for (int64_t i = 0; i < 1000; i++) atomic_store(&t.runs[i], 0);
            rv_pool_run(pool, count_run, &t, tasks);
            for (int64_t i = 0; i < 1000; i++) assert_int_equal(atomic_load(&t.runs[i]), i < tasks);
            if (round % 100 == 99) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* long enough to fall asleep */
        }
        rv_pool_close(pool);
    }
    assert_int_equal(atomic_load(&t.strangers), 0);
    rv_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear), cmocka_unit_test(test_matmul), cmocka_unit_test(test_linear_wgrad),
        cmocka_unit_test(test_maths),  cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests_name("fast_cpu", tests, NULL, NULL);
}
