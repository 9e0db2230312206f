/* tests/support/compare.c: how near two results must be. */
#include "tests/support/compare.h"

#include <math.h>
#include <stdio.h>

/* Neither is a finite number, and both are the same. */
static bool same_non_finite(double a, double b) { return (isnan(a) && isnan(b)) || (isinf(a) && a == b); }

static bool compare(const double *actual, const double *reference, int64_t count, double nmse, double element,
                    double absolute, bool relative, char *why, size_t size) {
    double error = 0, power = 0;
    int64_t finite = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(actual[i]) || !isfinite(reference[i])) {
            if (same_non_finite(actual[i], reference[i])) continue;
            snprintf(why, size, "[%lld] is %.9g, should be %.9g", (long long)i, actual[i], reference[i]);
            return false;
        }
        error += (actual[i] - reference[i]) * (actual[i] - reference[i]);
        power += reference[i] * reference[i];
        finite++;
    }
    double rms = finite ? sqrt(power / (double)finite) : 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(reference[i])) continue;
        double scale = fabs(reference[i]) + (relative ? 1e-37 : rms);
        if (fabs(actual[i] - reference[i]) <= element * scale + absolute) continue;
        snprintf(why, size, "[%lld] is %.9g, should be %.9g: off by %.3g of %.3g", (long long)i, actual[i],
                 reference[i], fabs(actual[i] - reference[i]), scale);
        return false;
    }
    if (error > nmse * power + absolute * absolute * (double)finite) {
        snprintf(why, size, "normalised mean square error %.3g, bound %.3g", error / power, nmse);
        return false;
    }
    return true;
}

static bool compare_exact(const double *actual, const double *reference, int64_t count, char *why, size_t size) {
    for (int64_t i = 0; i < count; i++) {
        if (actual[i] == reference[i] || (isnan(actual[i]) && isnan(reference[i]))) continue;
        snprintf(why, size, "[%lld] is %.9g, should be exactly %.9g", (long long)i, actual[i], reference[i]);
        return false;
    }
    return true;
}

bool rv_compare(const rv_case *item, const double *actual, const double *reference, int64_t count, char *why,
                size_t size) {
    if (item->flags & RV_CASE_EXACT) return compare_exact(actual, reference, count, why, size);
    double nmse = item->nmse > 0 ? item->nmse : RV_CASE_NMSE;
    double element = item->element > 0 ? item->element : RV_CASE_ELEMENT;
    return compare(actual, reference, count, nmse, element, item->absolute, item->flags & RV_CASE_RELATIVE, why, size);
}

bool rv_compare_within(const double *actual, const double *reference, int64_t count, double nmse, double element,
                       char *why, size_t size) {
    return compare(actual, reference, count, nmse, element, 0, false, why, size);
}

uint64_t rv_hash_bytes(uint64_t hash, const void *memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ ((const unsigned char *)memory)[i]) * 0x100000001b3u;
    return hash;
}

uint64_t rv_hash_file(const char *path) {
    FILE *file = fopen(path, "rb");
    unsigned char block[4096];
    uint64_t hash = RV_HASH_START;
    if (!file) return 0;
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;) hash = rv_hash_bytes(hash, block, got);
    if (ferror(file)) hash = 0;
    fclose(file);
    return hash;
}
