/* Any bytes, read as a checkpoint: never a crash or a leak, and where the load fails no array has changed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reverie/checkpoint.h"

enum { ROWS = 2, COLS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static int file = -1;

static void remove_file(void) {
    unlink(path);
}

static void open_file(void) {
    snprintf(path, sizeof path, "%s/reverie-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    file = mkstemp(path);
    if (file < 0) abort();
    atexit(remove_file);
}

static void need(int truth) {
    if (!truth) abort();
}

static void load_into(rv_device *device, rv_checkpoint *checkpoint) {
    const float before[ROWS * COLS] = {1, 2, 3, 4, 5, 6};
    const int32_t count_before = 7;
    float after[ROWS * COLS];
    int32_t count_after;
    rv_array *weight, *count;
    need(rv_array_create(device, RV_F32, ROWS, COLS, "weight", &weight) == RV_OK);
    need(rv_array_create(device, RV_I32, 1, 1, "count", &count) == RV_OK);
    need(rv_array_write(weight, 0, ROWS, before) == RV_OK && rv_array_write(count, 0, 1, &count_before) == RV_OK);
    need(rv_checkpoint_add_array(checkpoint, "weight", weight) == RV_OK);
    need(rv_checkpoint_add_array(checkpoint, "count", count) == RV_OK);

    rv_status status = rv_checkpoint_load(checkpoint, path);
    need(rv_array_read(weight, 0, ROWS, after) == RV_OK && rv_array_read(count, 0, 1, &count_after) == RV_OK);
    if (status != RV_OK) {
        need(memcmp(before, after, sizeof before) == 0 && count_before == count_after);
        need(rv_checkpoint_message(checkpoint)[0] != 0);
    } else {
        const char *config = rv_checkpoint_get(checkpoint, "config");
        need(!config || strlen(config) < 1 << 30); /* reads all of it */
    }
    rv_array_destroy(count);
    rv_array_destroy(weight);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (file < 0) open_file();
    need(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);

    rv_device *device;
    rv_checkpoint *checkpoint;
    need(rv_device_open("cpu:reference", NULL, &device) == RV_OK);
    need(rv_checkpoint_create(device, &checkpoint) == RV_OK);
    if (rv_checkpoint_load_metadata(checkpoint, path) != RV_OK) need(rv_checkpoint_message(checkpoint)[0] != 0);
    load_into(device, checkpoint);
    rv_checkpoint_destroy(checkpoint);
    rv_device_close(device);
    return 0;
}
