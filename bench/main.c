/* bench/main.c: the program reverie-bench. */
#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "tests/support/packed_matmul.h"

static const char USAGE[] =
    "usage: reverie-bench [options]\n"
    "Times ops on a device. A case that does not agree with cpu:reference gets no time, and the program ends with 1.\n"
    "  --device RESOURCE  the device (cpu)\n"
    "  --case REGEX       only cases whose names match\n"
    "  --json FILE        also write everything to FILE\n"
    "  --quick            few short samples: to see that it works\n"
    "  --list             names of the cases, nothing is run\n"
    "  --profile          where the time of the one matching workload goes, launch by launch\n"
    "  --dump FILE        run the one matching workload once and write inputs and results as safetensors\n"
    "  --serve            answer bench/compare on standard input; --serve-list: what it can ask for\n";

typedef struct options {
    const char *device, *pattern, *json, *dump;
    bool quick, list, profile, serve, serve_list;
} options;

/* What the whole run shares. */
typedef struct session {
    options options;
    regex_t pattern;
    rv_device *device, *reference;
    int threads;        /* of the device */
    FILE *json;
    int done, failed;
} session;

static bool wanted(const session *session, const char *name) { return regexec(&session->pattern, name, 0, NULL, 0) == 0; }

/* ---- output ------------------------------------------------------------------------------------------ */

typedef struct result {
    const char *name;
    bench_times times;
    double flops, bytes;
    double peak, copy; /* what the device's threads can do, measured around the case: flop/s, byte/s over so many bytes */
    int64_t launches, dispatches;
} result;

static void print_header(void) {
    printf("%-44s %10s %10s %10s %10s %9s %6s %8s %6s %9s %10s\n", "case", "median us", "p10", "p90", "min", "GFLOP/s",
           "peak", "GB/s", "copy", "launches", "dispatches");
}

static void print_share(double rate, double ceiling, int width) {
    if (rate > 0) {
        printf(" %*.1f %5.0f%%", width, rate / 1e9, 100 * rate / ceiling);
    } else {
        printf(" %*s %6s", width, "-", "-");
    }
}

static void report(session *session, const result *r) {
    const bench_times *t = &r->times;
    printf("%-44s %10.2f %10.2f %10.2f %10.2f", r->name, 1e6 * t->median, 1e6 * t->p10, 1e6 * t->p90, 1e6 * t->min);
    print_share(r->flops / t->median, r->peak, 9);
    print_share(r->bytes / t->median, r->copy, 8);
    printf(" %9lld %10lld\n", (long long)r->launches, (long long)r->dispatches);
    fflush(stdout);
    if (session->json) {
        fprintf(session->json,
                "%s\n  {\"case\": \"%s\", \"median\": %.6e, \"p10\": %.6e, \"p90\": %.6e, \"min\": %.6e, \"samples\": %d, "
                "\"calls\": %lld, \"flops\": %.9g, \"bytes\": %.9g, \"fma_peak\": %.6g, \"copy_rate\": %.6g, \"launches\": %lld, \"dispatches\": %lld}",
                session->done ? "," : "", r->name, t->median, t->p10, t->p90, t->min, t->samples, (long long)t->calls,
                r->flops, r->bytes, r->peak, r->copy, (long long)r->launches, (long long)r->dispatches);
    }
    session->done++;
}

static void fail(session *session, const char *name, const char *why) {
    printf("%-44s FAIL %s\n", name, why);
    fflush(stdout);
    session->failed++;
}

/* ---- one case ------------------------------------------------------------------------------------------ */

/* Times the work between two looks at the ceilings. */
static void time_work(session *session, result *r, bench_work work, void *user) {
    double before = bench_fma_peak(session->threads);
    if (r->bytes > 0) r->copy = bench_copy_rate(session->threads, r->bytes);
    if (!bench_time(work, user, session->options.quick ? &BENCH_QUICK : &BENCH_FULL, &r->times)) {
        fail(session, r->name, "stopped while it was timed");
        return;
    }
    r->peak = (before + bench_fma_peak(session->threads)) / 2;
    report(session, r);
}

static bool execute(void *run) { return rv_case_execute(run) == RV_OK; }

static void bench_case(session *session, const rv_case *item, rv_case_mode mode) {
    char name[128], why[640] = "";
    snprintf(name, sizeof name, "%s%s", item->name, mode == RV_CASE_GRADIENT ? "/gradient" : "");
    if (!wanted(session, name)) return;
    if (session->options.list) {
        puts(name);
        return;
    }
    rv_case_run run;
    if (bench_gate_case(&run, session->device, session->reference, item, mode, why, sizeof why)) {
        rv_plan_report report = {.size = sizeof report};
        rv_plan_report_get(run.plan, &report);
        result r = {.name = name, .flops = item->flops, .bytes = rv_case_bytes(&run), .launches = report.launches, .dispatches = report.dispatches};
        if (mode == RV_CASE_GRADIENT) {
            r.flops = item->gradient_flops;
            r.bytes = item->gradient_bytes;
        }
        time_work(session, &r, execute, &run);
    } else {
        fail(session, name, why);
    }
    rv_case_close(&run);
}

static void bench_cases(session *session) {
    rv_case_list *list = rv_cases_create();
    for (int i = 0; list && i < list->count; i++) {
        const rv_case *item = &list->items[i];
        if (!(item->flags & RV_CASE_BENCH)) continue;
        bench_case(session, item, RV_CASE_FORWARD);
        if (item->gradient_flops > 0) bench_case(session, item, RV_CASE_GRADIENT);
    }
    rv_cases_destroy(list);
}

/* ---- products with packed weights, beside matmul/nn whose plan packs in every run -------------------------- */

static void bench_packed(session *session, int64_t m, int64_t k, int64_t n) {
    char name[96], why[256] = "only the fast CPU device has packed weights";
    snprintf(name, sizeof name, "matmul_packed/m%lld_k%lld_n%lld", (long long)m, (long long)k, (long long)n);
    if (!wanted(session, name)) return;
    if (session->options.list) {
        puts(name);
        return;
    }
    rv_packed_matmul *matmul = rv_packed_matmul_create(session->device, m, k, n);
    if (!matmul) {
        printf("%-44s skipped: %s\n", name, why);
    } else if (!rv_packed_matmul_check(matmul, why, sizeof why)) {
        fail(session, name, why);
    } else {
        result r = {.name = name, .flops = 2.0 * (double)(m * k * n), .bytes = 4.0 * (double)(m * k + k * n + m * n), .launches = 1, .dispatches = 1};
        time_work(session, &r, rv_packed_matmul_run, matmul);
    }
    rv_packed_matmul_destroy(matmul);
}

static void bench_packed_products(session *session) {
    static const int64_t sizes[][3] = {
        {64, 768, 256}, {256, 768, 256}, {1024, 768, 256}, {64, 1024, 1024}, {1024, 1024, 1024}};
    for (int i = 0; i < 5; i++) bench_packed(session, sizes[i][0], sizes[i][1], sizes[i][2]);
}

/* ---- the training step, and the host's part of it --------------------------------------------------------- */

static const char TRAIN_STEP[] = "train_step/course", NULL_REPLAY[] = "null_replay/train_step_course";

static int find_workload(const char *name) {
    for (int i = 0; i < bench_workload_count(); i++) {
        if (strcmp(bench_workload_name(i), name) == 0) return i;
    }
    return -1;
}

/* Workload `of`, under a name of its own. */
static void bench_workload_case(session *session, const char *name, const char *of, rv_device *device, bool gate) {
    if (!wanted(session, name)) return;
    if (session->options.list) {
        puts(name);
        return;
    }
    char why[640] = "out of memory";
    int index = find_workload(of);
    bench_workload *workload = bench_workload_create(index, device);
    bool fine = workload && !workload->error[0];
    if (workload) snprintf(why, sizeof why, "%s", workload->error);
    if (fine && gate) fine = bench_gate_workload(workload, index, session->reference, why, sizeof why);
    if (fine) {
        result r = {.name = name, .launches = workload->launches, .dispatches = workload->dispatches};
        if (gate) r.flops = workload->flops;
        time_work(session, &r, bench_workload_run, workload);
        if (!gate) printf("%-44s %10.1f ns a launch\n", "", 1e9 * r.times.median / (double)r.launches);
    } else {
        fail(session, name, why);
    }
    bench_workload_destroy(workload);
}

static void bench_host(session *session) {
    if (!wanted(session, NULL_REPLAY)) return;
    rv_device *null_device = NULL;
    if (session->options.list || rv_device_open("null", NULL, &null_device) == RV_OK) {
        bench_workload_case(session, NULL_REPLAY, TRAIN_STEP, null_device, false);
    } else {
        fail(session, NULL_REPLAY, null_device ? rv_device_message(null_device) : "out of memory");
    }
    rv_device_close(null_device);
}

/* ---- the run -------------------------------------------------------------------------------------------------- */

static void measure_ceilings(session *session, const char *when) {
    int threads = session->threads;
    double one = bench_fma_peak(1), all = bench_fma_peak(threads);
    double caches = bench_copy_rate(threads, 524288.0 * threads), memory = bench_copy_rate(threads, 1e9);
    printf("ceilings %s: FMA (%s) %.1f GFLOP/s on 1 thread, %.1f on %d; copy %.1f GB/s over 512 KiB a thread, %.1f over 256 MiB\n",
           when, bench_ceiling_isa(), one / 1e9, all / 1e9, threads, caches / 1e9, memory / 1e9);
    if (session->json) {
        fprintf(session->json,
                "\"ceilings_%s\": {\"isa\": \"%s\", \"threads\": %d, \"fma_one_thread\": %.6g, \"fma\": %.6g, "
                "\"copy_512KiB_a_thread\": %.6g, \"copy_256MiB\": %.6g}",
                when, bench_ceiling_isa(), threads, one, all, caches, memory);
    }
}

/* Threads that a device uses, from its resolved name. */
static int device_threads(rv_device *device) {
    const char *name = rv_device_name(device), *at = strstr(name, "threads=");
    int threads = at ? atoi(at + 8) : 1;
    return threads > 0 ? threads : 1;
}

static int run_all(session *session) {
    if (!session->options.list) {
        session->threads = device_threads(session->device);
        if (session->json) {
            fprintf(session->json, "{\"version\": \"%s\", \"device\": \"%s\", \"description\": \"%s\",\n", rv_version(),
                    rv_device_name(session->device), rv_device_description(session->device));
        }
        printf("reverie %s on %s: %s\n", rv_version(), rv_device_name(session->device), rv_device_description(session->device));
        measure_ceilings(session, "before");
        if (session->json) fprintf(session->json, ",\n\"cases\": [");
        print_header();
    }
    bench_cases(session);
    bench_packed_products(session);
    static const char *const workloads[] = {
        TRAIN_STEP,                          "imagine/course_b1_h15",         "imagine/course_b1024_h15",
        "imagine_gradient/course_b1024_h15", "dreamer_update/course",         "rssm_observe/size1m_b16_t64",
        "rssm_imagine/size1m_b1024_h15",     "dreamer_v3_update/size1m_b16_t64"};
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        bench_workload_case(session, workloads[i], workloads[i], session->device, true);
    bench_host(session);
    if (session->options.list) return 0;
    if (session->json) fprintf(session->json, "],\n\"failed\": %d,\n", session->failed);
    measure_ceilings(session, "after");
    if (session->json) fprintf(session->json, "}\n");
    if (session->failed) printf("%d failed\n", session->failed);
    if (session->done + session->failed == 0) printf("no case matches\n");
    return session->failed || session->done == 0;
}

/* The least of a few profiled runs for every launch, and the whole run by the clock beside their sum. */
static bool profile(bench_workload *workload) {
    enum { RUNS = 50 };
    rv_plan *plan = workload->plan;
    double *least = calloc((size_t)workload->launches + 1, sizeof *least), sum = 0;
    bool fine = least && bench_workload_first_run(workload);
    rv_launch_info info = {.size = sizeof info};
    for (int run = 0; run < RUNS && fine; run++) {
        fine = rv_plan_profile(plan) == RV_OK;
        for (int64_t i = 0; i < workload->launches && fine; i++) {
            fine = rv_plan_launch(plan, i, &info) == RV_OK;
            if (run == 0 || info.seconds < least[i]) least[i] = info.seconds;
        }
    }
    for (int64_t i = 0; i < workload->launches && fine; i++) {
        rv_plan_launch(plan, i, &info);
        printf("%4lld %-24s %-40s [%lld, %lld] %9.2f us", (long long)i, info.op, info.label, (long long)info.rows,
               (long long)info.cols, 1e6 * least[i]);
        printf(info.flops > 0 ? " %7.1f GFLOP/s\n" : "\n", info.flops / least[i] / 1e9);
        sum += least[i];
    }
    bench_times times;
    fine = fine && bench_time(bench_workload_run, workload, &BENCH_QUICK, &times);
    if (fine) printf("sum %.2f us; a run as a whole %.2f us\n", 1e6 * sum, 1e6 * times.median);
    free(least);
    return fine;
}

static int dump_or_profile(session *session) {
    for (int i = 0; i < bench_workload_count(); i++) {
        if (!wanted(session, bench_workload_name(i))) continue;
        bench_workload *workload = bench_workload_create(i, session->device);
        bool fine = workload && !workload->error[0] &&
                    (session->options.profile ? profile(workload) : bench_workload_dump(workload, session->options.dump));
        if (!fine) fprintf(stderr, "%s: %s\n", bench_workload_name(i), workload ? workload->error : "out of memory");
        bench_workload_destroy(workload);
        return fine ? 0 : 1;
    }
    fprintf(stderr, "no workload matches (--serve-list names them)\n");
    return 1;
}

static bool parse(int argc, char **argv, options *options) {
    enum { DEVICE = 256, CASE, JSON, QUICK, LIST, PROFILE, DUMP, SERVE, SERVE_LIST };
    static const struct option known[] = {
        {"device", required_argument, NULL, DEVICE}, {"case", required_argument, NULL, CASE},
        {"json", required_argument, NULL, JSON},     {"quick", no_argument, NULL, QUICK},
        {"list", no_argument, NULL, LIST},           {"dump", required_argument, NULL, DUMP},
        {"profile", no_argument, NULL, PROFILE},
        {"serve", no_argument, NULL, SERVE},         {"serve-list", no_argument, NULL, SERVE_LIST},
        {"help", no_argument, NULL, 'h'},            {NULL, 0, NULL, 0}};
    *options = (struct options){.device = "cpu", .pattern = "."};
    for (int key; (key = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (key) {
        case DEVICE: options->device = optarg; break;
        case CASE: options->pattern = optarg; break;
        case JSON: options->json = optarg; break;
        case QUICK: options->quick = true; break;
        case LIST: options->list = true; break;
        case PROFILE: options->profile = true; break;
        case DUMP: options->dump = optarg; break;
        case SERVE: options->serve = true; break;
        case SERVE_LIST: options->serve_list = true; break;
        case 'h': fputs(USAGE, stdout); exit(0);
        default: return false;
        }
    }
    return optind == argc;
}

static bool open_device(const char *resource, rv_device **device) {
    if (rv_device_open(resource, NULL, device) == RV_OK) return true;
    fprintf(stderr, "%s: %s\n", resource, *device ? rv_device_message(*device) : "out of memory");
    return false;
}

int main(int argc, char **argv) {
    session session = {0};
    if (!parse(argc, argv, &session.options)) {
        fputs(USAGE, stderr);
        return 2;
    }
    if (session.options.serve_list) {
        for (int i = 0; i < bench_workload_count(); i++) puts(bench_workload_name(i));
        return 0;
    }
    if (regcomp(&session.pattern, session.options.pattern, REG_EXTENDED | REG_NOSUB) != 0) {
        fprintf(stderr, "--case %s is no regular expression\n", session.options.pattern);
        return 2;
    }
    int code = 1;
    bool fine = session.options.list || (open_device(session.options.device, &session.device) &&
                                         open_device("cpu:reference", &session.reference));
    if (fine && session.options.json && !(session.json = fopen(session.options.json, "w"))) {
        perror(session.options.json);
        fine = false;
    }
    if (fine && session.options.serve) {
        code = bench_serve(session.device);
    } else if (fine) {
        code = session.options.dump || session.options.profile ? dump_or_profile(&session) : run_all(&session);
    }
    if (session.json && fclose(session.json) != 0) {
        perror(session.options.json);
        code = 1;
    }
    rv_device_close(session.device);
    rv_device_close(session.reference);
    regfree(&session.pattern);
    return code;
}
