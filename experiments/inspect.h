/* experiments/inspect.h: what safetensors and NPZ files hold. */
#ifndef EXPERIMENTS_INSPECT_H
#define EXPERIMENTS_INSPECT_H

#include <stddef.h>
#include <stdint.h>

enum { INSPECT_DIMENSIONS = 8 };

/* The types of which statistics are known; others are listed by name alone. */
typedef enum inspect_type {
    TYPE_OTHER,
    TYPE_F64,
    TYPE_F32,
    TYPE_F16,
    TYPE_BF16,
    TYPE_I64,
    TYPE_I32,
    TYPE_I16,
    TYPE_I8,
    TYPE_U64,
    TYPE_U32,
    TYPE_U16,
    TYPE_U8
} inspect_type;

/* One array in a file's bytes, little-endian. */
typedef struct inspect_array {
    const char *name, *type_name;
    inspect_type type;
    int dimensions;
    int64_t shape[INSPECT_DIMENSIONS];
    const uint8_t *data;
    uint64_t size; /* bytes */
} inspect_array;

/* Bytes of one value; 0 where the type is not known. */
size_t inspect_type_size(inspect_type type);

/* Prints one line. */
void inspect_print(const inspect_array *array);

/* Each looks at a whole file in memory, prints what it holds or what is wrong, and returns an exit code. */
int inspect_safetensors(const char *path, const uint8_t *bytes, uint64_t size);
int inspect_npz(const char *path, const uint8_t *bytes, uint64_t size);

/* Any file: says so where it is of neither kind. */
int inspect_file(const char *path);

#endif
