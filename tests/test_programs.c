/* tests/test_programs.c: random small programs of reads, ops and stores against an interpreter that does one
 * instruction after the other. Whatever the planner moves, forwards, shares or drops must not show.
 *
 * All numbers are whole and small, so that every device must give exactly the interpreter's answer.
 *
 *     test_programs [SEED]      runs that one program and prints it
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/internal.h"
#include "reverie/random.h"
#include "tests/support/suite.h"

enum { ARRAYS = 4, LENGTH = 28, SINKS = 4, RUNS = 3 };
enum { PROGRAMS = RV_SLOW_RUN ? 300 : 3000, TALL_PROGRAMS = RV_SLOW_RUN ? 5 : 25 };

/* Rows come in this unit: 1, or so many that the fast device cuts them into slices. */
static int unit = 1;
enum { TALL = 500 };
static int most_elements(void) { return 96 * unit; }
static int index_rows(void) { return 8 * unit; }

/* What an instruction does; SKIP does nothing. */
#define KIND_LIST(X)                                                                                        \
    X(READ, "read") X(READ_PART, "read_part") X(NEG, "neg") X(RELU, "relu") X(ABS, "abs")                   \
    X(CAST_ROUND, "cast") X(ADD, "add") X(SUB, "sub") X(MAX, "max") X(MIN, "min")                           \
    X(SLICE_COLS, "slice_cols") X(SLICE_ROWS, "slice_rows") X(CONCAT_COLS, "concat_cols")                   \
    X(CONCAT_ROWS, "concat_rows") X(TRANSPOSE, "transpose") X(RESHAPE, "reshape") X(BROADCAST, "broadcast") \
    X(GATHER, "gather") X(MATMUL, "matmul") X(LINEAR, "linear") X(SUM_ROWS, "sum_rows")                     \
    X(SUM_COLS, "sum_cols") X(SUM_ALL, "sum_all") X(STORE, "store") X(STORE_PART, "store_part")             \
    X(STORE_ROWS, "store_rows") X(SKIP, "skip")
#define KIND_ENUM(name, text) name,
#define KIND_TEXT(name, text) text,
typedef enum kind { KIND_LIST(KIND_ENUM) } kind;
static const char *const kind_names[] = {KIND_LIST(KIND_TEXT)};

static int array_rows(int array) { return array < 2 ? 8 * unit : array == 2 ? 1 : 6; }
enum { COLS = 6 };

typedef struct instruction {
    kind kind;
    int a, b, array; /* operands: earlier values; the array */
    int first, rows, cols;
} instruction;

typedef struct value {
    int rows, cols;
    float *data;
} value;

typedef struct program {
    instruction list[LENGTH];
    value values[LENGTH]; /* of instruction i; rows 0 for stores */
    int count;
    float *arrays[ARRAYS];
    int32_t *index;
    uint32_t draws[2048];
    int next;
} program;

static program *program_create(void) {
    size_t elements = (size_t)most_elements();
    program *p = calloc(1, sizeof *p);
    float *memory = calloc((LENGTH + ARRAYS) * elements, sizeof *memory);
    int32_t *index = calloc((size_t)index_rows(), sizeof *index);
    assert_true(p && memory && index);
    for (int n = 0; n < LENGTH; n++) p->values[n].data = memory + (size_t)n * elements;
    for (int a = 0; a < ARRAYS; a++) p->arrays[a] = memory + (size_t)(LENGTH + a) * elements;
    p->index = index;
    return p;
}

static void program_destroy(program *p) {
    free(p->values[0].data);
    free(p->index);
    free(p);
}

/* Instructions, shapes and what the arrays hold; values are computed anew. */
static void program_copy(program *to, const program *from) {
    memcpy(to->list, from->list, sizeof to->list);
    to->count = from->count;
    for (int n = 0; n < LENGTH; n++) {
        to->values[n].rows = from->values[n].rows;
        to->values[n].cols = from->values[n].cols;
    }
    memcpy(to->arrays[0], from->arrays[0], ARRAYS * (size_t)most_elements() * sizeof(float));
    memcpy(to->index, from->index, (size_t)index_rows() * sizeof *to->index);
}

/* ---- the interpreter -------------------------------------------------------------------------- */

static float clip(float x) { return x < -64 ? -64 : x > 64 ? 64 : x; }

static float at(const value *v, int r, int c) {
    return v->data[(v->rows == 1 ? 0 : r) * v->cols + (v->cols == 1 ? 0 : c)];
}

static float unary(kind k, float x) {
    if (k == NEG) return -x;
    if (k == RELU) return x > 0 ? x : 0;
    return k == ABS ? fabsf(x) : x;
}

static float binary(kind k, float a, float b) {
    if (k == ADD) return clip(a + b);
    if (k == SUB) return clip(a - b);
    if (k == MAX) return a > b ? a : b;
    return a < b ? a : b;
}

static int clamp_index(int i, int rows) { return i < 0 ? 0 : i >= rows ? rows - 1 : i; }

static float product(const value *a, const value *b, int r, int c) {
    float sum = 0;
    for (int k = 0; k < a->cols; k++) sum += a->data[r * a->cols + k] * b->data[k * b->cols + c];
    return clip(sum);
}

static float sum_of(kind k, const value *a, int r, int c) {
    float sum = 0;
    for (int i = 0; i < a->rows; i++) {
        for (int j = 0; j < a->cols; j++) {
            if ((k == SUM_ROWS && j != c) || (k == SUM_COLS && i != r)) continue;
            sum += a->data[i * a->cols + j];
        }
    }
    return clip(sum);
}

static float element(const program *p, const instruction *i, int r, int c) {
    const value *a = &p->values[i->a], *b = &p->values[i->b];
    switch (i->kind) {
    case READ:
    case READ_PART: return p->arrays[i->array][i->first + r * i->cols + c];
    case ADD:
    case SUB:
    case MAX:
    case MIN: return binary(i->kind, at(a, r, c), at(b, r, c));
    case SLICE_COLS: return a->data[r * a->cols + i->first + c];
    case SLICE_ROWS: return a->data[(i->first + r) * a->cols + c];
    case CONCAT_COLS: return c < a->cols ? a->data[r * a->cols + c] : b->data[r * b->cols + c - a->cols];
    case CONCAT_ROWS: return r < a->rows ? a->data[r * a->cols + c] : b->data[(r - a->rows) * b->cols + c];
    case TRANSPOSE: return a->data[c * a->cols + r];
    case RESHAPE: return a->data[r * i->cols + c];
    case BROADCAST: return at(a, r, c);
    case GATHER: return a->data[clamp_index(p->index[r], a->rows) * a->cols + c];
    case MATMUL: return product(a, b, r, c);
    case LINEAR: return fmaxf(product(a, b, r, c), 0);
    case SUM_ROWS:
    case SUM_COLS:
    case SUM_ALL: return sum_of(i->kind, a, r, c);
    default: return unary(i->kind, a->data[r * a->cols + c]);
    }
}

static void interpret_store(program *p, const instruction *i) {
    const value *a = &p->values[i->a];
    if (i->kind == SKIP) return;
    if (i->kind != STORE_ROWS) {
        memcpy(p->arrays[i->array] + i->first, a->data, sizeof(float) * (size_t)(a->rows * a->cols));
        return;
    }
    for (int r = 0; r < a->rows; r++) {
        int row = p->index[r];
        if (row < 0 || row >= array_rows(i->array)) continue;
        memcpy(p->arrays[i->array] + row * a->cols, a->data + r * a->cols, sizeof(float) * (size_t)a->cols);
    }
}

static void interpret(program *p) {
    for (int n = 0; n < p->count; n++) {
        const instruction *i = &p->list[n];
        if (i->kind >= STORE) {
            interpret_store(p, i);
            continue;
        }
        value *v = &p->values[n];
        for (int r = 0; r < v->rows; r++) {
            for (int c = 0; c < v->cols; c++) v->data[r * v->cols + c] = element(p, i, r, c);
        }
    }
}

/* ---- making programs --------------------------------------------------------------------------- */

static int draw(program *p, int limit) { return (int)(p->draws[p->next++ % 2048] % (uint32_t)limit); }

/* An earlier value, recent ones more often; -1 where there is none. */
static int pick(program *p) {
    for (int tries = 0; tries < 12; tries++) {
        int back = draw(p, 3) ? draw(p, 6) : draw(p, LENGTH);
        int n = p->count - 1 - back;
        if (n >= 0 && p->values[n].rows > 0) return n;
    }
    return -1;
}

/* Sets the shape of the next value where the operands allow it. */
static bool shape_unary(program *p, instruction *i, const value *a, value *v) {
    v->rows = a->rows, v->cols = a->cols;
    switch (i->kind) {
    case SLICE_COLS:
        i->first = draw(p, a->cols);
        v->cols = 1 + draw(p, a->cols - i->first);
        break;
    case SLICE_ROWS:
        i->first = draw(p, a->rows);
        v->rows = 1 + draw(p, a->rows - i->first);
        break;
    case TRANSPOSE: v->rows = a->cols, v->cols = a->rows; break;
    case RESHAPE:
        v->rows = (1 + draw(p, 8)) * (draw(p, 2) ? unit : 1);
        if (a->rows * a->cols % v->rows) return false;
        v->cols = a->rows * a->cols / v->rows;
        break;
    case BROADCAST:
        if (a->rows == 1) v->rows = index_rows();
        else if (a->cols == 1) v->cols = COLS;
        else return false;
        break;
    case GATHER: v->rows = index_rows(); break;
    case SUM_ROWS: v->rows = 1; break;
    case SUM_COLS: v->cols = 1; break;
    case SUM_ALL: v->rows = v->cols = 1; break;
    default: break;
    }
    i->rows = v->rows, i->cols = v->cols;
    return v->rows * v->cols <= most_elements();
}

static bool broadcasts(int a, int b) { return a == b || a == 1 || b == 1; }

static bool shape_binary(const instruction *i, const value *a, const value *b, value *v) {
    v->rows = a->rows > b->rows ? a->rows : b->rows;
    v->cols = a->cols > b->cols ? a->cols : b->cols;
    if (i->kind == CONCAT_COLS) v->cols = a->cols + b->cols;
    if (i->kind == CONCAT_ROWS) v->rows = a->rows + b->rows;
    if (i->kind == MATMUL || i->kind == LINEAR) v->rows = a->rows, v->cols = b->cols;
    if (v->rows * v->cols > most_elements()) return false;
    if (i->kind == CONCAT_COLS) return a->rows == b->rows;
    if (i->kind == CONCAT_ROWS) return a->cols == b->cols;
    if (i->kind == MATMUL || i->kind == LINEAR) return a->cols == b->rows;
    return broadcasts(a->rows, b->rows) && broadcasts(a->cols, b->cols);
}

static bool shape_read(program *p, instruction *i, value *v) {
    int size = array_rows(i->array) * COLS;
    v->rows = array_rows(i->array), v->cols = COLS;
    if (i->kind == READ_PART) {
        v->rows = (1 + draw(p, 4)) * (draw(p, 2) ? unit : 1), v->cols = 1 + draw(p, 8);
        if (v->rows * v->cols > size) return false;
        i->first = draw(p, size - v->rows * v->cols + 1);
    }
    i->rows = v->rows, i->cols = v->cols;
    return true;
}

static bool fits_store(program *p, instruction *i, const value *a) {
    int rows = array_rows(i->array), room = rows * COLS - a->rows * a->cols;
    if (i->kind == STORE) return a->rows == rows && a->cols == COLS;
    if (i->kind == STORE_ROWS) return a->cols == COLS && a->rows == index_rows();
    if (room < 0) return false;
    i->first = draw(p, room + 1);
    return true;
}

static bool propose(program *p) {
    instruction *i = &p->list[p->count];
    value *v = &p->values[p->count];
    *i = (instruction){0};
    v->rows = v->cols = 0;
    int dice = draw(p, 10);
    i->kind = dice < 2 ? READ + draw(p, 2) : dice < 4 ? STORE + draw(p, 3) : NEG + draw(p, STORE - NEG);
    i->array = draw(p, ARRAYS);
    if (i->kind <= READ_PART) return shape_read(p, i, v);
    i->a = pick(p);
    i->b = pick(p);
    if (i->a < 0 || i->b < 0) return false;
    if (i->kind >= STORE) return fits_store(p, i, &p->values[i->a]);
    bool two = (i->kind >= ADD && i->kind <= MIN) || i->kind == CONCAT_COLS || i->kind == CONCAT_ROWS ||
               i->kind == MATMUL || i->kind == LINEAR;
    return two ? shape_binary(i, &p->values[i->a], &p->values[i->b], v) : shape_unary(p, i, &p->values[i->a], v);
}

static void generate(program *p, uint32_t seed) {
    p->count = p->next = 0;
    for (int n = 0; n < LENGTH; n++) p->values[n].rows = p->values[n].cols = 0;
    rv_random_bits(seed, 0, "program", 0, 1, 2048, p->draws);
    for (int a = 0; a < ARRAYS; a++) {
        for (int k = 0; k < array_rows(a) * COLS; k++) p->arrays[a][k] = (float)(draw(p, 9) - 4);
    }
    for (int r = 0; r < index_rows(); r++) p->index[r] = draw(p, index_rows() + 4) - 2;
    for (int tries = 0; tries < 600 && p->count < LENGTH; tries++) {
        if (propose(p)) p->count++;
        else p->values[p->count].rows = 0;
    }
}

static void print_program(const program *p) {
    for (int n = 0; n < p->count; n++) {
        const instruction *i = &p->list[n];
        if (i->kind == SKIP) continue;
        if (i->kind >= STORE) print_error("  %s array%d at %d <- v%d\n", kind_names[i->kind], i->array, i->first, i->a);
        else if (i->kind <= READ_PART)
            print_error("  v%d [%d, %d] = %s array%d at %d\n", n, i->rows, i->cols, kind_names[i->kind], i->array,
                        i->first);
        else
            print_error("  v%d [%d, %d] = %s v%d v%d first %d\n", n, p->values[n].rows, p->values[n].cols,
                        kind_names[i->kind], i->a, i->b, i->first);
    }
}

/* ---- recording the same program ------------------------------------------------------------------ */

typedef struct stage {
    rv_graph *graph;
    rv_array *arrays[ARRAYS], *index, *sinks[SINKS];
    int sink_of[SINKS];
    rv_plan *plan;
} stage;

static rv_tensor clipped(rv_tensor x) { return rv_clamp(x, -64, 64); }

static rv_tensor record_value(stage *s, const instruction *i, const rv_tensor *t) {
    rv_tensor a = t[i->a], b = t[i->b];
    switch (i->kind) {
    case READ: return rv_read(s->graph, s->arrays[i->array]);
    case READ_PART: return rv_read_part(s->graph, s->arrays[i->array], i->first, i->rows, i->cols);
    case NEG: return rv_neg(a);
    case RELU: return rv_relu(a);
    case ABS: return rv_abs(a);
    case CAST_ROUND: return rv_cast(rv_cast(a, RV_I32), RV_F32);
    case ADD: return clipped(rv_add(a, b));
    case SUB: return clipped(rv_sub(a, b));
    case MAX: return rv_max(a, b);
    case MIN: return rv_min(a, b);
    case SLICE_COLS: return rv_slice_cols(a, i->first, i->cols);
    case SLICE_ROWS: return rv_slice_rows(a, i->first, i->rows);
    case CONCAT_COLS: return rv_concat_cols((rv_tensor[]){a, b}, 2);
    case CONCAT_ROWS: return rv_concat_rows((rv_tensor[]){a, b}, 2);
    case TRANSPOSE: return rv_transpose(a);
    case RESHAPE: return rv_reshape(a, i->rows, i->cols);
    case BROADCAST: return rv_broadcast(a, i->rows, i->cols);
    case GATHER: return rv_gather(a, rv_read(s->graph, s->index));
    case MATMUL: return clipped(rv_matmul(a, b, 0, 0));
    case LINEAR: return clipped(rv_linear1(a, b, RV_NONE, RV_RELU));
    case SUM_ROWS: return clipped(rv_sum(a, RV_ROWS));
    case SUM_COLS: return clipped(rv_sum(a, RV_COLS));
    default: return clipped(rv_sum(a, RV_ALL));
    }
}

static void record_store(stage *s, const instruction *i, const rv_tensor *t) {
    if (i->kind == STORE) rv_store(s->arrays[i->array], t[i->a]);
    else if (i->kind == STORE_PART) rv_store_part(s->arrays[i->array], i->first, t[i->a]);
    else if (i->kind == STORE_ROWS) rv_store_rows(s->arrays[i->array], t[i->a], rv_read(s->graph, s->index));
}

/* The last values also go to arrays of their own, so that they are used late. */
static void record_sinks(stage *s, rv_device *device, const program *p, const rv_tensor *t) {
    for (int n = p->count - 1, k = 0; k < SINKS; k++) {
        s->sink_of[k] = -1;
        while (n >= 0 && (p->values[n].rows == 0 || p->list[n].kind == SKIP)) n -= 1;
        if (n < 0) continue;
        s->sink_of[k] = n;
        assert_ok(rv_array_create(device, RV_F32, p->values[n].rows, p->values[n].cols, "sink", &s->sinks[k]), "");
        rv_store(s->sinks[k], t[n]);
        n -= 3;
    }
}

static void open_stage(stage *s, rv_device *device, const program *p, bool keep_order) {
    memset(s, 0, sizeof *s);
    for (int a = 0; a < ARRAYS; a++) {
        int rows = array_rows(a);
        assert_ok(rv_array_create(device, RV_F32, rows, COLS, "array", &s->arrays[a]), "");
        assert_ok(rv_array_write(s->arrays[a], 0, rows, p->arrays[a]), "");
    }
    assert_ok(rv_array_create(device, RV_I32, index_rows(), 1, "index", &s->index), "");
    assert_ok(rv_array_write(s->index, 0, index_rows(), p->index), "");
    assert_ok(rv_graph_create(device, &s->graph), "");
    rv_tensor t[LENGTH];
    for (int n = 0; n < p->count; n++) {
        t[n] = RV_NONE;
        if (p->list[n].kind >= STORE) record_store(s, &p->list[n], t);
        else t[n] = record_value(s, &p->list[n], t);
    }
    record_sinks(s, device, p, t);
    rv_plan_options options = {.size = sizeof options, .keep_order = keep_order};
    assert_ok(rv_plan_create(s->graph, &options, &s->plan), rv_plan_message(s->plan));
    rv_graph_destroy(s->graph);
}

static void close_stage(stage *s) {
    rv_plan_destroy(s->plan);
    for (int a = 0; a < ARRAYS; a++) rv_array_destroy(s->arrays[a]);
    for (int k = 0; k < SINKS; k++) rv_array_destroy(s->sinks[k]);
    rv_array_destroy(s->index);
}

static bool quiet;

static bool same(rv_array *array, const float *expected, const char *what, int number) {
    static float got[96 * TALL];
    int64_t count = rv_array_rows(array) * rv_array_cols(array);
    assert_ok(rv_array_read(array, 0, rv_array_rows(array), got), rv_array_message(array));
    for (int64_t i = 0; i < count; i++) {
        if (got[i] == expected[i]) continue;
        if (!quiet)
            print_error("%s%d[%d] is %g, should be %g\n", what, number, (int)i, (double)got[i], (double)expected[i]);
        return false;
    }
    return true;
}

/* False and a report where some run differs from the interpreter. */
static bool check(rv_device *device, const program *initial, bool keep_order) {
    program *p = program_create();
    program_copy(p, initial);
    stage s;
    open_stage(&s, device, p, keep_order);
    bool good = true;
    for (int run = 0; run < RUNS && good; run++) {
        interpret(p);
        assert_ok(rv_plan_run(s.plan), rv_plan_message(s.plan));
        for (int a = 0; a < ARRAYS && good; a++) good = same(s.arrays[a], p->arrays[a], "array", a);
        for (int k = 0; k < SINKS && good; k++) {
            if (s.sink_of[k] >= 0) good = same(s.sinks[k], p->values[s.sink_of[k]].data, "v", s.sink_of[k]);
        }
        if (!good && !quiet)
            print_error("in run %d on %s%s\n", run, rv_device_name(device), keep_order ? " in recorded order" : "");
    }
    close_stage(&s);
    program_destroy(p);
    return good;
}

static bool used_later(const program *p, int n) {
    for (int k = n + 1; k < p->count; k++) {
        const instruction *i = &p->list[k];
        if (i->kind > READ_PART && i->kind != SKIP && (i->a == n || i->b == n)) return true;
    }
    return false;
}

/* Drops every instruction without which the program still goes wrong, and prints the rest. */
static void print_reduced(rv_device *device, program *p, bool keep_order) {
    quiet = true;
    for (int n = p->count - 1; n >= 0; n--) {
        if (p->list[n].kind == SKIP || used_later(p, n)) continue;
        instruction whole = p->list[n];
        p->list[n].kind = SKIP;
        if (check(device, p, keep_order)) p->list[n] = whole;
    }
    quiet = false;
    check(device, p, keep_order);
    print_program(p);
}

static int single_seed = -1;

static void run_programs(rv_device *device, int count) {
    program *p = program_create();
    int failures = 0;
    for (int seed = 0; seed < count && failures < 3; seed++) {
        if (single_seed >= 0) seed = single_seed;
        generate(p, (uint32_t)seed);
        if (single_seed >= 0) print_program(p);
        for (int keep_order = 0; keep_order < 2; keep_order++) {
            if (check(device, p, keep_order)) continue;
            print_error("program %d in units of %d rows, reduced:\n", seed, unit);
            print_reduced(device, p, keep_order);
            failures++;
            break;
        }
        if (single_seed >= 0) break;
    }
    program_destroy(p);
    assert_int_equal(failures, 0);
}

static void test_device(void **state) {
    rv_device *device;
    assert_ok(rv_device_open(*state, NULL, &device), rv_device_message(device));
    unit = 1;
    run_programs(device, PROGRAMS);
    unit = TALL;
    run_programs(device, TALL_PROGRAMS);
    rv_device_close(device);
}

int main(int argc, char **argv) {
    if (argc > 1) single_seed = atoi(argv[1]);
    static char *const names[] = {"cpu:reference", "cpu:threads=1", "cpu:threads=2", "check:cpu:reference",
                                  "check:cpu"};
    struct CMUnitTest tests[5];
    for (int i = 0; i < 5; i++) tests[i] = (struct CMUnitTest){names[i], test_device, NULL, NULL, names[i]};
    return _cmocka_run_group_tests("programs", tests, 5, NULL, NULL);
}
