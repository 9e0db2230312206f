/* tests/support/golden_file.h: a safetensors file of numbers as doubles.
 *
 *     golden_file *file = golden_open(RV_TEST_DIR "/golden/dreamer/debug_expected.safetensors");
 *     golden_tensor loss = golden_find(file, "update/0/loss/total");
 *     ...
 *     golden_close(file);
 */
#ifndef RV_TESTS_GOLDEN_FILE_H
#define RV_TESTS_GOLDEN_FILE_H

#include <stdint.h>

typedef struct golden_file golden_file;

typedef struct golden_tensor {
    int64_t rows, cols; /* one dimension: one row */
    const double *values; /* NULL: no such tensor */
} golden_tensor;

/* NULL and a line on stderr: not there, damaged, or of other types than F64, F32 and I32. */
golden_file *golden_open(const char *path);
void golden_close(golden_file *file);
golden_tensor golden_find(const golden_file *file, const char *name);
/* Names in the order of the file; NULL beyond the last. */
const char *golden_name(const golden_file *file, int64_t index);
/* A metadata text or NULL. */
const char *golden_text(const golden_file *file, const char *key);

#endif
