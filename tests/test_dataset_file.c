/* Datasets as files: what NumPy wrote is read, what is written is what NumPy reads, and nothing bad gets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reverie/dataset.h"

enum { STEPS = 12, OBSERVED = 3, ACTED = 2 };

/* The steps of golden/dataset.py. */
static rv_dataset *make(void) {
    rv_dataset *data;
    assert_int_equal(rv_dataset_create(OBSERVED, ACTED, &data), RV_OK);
    for (int t = 0; t < STEPS; t++) {
        const float n = (float)t, at[] = {n, n + 0.25f, n - 0.5f}, next[] = {n + 1, n + 1.25f, n + 0.5f}, action[] = {n / 8, 0.0f - n / 8};
        const rv_transition step = {at, action, 10 * n, next, t == 4, t == 8};
        assert_int_equal(rv_dataset_append(data, &step), RV_OK);
    }
    return data;
}

static void assert_same(const rv_dataset *a, const rv_dataset *b) {
    const rv_transitions s = rv_dataset_transitions(a), t = rv_dataset_transitions(b);
    assert_int_equal(s.steps, t.steps);
    assert_int_equal(s.observation_size, t.observation_size);
    assert_int_equal(s.action_size, t.action_size);
    const size_t n = (size_t)s.steps, o = (size_t)s.observation_size, c = (size_t)s.action_size;
    assert_memory_equal(s.observation, t.observation, n * o * sizeof(float));
    assert_memory_equal(s.next_observation, t.next_observation, n * o * sizeof(float));
    assert_memory_equal(s.action, t.action, n * c * sizeof(float));
    assert_memory_equal(s.reward, t.reward, n * sizeof(float));
    assert_memory_equal(s.first, t.first, n);
    assert_memory_equal(s.terminated, t.terminated, n);
    assert_memory_equal(s.truncated, t.truncated, n);
}

static const char *golden(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/golden/dataset/%s.npz", RV_TEST_DIR, name);
    return path;
}

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s is missing", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size + 1);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void reads_what_numpy_wrote(void **unused) {
    (void)unused;
    static const char *const names[] = {"stored", "deflated", "streamed", "zip64", "big_endian", "columns", "saved"};
    rv_dataset *expected = make(), *data;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const rv_status status = rv_dataset_load(golden(names[i]), &data);
        if (status != RV_OK) fail_msg("%s: %s", names[i], rv_dataset_message(data));
        assert_same(expected, data);
        assert_int_equal(rv_dataset_episodes(data), 3);
        rv_dataset_destroy(data);
    }
    rv_dataset_destroy(expected);
}

/* golden/dataset/saved.npz was written by rv_dataset_save, and NumPy has read it (golden/dataset.py --read). */
static void writes_what_numpy_read(void **unused) {
    (void)unused;
    size_t size, expected_size;
    rv_dataset *data = make(), *again;
    assert_int_equal(rv_dataset_save(data, "saved.npz"), RV_OK);
    uint8_t *bytes = read_file("saved.npz", &size), *expected = read_file(golden("saved"), &expected_size);
    assert_int_equal(size, expected_size);
    assert_memory_equal(bytes, expected, size);
    assert_int_equal(rv_dataset_load("saved.npz", &again), RV_OK);
    assert_same(data, again);
    rv_dataset_destroy(again);
    assert_int_equal(rv_dataset_load_memory(bytes, size, &again), RV_OK);
    assert_same(data, again);
    rv_dataset_destroy(again);
    rv_dataset_destroy(data);
    free(bytes);
    free(expected);
}

static void large_round_trip(void **unused) {
    (void)unused;
    rv_dataset *data, *again;
    rv_dataset_create(17, 5, &data);
    float at[17], next[17], action[5];
    uint64_t random = 1;
    for (int t = 0; t < 20000; t++) {
        for (int c = 0; c < 17; c++) {
            random = random * UINT64_C(6364136223846793005) + 1;
            at[c] = (float)(int32_t)(random >> 32) * 0x1p-20f;
            next[c] = -at[c] * 0x1p-100f;
            action[c % 5] = at[c] * 1e30f;
        }
        const rv_transition step = {at, action, at[3], next, random >> 63 == 1, (random >> 60) % 8 == 1};
        assert_int_equal(rv_dataset_append(data, &step), RV_OK);
    }
    assert_int_equal(rv_dataset_save(data, "large.npz"), RV_OK);
    assert_int_equal(rv_dataset_load("large.npz", &again), RV_OK);
    assert_same(data, again);
    unlink("large.npz");
    rv_dataset_destroy(data);
    rv_dataset_destroy(again);
}

/* ---- what is refused ------------------------------------------------------------------------------------------ */

static void refuse(const char *path, rv_status status, const char *words) {
    rv_dataset *data;
    const rv_status got = rv_dataset_load(path, &data);
    if (got != status) fail_msg("%s: %s (%s)", path, rv_status_text(got), rv_dataset_message(data));
    if (!strstr(rv_dataset_message(data), words)) fail_msg("\"%s\" lacks \"%s\"", rv_dataset_message(data), words);
    assert_int_equal(rv_dataset_steps(data), 0);
    rv_dataset_destroy(data);
}

static void bad_files(void **unused) {
    (void)unused;
    refuse(golden("bad_objects"), RV_TYPE_MISMATCH, "action holds Python objects");
    refuse(golden("bad_text"), RV_TYPE_MISMATCH, "action is of a type that is not read");
    refuse(golden("bad_structure"), RV_TYPE_MISMATCH, "reward holds structures");
    refuse(golden("bad_nan"), RV_NON_FINITE, "step 7: the next observation is NaN");
    refuse(golden("bad_rows"), RV_SHAPE_MISMATCH, "reward has 11 rows, observation has 12");
    refuse(golden("bad_columns"), RV_SHAPE_MISMATCH, "next_observation has 2 columns instead of 3");
    refuse(golden("bad_flags"), RV_BAD_FILE, "step 1: terminated is neither 0 nor 1");
    refuse(golden("bad_first"), RV_BAD_FILE, "step 0: an episode begins here, and is_first is 0");
    refuse(golden("bad_empty"), RV_BAD_FILE, "no steps");
    refuse(golden("bad_foreign"), RV_BAD_FILE, "\"observation\" is missing; it holds: weights, bias");
    refuse(golden("bad_method"), RV_UNSUPPORTED, "compressed by method 12");
    refuse("absent.npz", RV_NOT_FOUND, "absent.npz: No such file");
    refuse(".", RV_BAD_FILE, "no file");
    refuse(RV_TEST_DIR "/golden/checkpoint.safetensors", RV_BAD_FILE, "no NPZ file");
    unlink("pipe.npz");
    assert_int_equal(mkfifo("pipe.npz", 0600), 0);
    refuse("pipe.npz", RV_BAD_FILE, "no file"); /* and does not wait for a writer */
    fclose(fopen("nothing.npz", "w"));
    refuse("nothing.npz", RV_BAD_FILE, "it is empty");
    assert_int_equal(truncate("nothing.npz", (off_t)1 << 36), 0); /* a hole of 64 GiB takes no memory */
    refuse("nothing.npz", RV_BAD_FILE, "no NPZ file");
    unlink("nothing.npz");
}

/* Loads damaged bytes from memory of just their size: an error with a message, or the very same dataset, where what
 * was changed means nothing (a date, for one). */
static int damaged(const rv_dataset *expected, const uint8_t *bytes, size_t size) {
    rv_dataset *data;
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    const rv_status status = rv_dataset_load_memory(copy, size, &data);
    free(copy);
    if (status == RV_OK) assert_same(expected, data);
    else assert_true(status != RV_INTERNAL && rv_dataset_message(data)[0] && rv_dataset_steps(data) == 0);
    rv_dataset_destroy(data);
    return status != RV_OK;
}

static void every_cut_and_flip(void **unused) {
    (void)unused;
    static const char *const names[] = {"saved", "deflated", "zip64"};
    rv_dataset *expected = make();
    for (int f = 0; f < 3; f++) {
        size_t size;
        uint8_t *bytes = read_file(golden(names[f]), &size);
        for (size_t cut = 0; cut < size; cut++) assert_int_equal(damaged(expected, bytes, cut), 1);
        int found = 0;
        for (size_t i = 0; i < size; i++) {
            for (int bit = 0; bit < 8; bit++) {
                bytes[i] ^= (uint8_t)(1 << bit);
                found += damaged(expected, bytes, size);
                bytes[i] ^= (uint8_t)(1 << bit);
            }
        }
        assert_in_range(found, size * 8 * 2 / 3, size * 8); /* headers hold dates and versions that do not matter */
        for (size_t i = 0; i + 4 <= size; i++) { /* every number of 32 bits, a boundary */
            static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
            uint8_t before[4];
            memcpy(before, bytes + i, 4);
            for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
                memcpy(bytes + i, &values[v], 4);
                damaged(expected, bytes, size);
            }
            memcpy(bytes + i, before, 4);
        }
        free(bytes);
    }
    rv_dataset_destroy(expected);
}

/* An entry that claims four gigabytes gets no memory for them. */
static void no_bomb(void **unused) {
    (void)unused;
    size_t size;
    rv_dataset *data;
    uint8_t *bytes = read_file(golden("deflated"), &size);
    int patched = 0;
    for (size_t i = 0; i + 46 < size; i++) {
        if (memcmp(bytes + i, "PK\x01\x02", 4) != 0) continue;
        memcpy(bytes + i + 24, "\xf0\xff\xff\xff", 4);
        patched++;
    }
    assert_int_equal(patched, 7);
    assert_int_equal(rv_dataset_load_memory(bytes, size, &data), RV_BAD_FILE);
    assert_non_null(strstr(rv_dataset_message(data), "cannot hold what it says"));
    rv_dataset_destroy(data);
    free(bytes);
    assert_int_equal(rv_dataset_load_memory(NULL, 0, &data), RV_BAD_FILE);
    rv_dataset_destroy(data);
    assert_int_equal(rv_dataset_load_memory(NULL, 5, &data), RV_INVALID_ARGUMENT);
}

/* ---- failing to write ------------------------------------------------------------------------------------------ */

static void failed_saves_leave_the_old_file(void **unused) {
    (void)unused;
    rv_dataset *data = make(), *longer, *again;
    assert_int_equal(rv_dataset_save(data, "kept.npz"), RV_OK);
    rv_dataset_create(OBSERVED, ACTED, &longer);
    for (int i = 0; i < 400; i++) rv_dataset_append_range(longer, data, 0, 5);

    struct rlimit old, small = {16384, 0}; /* as if the disk were full after 16 KiB */
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const rv_status status = rv_dataset_save(longer, "kept.npz");
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, RV_IO_FAILED);
    assert_non_null(strstr(rv_dataset_message(longer), "kept.npz cannot be written"));
    assert_int_equal(rv_dataset_load("kept.npz", &again), RV_OK);
    assert_same(data, again);
    rv_dataset_destroy(again);
    assert_int_equal(system("test -z \"$(ls kept.npz.part* 2>/dev/null)\""), 0); /* nothing is left lying about */

    assert_int_equal(rv_dataset_save(longer, "kept.npz"), RV_OK);
    assert_int_equal(rv_dataset_load("kept.npz", &again), RV_OK);
    assert_same(longer, again);
    rv_dataset_destroy(again);

    assert_int_equal(rv_dataset_save(data, "absent/folder.npz"), RV_IO_FAILED);
    mkdir("folder.npz", 0755);
    assert_int_equal(rv_dataset_save(data, "folder.npz"), RV_IO_FAILED);
    assert_int_equal(rv_dataset_save(data, NULL), RV_INVALID_ARGUMENT);
    rv_dataset_clear(data);
    assert_int_equal(rv_dataset_save(data, "kept.npz"), RV_INVALID_ARGUMENT);
    rv_dataset_destroy(data);
    rv_dataset_destroy(longer);
}

/* Episodes that is_first begins without an end before, as in replay buffers: the step before was a cut. */
static void first_alone_cuts(void **unused) {
    (void)unused;
    size_t size;
    rv_dataset *data = make(), *again;
    rv_dataset_save(data, "first.npz");
    uint8_t *bytes = read_file("first.npz", &size);
    /* is_first of step 2, whose checksum then has to follow: the array's 12 bytes stand behind its header of 128 */
    uint8_t *name = NULL;
    for (size_t i = 0; i + 12 < size && !name; i++) {
        if (memcmp(bytes + i, "is_first.npy", 12) == 0) name = bytes + i;
    }
    assert_non_null(name);
    name[12 + 128 + 2] = 1;
    uint32_t checksum = 0xffffffff;
    for (int i = 0; i < 140; i++) {
        checksum ^= name[12 + i];
        for (int bit = 0; bit < 8; bit++) checksum = checksum >> 1 ^ (checksum & 1 ? 0xedb88320 : 0);
    }
    checksum = ~checksum;
    int patched = 0;
    for (size_t i = 0; i + 46 + 12 <= size; i++) {
        if (memcmp(bytes + i, "PK\x01\x02", 4) != 0 || memcmp(bytes + i + 46, "is_first.npy", 12) != 0) continue;
        for (int b = 0; b < 4; b++) bytes[i + 16 + (size_t)b] = (uint8_t)(checksum >> (8 * b));
        patched++;
    }
    assert_int_equal(patched, 1);
    const rv_status status = rv_dataset_load_memory(bytes, size, &again);
    if (status != RV_OK) fail_msg("%s", rv_dataset_message(again));
    const rv_transitions t = rv_dataset_transitions(again);
    assert_int_equal(rv_dataset_episodes(again), 4);
    assert_int_equal(t.truncated[1], 1);
    assert_int_equal(t.first[2], 1);
    free(bytes);
    rv_dataset_destroy(data);
    rv_dataset_destroy(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_numpy_wrote), cmocka_unit_test(writes_what_numpy_read), cmocka_unit_test(large_round_trip),
        cmocka_unit_test(bad_files), cmocka_unit_test(every_cut_and_flip), cmocka_unit_test(no_bomb),
        cmocka_unit_test(failed_saves_leave_the_old_file), cmocka_unit_test(first_alone_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
