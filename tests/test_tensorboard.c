/* TensorBoard event files: the bytes that TensorBoard's own protocol buffers give (golden/event_file.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/tensorboard.c"

static size_t read_bytes(const char *path, uint8_t *bytes, size_t capacity) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, capacity, file);
    assert_true(size < capacity);
    fclose(file);
    return size;
}

static void same_bytes_as_tensorboard(void **unused) {
    (void)unused;
    static uint8_t ours[8192], theirs[8192];
    char text[512] = "";
    for (int i = 0; i < 20; i++) strcat(text, "{\"seed\": \"7\"}\n");
    FILE *file = fopen("ours.events", "wb");
    assert_non_null(file);
    tensorboard *events = tensorboard_open_stream(file, 1234567890.125, 301);
    assert_non_null(events);
    tensorboard_text(events, "config", 0, text);
    tensorboard_scalar(events, "train/loss", 310, 0.25f);
    tensorboard_scalar(events, "train/loss", 320, -1.5e-7f);
    tensorboard_scalar(events, "train/loss", INT64_C(5000000000), NAN);
    assert_true(tensorboard_close(events));
    size_t size = read_bytes("ours.events", ours, sizeof ours);
    assert_int_equal(size, read_bytes(RV_TEST_DIR "/golden/event_file.events", theirs, sizeof theirs));
    assert_memory_equal(ours, theirs, size);
}

/* The vector of TensorBoard's own tests. */
static void checksum(void **unused) {
    (void)unused;
    assert_int_equal(masked_checksum((const uint8_t *)"\x1a\x11" "CRC test, one two", 19), 0x5794d08a);
}

static void files_of_a_folder(void **unused) {
    (void)unused;
    assert_null(tensorboard_open("no/such/folder", 0));
    tensorboard *first = tensorboard_open(".", 0), *second = tensorboard_open(".", 0); /* in the same second */
    assert_non_null(first);
    assert_non_null(second);
    assert_true(tensorboard_close(first));
    assert_true(tensorboard_close(second));
    assert_true(tensorboard_close(NULL));
}

static void a_full_disk_is_told(void **unused) {
    (void)unused;
    FILE *full = fopen("/dev/full", "w");
    if (!full) skip();
    tensorboard *events = tensorboard_open_stream(full, 1.0, 0);
    assert_non_null(events);
    assert_false(tensorboard_flush(events));
    assert_false(tensorboard_close(events));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_as_tensorboard),
        cmocka_unit_test(checksum),
        cmocka_unit_test(files_of_a_folder),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
