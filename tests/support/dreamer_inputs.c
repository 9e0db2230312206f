/* tests/support/dreamer_inputs.c: every formula in double, in the order that docs/audit.md writes, rounded once. */
#include "tests/support/dreamer_inputs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uint64_t fnv1a(const char *name) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 0x100000001B3u;
    return hash;
}

/* splitmix64 of a hashed name: Steele, Lea and Flood, 2014 */
static double uniform(uint64_t hash, uint64_t i) {
    uint64_t x = hash + (i + 1) * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    return ((double)(x >> 41) + 0.5) * 0x1p-23;
}

double dreamer_uniform(const char *name, uint64_t i) { return uniform(fnv1a(name), i); }

static bool ends_with(const char *name, const char *end) {
    const size_t all = strlen(name), part = strlen(end);
    return all >= part && strcmp(name + all - part, end) == 0;
}

static void spread(const char *name, int64_t count, double scale, double offset, float *out) {
    const uint64_t hash = fnv1a(name);
    for (int64_t i = 0; i < count; i++) out[i] = (float)(offset + scale * (2 * uniform(hash, (uint64_t)i) - 1));
}

static void bias(const char *name, int64_t cols, float *out) {
    const bool continues = strcmp(name, "con/out/bias") == 0, over_bins = ends_with(name, "/out/bias") && cols == GOLDEN_BINS;
    const uint64_t hash = fnv1a(name);
    for (int64_t k = 0; k < cols; k++) {
        double x = 0.1 * (2 * uniform(hash, (uint64_t)k) - 1);
        if (continues) x += 2;
        if (over_bins) x -= 0.25 * fabs((double)(k - GOLDEN_BINS / 2));
        out[k] = (float)x;
    }
}

void dreamer_weight(const char *name, int64_t rows, int64_t cols, float *out) {
    if (ends_with(name, "/scale")) {
        spread(name, rows * cols, 0.2, 1, out);
    } else if (ends_with(name, "/bias")) {
        bias(name, cols, out);
    } else {
        const bool block = strcmp(name, "dyn/hidden/weight") == 0 || strcmp(name, "dyn/gates/weight") == 0;
        const double inputs = (double)(block ? rows / GOLDEN_BLOCKS : rows), gain = strstr(name, "/logits/") ? 2 : 1;
        spread(name, rows * cols, gain * sqrt(3 / inputs), 0, out);
    }
}

static void flags(const char *name, float *out) {
    static const struct {
        const char *name;
        int sequence, step;
    } set[] = {{"is_first", 0, 0}, {"is_first", 0, 5}, {"is_first", 1, 7}, {"is_first", 3, 3}, {"is_last", 0, 4},
               {"is_last", 1, 6},  {"is_last", 3, 2},  {"is_last", 3, 7},  {"is_terminal", 0, 4}, {"is_terminal", 3, 7}};
    memset(out, 0, GOLDEN_STEPS * GOLDEN_SEQUENCES * sizeof *out);
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
        if (strcmp(set[i].name, name) == 0) out[set[i].step * GOLDEN_SEQUENCES + set[i].sequence] = 1;
    }
}

static void one_hot(const char *name, int64_t count, float *out) {
    memset(out, 0, (size_t)count * sizeof *out);
    for (int64_t i = 0; i < count / GOLDEN_CLASSES; i++) {
        out[i * GOLDEN_CLASSES + (int64_t)(dreamer_uniform(name, (uint64_t)i) * GOLDEN_CLASSES)] = 1;
    }
}

static void noise(const char *name, int64_t count, int together, double offset, float *out) {
    const uint64_t hash = fnv1a(name);
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int j = 0; j < together; j++) sum += uniform(hash, (uint64_t)(i * together + j));
        out[i] = (float)(sum + offset);
    }
}

void dreamer_batch(const char *name, int64_t rows, int64_t cols, float *out) {
    const int64_t count = rows * cols;
    if (strncmp(name, "is_", 3) == 0) flags(name, out);
    else if (strcmp(name, "carry/stoch") == 0) one_hot(name, count, out);
    else if (strcmp(name, "noise/action") == 0) noise(name, count, 12, -6, out);
    else if (strncmp(name, "noise/", 6) == 0) noise(name, count, 1, 0, out);
    else spread(name, count, ends_with(name, "action") ? 1.5 : strcmp(name, "observation") == 0 ? 4 : 1, 0, out);
}

bool dreamer_redraw(const golden_file *file, const char *name, int64_t count, float *x) {
    char full[128];
    snprintf(full, sizeof full, "%s/redrawn_index", name);
    const golden_tensor index = golden_find(file, full);
    snprintf(full, sizeof full, "%s/redrawn_value", name);
    const golden_tensor value = golden_find(file, full);
    for (int64_t k = 0; k < index.cols; k++) {
        if (index.cols != value.cols || !(index.values[k] >= 0 && index.values[k] < (double)count)) return false;
        x[(int64_t)index.values[k]] = (float)value.values[k];
    }
    return true;
}
