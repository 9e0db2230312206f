/* bench/measure.c: warm up, calibrate, sample. */
#include "bench/bench.h"

#include <stdlib.h>
#include <time.h>

const bench_protocol BENCH_FULL = {20, 0.05, 0.002, 51};
const bench_protocol BENCH_QUICK = {3, 0.005, 0.0005, 11};

double bench_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(double *values, int count, double fraction) {
    qsort(values, (size_t)count, sizeof *values, compare);
    double at = fraction * (count - 1);
    int low = (int)at, high = low + 1 < count ? low + 1 : low;
    return values[low] + (values[high] - values[low]) * (at - low);
}

/* Seconds of `calls` calls in a row; negative: one failed. */
static double sample(bench_work work, void *user, int64_t calls) {
    double start = bench_now();
    for (int64_t i = 0; i < calls; i++) {
        if (!work(user)) return -1;
    }
    return bench_now() - start;
}

bool bench_time(bench_work work, void *user, const bench_protocol *protocol, bench_times *times) {
    *times = (bench_times){.calls = 1, .samples = protocol->samples};
    double start = bench_now();
    for (int i = 0; i < protocol->warm_calls || bench_now() - start < protocol->warm_seconds; i++) {
        if (!work(user)) return false;
        if (i > 0 && bench_now() - start > 20 * protocol->warm_seconds) break; /* a call of seconds needs no 20 */
    }
    for (;;) {
        double seconds = sample(work, user, times->calls);
        if (seconds < 0) return false;
        if (seconds >= protocol->sample_seconds) break;
        double scale = seconds > 0 ? 1.2 * protocol->sample_seconds / seconds : 10;
        times->calls = (int64_t)((double)times->calls * (scale < 2 ? 2 : scale > 10 ? 10 : scale));
    }
    double *values = malloc((size_t)protocol->samples * sizeof *values);
    if (!values) return false;
    bool fine = true;
    for (int i = 0; i < protocol->samples && fine; i++) {
        values[i] = sample(work, user, times->calls) / (double)times->calls;
        fine = values[i] >= 0;
    }
    if (fine) {
        times->median = bench_percentile(values, protocol->samples, 0.5);
        times->p10 = bench_percentile(values, protocol->samples, 0.1);
        times->p90 = bench_percentile(values, protocol->samples, 0.9);
        times->min = values[0];
    }
    free(values);
    return fine;
}
