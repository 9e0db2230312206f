/* The kernels' own functions, their text compiled for the host: the correctly rounded square root, from roots that are
 * up to four units off; sine and cosine of every size. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "tests/support/suite.h"

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static int units; /* by which the near root is off */
static float near_sqrt(float x) {
    return x > 0 && isfinite(x) ? float_of(bits_of(sqrtf(x)) + (uint32_t)units) : sqrtf(x);
}

#define DEVICE static inline __attribute__((always_inline))
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define BITS_OF(x) bits_of(x)
#define FLOAT_OF(bits) float_of(bits)
#define NEAR_SQRT(x) near_sqrt(x)
#define MUL_HIGH(a, b) ((uint32_t)((uint64_t)(a) * (b) >> 32))
typedef unsigned int uint;
#define fabs(x) fabsf(x)
#define rint(x) rintf(x)
#include "backends/gpu/rounded_sqrt.h"
#include "backends/gpu/sine.h"
#undef fabs
#undef rint

/* One binary of the same text: where the machine has the instruction, it is quick enough to try everything. */
#if defined(__x86_64__) && !RV_SLOW_RUN
#define WITH_FMA __attribute__((target_clones("default", "fma")))
#else
#define WITH_FMA
#endif

enum { MANTISSAS = 1 << 23 };

/* How many of the mantissas from `first` on, `step` apart, at an exponent come out wrong. */
WITH_FMA static int wrong_roots(uint32_t exponent, uint32_t first, uint32_t step) {
    int wrong = 0;
    for (uint32_t mantissa = first; mantissa < MANTISSAS; mantissa += step) {
        const float x = float_of(exponent << 23 | mantissa);
        wrong += rounded_sqrt(x) != sqrtf(x);
    }
    return wrong;
}

/* Two exponents, one even and one odd, are all there are: others only scale. */
static void test_every_mantissa(void **state) {
    (void)state;
    for (units = -4; units <= 4; units++) {
        for (uint32_t exponent = 127; exponent <= 128; exponent++) {
            assert_int_equal(wrong_roots(exponent, 0, RV_SLOW_RUN ? 61 : 1), 0);
        }
    }
}

/* Subnormals, the smallest and the largest, and the border to the scaled ones. */
static void test_every_exponent(void **state) {
    (void)state;
    for (units = -4; units <= 4; units++) {
        for (uint32_t exponent = 0; exponent < 255; exponent++) {
            assert_int_equal(wrong_roots(exponent, 1, 4001), 0);
            assert_int_equal(wrong_roots(exponent, 0, MANTISSAS), 0);
            assert_int_equal(wrong_roots(exponent, MANTISSAS - 1, MANTISSAS), 0);
        }
    }
}

static void test_no_numbers(void **state) {
    (void)state;
    units = 3;
    assert_true(bits_of(rounded_sqrt(0.0f)) == 0 && bits_of(rounded_sqrt(-0.0f)) == 0x80000000u);
    assert_true(rounded_sqrt(INFINITY) == INFINITY);
    assert_true(isnan(rounded_sqrt(NAN)) && isnan(rounded_sqrt(-1.0f)) && isnan(rounded_sqrt(-INFINITY)));
    assert_true(rounded_sqrt(FLT_MAX) == sqrtf(FLT_MAX) && rounded_sqrt(FLT_TRUE_MIN) == sqrtf(FLT_TRUE_MIN));
}

/* The largest relative error of both on a hundred floats. */
static double error_around(float middle) {
    double worst = 0;
    for (int ulps = -50; ulps <= 50; ulps++) {
        const float x = float_of(bits_of(middle) + (uint32_t)ulps);
        worst = fmax(worst, fabs((double)sine_of(x) / sin((double)x) - 1));
        worst = fmax(worst, fabs((double)cosine_of(x) / cos((double)x) - 1));
    }
    return worst;
}

/* Every exponent; and near multiples of pi / 2, where one of them is small. */
static void test_sine(void **state) {
    (void)state;
    const uint32_t step = RV_SLOW_RUN ? 100003 : 1009;
    double worst = 0, worst_relative = 0;
    for (uint32_t bits = 1; bits < 0x7f800000u; bits += step) {
        for (int sign = 0; sign < 2; sign++) {
            const float x = float_of(bits | (uint32_t)sign << 31);
            worst = fmax(worst, fabs((double)sine_of(x) - sin((double)x)));
            worst = fmax(worst, fabs((double)cosine_of(x) - cos((double)x)));
            worst_relative = fmax(worst_relative, fabs((double)sine_of(x) / sin((double)x) - 1));
        }
    }
    for (double k = 1; k < 3e8; k *= 1.37) {
        worst_relative = fmax(worst_relative, error_around((float)(floor(k) * 1.5707963267948966)));
    }
    /* of all floats the nearest to a multiple of pi / 2 (Muller, Elementary Functions) */
    worst_relative = fmax(worst_relative, error_around(ldexpf(16367173.0f, 72)));
    assert_true(worst < 1.2e-7);
    assert_true(worst_relative < 4e-7);
    assert_true(isnan(sine_of(INFINITY)) && isnan(cosine_of(-INFINITY)) && isnan(sine_of(NAN)));
    assert_true(sine_of(0.0f) == 0.0f && cosine_of(0.0f) == 1.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_mantissa), cmocka_unit_test(test_every_exponent),
                                       cmocka_unit_test(test_no_numbers), cmocka_unit_test(test_sine)};
    return cmocka_run_group_tests_name("gpu_maths", tests, NULL, NULL);
}
