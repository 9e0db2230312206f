/* tests/test_replay_host.c: a replay made, refused, and filled with stored episodes. */
#include <stdbool.h>
#include <string.h>

#include "reverie/replay.h"
#include "tests/support/allocator.h"
#include "tests/support/suite.h"

enum { STREAMS = 3, ROWS = 7, WINDOW = 4, FIELDS = 4 };

static const rv_replay_field fields[FIELDS] = {
    {"id", RV_I32, 2}, {"value", RV_F32, 3}, {"flag", RV_U8, 1}, {"latent", RV_F32, 2}};
static const rv_replay_options standard = {.size = sizeof standard,
                                           .fields = fields,
                                           .field_count = FIELDS,
                                           .streams = STREAMS,
                                           .capacity = 1000,
                                           .run_rows = STREAMS * ROWS - 1,
                                           .window = WINDOW};

static void *read_all(rv_array *array, void *out) {
    assert_ok(rv_array_read(array, 0, rv_array_rows(array), out), rv_array_message(array));
    return out;
}

/* Two episodes of 2 and 300 steps, the first terminated, the second cut: 304 rows. */
static void episodes(void **state) {
    (void)state;
    enum { STEPS = 302, LENGTH = STEPS + 2 };
    rv_device *device;
    rv_dataset *data;
    rv_replay *replay;
    assert_ok(rv_device_open("cpu", NULL, &device), rv_device_message(device));
    assert_ok(rv_dataset_create(2, 1, &data), rv_dataset_message(data));
    for (int t = 0; t < STEPS; t++) {
        const float here = (float)(t < 2 ? t : t + 10), seen[2] = {here, -here}, next[2] = {here + 1, -here - 1},
                    action = here + 0.5f;
        const rv_transition step = {seen, &action, here * 2, next, t == 1, t == STEPS - 1};
        assert_ok(rv_dataset_append(data, &step), rv_dataset_message(data));
    }
    const rv_replay_field wanted[] = {{"is_last", RV_F32, 1}, {"action", RV_F32, 1}, {"observation", RV_F32, 2},
                                      {"reward", RV_F32, 1},  {"latent", RV_F32, 4}, {"is_terminal", RV_F32, 1},
                                      {"is_first", RV_F32, 1}};
    const rv_replay_options options = {
        .size = sizeof options, .fields = wanted, .field_count = 7, .capacity = 400, .window = 2};
    assert_ok(rv_replay_create(device, &options, &replay), rv_replay_message(replay));
    const rv_transitions all = rv_dataset_transitions(data);
    int64_t rows;
    assert_ok(rv_replay_append_episodes(replay, &all, &rows), rv_replay_message(replay));
    assert_int_equal(rows, LENGTH);
    static float last[400], action[400], seen[800], reward[400], terminal[400], first[400];
    read_all(rv_replay_array(replay, 0), last);
    read_all(rv_replay_array(replay, 1), action);
    read_all(rv_replay_array(replay, 2), seen);
    read_all(rv_replay_array(replay, 3), reward);
    read_all(rv_replay_array(replay, 5), terminal);
    read_all(rv_replay_array(replay, 6), first);
    for (int r = 0; r < LENGTH; r++) {
        const bool begins = r == 0 || r == 3, ends = r == 2 || r == LENGTH - 1;
        const float here = (float)(r < 3 ? r : r - 1 + 10); /* an episode's rows count on by one each */
        assert_true(first[r] == begins && last[r] == ends && terminal[r] == (r == 2));
        assert_true(seen[2 * r] == here && seen[2 * r + 1] == -here);
        assert_true(action[r] == (ends ? 0 : here + 0.5f));
        assert_true(reward[r] == (begins ? 0 : (here - 1) * 2));
    }
    assert_true(seen[2 * LENGTH] == 0);
    rv_replay_destroy(replay);

    const rv_replay_field wide[] = {{"observation", RV_F32, 3}}, other[] = {{"x", RV_F32, 2}},
                          whole[] = {{"observation", RV_I32, 2}};
    const struct {
        const rv_replay_field *fields;
        int64_t streams;
        rv_status status;
    } wrong[] = {{wide, 1, RV_SHAPE_MISMATCH},
                 {other, 1, RV_NOT_FOUND},
                 {whole, 1, RV_TYPE_MISMATCH},
                 {wanted + 2, 2, RV_INVALID_ARGUMENT}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const rv_replay_options bad = {.size = sizeof bad,
                                       .fields = wrong[i].fields,
                                       .field_count = 1,
                                       .streams = wrong[i].streams,
                                       .capacity = 400,
                                       .window = 2};
        assert_ok(rv_replay_create(device, &bad, &replay), rv_replay_message(replay));
        assert_status(rv_replay_append_episodes(replay, &all, NULL), wrong[i].status);
        assert_true(strlen(rv_replay_message(replay)) > 10);
        rv_replay_destroy(replay);
    }
    rv_dataset_destroy(data);
    rv_device_close(device);
}

static void sizes(void **state) {
    (void)state;
    int64_t bytes = 0;
    assert_ok(rv_replay_bytes(&standard, &bytes), "bytes");
    assert_int_equal(bytes, STREAMS * ROWS * (2 * 4 + 3 * 4 + 1 + 2 * 4) + 4 * (2 + 2 + STREAMS + WINDOW));
    const rv_replay_field twice[] = {{"a", RV_F32, 1}, {"a", RV_F32, 1}}, empty[] = {{"", RV_F32, 1}},
                          flat[] = {{"a", RV_F32, 0}}, odd[] = {{"a", (rv_dtype)9, 1}},
                          taken[] = {{"counters", RV_F32, 1}}, huge[] = {{"a", RV_F32, INT64_MAX / 2}};
    const struct {
        rv_replay_options options;
        rv_status status;
        const char *part;
    } wrong[] = {
        {{.size = 0}, RV_INVALID_ARGUMENT, "size"},
        {{sizeof standard, NULL, 1, 1, 10, 0, 2}, RV_INVALID_ARGUMENT, "fields"},
        {{sizeof standard, fields, 17, 1, 10, 0, 2}, RV_INVALID_ARGUMENT, "17"},
        {{sizeof standard, twice, 2, 1, 10, 0, 2}, RV_INVALID_ARGUMENT, "\"a\""},
        {{sizeof standard, empty, 1, 1, 10, 0, 2}, RV_INVALID_ARGUMENT, "field 0"},
        {{sizeof standard, flat, 1, 1, 10, 0, 2}, RV_INVALID_ARGUMENT, "columns"},
        {{sizeof standard, odd, 1, 1, 10, 0, 2}, RV_INVALID_ARGUMENT, "type"},
        {{sizeof standard, taken, 1, 1, 10, 0, 2}, RV_INVALID_ARGUMENT, "counters"},
        {{sizeof standard, fields, 1, -1, 10, 0, 2}, RV_INVALID_ARGUMENT, "-1"},
        {{sizeof standard, fields, 1, 1, 0, 0, 2}, RV_INVALID_ARGUMENT, "capacity"},
        {{sizeof standard, fields, 1, 1, 10, 0, 0}, RV_INVALID_ARGUMENT, "window"},
        {{sizeof standard, fields, 1, 16, INT64_MAX, 0, 2}, RV_TOO_LARGE, "2^30"},
        {{sizeof standard, fields, 1, 1 << 20, 10, 0, 1 << 20}, RV_TOO_LARGE, "2^30"},
        {{sizeof standard, huge, 1, 1, 10, 0, 2}, RV_TOO_LARGE, "capacity"},
    };
    rv_device *device;
    assert_ok(rv_device_open("cpu", NULL, &device), rv_device_message(device));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_replay *replay;
        assert_status(rv_replay_bytes(&wrong[i].options, &bytes), wrong[i].status);
        assert_status(rv_replay_create(device, &wrong[i].options, &replay), wrong[i].status);
        assert_names(rv_replay_message(replay), wrong[i].part);
        rv_replay_destroy(replay);
    }
    rv_device_close(device);
    rv_replay_destroy(NULL);
}

/* Creating with every allocation failing once: a message, and nothing left. */
static void torture(void **state) {
    (void)state;
    int64_t count = 1;
    for (int64_t fail_at = 0; fail_at <= count; fail_at++) {
        rv_counting counting = {.fail_at = fail_at};
        rv_device_options options = rv_counting_options(&counting);
        rv_device *device;
        rv_status status = rv_device_open("cpu:reference", &options, &device);
        if (status == RV_OK) {
            rv_replay *replay;
            status = rv_replay_create(device, &standard, &replay);
            const void *rows[FIELDS] = {NULL};
            if (status == RV_OK) status = rv_replay_append_rows(replay, 3, rows);
            if (status != RV_OK && replay) assert_names(rv_replay_message(replay), "replay: ");
            rv_replay_destroy(replay);
        }
        rv_device_close(device);
        assert_true(fail_at ? status == RV_OUT_OF_MEMORY : status == RV_OK);
        assert_int_equal(counting.live, 0);
        if (!fail_at) count = counting.calls;
    }
    assert_true(count > 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(episodes),
        cmocka_unit_test(sizes),
        cmocka_unit_test(torture),
    };
    return cmocka_run_group_tests_name("replay_host", tests, NULL, NULL);
}
