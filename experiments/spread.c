/* experiments/spread.c: means, quantiles, Student's t. */
#include "experiments/spread.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int64_t spread_sort(double *values, int64_t count) {
    int64_t finite = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i])) values[finite++] = values[i];
    }
    qsort(values, (size_t)finite, sizeof *values, ascending);
    return finite;
}

double spread_quantile(const double *sorted, int64_t count, double share) {
    if (count == 0) return NAN;
    const double at = share * (double)(count - 1);
    const int64_t below = (int64_t)at < count - 1 ? (int64_t)at : count - 1;
    const int64_t above = below < count - 1 ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

double spread_mean(const double *values, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i];
    return sum / (double)count;
}

double spread_deviation(const double *values, int64_t count) {
    const double mean = spread_mean(values, count);
    double squares = 0;
    for (int64_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    return count > 1 ? sqrt(squares / (double)(count - 1)) : 0;
}

/* The share within -t and t: the finite series of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4. */
static double student_share(double t, int64_t freedom) {
    const double angle = atan(t / sqrt((double)freedom)), square = cos(angle) * cos(angle);
    const int64_t odd = freedom % 2;
    double term = odd ? cos(angle) : 1, sum = 0;
    for (int64_t i = odd + 2; i <= freedom; i += 2) {
        sum += term;
        term *= square * (double)(i - 1) / (double)i;
    }
    return odd ? 2 / M_PI * (angle + sin(angle) * sum) : sin(angle) * sum;
}

double spread_student(double share, int64_t freedom) {
    double low = 0, high = 1;
    while (student_share(high, freedom) < share && high < 1e12) high *= 2;
    for (int i = 0; i < 100; i++) {
        const double middle = 0.5 * (low + high);
        if (student_share(middle, freedom) < share) low = middle;
        else high = middle;
    }
    return high;
}
