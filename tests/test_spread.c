/* tests/test_spread.c: means, quantiles and Student's t of the program. */
#include <math.h>
#include <stdlib.h>

#include "tests/support/suite.h"

#include "experiments/spread.c"

static void near(double actual, double expected, double relative) {
    if (!(fabs(actual - expected) <= relative * fabs(expected))) fail_msg("%.10g is not %.10g", actual, expected);
}

/* Against published tables (Abramowitz and Stegun, 1964, table 26.10; more digits: SciPy's stats.t.ppf). */
static void test_student(void **state) {
    (void)state;
    static const struct {
        double share;
        int64_t freedom;
        double t;
    } rows[] = {
        {0.95, 1, 12.706204736},  {0.95, 2, 4.3026527297},  {0.95, 3, 3.1824463053},    {0.95, 4, 2.7764451052},
        {0.95, 9, 2.2621571628},  {0.95, 10, 2.2281388520}, {0.95, 99, 1.9842169516},   {0.95, 1000, 1.9623390808},
        {0.99, 5, 4.0321429836},  {0.5, 7, 0.7111417781},   {0.95, 65535, 1.9600001837},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        near(spread_student(rows[i].share, rows[i].freedom), rows[i].t, 1e-9);
    }
}

static void test_quantiles(void **state) {
    (void)state;
    double values[] = {7, NAN, 1, INFINITY, 3, -2, 5};
    assert_int_equal(spread_sort(values, 7), 5);
    static const double sorted[] = {-2, 1, 3, 5, 7};
    for (int i = 0; i < 5; i++) assert_true(values[i] == sorted[i]);
    assert_true(spread_quantile(values, 5, 0) == -2 && spread_quantile(values, 5, 1) == 7);
    assert_true(spread_quantile(values, 5, 0.5) == 3 && spread_quantile(values, 5, 0.25) == 1);
    near(spread_quantile(values, 5, 0.9), 6.2, 1e-12);
    assert_true(spread_quantile(values, 1, 0.7) == -2 && isnan(spread_quantile(values, 0, 0.5)));
    near(spread_mean(values, 5), 2.8, 1e-12);
    near(spread_deviation(values, 5), sqrt((23.04 + 3.24 + 0.04 + 4.84 + 17.64) / 4), 1e-12);
    assert_true(spread_deviation(values, 1) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_student), cmocka_unit_test(test_quantiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
