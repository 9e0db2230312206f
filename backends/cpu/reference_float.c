/* backends/cpu/reference_float.c: the reference functions of cpu:reference, f32 held as float. */
#define real float
#define rv_real rv_f32
#define RV_REFERENCE_TABLE rv_reference_float

#include "backends/cpu/reference_table.inc"

rv_reference_fn rv_reference_get(rv_op op, bool as_double) {
    return as_double ? rv_reference_double[op] : rv_reference_float[op];
}
