/* experiments/pca.h: principal components. */
#ifndef EXPERIMENTS_PCA_H
#define EXPERIMENTS_PCA_H

#include <stdbool.h>
#include <stdint.h>

/* Projects rows [count, size], centred, onto the two directions of largest variance: x and y [count], and
 * the share of the variance along each. false: out of memory. */
bool pca_project(const float *rows, int64_t count, int64_t size, double *x, double *y, double share[2]);

#endif
