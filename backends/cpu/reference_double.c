/* backends/cpu/reference_double.c: the reference functions of cpu:double, f32 held as double. */
#define real double
#define rv_real rv_f64
#define RV_REFERENCE_TABLE rv_reference_double

#include "backends/cpu/reference_table.inc"
