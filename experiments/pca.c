/* experiments/pca.c: principal components by Jacobi's rotations of the covariance; of a large one, of its part in a
 * subspace that holds the largest of them. */
#include "experiments/pca.h"

#include <math.h>
#include <stdlib.h>

static void covariance(const float *rows, int64_t count, int64_t n, double *mean, double *c) {
    for (int64_t r = 0; r < count; r++) {
        for (int64_t i = 0; i < n; i++) mean[i] += (double)rows[r * n + i] / (double)count;
    }
    for (int64_t r = 0; r < count; r++) {
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j <= i; j++) {
                c[i * n + j] +=
                    ((double)rows[r * n + i] - mean[i]) * ((double)rows[r * n + j] - mean[j]) / (double)count;
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++) c[j * n + i] = c[i * n + j];
    }
}

/* Turns rows and columns p and q of c so that c[p][q] becomes 0, and the vectors with them. */
static void rotate(double *c, double *vectors, int64_t n, int64_t p, int64_t q) {
    double off = c[p * n + q];
    if (off == 0.0) return;
    double theta = (c[q * n + q] - c[p * n + p]) / (2.0 * off);
    double t = (theta >= 0.0 ? 1.0 : -1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
    double cosine = 1.0 / sqrt(t * t + 1.0), sine = t * cosine;
    for (int64_t k = 0; k < n; k++) {
        double a = c[k * n + p], b = c[k * n + q];
        c[k * n + p] = cosine * a - sine * b;
        c[k * n + q] = sine * a + cosine * b;
    }
    for (int64_t k = 0; k < n; k++) {
        double a = c[p * n + k], b = c[q * n + k];
        c[p * n + k] = cosine * a - sine * b;
        c[q * n + k] = sine * a + cosine * b;
        double v = vectors[k * n + p], w = vectors[k * n + q];
        vectors[k * n + p] = cosine * v - sine * w;
        vectors[k * n + q] = sine * v + cosine * w;
    }
}

static void diagonalise(double *c, double *vectors, int64_t n) {
    for (int64_t i = 0; i < n; i++) vectors[i * n + i] = 1.0;
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0.0, all = 0.0;
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j < n; j++) {
                double square = c[i * n + j] * c[i * n + j];
                all += square;
                if (i != j) off += square;
            }
        }
        if (off <= 1e-24 * all) return;
        for (int64_t p = 0; p < n; p++) {
            for (int64_t q = p + 1; q < n; q++) rotate(c, vectors, n, p, q);
        }
    }
}

static void project(const float *rows, int64_t count, int64_t n, const double *mean, const double *vectors,
                    int64_t column, double *out) {
    double largest = 0.0; /* the sign of a direction is free: its largest entry is positive */
    for (int64_t i = 0; i < n; i++) {
        if (fabs(vectors[i * n + column]) > fabs(largest)) largest = vectors[i * n + column];
    }
    for (int64_t r = 0; r < count; r++) {
        double sum = 0.0;
        for (int64_t i = 0; i < n; i++) sum += ((double)rows[r * n + i] - mean[i]) * vectors[i * n + column];
        out[r] = largest < 0.0 ? -sum : sum;
    }
}

/* ---- a large covariance ------------------------------------------------------------------------------------------ */

enum { SUBSPACE = 8, LARGE = 64, ITERATIONS = 100 };

/* Makes the columns of v [n, SUBSPACE] orthonormal, one after another. */
static void orthonormalise(double *v, int64_t n) {
    for (int k = 0; k < SUBSPACE; k++) {
        for (int before = 0; before <= k; before++) {
            double dot = 0.0;
            for (int64_t i = 0; i < n; i++) dot += v[i * SUBSPACE + k] * v[i * SUBSPACE + before];
            const double length = sqrt(dot);
            for (int64_t i = 0; i < n && before < k; i++) v[i * SUBSPACE + k] -= dot * v[i * SUBSPACE + before];
            for (int64_t i = 0; i < n && before == k && length > 0.0; i++) v[i * SUBSPACE + k] /= length;
        }
    }
}

static void multiply(const double *c, const double *v, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i++) {
        double sum[SUBSPACE] = {0};
        for (int64_t j = 0; j < n; j++) {
            for (int k = 0; k < SUBSPACE; k++) sum[k] += c[i * n + j] * v[j * SUBSPACE + k];
        }
        for (int k = 0; k < SUBSPACE; k++) out[i * SUBSPACE + k] = sum[k];
    }
}

/* Iterates a subspace until it holds the largest directions, and turns it so that they are its columns: those of
 * `vectors` [n, n], with their variances on the diagonal of c, whose other entries count for nothing from then on. */
static bool diagonalise_in_subspace(double *c, double *vectors, int64_t n) {
    double *v = calloc((size_t)n, 2 * SUBSPACE * sizeof *v);
    double inside[SUBSPACE * SUBSPACE] = {0}, turn[SUBSPACE * SUBSPACE] = {0};
    if (!v) return false;
    double *moved = v + n * SUBSPACE;
    for (int64_t i = 0; i < n * SUBSPACE; i++) v[i] = sin((double)(i + 1) * (double)(i + 1)); /* begins anywhere */
    orthonormalise(v, n);
    for (int i = 0; i < ITERATIONS; i++) {
        multiply(c, v, n, moved);
        for (int64_t k = 0; k < n * SUBSPACE; k++) v[k] = moved[k];
        orthonormalise(v, n);
    }
    multiply(c, v, n, moved);
    for (int a = 0; a < SUBSPACE; a++) {
        for (int b = 0; b < SUBSPACE; b++) {
            for (int64_t i = 0; i < n; i++) inside[a * SUBSPACE + b] += v[i * SUBSPACE + a] * moved[i * SUBSPACE + b];
        }
    }
    diagonalise(inside, turn, SUBSPACE);
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < SUBSPACE; k++) {
            vectors[i * n + k] = 0.0;
            for (int a = 0; a < SUBSPACE; a++) vectors[i * n + k] += v[i * SUBSPACE + a] * turn[a * SUBSPACE + k];
        }
        c[i * n + i] = i < SUBSPACE ? inside[i * SUBSPACE + i] : 0.0;
    }
    free(v);
    return true;
}

/* ---- projection -------------------------------------------------------------------------------------------------- */

static void find_largest(const double *c, int64_t n, int64_t *first, int64_t *second) {
    *first = 0;
    for (int64_t i = 0; i < n; i++) {
        if (c[i * n + i] > c[*first * n + *first]) *first = i;
    }
    *second = *first == 0 && n > 1 ? 1 : 0;
    for (int64_t i = 0; i < n; i++) {
        if (i != *first && c[i * n + i] > c[*second * n + *second]) *second = i;
    }
}

bool pca_project(const float *rows, int64_t count, int64_t n, double *x, double *y, double share[2]) {
    double *mean = calloc((size_t)n, sizeof *mean), *c = calloc((size_t)n, (size_t)n * sizeof *c);
    double *vectors = calloc((size_t)n, (size_t)n * sizeof *vectors), total = 0.0;
    bool ok = mean && c && vectors;
    if (ok) covariance(rows, count, n, mean, c);
    for (int64_t i = 0; i < n && ok; i++) total += c[i * n + i];
    if (ok && n > LARGE) ok = diagonalise_in_subspace(c, vectors, n);
    else if (ok) diagonalise(c, vectors, n);
    if (ok) {
        int64_t first, second;
        find_largest(c, n, &first, &second);
        project(rows, count, n, mean, vectors, first, x);
        project(rows, count, n, mean, vectors, second, y);
        share[0] = total > 0.0 ? c[first * n + first] / total : 0.0;
        share[1] = total > 0.0 && n > 1 ? c[second * n + second] / total : 0.0;
    }
    free(mean);
    free(c);
    free(vectors);
    return ok;
}
