/* bench/serve.c: reverie's side of the line protocol; bench/peers/serve.py describes it. */
#include "bench/bench.h"

#include <stdio.h>
#include <string.h>

static bench_workload *prepare(const char *name, const char *path, rv_device *device) {
    int index = 0;
    while (index < bench_workload_count() && strcmp(bench_workload_name(index), name) != 0) index++;
    if (index == bench_workload_count()) {
        printf("skip no case %s\n", name);
        return NULL;
    }
    bench_workload *workload = bench_workload_create(index, device);
    if (workload && bench_workload_dump(workload, path)) {
        printf("ready flops=%.9g bytes=%.9g launches=%lld\n", workload->flops, workload->bytes,
               (long long)workload->launches);
        return workload;
    }
    printf("differ %s\n", workload ? workload->error : "out of memory");
    bench_workload_destroy(workload);
    return NULL;
}

/* Calls without a pause for `seconds`, after a third of that not counted. */
static void sample(bench_workload *workload, double seconds) {
    double start = bench_now(), spent;
    int64_t warm = 0, calls;
    bool fine = true;
    do {
        fine = bench_workload_run(workload);
        warm++;
        spent = bench_now() - start;
    } while (fine && spent < seconds / 3);
    calls = (int64_t)(seconds / (spent / (double)warm));
    if (calls < 1) calls = 1;
    start = bench_now();
    for (int64_t i = 0; fine && i < calls; i++) fine = bench_workload_run(workload);
    spent = bench_now() - start;
    if (fine) {
        printf("time %.9e %lld\n", spent / (double)calls, (long long)calls);
    } else {
        printf("differ %s\n", rv_plan_message(workload->plan));
    }
}

static void ceilings(void) {
    printf("ceilings %s %.6g %.6g\n", bench_ceiling_isa(), bench_fma_peak(1), bench_fma_peak(bench_cores()));
}

int bench_serve(rv_device *device) {
    char line[4096], name[256], path[3072];
    double seconds;
    bench_workload *workload = NULL;
    printf("hello reverie %s on %s\n", rv_version(), rv_device_description(device));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "case %255s %3071s", name, path) == 2) {
            bench_workload_destroy(workload);
            workload = prepare(name, path, device);
        } else if (sscanf(line, "sample %lf", &seconds) == 1 && workload) {
            sample(workload, seconds);
        } else if (strncmp(line, "ceilings", 8) == 0) {
            ceilings();
        } else if (strncmp(line, "quit", 4) == 0) {
            break;
        } else {
            printf("differ what is %s", line);
        }
        fflush(stdout);
    }
    bench_workload_destroy(workload);
    return 0;
}
