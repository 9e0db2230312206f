/* backends/cpu/reference.h: what the bodies of the reference functions (reference_*.inc) stand on.
 *
 * The bodies are written over `real`, the type that holds an f32, and compiled twice: for float
 * (reference_float.c) and for double (reference_double.c). They are the oracle: plain loops,
 * sums in double in the order of the index, libm in double, one rounding when a result is stored.
 *
 * Include it with `real` and `rv_real` defined.
 */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "core/noise.h"

extern const rv_reference_fn rv_reference_float[RV_OP_COUNT], rv_reference_double[RV_OP_COUNT];

/* A reference function: rows [first, last) of every output; of ops that are RV_ROWS_WHOLE, all of it. */
#define RV_REFERENCE(op) static void reference_##op(const rv_launch *launch, int64_t first, int64_t last)
#define RV_REFERENCE_WHOLE(op)                                                                               \
    static void reference_##op(const rv_launch *launch, int64_t first __attribute__((unused)),               \
                               int64_t last __attribute__((unused)))

static inline size_t element_size(rv_dtype dtype) {
    return dtype == RV_F32 ? sizeof(real) : dtype == RV_I32 ? sizeof(int32_t) : sizeof(uint8_t);
}

/* Row r; the only row of an operand that has one, whatever r is (broadcast). NULL: absent. */
static inline real *row_of(const rv_operand *operand, int64_t r) {
    return operand->buffer ? rv_real(operand) + (operand->rows == 1 ? 0 : r) * operand->stride : NULL;
}

/* Element (r, c) of any type, with broadcast. */
static inline char *at(const rv_operand *operand, int64_t r, int64_t c) {
    const int64_t index = (operand->rows == 1 ? 0 : r) * operand->stride + (operand->cols == 1 ? 0 : c);
    return operand->buffer->memory + (operand->offset + (size_t)index) * element_size(operand->dtype);
}

/* Element (r, c) as a double: exact for every type. */
static inline double load(const rv_operand *operand, int64_t r, int64_t c) {
    const void *address = at(operand, r, c);
    switch (operand->dtype) {
    case RV_F32: return *(const real *)address;
    case RV_I32: return *(const int32_t *)address;
    case RV_U8: return *(const uint8_t *)address;
    }
    return 0;
}

/* Towards zero; what does not fit becomes the nearest that does, NaN becomes 0. */
static inline double whole_within(double x, double low, double high) {
    return x != x ? 0 : x <= low ? low : x >= high ? high : trunc(x);
}

static inline void store(const rv_operand *operand, int64_t r, int64_t c, double x) {
    void *address = at(operand, r, c);
    switch (operand->dtype) {
    case RV_F32: *(real *)address = (real)x; break;
    case RV_I32: *(int32_t *)address = (int32_t)whole_within(x, INT32_MIN, INT32_MAX); break;
    case RV_U8: *(uint8_t *)address = (uint8_t)whole_within(x, 0, UINT8_MAX); break;
    }
}

/* acc[j] += sum over k of a[k a_step] b[k b_row + j b_col], j in [0, n), in the order of k. */
static inline void contract(double *acc, int64_t n, int64_t count, const real *a, int64_t a_step, const real *b,
                            int64_t b_row, int64_t b_col) {
    for (int64_t k = 0; k < count; k++) {
        const double factor = a[k * a_step];
        const real *row = b + k * b_row;
        if (b_col == 1) {
            for (int64_t j = 0; j < n; j++) acc[j] += factor * row[j];
        } else {
            for (int64_t j = 0; j < n; j++) acc[j] += factor * row[j * b_col];
        }
    }
}

/* Columns that a contraction sums at once. */
enum { BLOCK = 128 };
static inline int64_t block_width(int64_t first, int64_t cols) { return cols - first < BLOCK ? cols - first : BLOCK; }
