/* experiments/spread.h: how numbers lie. */
#ifndef EXPERIMENTS_SPREAD_H
#define EXPERIMENTS_SPREAD_H

#include <stdint.h>

/* The value below which a share of ascending numbers lies, linearly between neighbours. NaN: there are none. */
double spread_quantile(const double *ascending, int64_t count, double share);

/* Puts numbers in ascending order, leaving out those that are not finite; returns how many are left. */
int64_t spread_sort(double *values, int64_t count);

/* Mean, and deviation of a sample (n - 1; 0 of a single one). */
double spread_mean(const double *values, int64_t count);
double spread_deviation(const double *values, int64_t count);

/* t so that a share of Student's distribution with so many degrees of freedom lies between -t and t. */
double spread_student(double share, int64_t freedom);

#endif
