/* agents/npz.h: NPZ, NumPy's archive of arrays: a zip file with one NPY file an array, stored or deflated.
 *
 * The reader trusts nothing: every offset and size is held against the bytes that are there, names occur once, what
 * is inflated has exactly the size and checksum that the directory says, and may not be over 1040 times the deflated
 * bytes, which deflate cannot exceed. Messages go to a caller's buffer.
 */
#ifndef RV_AGENTS_NPZ_H
#define RV_AGENTS_NPZ_H

#include <stdbool.h>

#include "reverie/status.h"

enum { RV_NPZ_ENTRIES_MAX = 4096, RV_NPY_DIMS_MAX = 8, RV_NPY_HEADER_MAX = 65536, RV_NPZ_MESSAGE = 192 };

typedef struct rv_npz {
    const uint8_t *bytes; /* the caller's */
    size_t size;
    size_t directory, directory_size;
    int entries;
} rv_npz;

/* One array. */
typedef struct rv_npy {
    char kind;     /* 'f' float, 'i' and 'u' whole numbers, 'b' truth values */
    int item;      /* bytes an element */
    bool swapped;  /* of the other byte order */
    bool fortran;  /* columns one after another */
    int dims;
    int64_t shape[RV_NPY_DIMS_MAX];
    const uint8_t *data;
    uint8_t *owned; /* inflated bytes, or NULL */
} rv_npy;

/* Whether a file may be a zip archive, by its last RV_NPZ_TAIL bytes: before a large one is read. */
enum { RV_NPZ_TAIL = 65557 };
bool rv_npz_ends(const uint8_t *tail, size_t size);

/* Finds the directory and looks at every entry of it. Errors: BAD_FILE, TOO_LARGE (over RV_NPZ_ENTRIES_MAX). */
rv_status rv_npz_open(rv_npz *npz, const void *bytes, size_t size, char message[RV_NPZ_MESSAGE]);

/* The array of that name, to be released. Errors: NOT_FOUND (no message), BAD_FILE, TYPE_MISMATCH (objects, structures,
 * text, complex or half numbers), UNSUPPORTED (encrypted, or compressed otherwise), OUT_OF_MEMORY. */
rv_status rv_npz_read(const rv_npz *npz, const char *name, rv_npy *array, char message[RV_NPZ_MESSAGE]);
void rv_npy_release(rv_npy *array);

/* Names of the arrays, as far as they fit, for messages. */
void rv_npz_names(const rv_npz *npz, char *text, size_t size);

/* What an NPY file of so many bytes holds; data then points into them. Errors: BAD_FILE, TYPE_MISMATCH. */
rv_status rv_npy_parse(const uint8_t *bytes, size_t size, rv_npy *array, char message[RV_NPZ_MESSAGE]);

/* Element (row, column) of an array of one or two dimensions, as a double. */
double rv_npy_value(const rv_npy *array, int64_t row, int64_t column);

/* ---- writing ------------------------------------------------------------------------------------------ */

typedef struct rv_npz_array {
    const char *name;
    const char *type; /* "f4" or "b1" */
    int dims;
    int64_t shape[2];
    const void *data;
} rv_npz_array;

/* Writes PATH whole or not at all. Errors: TOO_LARGE (4 GiB), IO_FAILED. */
rv_status rv_npz_write(const char *path, const rv_npz_array *arrays, int count, char message[RV_NPZ_MESSAGE]);

#endif
