/* tests/test_replay.c: a replay against what a ring must hold: appended, sampled, written back, saved. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reverie/plan.h"
#include "reverie/random.h"
#include "reverie/replay.h"
#include "tests/support/allocator.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

static rv_test_devices devices;

enum { STREAMS = 3, ROWS = 7, WINDOW = 4, BATCH = 500, FIELDS = 4 };
enum { ID, VALUE, FLAG, LATENT };

static const rv_replay_field fields[FIELDS] = {
    {"id", RV_I32, 2}, {"value", RV_F32, 3}, {"flag", RV_U8, 1}, {"latent", RV_F32, 2}};
static const rv_replay_options standard = {.size = sizeof standard,
                                           .fields = fields,
                                           .field_count = FIELDS,
                                           .streams = STREAMS,
                                           .capacity = 1000,
                                           .run_rows = STREAMS * ROWS - 1,
                                           .window = WINDOW};

/* A row's contents from when and where it was appended. */
static int32_t id_of(int64_t time, int64_t stream) { return (int32_t)(100 * time + stream); }
static float value_of(int32_t id, int64_t col) { return (float)id * 0.5f + (float)col; }

typedef struct rig {
    rv_device *device;
    rv_replay *replay;
    rv_random *random;
    rv_array *in[FIELDS], *rows, *out[FIELDS], *fresh;
    rv_plan *act, *train;
    int64_t time;
} rig;

static rv_array *make(rv_device *device, rv_dtype dtype, int64_t rows, int64_t cols) {
    rv_array *array;
    assert_ok(rv_array_create(device, dtype, rows, cols, "array", &array), rv_array_message(array));
    return array;
}

static rv_plan *plan_of(rv_graph *graph) {
    rv_plan *plan;
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    rv_graph_destroy(graph);
    return plan;
}

static rv_graph *graph_on(rv_device *device) {
    rv_graph *graph;
    assert_ok(rv_graph_create(device, &graph), "graph");
    return graph;
}

static void open_on(rig *r, rv_device *device) {
    *r = (rig){.device = device};
    assert_ok(rv_replay_create(device, &standard, &r->replay), rv_replay_message(r->replay));
    assert_int_equal(rv_replay_stream_rows(r->replay), ROWS);
    assert_ok(rv_random_create(device, 5, &r->random), "random");
    r->rows = make(device, RV_I32, WINDOW * BATCH, 1);
    r->fresh = make(device, RV_F32, WINDOW * BATCH, 2);
    for (int i = 0; i < FIELDS; i++) {
        r->in[i] = make(device, fields[i].dtype, STREAMS, fields[i].cols);
        r->out[i] = make(device, fields[i].dtype, WINDOW * BATCH, fields[i].cols);
    }
    rv_graph *graph = graph_on(device);
    rv_tensor row[FIELDS];
    for (int i = 0; i < FIELDS; i++) row[i] = i == LATENT ? RV_NONE : rv_read(graph, r->in[i]);
    rv_replay_append(graph, r->replay, row, FIELDS);
    r->act = plan_of(graph);

    graph = graph_on(device);
    rv_replay_batch batch =
        rv_replay_sample(graph, r->replay, rv_random_state(graph, r->random), "batch", BATCH, WINDOW);
    rv_store(r->rows, batch.rows);
    for (int i = 0; i < FIELDS; i++) rv_store(r->out[i], batch.value[i]);
    rv_replay_write(graph, r->replay, LATENT, batch.rows, rv_read(graph, r->fresh));
    rv_random_advance(graph, r->random);
    r->train = plan_of(graph);
}

static void open_rig(rig *r, const char *resource) {
    rv_device *device;
    assert_ok(rv_device_open(resource, NULL, &device), rv_device_message(device));
    open_on(r, device);
}

static void close_rig(rig *r) {
    rv_plan_destroy(r->act);
    rv_plan_destroy(r->train);
    for (int i = 0; i < FIELDS; i++) {
        rv_array_destroy(r->in[i]);
        rv_array_destroy(r->out[i]);
    }
    rv_array_destroy(r->rows);
    rv_array_destroy(r->fresh);
    rv_random_destroy(r->random);
    rv_replay_destroy(r->replay);
    rv_device_close(r->device);
}

static void upload_row(rig *r, float spoil) {
    int32_t id[STREAMS * 2];
    float value[STREAMS * 3];
    uint8_t flag[STREAMS];
    for (int s = 0; s < STREAMS; s++) {
        id[2 * s] = id_of(r->time, s);
        id[2 * s + 1] = -id[2 * s];
        flag[s] = (uint8_t)(r->time % 2);
        for (int c = 0; c < 3; c++) value[3 * s + c] = value_of(id[2 * s], c);
    }
    value[4] += spoil;
    assert_ok(rv_array_write(r->in[ID], 0, STREAMS, id), "id");
    assert_ok(rv_array_write(r->in[VALUE], 0, STREAMS, value), "value");
    assert_ok(rv_array_write(r->in[FLAG], 0, STREAMS, flag), "flag");
}

static void append(rig *r) {
    upload_row(r, 0);
    assert_ok(rv_plan_run(r->act), rv_plan_message(r->act));
    r->time++;
}

static void append_many(rig *r, int count) {
    for (int i = 0; i < count; i++) append(r);
}

static void *read_all(rv_array *array, void *out) {
    assert_ok(rv_array_read(array, 0, rv_array_rows(array), out), rv_array_message(array));
    return out;
}

static uint64_t hash_of(rig *r) {
    static uint8_t bytes[WINDOW * BATCH * 16];
    uint64_t hash = RV_HASH_START;
    rv_array *const arrays[] = {rv_replay_array(r->replay, 0),
                                rv_replay_array(r->replay, 1),
                                rv_replay_array(r->replay, 2),
                                rv_replay_array(r->replay, 3),
                                r->rows,
                                r->out[ID],
                                r->out[LATENT]};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        const size_t size = rv_array_dtype(arrays[i]) == RV_U8 ? 1 : 4;
        read_all(arrays[i], bytes);
        hash = rv_hash_bytes(hash, bytes, size * (size_t)(rv_array_rows(arrays[i]) * rv_array_cols(arrays[i])));
    }
    int64_t filled;
    assert_ok(rv_replay_filled(r->replay, &filled), rv_replay_message(r->replay));
    return rv_hash_bytes(hash, &filled, sizeof filled);
}

/* ---- on every device ---- */

static bool open_listed(void **state, rig *r) {
    const int number = *(int *)*state;
    bool absent;
    rv_device_close(rv_device_open_for_test(&devices, number, &absent));
    if (!absent) open_rig(r, devices.names[number]);
    return !absent;
}

/* After every append the arrays hold the last ROWS rows of each stream at their slots. */
static void appended(void **state) {
    rig r;
    if (!open_listed(state, &r)) skip();
    int32_t id[STREAMS * ROWS * 2];
    float value[STREAMS * ROWS * 3], latent[STREAMS * ROWS * 2];
    uint8_t flag[STREAMS * ROWS];
    for (int now = 0; now < 3 * ROWS; now++) {
        append(&r);
        read_all(rv_replay_array(r.replay, ID), id);
        read_all(rv_replay_array(r.replay, VALUE), value);
        read_all(rv_replay_array(r.replay, FLAG), flag);
        read_all(rv_replay_array(r.replay, LATENT), latent);
        for (int s = 0; s < STREAMS; s++) {
            for (int slot = 0; slot < ROWS; slot++) {
                const int row = s * ROWS + slot, time = now - (now - slot + ROWS) % ROWS; /* when it was written last */
                const int32_t expected = time < 0 ? 0 : id_of(time, s);
                assert_int_equal(id[2 * row], expected);
                assert_int_equal(id[2 * row + 1], -expected);
                assert_int_equal(flag[row], time < 0 ? 0 : time % 2);
                for (int c = 0; c < 3; c++) assert_true(value[3 * row + c] == (time < 0 ? 0 : value_of(expected, c)));
                assert_true(latent[2 * row] == 0);
            }
        }
        int64_t filled, items;
        const int64_t expected = now < ROWS ? now + 1 : ROWS;
        assert_ok(rv_replay_filled(r.replay, &filled), rv_replay_message(r.replay));
        assert_ok(rv_replay_items(r.replay, WINDOW, &items), rv_replay_message(r.replay));
        assert_int_equal(filled, STREAMS * expected);
        assert_int_equal(items, expected < WINDOW ? 0 : STREAMS * (expected - WINDOW + 1));
    }
    close_rig(&r);
}

/* Every window is WINDOW rows in the order of time, all of them the newest ROWS; gives how often each was drawn. */
static void count_windows(rig *r, int counts[STREAMS][ROWS - WINDOW + 1]) {
    static int32_t rows[WINDOW * BATCH], ring[STREAMS * ROWS * 2], id[WINDOW * BATCH * 2];
    static float value[WINDOW * BATCH * 3];
    assert_ok(rv_plan_run(r->train), rv_plan_message(r->train));
    read_all(r->rows, rows);
    read_all(r->out[ID], id);
    read_all(r->out[VALUE], value);
    read_all(rv_replay_array(r->replay, ID), ring);
    const int64_t oldest = r->time > ROWS ? r->time - ROWS : 0;
    for (int b = 0; b < BATCH; b++) {
        const int64_t first = id[2 * b] / 100, stream = id[2 * b] % 100;
        assert_true(first >= oldest && first + WINDOW <= r->time && stream < STREAMS);
        for (int t = 0; t < WINDOW; t++) {
            const int row = t * BATCH + b;
            assert_int_equal(id[2 * row], id_of(first + t, stream));
            assert_int_equal(id[2 * row], ring[2 * rows[row]]);
            assert_int_equal(rows[row] / ROWS, stream);
            assert_true(value[3 * row + 2] == value_of(id[2 * row], 2));
        }
        counts[stream][first - oldest]++;
    }
}

static void sampled(void **state) {
    rig r;
    if (!open_listed(state, &r)) skip();
    append_many(&r, WINDOW - 1);
    for (int extra = 0; extra < 2 * ROWS; extra++) {
        int counts[STREAMS][ROWS - WINDOW + 1] = {{0}};
        append(&r);
        count_windows(&r, counts);
        const int64_t starts = (r.time < ROWS ? r.time : ROWS) - WINDOW + 1;
        for (int s = 0; s < STREAMS; s++) {
            for (int w = 0; w < ROWS - WINDOW + 1; w++) assert_true((counts[s][w] > 0) == (w < starts));
        }
    }
    close_rig(&r);
}

/* Latents land in the sampled rows and nowhere else; of several the last. */
static void written(void **state) {
    rig r;
    if (!open_listed(state, &r)) skip();
    append_many(&r, ROWS + 2);
    static float fresh[WINDOW * BATCH * 2];
    static int32_t rows[WINDOW * BATCH];
    float latent[STREAMS * ROWS * 2], expected[STREAMS * ROWS * 2] = {0};
    for (int i = 0; i < WINDOW * BATCH * 2; i++) fresh[i] = (float)i + 1;
    assert_ok(rv_array_write(r.fresh, 0, WINDOW * BATCH, fresh), "fresh");
    assert_ok(rv_plan_run(r.train), rv_plan_message(r.train));
    read_all(r.rows, rows);
    for (int i = 0; i < WINDOW * BATCH; i++) memcpy(expected + 2 * rows[i], fresh + 2 * i, 2 * sizeof *fresh);
    assert_memory_equal(read_all(rv_replay_array(r.replay, LATENT), latent), expected, sizeof expected);
    close_rig(&r);
}

/* ---- on the CPU ---- */

/* Pearson's chi-square over all windows; 31.26 is its 99.9 % quantile at 11 degrees of freedom. */
static void uniform(void **state) {
    (void)state;
    rig r;
    open_rig(&r, "cpu");
    append_many(&r, 2 * ROWS + 3);
    enum { RUNS = 40, CELLS = STREAMS * (ROWS - WINDOW + 1) };
    int counts[STREAMS][ROWS - WINDOW + 1] = {{0}};
    for (int run = 0; run < RUNS; run++) count_windows(&r, counts);
    const double expected = (double)RUNS * BATCH / CELLS;
    double square = 0;
    for (int s = 0; s < STREAMS; s++) {
        for (int w = 0; w < ROWS - WINDOW + 1; w++)
            square += (counts[s][w] - expected) * (counts[s][w] - expected) / expected;
    }
    if (!(square > 0 && square < 31.26)) fail_msg("chi-square %g", square);
    close_rig(&r);
}

/* A NaN in one field: no field takes the row, nothing is counted, later rows neither; after a clear all goes on. */
static void sick(void **state) {
    (void)state;
    rig r;
    open_rig(&r, "cpu");
    append_many(&r, ROWS + 1);
    assert_ok(rv_plan_run(r.train), rv_plan_message(r.train));
    const uint64_t before = hash_of(&r);
    const char *name;
    upload_row(&r, NAN);
    assert_ok(rv_plan_run(r.act), rv_plan_message(r.act));
    assert_status(rv_device_health(r.device, &name), RV_NON_FINITE);
    assert_string_equal(name, "replay/value");
    upload_row(&r, 0);
    assert_ok(rv_plan_run(r.act), rv_plan_message(r.act));
    assert_true(hash_of(&r) == before);
    assert_ok(rv_device_health_clear(r.device), "clear");
    assert_ok(rv_plan_run(r.act), rv_plan_message(r.act));
    assert_false(hash_of(&r) == before);

    /* and latents that are written back */
    static float fresh[WINDOW * BATCH * 2], was[STREAMS * ROWS * 2], is[STREAMS * ROWS * 2];
    read_all(rv_replay_array(r.replay, LATENT), was);
    for (int i = 0; i < WINDOW * BATCH * 2; i++) fresh[i] = i == 77 ? INFINITY : 3.0f;
    assert_ok(rv_array_write(r.fresh, 0, WINDOW * BATCH, fresh), "fresh");
    assert_ok(rv_plan_run(r.train), rv_plan_message(r.train));
    assert_status(rv_device_health(r.device, &name), RV_NON_FINITE);
    assert_string_equal(name, "replay/latent");
    assert_memory_equal(read_all(rv_replay_array(r.replay, LATENT), is), was, sizeof was);
    close_rig(&r);
}

static void too_early(void **state) {
    (void)state;
    rig r;
    const char *name;
    open_rig(&r, "cpu");
    for (int rows = 0; rows < WINDOW; rows++) {
        assert_ok(rv_plan_run(r.train), rv_plan_message(r.train));
        assert_status(rv_device_health(r.device, &name), RV_NON_FINITE);
        assert_string_equal(name, "replay/no window is filled");
        assert_ok(rv_device_health_clear(r.device), "clear");
        append(&r);
    }
    assert_ok(rv_plan_run(r.train), rv_plan_message(r.train));
    assert_ok(rv_device_health(r.device, &name), name);
    close_rig(&r);
}

/* Acting and training by turns. */
static void live(rig *r, int steps) {
    static float fresh[WINDOW * BATCH * 2];
    for (int i = 0; i < steps; i++) {
        append(r);
        rv_random_normal(3, (uint32_t)r->time, "fresh", 0, WINDOW * BATCH, 2, fresh);
        assert_ok(rv_array_write(r->fresh, 0, WINDOW * BATCH, fresh), "fresh");
        if (r->time >= WINDOW) assert_ok(rv_plan_run(r->train), rv_plan_message(r->train));
    }
}

static rv_checkpoint *checkpoint_of(rig *r) {
    rv_checkpoint *file;
    assert_ok(rv_checkpoint_create(r->device, &file), "checkpoint");
    assert_ok(rv_replay_checkpoint(r->replay, file, "replay/"), rv_replay_message(r->replay));
    assert_ok(rv_checkpoint_add_array(file, "random", rv_random_array(r->random)), rv_checkpoint_message(file));
    return file;
}

/* A run that is saved and loaded elsewhere ends like one that never stopped; the hashes bite. */
static void resumed(void **state) {
    (void)state;
    enum { HALF = ROWS + 2, REST = 6 };
    rig whole, first, second;
    open_rig(&whole, "cpu");
    open_rig(&first, "cpu");
    open_rig(&second, "cpu");
    live(&whole, HALF + REST);
    live(&first, HALF);
    rv_checkpoint *from = checkpoint_of(&first), *to = checkpoint_of(&second);
    assert_ok(rv_checkpoint_save(from, "replay.safetensors"), rv_checkpoint_message(from));
    assert_ok(rv_checkpoint_load(to, "replay.safetensors"), rv_checkpoint_message(to));
    second.time = first.time;
    assert_false(hash_of(&second) == hash_of(&whole));
    live(&second, REST);
    assert_true(hash_of(&second) == hash_of(&whole));
    rv_checkpoint_destroy(from);
    rv_checkpoint_destroy(to);

    /* as many rows in other streams are another replay */
    rv_replay *other;
    rv_replay_options options = standard;
    options.streams = 1;
    options.run_rows = STREAMS * ROWS;
    assert_ok(rv_replay_create(first.device, &options, &other), rv_replay_message(other));
    assert_ok(rv_checkpoint_create(first.device, &to), "checkpoint");
    assert_ok(rv_replay_checkpoint(other, to, "replay/"), rv_replay_message(other));
    assert_status(rv_checkpoint_load(to, "replay.safetensors"), RV_SHAPE_MISMATCH);
    assert_names(rv_checkpoint_message(to), "replay/first_rows");
    rv_checkpoint_destroy(to);
    rv_replay_destroy(other);
    unlink("replay.safetensors");
    close_rig(&whole);
    close_rig(&first);
    close_rig(&second);
}

/* Rows from the host stand where recorded ones would. */
static void from_host(void **state) {
    (void)state;
    enum { COUNT = 3 * ROWS + 2 };
    rig recorded, given;
    open_rig(&recorded, "cpu");
    open_rig(&given, "cpu");
    append_many(&recorded, COUNT);
    static int32_t id[COUNT * STREAMS * 2];
    static float value[COUNT * STREAMS * 3];
    static uint8_t flag[COUNT * STREAMS];
    for (int i = 0; i < COUNT * STREAMS; i++) {
        id[2 * i] = id_of(i / STREAMS, i % STREAMS);
        id[2 * i + 1] = -id[2 * i];
        flag[i] = (uint8_t)(i / STREAMS % 2);
        for (int c = 0; c < 3; c++) value[3 * i + c] = value_of(id[2 * i], c);
    }
    const int steps[] = {2, 0, 3, 1, ROWS, COUNT - ROWS - 6}; /* the last is more than the ring holds */
    int64_t at = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const void *rows[FIELDS] = {id + at * 2, value + at * 3, flag + at, NULL};
        assert_ok(rv_replay_append_rows(given.replay, steps[i], rows), rv_replay_message(given.replay));
        at += (int64_t)steps[i] * STREAMS;
    }
    assert_int_equal(at, COUNT * STREAMS);
    assert_true(hash_of(&given) == hash_of(&recorded));
    value[5] = NAN;
    const void *rows[FIELDS] = {id, value, flag, NULL};
    assert_status(rv_replay_append_rows(given.replay, 2, rows), RV_NON_FINITE);
    assert_names(rv_replay_message(given.replay), "row 1 of \"value\"");
    assert_true(hash_of(&given) == hash_of(&recorded));
    append(&recorded);
    given.time = COUNT;
    append(&given);
    assert_true(hash_of(&given) == hash_of(&recorded));
    close_rig(&recorded);
    close_rig(&given);
}

/* Running allocates nothing, and no launch copies a ring. */
static void costs(void **state) {
    (void)state;
    rv_counting counting = {0};
    rv_device_options options = rv_counting_options(&counting);
    rv_device *device;
    rig r;
    assert_ok(rv_device_open("cpu:threads=1", &options, &device), rv_device_message(device));
    open_on(&r, device);
    append_many(&r, WINDOW);
    const int64_t before = counting.calls;
    for (int i = 0; i < 5; i++) {
        assert_ok(rv_plan_run(r.act), rv_plan_message(r.act));
        assert_ok(rv_plan_run(r.train), rv_plan_message(r.train));
    }
    assert_int_equal(counting.calls, before);
    rv_plan *const plans[] = {r.act, r.train};
    for (int p = 0; p < 2; p++) {
        rv_plan_report report = {.size = sizeof report};
        assert_ok(rv_plan_report_get(plans[p], &report), "report");
        for (int64_t i = 0; i < report.launches; i++) {
            rv_launch_info launch = {.size = sizeof launch};
            assert_ok(rv_plan_launch(plans[p], i, &launch), "launch");
            if (strcmp(launch.op, "copy") == 0) assert_true(launch.rows != STREAMS * ROWS);
        }
    }
    close_rig(&r);
    assert_int_equal(counting.live, 0);
}

typedef void (*misuse_fn)(rig *r, rv_graph *graph);
static void few_values(rig *r, rv_graph *graph) { rv_replay_append(graph, r->replay, (rv_tensor[FIELDS]){RV_NONE}, 3); }
static void no_replay(rig *r, rv_graph *graph) {
    (void)r;
    rv_replay_append(graph, NULL, (rv_tensor[FIELDS]){RV_NONE}, FIELDS);
}
static void one_row(rig *r, rv_graph *graph) {
    rv_replay_append(graph, r->replay, (rv_tensor[FIELDS]){[VALUE] = rv_fill(graph, 1, 3, 0)}, FIELDS);
}
static void other_type(rig *r, rv_graph *graph) {
    rv_replay_append(graph, r->replay, (rv_tensor[FIELDS]){[ID] = rv_fill(graph, STREAMS, 2, 0)}, FIELDS);
}
static void long_window(rig *r, rv_graph *graph) {
    rv_replay_sample(graph, r->replay, rv_random_state(graph, r->random), "batch", 2, WINDOW + 1);
}
static void no_name(rig *r, rv_graph *graph) {
    rv_replay_batch batch = rv_replay_sample(graph, r->replay, rv_random_state(graph, r->random), "", 2, 2);
    assert_int_equal(rv_add(batch.value[ID], batch.rows).id, 0);
}
static void no_field(rig *r, rv_graph *graph) { rv_replay_write(graph, r->replay, FIELDS, RV_NONE, RV_NONE); }
static void narrow_latent(rig *r, rv_graph *graph) {
    rv_replay_write(graph, r->replay, LATENT, rv_read(graph, r->rows), rv_fill(graph, WINDOW * BATCH, 1, 0));
}

static void misuse(void **state) {
    (void)state;
    static const struct {
        misuse_fn record;
        rv_status status;
        const char *part;
    } wrong[] = {
        {few_values, RV_INVALID_ARGUMENT, "3 values for 4 fields"},
        {no_replay, RV_INVALID_ARGUMENT, "rv_replay_append"},
        {one_row, RV_SHAPE_MISMATCH, "\"value\" has 1 rows"},
        {other_type, RV_TYPE_MISMATCH, "store_rows at replay"},
        {long_window, RV_INVALID_ARGUMENT, "1 to 4 rows"},
        {no_name, RV_INVALID_ARGUMENT, "name"},
        {no_field, RV_INVALID_ARGUMENT, "no field 4 among 4"},
        {narrow_latent, RV_SHAPE_MISMATCH, "store_rows at replay"},
    };
    rig r;
    open_rig(&r, "cpu");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_graph *graph = graph_on(r.device);
        wrong[i].record(&r, graph);
        assert_status(rv_graph_status(graph), wrong[i].status);
        assert_names(rv_graph_message(graph), wrong[i].part);
        rv_graph_destroy(graph);
    }
    close_rig(&r);
}

int main(int argc, char **argv) {
    rv_devices_from(&devices, argc, argv, "cpu cpu:reference check:cpu cpu:double");
    static const struct CMUnitTest own[] = {
        cmocka_unit_test(uniform),   cmocka_unit_test(sick),  cmocka_unit_test(too_early), cmocka_unit_test(resumed),
        cmocka_unit_test(from_host), cmocka_unit_test(costs), cmocka_unit_test(misuse),
    };
    static const CMUnitTestFunction each[] = {appended, sampled, written};
    enum { OWN = sizeof own / sizeof *own, EACH = sizeof each / sizeof *each };
    static struct CMUnitTest tests[OWN + EACH * RV_MAX_DEVICES];
    static int numbers[RV_MAX_DEVICES];
    memcpy(tests, own, sizeof own);
    int count = OWN;
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        for (int k = 0; k < EACH; k++)
            tests[count++] = (struct CMUnitTest){devices.names[i], each[k], NULL, NULL, &numbers[i]};
    }
    return _cmocka_run_group_tests("replay", tests, (size_t)count, NULL, NULL);
}
