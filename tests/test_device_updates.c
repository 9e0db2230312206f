/* The course's Dreamer and DreamerV3 learn on a GPU backend as they do on the CPU: every metric of the first updates
 * stays within a thousandth, and a second agent's are the same bits. What an update takes is printed and no more.
 *
 *     test_device_updates [DEVICE ...]        or REVERIE_DEVICES; opencl:0 and cuda:0
 *
 * RV_AGENTS=large takes the sizes of the course and of size1m (16 sequences of 64 steps) instead of small ones.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reverie/dreamer.h"
#include "reverie/dreamer_v3_agent.h"
#include "tests/support/devices.h"
#include "tests/support/suite.h"

enum { UPDATES = 4 };

static rv_test_devices devices;
static bool large;

/* ---- agents ------------------------------------------------------------------------------------------------------ */

/* A step an update, from the first one that can have one. */
static rv_status make_dreamer(rv_device *device, rv_env *env, rv_agent **agent, int64_t *start) {
    rv_dreamer_options options = rv_dreamer_recipe_find("course")->options;
    options.prefill = *start = 256;
    options.steps = options.prefill + UPDATES;
    options.update_every = 1;
    options.seed = 5;
    if (!large) options.batch = 16, options.imagined = 7, options.horizon = 5;
    return rv_dreamer_create(device, env, &options, agent);
}

static rv_status make_dreamer_v3(rv_device *device, rv_env *env, rv_agent **agent, int64_t *start) {
    rv_dreamer_v3_agent_options options = rv_dreamer_v3_recipe_find(large ? "dmc_proprio" : "debug")->options;
    options.start = *start = 2 * options.length + 2;
    options.steps = options.start + UPDATES;
    options.train_ratio = options.batch * options.length;
    options.seed = 5;
    return rv_dreamer_v3_agent_create(device, env, &options, agent);
}

static const struct {
    const char *name, *env;
    rv_status (*make)(rv_device *device, rv_env *env, rv_agent **agent, int64_t *start);
} kinds[] = {{"the course's Dreamer", "continuous_pendulum", make_dreamer},
             {"DreamerV3", "dmc_pendulum_swingup", make_dreamer_v3}};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- runs -------------------------------------------------------------------------------------------------------- */

typedef struct run {
    rv_metric metrics[UPDATES][RV_AGENT_METRICS];
    double seconds; /* of an update */
} run;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void learn(rv_device *device, int kind, run *r) {
    rv_env *env;
    rv_agent *agent;
    int64_t start;
    assert_ok(rv_env_create(kinds[kind].env, 1, NULL, 0, &env), rv_env_message(env));
    assert_ok(kinds[kind].make(device, env, &agent, &start), rv_agent_message(agent));
    assert_ok(rv_agent_run(agent, start), rv_agent_message(agent));
    assert_int_equal(rv_agent_updates(agent), 0);
    for (int i = 0; i < UPDATES; i++) {
        assert_ok(rv_agent_run(agent, 1), rv_agent_message(agent));
        assert_int_equal(rv_agent_updates(agent), i + 1);
        assert_ok(rv_agent_metrics(agent, r->metrics[i]), rv_agent_message(agent));
    }
    const int timed = large ? 20 : 1;
    const double from = now();
    for (int i = 0; i < timed; i++) assert_ok(rv_plan_run(rv_agent_train_plan(agent)), "");
    assert_ok(rv_device_sync(device), rv_device_message(device));
    r->seconds = (now() - from) / timed;
    rv_agent_destroy(agent);
    rv_env_destroy(env);
}

/* The largest difference between two runs' metrics, of what is not tiny relative. */
static double compare(const run *a, const run *b) {
    double worst = 0;
    for (int i = 0; i < UPDATES; i++) {
        for (int k = 0; k < RV_AGENT_METRICS && a->metrics[i][k].name[0]; k++) {
            const double x = (double)a->metrics[i][k].value, y = (double)b->metrics[i][k].value;
            if (isnan(x) && isnan(y)) continue; /* no episode has ended */
            const double difference = fabs(x - y) / fmax(fabs(y), 0.1);
            if (!(difference <= 1e-3))
                print_error("update %d, %s: %g, on the CPU %g\n", i + 1, a->metrics[i][k].name, x, y);
            worst = fmax(worst, isnan(difference) ? INFINITY : difference);
        }
    }
    return worst;
}

static bool same_bits(const run *a, const run *b) {
    bool same = true;
    for (int i = 0; i < UPDATES; i++) {
        for (int k = 0; k < RV_AGENT_METRICS; k++) {
            same = memcmp(&a->metrics[i][k].value, &b->metrics[i][k].value, sizeof a->metrics[i][k].value) == 0 && same;
        }
    }
    return same;
}

static void learning_follows_the_cpu(void **state) {
    static run here[KINDS], again, there;
    bool absent;
    rv_device *device = rv_device_open_for_test(&devices, *(int *)*state, &absent), *cpu;
    if (absent) skip();
    assert_non_null(device);
    assert_ok(rv_device_open("cpu", NULL, &cpu), rv_device_message(cpu));
    for (int kind = 0; kind < KINDS; kind++) {
        learn(device, kind, &here[kind]);
        learn(device, kind, &again);
        learn(cpu, kind, &there);
        const double worst = compare(&here[kind], &there);
        print_message("%s, %s: metrics within %.1e of the CPU's over %d updates; an update takes %.3f ms, on the CPU "
                      "%.3f ms\n",
                      rv_device_name(device), kinds[kind].name, worst, UPDATES, 1e3 * here[kind].seconds,
                      1e3 * there.seconds);
        assert_true(worst <= 1e-3);
        assert_true(same_bits(&here[kind], &again));
    }
    rv_device_close(cpu);
    rv_device_close(device);
}

int main(int argc, char **argv) {
    const char *size = getenv("RV_AGENTS");
    large = size && strcmp(size, "large") == 0;
    rv_devices_from(&devices, argc, argv, "opencl:0 cuda:0");
    struct CMUnitTest tests[RV_MAX_DEVICES];
    int numbers[RV_MAX_DEVICES];
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        tests[i] = (struct CMUnitTest){devices.names[i], learning_follows_the_cpu, NULL, NULL, &numbers[i]};
    }
    return _cmocka_run_group_tests("updates on devices", tests, (size_t)devices.count, NULL, NULL);
}
