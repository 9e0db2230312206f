/* tests/support/packed_matmul.c: the fast CPU device's product with the weights packed beforehand. */
#include "tests/support/packed_matmul.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/fast.h"
#include "core/internal.h"
#include "reverie/random.h"
#include "tests/support/compare.h"

enum { SLICE_ROWS = 128 };

struct rv_packed_matmul {
    const rv_fast *fast;
    rv_buffer a, b, y;
    float *packed;
    rv_step step;
    int64_t m, k, n, slice;
};

static float *make_floats(size_t count) { return aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64); }

static const rv_cpu *fast_cpu(const rv_device *device) {
    if (strcmp(device->backend->name, "cpu") != 0) return NULL;
    const rv_cpu *cpu = device->state;
    return cpu->kind == RV_CPU_FAST ? cpu : NULL;
}

static rv_operand operand(rv_buffer *buffer, int64_t rows, int64_t cols) {
    return (rv_operand){.buffer = buffer, .rows = rows, .cols = cols, .stride = cols, .dtype = RV_F32};
}

static void prepare(rv_packed_matmul *matmul, const rv_cpu *cpu) {
    const rv_kernels *kernels = cpu->fast->kernels;
    int64_t m = matmul->m, k = matmul->k, n = matmul->n;
    rv_pack pack = {.from = (float *)(void *)matmul->b.memory, .rows = k, .cols = n, .stride = n, .packing = RV_PACK_PANELS};
    pack.to = matmul->packed = make_floats(kernels->pack_size(&pack));
    if (!matmul->packed) return;
    kernels->pack_run(&pack, 0, kernels->pack_panels(&pack));
    matmul->step = (rv_step){.kernel = kernels->op[RV_OP_MATMUL], .run = kernels->op[RV_OP_MATMUL]->run, .units = m};
    matmul->step.packed[0] = matmul->packed;
    matmul->step.launch = (rv_launch){.op = RV_OP_MATMUL, .input_count = 2, .output_count = 1};
    matmul->step.launch.input[0] = operand(&matmul->a, m, k);
    matmul->step.launch.input[1] = operand(&matmul->b, k, n);
    matmul->step.launch.output[0] = operand(&matmul->y, m, n);
    matmul->slice = (m + cpu->threads - 1) / cpu->threads;
    if (matmul->slice > SLICE_ROWS) matmul->slice = SLICE_ROWS;
}

rv_packed_matmul *rv_packed_matmul_create(rv_device *device, int64_t m, int64_t k, int64_t n) {
    const rv_cpu *cpu = fast_cpu(device);
    rv_packed_matmul *matmul = cpu ? calloc(1, sizeof *matmul) : NULL;
    if (!matmul) return NULL;
    *matmul = (rv_packed_matmul){.fast = cpu->fast, .m = m, .k = k, .n = n};
    matmul->a.memory = (char *)make_floats((size_t)(m * k));
    matmul->b.memory = (char *)make_floats((size_t)(k * n));
    matmul->y.memory = (char *)make_floats((size_t)(m * n));
    if (matmul->a.memory && matmul->b.memory && matmul->y.memory) {
        rv_random_normal(7, 0, "a", 0, m, k, (float *)(void *)matmul->a.memory);
        rv_random_normal(7, 0, "b", 0, k, n, (float *)(void *)matmul->b.memory);
        prepare(matmul, cpu);
    }
    if (matmul->packed) return matmul;
    rv_packed_matmul_destroy(matmul);
    return NULL;
}

void rv_packed_matmul_destroy(rv_packed_matmul *matmul) {
    if (!matmul) return;
    free(matmul->a.memory);
    free(matmul->b.memory);
    free(matmul->y.memory);
    free(matmul->packed);
    free(matmul);
}

static void run_slice(void *user, int64_t task, int worker) {
    const rv_packed_matmul *matmul = user;
    int64_t first = task * matmul->slice, last = first + matmul->slice;
    matmul->step.run(&matmul->step, first, last < matmul->m ? last : matmul->m,
                     matmul->fast->scratch + (size_t)worker * RV_SCRATCH);
}

bool rv_packed_matmul_run(void *user) {
    rv_packed_matmul *matmul = user;
    rv_pool_run(matmul->fast->pool, run_slice, matmul, (matmul->m + matmul->slice - 1) / matmul->slice);
    return true;
}

/* One row of the true product. */
static void true_row(const rv_packed_matmul *matmul, int64_t row, double *out) {
    const float *a = (const float *)(void *)matmul->a.memory + row * matmul->k, *b = (const float *)(void *)matmul->b.memory;
    memset(out, 0, (size_t)matmul->n * sizeof *out);
    for (int64_t k = 0; k < matmul->k; k++)
        for (int64_t n = 0; n < matmul->n; n++) out[n] += (double)a[k] * (double)b[k * matmul->n + n];
}

bool rv_packed_matmul_check(rv_packed_matmul *matmul, char *why, size_t size) {
    float *y = (float *)(void *)matmul->y.memory;
    int64_t count = matmul->m * matmul->n;
    double *actual = malloc((size_t)count * sizeof *actual), *expected = malloc((size_t)count * sizeof *expected);
    bool fine = actual && expected;
    snprintf(why, size, "out of memory");
    if (fine) {
        for (int64_t i = 0; i < count; i++) y[i] = NAN;
        rv_packed_matmul_run(matmul);
        for (int64_t i = 0; i < count; i++) actual[i] = y[i];
        for (int64_t row = 0; row < matmul->m; row++) true_row(matmul, row, expected + row * matmul->n);
        fine = rv_compare_within(actual, expected, count, RV_CASE_NMSE, RV_CASE_ELEMENT, why, size);
    }
    free(actual);
    free(expected);
    return fine;
}
