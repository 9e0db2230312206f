/* core/file.h: whole files: written atomically, read at known places. */
#ifndef RV_CORE_FILE_H
#define RV_CORE_FILE_H

#include "core/internal.h"

/* A file being written beside its final name. */
typedef struct rv_file_writer {
    rv_device *device; /* its allocator */
    rv_error *error;
    const char *path;
    char *temporary;
    int descriptor;
} rv_file_writer;

/* Creates a temporary file in path's folder, readable by its owner only. IO_FAILED, OUT_OF_MEMORY. */
rv_status rv_file_begin(rv_file_writer *writer, rv_device *device, const char *path, rv_error *error);
rv_status rv_file_write(rv_file_writer *writer, const void *bytes, size_t count);
/* Syncs, renames over path, syncs the folder. */
rv_status rv_file_finish(rv_file_writer *writer);
/* Removes what finish did not rename; always to be called last, also where begin failed. */
void rv_file_end(rv_file_writer *writer);

/* Opens a regular file for reading: a pipe or a device is refused, not waited for. IO_FAILED. */
rv_status rv_file_open(const char *path, int *descriptor, uint64_t *bytes, rv_error *error);
/* Reads exactly count bytes at offset. IO_FAILED. */
rv_status rv_file_read(int descriptor, const char *path, uint64_t offset, void *bytes, size_t count, rv_error *error);
void rv_file_close(int descriptor);

#endif
