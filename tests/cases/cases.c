/* tests/cases/cases.c: the list, the strided twins, and what inputs are filled with. */
#include "tests/cases/cases.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/ops_dreamer.h"
#include "reverie/random.h"

/* A table without memory for itself is no table: one place to give up, never reached in practice. */
static void *need(void *memory) {
    if (!memory) {
        fprintf(stderr, "no memory for the case table\n");
        exit(2);
    }
    return memory;
}

static void reserve(rv_case_list *list) {
    if (list->count < list->capacity) return;
    list->capacity = list->capacity ? 2 * list->capacity : 256;
    list->items = need(realloc(list->items, (size_t)list->capacity * sizeof(rv_case)));
}

rv_case *rv_case_add(rv_case_list *list, rv_case_record record, int output_count, const char *format, ...) {
    reserve(list);
    rv_case *item = &list->items[list->count++];
    memset(item, 0, sizeof *item);
    item->record = record;
    item->output_count = output_count;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(item->name, sizeof item->name, format, arguments);
    va_end(arguments);
    return item;
}

rv_case_input *rv_case_input_add(rv_case *item, rv_dtype dtype, int64_t rows, int64_t cols, rv_case_fill fill, double a,
                                 double b) {
    rv_case_input *input = &item->input[item->input_count++];
    *input = (rv_case_input){dtype, rows, cols, fill, a, b, false};
    return input;
}

void rv_case_values(rv_case *item, int64_t rows, int64_t cols, rv_case_fill fill, double a, double b) {
    rv_case_input_add(item, RV_F32, rows, cols, fill, a, b)->differentiable = true;
}

void rv_case_value(rv_case *item, int64_t rows, int64_t cols) {
    rv_case_values(item, rows, cols, RV_CASE_NORMAL, 0, 1);
}

void rv_case_constant(rv_case *item, int64_t rows, int64_t cols, rv_case_fill fill, double a, double b) {
    rv_case_input_add(item, RV_F32, rows, cols, fill, a, b);
}

void rv_case_index(rv_case *item, int64_t rows, int64_t cols, int64_t low, int64_t high) {
    rv_case_input_add(item, RV_I32, rows, cols, RV_CASE_WHOLE, (double)low, (double)high);
}

void rv_case_state(rv_case *item, uint32_t seed, uint32_t update) {
    rv_case_input_add(item, RV_I32, 1, 4, RV_CASE_STATE, seed, update);
}

/* A twin reads each input as a slice of a wider array: rows with gaps, unaligned starts. */
static void add_strided_twins(rv_case_list *list) {
    int count = list->count;
    for (int i = 0; i < count; i++) {
        if (list->items[i].flags & (RV_CASE_NO_STRIDE | RV_CASE_LARGE)) continue;
        reserve(list);
        rv_case *twin = &list->items[list->count++];
        *twin = list->items[i];
        twin->flags = (twin->flags | RV_CASE_STRIDED) & ~(unsigned)RV_CASE_BENCH;
        strncat(twin->name, "/strided", sizeof twin->name - strlen(twin->name) - 1);
    }
}

rv_case_list *rv_cases_create(void) {
    rv_case_list *list = need(calloc(1, sizeof *list));
#define RV_CASE_CALL(family) rv_cases_##family(list);
    RV_CASE_FAMILIES(RV_CASE_CALL)
#undef RV_CASE_CALL
    add_strided_twins(list);
    return list;
}

void rv_cases_destroy(rv_case_list *list) {
    if (!list) return;
    free(list->items);
    free(list);
}

/* ---- what inputs are filled with ------------------------------------------------------ */

static float special(int64_t i) {
    static const float list[] = {0.0f,     -0.0f,   1.0f,    -1.0f,   INFINITY, -INFINITY, NAN,     FLT_MIN / 4,
                                 -FLT_MIN, FLT_MIN, FLT_MAX, -FLT_MAX, 88.0f,    -88.0f,    -104.0f, 1e-8f,
                                 100.0f,   -100.0f, 1e6f,    -1e6f,   0.5f,     -0.5f,     16.0f,   -20.0f};
    return list[i % (int64_t)(sizeof list / sizeof *list)];
}

static float away(double u, double a, double b) {
    double magnitude = a + (b - a) * fabs(2 * u - 1);
    return (float)(u < 0.5 ? -magnitude : magnitude);
}

static float fill_value(const rv_case_input *input, float draw, int64_t i) {
    double a = input->a, b = input->b;
    switch (input->fill) {
    case RV_CASE_NORMAL: return (float)(a + b * draw);
    case RV_CASE_UNIFORM: return (float)(a + (b - a) * draw);
    case RV_CASE_AWAY: return away(draw, a, b);
    case RV_CASE_WHOLE: return (float)fmin(floor(a + (b - a + 1) * draw), b);
    case RV_CASE_CONSTANT: return (float)a;
    case RV_CASE_SPECIAL: return special(i);
    case RV_CASE_ASCENDING: return (float)floor(a + (b - a + 1) * (double)i / (double)(input->rows * input->cols));
    case RV_CASE_STEPS: return (float)(a + (b - a) * (double)(i % input->cols) / (double)(input->cols - 1));
    case RV_CASE_BINS:
    case RV_CASE_STATE: break; /* not element by element */
    }
    return 0;
}

static void fill_state(const rv_case_input *input, int32_t *out) {
    out[0] = (int32_t)(uint32_t)input->a;
    out[1] = 0x5eed;
    out[2] = (int32_t)(uint32_t)input->b;
    out[3] = 0;
}

void rv_case_fill_input(const rv_case *item, int index, void *out) {
    const rv_case_input *input = &item->input[index];
    if (input->fill == RV_CASE_STATE) {
        fill_state(input, out);
        return;
    }
    if (input->fill == RV_CASE_BINS) {
        rv_symexp_bins(input->cols, out);
        return;
    }
    int64_t count = input->rows * input->cols;
    if (count == 0) return;
    float *draws = input->dtype == RV_F32 ? out : need(malloc((size_t)count * sizeof(float)));
    /* the twin and its sibling see the same numbers: the name of the draw is the input's place */
    char name[32];
    snprintf(name, sizeof name, "case/input/%d", index);
    if (input->fill == RV_CASE_NORMAL) rv_random_normal(11, 0, name, 0, input->rows, input->cols, draws);
    else rv_random_uniform(11, 0, name, 0, input->rows, input->cols, draws);
    for (int64_t i = 0; i < count; i++) {
        float value = fill_value(input, draws[i], i);
        if (input->dtype == RV_F32) ((float *)out)[i] = value;
        else if (input->dtype == RV_I32) ((int32_t *)out)[i] = (int32_t)value;
        else ((uint8_t *)out)[i] = (uint8_t)value;
    }
    if (input->dtype != RV_F32) free(draws);
}
