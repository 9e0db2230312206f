/* bench/gate.c: no time without the right result. */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/compare.h"

/* An output that is not written shows: floats become NaN, whole numbers a pattern. */
static bool poison(rv_array *array) {
    int64_t rows = rv_array_rows(array), count = rows * rv_array_cols(array);
    if (count == 0) return true;
    float *values = malloc((size_t)count * sizeof *values);
    if (!values) return false;
    memset(values, 0x5a, (size_t)count * sizeof *values);
    if (rv_array_dtype(array) == RV_F32) {
        for (int64_t i = 0; i < count; i++) values[i] = NAN;
    }
    bool fine = rv_array_write(array, 0, rows, values) == RV_OK;
    free(values);
    return fine;
}

static bool same_outputs(rv_case_run *run, rv_case_run *expected, char *why, size_t size) {
    for (int k = 0; k < run->output_count; k++) {
        double *actual = rv_case_read(run, k), *reference = rv_case_read(expected, k);
        char where[256] = "cannot be read";
        bool fine = actual && reference &&
                    rv_compare(run->item, actual, reference, rv_case_output_count(run, k), where, sizeof where);
        free(actual);
        free(reference);
        if (!fine) {
            snprintf(why, size, "output %d%s", k, where);
            return false;
        }
    }
    return true;
}

bool bench_gate_case(rv_case_run *run, rv_device *device, rv_device *reference, const rv_case *item, rv_case_mode mode,
                     char *why, size_t size) {
    rv_case_run expected;
    bool fine = rv_case_open(run, device, item, mode, NULL) == RV_OK;
    for (int k = 0; fine && k < run->output_count; k++) fine = poison(run->output[k]);
    fine = fine && rv_case_execute(run) == RV_OK;
    if (!fine) {
        snprintf(why, size, "%s", run->message);
        return false;
    }
    fine = rv_case_open(&expected, reference, item, mode, NULL) == RV_OK && rv_case_execute(&expected) == RV_OK;
    if (fine) {
        fine = same_outputs(run, &expected, why, size);
    } else {
        snprintf(why, size, "reference: %.500s", expected.message);
    }
    rv_case_close(&expected);
    return fine;
}

static bool same_array(rv_array *actual, rv_array *expected, char *why, size_t size) {
    int64_t rows = rv_array_rows(actual), count = rows * rv_array_cols(actual);
    float *raw = malloc((size_t)count * sizeof *raw);
    double *a = malloc((size_t)count * sizeof *a), *b = malloc((size_t)count * sizeof *b);
    char where[256] = " cannot be read";
    bool fine = raw && a && b && rv_array_read(actual, 0, rows, raw) == RV_OK;
    for (int64_t i = 0; fine && i < count; i++) a[i] = raw[i];
    fine = fine && rv_array_read(expected, 0, rows, raw) == RV_OK;
    for (int64_t i = 0; fine && i < count; i++) b[i] = raw[i];
    fine = fine && rv_compare_within(a, b, count, 1e-9, 1e-4, where, sizeof where);
    if (!fine) snprintf(why, size, "%s%s", rv_array_name(actual), where);
    free(raw);
    free(a);
    free(b);
    return fine;
}

bool bench_gate_workload(bench_workload *workload, int index, rv_device *reference, char *why, size_t size) {
    bench_workload *expected = bench_workload_create(index, reference);
    bool fine = expected && bench_workload_first_run(expected) && bench_workload_first_run(workload);
    if (!fine) snprintf(why, size, "reference: %s; device: %s", expected ? expected->error : "no memory", workload->error);
    for (int i = 0; fine && i < workload->array_count; i++) {
        fine = same_array(workload->arrays[i], expected->arrays[i], why, size);
    }
    bench_workload_destroy(expected);
    return fine;
}
