/* experiments/tensors.h: safetensors files: read where they lie, written whole. */
#ifndef EXPERIMENTS_TENSORS_H
#define EXPERIMENTS_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "experiments/inspect.h"

/* Maps a file that is not empty. Prints what is wrong; an exit code. */
int file_map(const char *path, const uint8_t **bytes, uint64_t *size);
void file_unmap(const uint8_t *bytes, uint64_t size);

/* ---- reading --------------------------------------------------------------------------------------------------- */

struct json_t;

typedef struct tensors {
    const char *path;
    const uint8_t *bytes; /* of the file; NULL where tensors_open did not map it */
    uint64_t size;
    struct json_t *header;
    const uint8_t *data; /* behind the header */
    uint64_t data_size;
} tensors;

/* Each prints what is wrong and returns an exit code; whatever it is, close it. The path must outlive it. */
int tensors_open(tensors *file, const char *path);
int tensors_read(tensors *file, const char *path, const uint8_t *bytes, uint64_t size); /* of a file in memory */
void tensors_close(tensors *file);

/* Shape and place of an entry of the header; false where they do not fit each other or the file. */
bool tensors_entry(const tensors *file, const char *name, const struct json_t *entry, inspect_array *array);

/* Of a name; false: it is not there, or does not fit. */
bool tensors_find(const tensors *file, const char *name, inspect_array *array);

/* A metadata text, or NULL. */
const char *tensors_text(const tensors *file, const char *key);

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* Tensors of floats in the order they were added. All zero: empty. */
typedef struct tensor_list {
    int count, capacity;
    struct tensor_entry {
        char *name;
        int64_t rows, cols; /* of one row: written with shape [cols] */
        float *values;
    } *entries;
} tensor_list;

/* Copies name and values. false: out of memory. */
bool tensor_list_add(tensor_list *list, const char *name, int64_t rows, int64_t cols, const float *values);
void tensor_list_free(tensor_list *list);

/* Writes them, with the metadata `kind`, beside the path and then in its place. Prints what is wrong; an exit code. */
int tensor_list_write(const tensor_list *list, const char *path, const char *kind);

#endif
