/* tests/support/golden_steps.h: rows of float64 that a script of tests/golden wrote; for cmocka programs. */
#ifndef RV_TESTS_GOLDEN_STEPS_H
#define RV_TESTS_GOLDEN_STEPS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct golden {
    double *row; /* [rows, columns], to be freed */
    int64_t rows;
    int columns;
} golden;

/* What NumPy's save writes as golden/NAME.npy: a header of text, then float64 in C order. */
static golden read_golden(const char *name, int columns) {
    char path[512];
    snprintf(path, sizeof path, "%s/golden/%s.npy", RV_TEST_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s is missing", path);
    uint8_t begin[10];
    char header[256] = {0}, shape[64];
    assert_int_equal(fread(begin, 1, 10, file), 10);
    const size_t length = begin[8] + 256u * begin[9];
    assert_true(memcmp(begin, "\x93NUMPY\x01\x00", 8) == 0 && length < sizeof header);
    assert_int_equal(fread(header, 1, length, file), length);
    assert_non_null(strstr(header, "'descr': '<f8', 'fortran_order': False"));
    golden g = {.columns = columns};
    long long rows = 0;
    assert_int_equal(sscanf(strstr(header, "'shape'"), "'shape': (%lld,", &rows), 1);
    snprintf(shape, sizeof shape, "(%lld, %d)", rows, columns);
    assert_non_null(strstr(header, shape));
    g.rows = rows;
    g.row = malloc((size_t)(g.rows * columns) * sizeof(double));
    assert_int_equal(fread(g.row, sizeof(double) * (size_t)columns, (size_t)g.rows, file), g.rows);
    fclose(file);
    return g;
}

#endif
