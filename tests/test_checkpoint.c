/* Checkpoints: the reference's bytes, round trips, and what happens to damaged files, full disks and failing copies. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/internal.h"
#include "tests/support/suite.h"

#define GOLDEN RV_TEST_DIR "/golden/checkpoint.safetensors"
#define FILE_NAME "checkpoint.safetensors"

/* ---- the tensors of golden/checkpoint.py ---- */

enum { WEIGHT = 12, BIAS = 5 };

typedef struct fixture {
    rv_device *device;
    rv_params *params;
    rv_array *random, *frames, *none, *size;
    rv_checkpoint *file;
} fixture;

typedef struct contents {
    float weight[3][WEIGHT], bias[3][BIAS], size;
    int32_t updates, random[4];
    uint8_t frames[6];
} contents;

static const rv_params_part saved[3] = {RV_VALUE, RV_MOMENT1, RV_MOMENT2};

static contents golden_contents(void) {
    contents c = {.size = 1.5f, .updates = 41, .random = {7, -1, 12, 0}, .frames = {0, 1, 2, 3, 4, 5}};
    static const float weight[3] = {-3.0f, 1.0f, 2.0f}, bias[3] = {100.0f, 0.5f, 0.75f};
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < WEIGHT; i++) c.weight[k][i] = weight[k] + 0.25f * (float)i;
        for (int i = 0; i < BIAS; i++) c.bias[k][i] = bias[k] + 0.25f * (float)i;
    }
    return c;
}

static void write_contents(fixture *f, const contents *c) {
    for (int k = 0; k < 3; k++) {
        assert_ok(rv_params_set(f->params, 0, saved[k], c->weight[k]), rv_params_message(f->params));
        assert_ok(rv_params_set(f->params, 1, saved[k], c->bias[k]), rv_params_message(f->params));
    }
    assert_ok(rv_array_write(rv_params_updates(f->params), 0, 1, &c->updates), "updates");
    assert_ok(rv_array_write(f->random, 0, 1, c->random), "random");
    assert_ok(rv_array_write(f->frames, 0, 2, c->frames), "frames");
    assert_ok(rv_array_write(f->size, 0, 1, &c->size), "size");
}

static contents read_contents(fixture *f) {
    contents c;
    memset(&c, 0, sizeof c);
    for (int k = 0; k < 3; k++) {
        assert_ok(rv_params_get(f->params, 0, saved[k], c.weight[k]), rv_params_message(f->params));
        assert_ok(rv_params_get(f->params, 1, saved[k], c.bias[k]), rv_params_message(f->params));
    }
    assert_ok(rv_array_read(rv_params_updates(f->params), 0, 1, &c.updates), "updates");
    assert_ok(rv_array_read(f->random, 0, 1, c.random), "random");
    assert_ok(rv_array_read(f->frames, 0, 2, c.frames), "frames");
    assert_ok(rv_array_read(f->size, 0, 1, &c.size), "size");
    return c;
}

static bool holds(fixture *f, const contents *expected) {
    const contents c = read_contents(f);
    return memcmp(c.weight, expected->weight, sizeof c.weight) == 0 &&
           memcmp(c.bias, expected->bias, sizeof c.bias) == 0 && c.size == expected->size &&
           c.updates == expected->updates && memcmp(c.random, expected->random, sizeof c.random) == 0 &&
           memcmp(c.frames, expected->frames, sizeof c.frames) == 0;
}

static contents other_contents(void) {
    contents c = golden_contents();
    for (int i = 0; i < WEIGHT; i++) c.weight[0][i] = -1.0f - (float)i;
    c.bias[2][4] = 8.0f;
    c.updates = 3;
    c.random[1] = 99;
    c.frames[5] = 200;
    c.size = -4.0f;
    return c;
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    *state = f;
    assert_ok(rv_device_open("cpu:reference", NULL, &f->device), rv_device_message(f->device));
    assert_ok(rv_params_create(f->device, &f->params), "params");
    rv_params_add(f->params, "dense/weight", 4, 3, RV_INIT_FAN_IN, 1.0f);
    rv_params_add(f->params, "dense/bias", 1, BIAS, RV_INIT_ZERO, 0.0f);
    assert_ok(rv_params_commit(f->params, 1), rv_params_message(f->params));
    assert_ok(rv_array_create(f->device, RV_I32, 1, 4, "random", &f->random), "random");
    assert_ok(rv_array_create(f->device, RV_U8, 2, 3, "frames", &f->frames), "frames");
    assert_ok(rv_array_create(f->device, RV_F32, 0, 2, "none", &f->none), "none");
    assert_ok(rv_array_create(f->device, RV_F32, 1, 1, "size", &f->size), "size");
    assert_ok(rv_checkpoint_create(f->device, &f->file), "checkpoint");
    assert_ok(rv_checkpoint_add_params(f->file, "agent/", f->params), rv_checkpoint_message(f->file));
    assert_ok(rv_checkpoint_add_array(f->file, "frames", f->frames), rv_checkpoint_message(f->file));
    assert_ok(rv_checkpoint_add_array(f->file, "random", f->random), rv_checkpoint_message(f->file));
    assert_ok(rv_checkpoint_add_array(f->file, "none", f->none), rv_checkpoint_message(f->file));
    const char *quoted = "Gr\xc3\xb6\xc3\x9f" "e \"1\"";
    assert_ok(rv_checkpoint_add_array(f->file, quoted, f->size), rv_checkpoint_message(f->file));
    const contents c = golden_contents();
    write_contents(f, &c);
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    rv_checkpoint_destroy(f->file);
    rv_array_destroy(f->size);
    rv_array_destroy(f->none);
    rv_array_destroy(f->frames);
    rv_array_destroy(f->random);
    rv_params_destroy(f->params);
    rv_device_close(f->device);
    free(f);
    unlink(FILE_NAME);
    return 0;
}

/* ---- files ---- */

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

/* In place: some file systems wait for the disk when a file is emptied and written again. */
static void write_file(const char *path, const void *bytes, size_t size) {
    const int file = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    assert_int_equal(ftruncate(file, (off_t)size), 0);
    assert_int_equal(close(file), 0);
}

static int files_here(void) {
    DIR *folder = opendir(".");
    int count = 0;
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static void assert_same_file(const char *path, const char *expected, size_t size) {
    size_t got_size;
    char *got = read_file(path, &got_size);
    assert_int_equal(got_size, size);
    assert_memory_equal(got, expected, size);
    free(got);
}

/* ---- tests ---- */

static void test_bytes_of_the_reference(void **state) {
    fixture *f = *state;
    const int files = files_here();
    assert_ok(rv_checkpoint_save(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    size_t size;
    char *golden = read_file(GOLDEN, &size);
    assert_same_file(FILE_NAME, golden, size);
    free(golden);
    struct stat about;
    assert_int_equal(stat(FILE_NAME, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(files_here(), files + 1); /* no temporary file stays */
}

static void test_load(void **state) {
    fixture *f = *state;
    const contents golden = golden_contents(), other = other_contents();
    write_contents(f, &other);
    assert_false(holds(f, &golden));
    assert_ok(rv_checkpoint_load(f->file, GOLDEN), rv_checkpoint_message(f->file));
    assert_true(holds(f, &golden));
    assert_string_equal(rv_checkpoint_get(f->file, "reverie"), "1");
    /* the padding between weights is still zero */
    float flat[32];
    assert_ok(rv_array_read(rv_params_array(f->params, RV_VALUE), 0, 1, flat), "flat");
    for (int i = WEIGHT; i < 16; i++) assert_true(flat[i] == 0.0f);
}

static void test_metadata(void **state) {
    fixture *f = *state;
    const char *text = "line\n\ttab \"quoted\" back\\slash \x01 Gr\xc3\xb6\xc3\x9f" "e {\"json\": [1]}";
    assert_null(rv_checkpoint_get(f->file, "config"));
    assert_ok(rv_checkpoint_set(f->file, "config", "first"), "set");
    assert_ok(rv_checkpoint_set(f->file, "config", text), "set");
    assert_ok(rv_checkpoint_set(f->file, "", ""), "set");
    assert_status(rv_checkpoint_set(f->file, "reverie", "2"), RV_INVALID_ARGUMENT);
    assert_status(rv_checkpoint_set(f->file, "broken", "\xff"), RV_INVALID_ARGUMENT);
    assert_ok(rv_checkpoint_save(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    assert_ok(rv_checkpoint_set(f->file, "config", "changed since"), "set");
    assert_ok(rv_checkpoint_set(f->file, "further", "not in the file"), "set");

    const contents other = other_contents(), golden = golden_contents();
    write_contents(f, &other);
    assert_ok(rv_checkpoint_load_metadata(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    assert_true(holds(f, &other));
    assert_string_equal(rv_checkpoint_get(f->file, "config"), text);
    assert_string_equal(rv_checkpoint_get(f->file, ""), "");
    assert_null(rv_checkpoint_get(f->file, "further"));
    assert_ok(rv_checkpoint_load(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    assert_true(holds(f, &golden));
    assert_string_equal(rv_checkpoint_get(f->file, "config"), text);
}

/* A new format is refused, a file without the key (another program's) is taken. */
static void test_format_version(void **state) {
    fixture *f = *state;
    size_t size;
    char *bytes = read_file(GOLDEN, &size), *version = strstr(bytes + 8, "\"reverie\":\"1\"");
    assert_non_null(version);
    version[11] = '2';
    write_file(FILE_NAME, bytes, size);
    assert_status(rv_checkpoint_load(f->file, FILE_NAME), RV_BAD_FILE);
    assert_names(rv_checkpoint_message(f->file), "another version of reverie");
    version[1] = 'R';
    write_file(FILE_NAME, bytes, size);
    assert_ok(rv_checkpoint_load(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    assert_null(rv_checkpoint_get(f->file, "reverie"));
    assert_ok(rv_checkpoint_save(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    assert_ok(rv_checkpoint_load(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    assert_string_equal(rv_checkpoint_get(f->file, "reverie"), "1");
    free(bytes);
}

/* More than one chunk of copying. */
static void test_large(void **state) {
    (void)state;
    enum { ROWS = 701, COLS = 1003 };
    fixture *f = *state;
    rv_array *array;
    rv_checkpoint *file;
    float *values = malloc((size_t)ROWS * COLS * sizeof *values), *got = malloc((size_t)ROWS * COLS * sizeof *got);
    rv_random_normal(5, 0, "large", 0, ROWS, COLS, values);
    assert_ok(rv_array_create(f->device, RV_F32, ROWS, COLS, "large", &array), "large");
    assert_ok(rv_array_write(array, 0, ROWS, values), "large");
    assert_ok(rv_checkpoint_create(f->device, &file), "checkpoint");
    assert_ok(rv_checkpoint_add_array(file, "large", array), rv_checkpoint_message(file));
    assert_ok(rv_checkpoint_save(file, FILE_NAME), rv_checkpoint_message(file));
    memset(got, 0, (size_t)ROWS * COLS * sizeof *got);
    assert_ok(rv_array_write(array, 0, ROWS, got), "large");
    assert_ok(rv_checkpoint_load(file, FILE_NAME), rv_checkpoint_message(file));
    assert_ok(rv_array_read(array, 0, ROWS, got), "large");
    assert_memory_equal(got, values, (size_t)ROWS * COLS * sizeof *got);
    rv_checkpoint_destroy(file);
    rv_array_destroy(array);
    free(got);
    free(values);
}

/* Loads bytes that may be damaged: a typed status, and all arrays or none. */
static rv_status load_damaged(fixture *f, const char *bytes, size_t size, const contents *before) {
    write_file(FILE_NAME, bytes, size);
    rv_status status = rv_checkpoint_load(f->file, FILE_NAME);
    if (status == RV_OK) return status;
    if (status != RV_BAD_FILE && status != RV_NOT_FOUND && status != RV_SHAPE_MISMATCH && status != RV_TYPE_MISMATCH) {
        fail_msg("%s: %s", rv_status_text(status), rv_checkpoint_message(f->file));
    }
    assert_names(rv_checkpoint_message(f->file), FILE_NAME);
    assert_true(holds(f, before));
    return status;
}

static void test_truncated(void **state) {
    fixture *f = *state;
    const contents other = other_contents();
    write_contents(f, &other);
    size_t size;
    char *bytes = read_file(GOLDEN, &size);
    for (size_t length = 0; length < size; length++) assert_status(load_damaged(f, bytes, length, &other), RV_BAD_FILE);
    bytes[size] = 0;
    assert_status(load_damaged(f, bytes, size + 1, &other), RV_BAD_FILE);
    assert_status(load_damaged(f, bytes, size, &other), RV_OK);
    free(bytes);
}

/* Every bit of length and header: only the key of the format version may change unseen. */
static void test_flipped(void **state) {
    fixture *f = *state;
    const contents other = other_contents(), golden = golden_contents();
    write_contents(f, &other);
    size_t size;
    char *bytes = read_file(GOLDEN, &size);
    const size_t header = 8 + (uint8_t)bytes[0] + 256 * (size_t)(uint8_t)bytes[1];
    const size_t key = (size_t)(strstr(bytes + 8, "\"reverie\"") - bytes);
    for (size_t i = 0; i < header; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
            if (load_damaged(f, bytes, size, &other) == RV_OK) {
                if (i <= key || i >= key + 8) fail_msg("byte %zu, bit %d went unseen", i, bit);
                assert_true(holds(f, &golden));
                write_contents(f, &other);
            }
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
        }
    }
    free(bytes);
}

/* Nothing that is no regular file is opened, waited for or renamed over. */
static void test_other_kinds_of_file(void **state) {
    fixture *f = *state;
    assert_status(rv_checkpoint_load(f->file, "missing.safetensors"), RV_IO_FAILED);
    assert_names(rv_checkpoint_message(f->file), "missing.safetensors");
    assert_status(rv_checkpoint_load(f->file, "."), RV_IO_FAILED);
    assert_status(rv_checkpoint_load(f->file, "/dev/zero"), RV_IO_FAILED);
    unlink("pipe");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_status(rv_checkpoint_load(f->file, "pipe"), RV_IO_FAILED);
    assert_status(rv_checkpoint_save(f->file, "pipe"), RV_IO_FAILED);
    struct stat about;
    assert_true(stat("pipe", &about) == 0 && S_ISFIFO(about.st_mode));
    unlink("pipe");
    assert_status(rv_checkpoint_save(f->file, "."), RV_IO_FAILED);
    assert_status(rv_checkpoint_save(f->file, ""), RV_INVALID_ARGUMENT);
    assert_status(rv_checkpoint_load(f->file, NULL), RV_INVALID_ARGUMENT);
    write_file(FILE_NAME, "", 0);
    assert_status(rv_checkpoint_load(f->file, FILE_NAME), RV_BAD_FILE);
}

static void test_another_architecture(void **state) {
    fixture *f = *state;
    static const struct {
        const char *name;
        rv_dtype dtype;
        int64_t rows, cols;
        rv_status status;
        const char *names;
    } cases[] = {
        {"agent/dense/weight", RV_F32, 4, 4, RV_SHAPE_MISMATCH, "[4, 3] in it and [4, 4] here"},
        {"agent/dense/weight", RV_F32, 3, 4, RV_SHAPE_MISMATCH, "agent/dense/weight"},
        {"agent/dense/bias", RV_F32, 1, 5, RV_SHAPE_MISMATCH, "[5] in it and [1, 5] here"},
        {"frames", RV_I32, 2, 3, RV_TYPE_MISMATCH, "U8 in it and I32 here"},
        {"agent/dense/weight", RV_I32, 4, 3, RV_TYPE_MISMATCH, "F32"},
        {"agent/gru/weight", RV_F32, 4, 3, RV_NOT_FOUND, "agent/gru/weight is not in it"},
        {"frames", RV_U8, 2, 3, RV_OK, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_checkpoint *file;
        rv_array *good, *wrong;
        int32_t before[4] = {1, 2, 3, 4}, after[4];
        assert_ok(rv_checkpoint_create(f->device, &file), "checkpoint");
        assert_ok(rv_array_create(f->device, RV_I32, 1, 4, "good", &good), "good");
        assert_ok(rv_array_create(f->device, cases[i].dtype, cases[i].rows, cases[i].cols, "wrong", &wrong), "wrong");
        assert_ok(rv_array_write(good, 0, 1, before), "good");
        assert_ok(rv_checkpoint_add_array(file, "random", good), "good");
        assert_ok(rv_checkpoint_add_array(file, cases[i].name, wrong), "wrong");
        assert_status(rv_checkpoint_load(file, GOLDEN), cases[i].status);
        assert_names(rv_checkpoint_message(file), cases[i].names);
        assert_ok(rv_array_read(good, 0, 1, after), "good");
        assert_int_equal(memcmp(before, after, sizeof before) == 0, cases[i].status != RV_OK);
        rv_checkpoint_destroy(file);
        rv_array_destroy(wrong);
        rv_array_destroy(good);
    }
}

static void test_non_finite(void **state) {
    fixture *f = *state;
    assert_ok(rv_checkpoint_save(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    size_t size;
    char *old = read_file(FILE_NAME, &size);
    contents c = other_contents();
    c.size = NAN;
    write_contents(f, &c);
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_graph_create(f->device, &graph), "graph");
    const char *name = "loss/kl";
    rv_watch(rv_read(graph, f->size), &name, 1);
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    assert_status(rv_checkpoint_save(f->file, FILE_NAME), RV_NON_FINITE);
    assert_names(rv_checkpoint_message(f->file), "loss/kl");
    assert_same_file(FILE_NAME, old, size);
    assert_ok(rv_device_health_clear(f->device), "clear");
    assert_ok(rv_checkpoint_save(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    free(old);
}

static void test_unwritable(void **state) {
    fixture *f = *state;
    assert_status(rv_checkpoint_save(f->file, "no/such/folder/a.safetensors"), RV_IO_FAILED);
    assert_names(rv_checkpoint_message(f->file), "no/such/folder");
    write_file(FILE_NAME, "x", 1);
    assert_status(rv_checkpoint_save(f->file, FILE_NAME "/a.safetensors"), RV_IO_FAILED);
    if (geteuid() == 0) return; /* to whom every folder is writable */
    rmdir("locked");
    assert_int_equal(mkdir("locked", 0555), 0);
    assert_status(rv_checkpoint_save(f->file, "locked/a.safetensors"), RV_IO_FAILED);
    rmdir("locked");
}

/* A disk that is full after so many bytes, for every number of bytes: the old file stays, no other is left. */
static void test_full_disk(void **state) {
    fixture *f = *state;
    assert_ok(rv_checkpoint_save(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    size_t size;
    char *old = read_file(FILE_NAME, &size);
    const contents other = other_contents();
    write_contents(f, &other);
    const int files = files_here();
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (size_t most = 0; most < size; most += 7) {
        limit = before;
        limit.rlim_cur = most;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        rv_status status = rv_checkpoint_save(f->file, FILE_NAME);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_status(status, RV_IO_FAILED);
        assert_same_file(FILE_NAME, old, size);
        assert_int_equal(files_here(), files);
    }
    signal(SIGXFSZ, handler);
    assert_ok(rv_checkpoint_save(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    free(old);
}

/* A process that saves again and again is killed somewhere: the file is always whole, old or new. */
static void test_killed(void **state) {
    fixture *f = *state;
    const contents both[2] = {golden_contents(), other_contents()};
    assert_ok(rv_checkpoint_save(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    for (int i = 0; i < 25; i++) {
        int saves[2]; /* a pipe: one byte a save */
        assert_int_equal(pipe(saves), 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            for (int k = 1;; k++) {
                write_contents(f, &both[k % 2]);
                if (rv_checkpoint_save(f->file, FILE_NAME) != RV_OK || write(saves[1], "s", 1) != 1) _exit(1);
            }
        }
        char byte;
        for (int k = 0; k <= i % 3; k++) assert_int_equal(read(saves[0], &byte, 1), 1);
        usleep((useconds_t)(97 * i % 3000));
        kill(child, SIGKILL);
        close(saves[0]);
        close(saves[1]);
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how)); /* no save had failed until then */
        assert_ok(rv_checkpoint_load(f->file, FILE_NAME), rv_checkpoint_message(f->file));
        assert_true(holds(f, &both[0]) || holds(f, &both[1]));
    }
    DIR *folder = opendir(".");
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strncmp(entry->d_name, FILE_NAME ".tmp-", sizeof FILE_NAME ".tmp-" - 1) == 0) unlink(entry->d_name);
    }
    closedir(folder);
}

/* ---- a backend whose n-th copy to the device fails ---- */

static const rv_backend *working;
static int uploads_left;

static rv_status failing_upload(void *state, rv_buffer *buffer, rv_dtype dtype, size_t offset, size_t count,
                                const void *data, rv_error *error) {
    if (uploads_left-- == 0) return rv_fail(error, RV_DEVICE_LOST, "the copy failed");
    return working->upload(state, buffer, dtype, offset, count, data, error);
}

static void test_failing_upload(void **state) {
    fixture *f = *state;
    const contents other = other_contents(), golden = golden_contents();
    working = f->device->backend;
    rv_backend failing = *working;
    failing.upload = failing_upload;
    int n = 0;
    for (rv_status status = RV_DEVICE_LOST; status != RV_OK; n++) {
        write_contents(f, &other);
        uploads_left = n;
        f->device->backend = &failing;
        status = rv_checkpoint_load(f->file, GOLDEN);
        f->device->backend = working;
        assert_true(holds(f, status == RV_OK ? &golden : &other));
        if (status == RV_OK) break;
        assert_status(status, RV_DEVICE_LOST);
        assert_names(rv_checkpoint_message(f->file), "old contents");
    }
    assert_int_equal(n, 10); /* nine tensors with elements fail, then it succeeds */
}

static void test_wrong_use(void **state) {
    fixture *f = *state;
    assert_status(rv_checkpoint_create(NULL, &(rv_checkpoint *){NULL}), RV_INVALID_ARGUMENT);
    assert_status(rv_checkpoint_add_array(f->file, "frames", f->frames), RV_INVALID_ARGUMENT);
    assert_names(rv_checkpoint_message(f->file), "frames is taken");
    assert_status(rv_checkpoint_add_array(f->file, "", f->frames), RV_INVALID_ARGUMENT);
    assert_status(rv_checkpoint_add_array(f->file, "a\nb", f->frames), RV_INVALID_ARGUMENT);
    assert_status(rv_checkpoint_add_array(f->file, "__metadata__", f->frames), RV_INVALID_ARGUMENT);
    assert_status(rv_checkpoint_add_array(f->file, NULL, f->frames), RV_INVALID_ARGUMENT);
    assert_status(rv_checkpoint_add_array(f->file, "a", NULL), RV_INVALID_ARGUMENT);
    char name[700];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    assert_status(rv_checkpoint_add_array(f->file, name, f->frames), RV_INVALID_ARGUMENT);
    assert_status(rv_checkpoint_add_params(f->file, name, f->params), RV_INVALID_ARGUMENT);
    assert_status(rv_checkpoint_add_params(f->file, "agent/", f->params), RV_INVALID_ARGUMENT);
    rv_params *open_set;
    assert_ok(rv_params_create(f->device, &open_set), "params");
    assert_status(rv_checkpoint_add_params(f->file, "open/", open_set), RV_INVALID_ARGUMENT);
    rv_params_destroy(open_set);
    rv_device *elsewhere;
    rv_array *foreign;
    assert_ok(rv_device_open("cpu:reference", NULL, &elsewhere), rv_device_message(elsewhere));
    assert_ok(rv_array_create(elsewhere, RV_F32, 1, 1, "foreign", &foreign), "foreign");
    assert_status(rv_checkpoint_add_array(f->file, "foreign", foreign), RV_WRONG_DEVICE);
    rv_array_destroy(foreign);
    rv_device_close(elsewhere);
    /* none of those refused was added */
    assert_ok(rv_checkpoint_save(f->file, FILE_NAME), rv_checkpoint_message(f->file));
    size_t size;
    char *golden = read_file(GOLDEN, &size);
    assert_same_file(FILE_NAME, golden, size);
    free(golden);
    /* an array that is gone */
    rv_array_destroy(f->frames);
    f->frames = NULL;
    assert_status(rv_checkpoint_save(f->file, FILE_NAME), RV_OBJECT_GONE);
    assert_names(rv_checkpoint_message(f->file), "frames");
    assert_status(rv_checkpoint_load(f->file, GOLDEN), RV_OBJECT_GONE);
    rv_checkpoint_destroy(NULL);
    assert_null(rv_checkpoint_get(NULL, "a"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_of_the_reference), TEST(test_load),           TEST(test_metadata),
        TEST(test_format_version),         TEST(test_large),          TEST(test_truncated),
        TEST(test_flipped),                TEST(test_other_kinds_of_file), TEST(test_another_architecture),
        TEST(test_non_finite),             TEST(test_unwritable),     TEST(test_full_disk),
        TEST(test_failing_upload),         TEST(test_wrong_use),      TEST(test_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
