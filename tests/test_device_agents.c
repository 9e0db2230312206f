/* tests/test_device_agents.c: world models and agents on a GPU's backends: recurrent state-space models and agents'
 * lives follow the CPU, a second life has the same bits, and updates are few dispatches. DreamerV3's numbers:
 * test_dreamer_parity.c.
 *
 *     test_device_agents [DEVICE ...]          or REVERIE_DEVICES; opencl:0 and cuda:0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/dreamer.h"
#include "reverie/dreamer_v3_agent.h"
#include "reverie/rssm.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/dreamer_lab.h"

static rv_test_devices devices;

/* Skips where the device is merely not there. */
static rv_device *open_device(void **state) {
    bool absent;
    rv_device *device = rv_device_open_for_test(&devices, *(int *)*state, &absent);
    if (absent) skip();
    assert_non_null(device);
    return device;
}

static double relative_l2(const float *x, const float *expected, int64_t count) {
    double off = 0, square = 0;
    for (int64_t i = 0; i < count; i++) {
        off += pow((double)x[i] - (double)expected[i], 2);
        square += pow((double)expected[i], 2);
    }
    assert_true(square > 0);
    return sqrt(off / square);
}

/* ---- recurrent state-space models ------------------------------------------------------------------------------- */

enum { B = 7, T = 9, H = 5, A = 2, E = 5, MOST_VALUES = 1 << 16, MOST_RESULTS = 24 };

#define KIND(of_core, of_latent, ...) \
    {.size = sizeof(rv_rssm_options), .core = RV_CORE_##of_core, .latent = RV_LATENT_##of_latent, \
     .action_size = A, .token_size = E, .hidden = 33, __VA_ARGS__}
static const rv_rssm_options kinds[] = {
    KIND(BLOCK_GRU, CATEGORICAL, .deter = 72, .stoch = 5, .classes = 4, .blocks = 8),
    KIND(GRU, CATEGORICAL, .deter = 65, .stoch = 3, .classes = 7, .prior_layers = 2),
    KIND(BLOCK_GRU, GAUSSIAN, .deter = 39, .stoch = 5, .blocks = 3),
    KIND(GRU, GAUSSIAN, .deter = 33, .stoch = 6, .posterior_layers = 2),
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* What a rollout gives, one result after the other. */
typedef struct results {
    float values[MOST_VALUES];
    int64_t first[MOST_RESULTS + 1];
    int count;
} results;

typedef struct stage {
    rv_device *device;
    rv_graph *graph;
    rv_array *arrays[2 * MOST_RESULTS], *kept[MOST_RESULTS];
    int given, keeping;
    bool uniform; /* noise */
} stage;

static rv_tensor give(stage *s, const char *name, int64_t rows, int64_t cols) {
    static float values[T * B * 80];
    rv_array **array = &s->arrays[s->given++];
    assert_true(s->given <= 2 * MOST_RESULTS && rows * cols <= T * B * 80);
    if (s->uniform && strncmp(name, "noise", 5) == 0) rv_random_uniform(6, 0, name, 0, rows, cols, values);
    else rv_random_normal(6, 0, name, 0, rows, cols, values);
    for (int64_t i = 0; i < rows * cols && strcmp(name, "first") == 0; i++) values[i] = values[i] < -1;
    assert_ok(rv_array_create(s->device, RV_F32, rows, cols, name, array), rv_array_message(*array));
    assert_ok(rv_array_write(*array, 0, rows, values), rv_array_message(*array));
    return rv_read(s->graph, *array);
}

static void keep(stage *s, rv_tensor x) {
    if (!x.graph) return; /* a Gaussian has no logits */
    assert_ok(rv_graph_status(s->graph), rv_graph_message(s->graph));
    assert_true(s->keeping < MOST_RESULTS);
    rv_array **array = &s->kept[s->keeping++];
    assert_ok(rv_array_create(s->device, RV_F32, rv_tensor_rows(x), rv_tensor_cols(x), "kept", array), "kept");
    rv_store(*array, x);
}

static rv_tensor weighed(stage *s, rv_tensor x, const char *name) {
    return rv_mean(rv_mul(x, give(s, name, rv_tensor_rows(x), rv_tensor_cols(x))), RV_ALL);
}

/* Observes nine steps with resets, imagines five more; a loss that no part escapes. */
static rv_tensor roll(stage *s, const rv_rssm *rssm) {
    const rv_rssm_options *o = &rssm->options;
    const rv_rssm_state start = {give(s, "deter", B, o->deter), give(s, "stoch", B, rv_rssm_stoch_size(rssm))};
    const rv_rssm_noise seeing = {.given = give(s, "noise", T * B, o->stoch)};
    const rv_rssm_noise dreaming = {.given = give(s, "noise ahead", H * B, o->stoch)};
    rv_rssm_rollout seen = rv_rssm_observe(s->graph, rssm, start, give(s, "lead", B, A), give(s, "tokens", T * B, E),
                                           give(s, "actions", T * B, A), give(s, "first", T * B, 1), T, seeing);
    rv_rssm_rollout dream = rv_rssm_imagine(s->graph, rssm, seen.last, H, give(s, "future", H * B, A), dreaming);
    rv_rssm_losses losses = rv_rssm_loss(s->graph, rssm, seen.posterior, seen.prior, NULL);
    const rv_tensor all[] = {seen.state.deter,     seen.state.stoch,     seen.posterior.logits, seen.posterior.mean,
                             seen.posterior.std,   seen.prior.logits,    seen.prior.mean,       seen.prior.std,
                             dream.state.deter,    dream.state.stoch,    dream.prior.logits,    dream.prior.mean,
                             dream.prior.std,      losses.kl};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) keep(s, all[i]);
    rv_tensor loss = rv_add(weighed(s, seen.state.deter, "w0"), weighed(s, dream.state.stoch, "w1"));
    return rv_add(losses.total, rv_add(loss, weighed(s, dream.state.deter, "w2")));
}

static void add_result(results *r, rv_array *array) {
    const int64_t rows = rv_array_rows(array), count = rows * rv_array_cols(array), at = r->first[r->count];
    assert_true(r->count < MOST_RESULTS && at + count <= MOST_VALUES);
    assert_ok(rv_array_read(array, 0, rows, r->values + at), rv_array_message(array));
    r->first[++r->count] = at + count;
}

/* The last result is the gradient of all weights. */
static void rssm_on(rv_device *device, const rv_rssm_options *options, results *r) {
    stage s = {.device = device, .uniform = options->latent == RV_LATENT_CATEGORICAL};
    rv_params *params;
    rv_plan *plan;
    assert_ok(rv_params_create(device, &params), "params");
    const rv_rssm rssm = rv_rssm_add(params, "", options);
    assert_ok(rv_params_commit(params, 5), rv_params_message(params));
    assert_ok(rv_graph_create(device, &s.graph), "graph");
    assert_ok(rv_params_gradients(s.graph, params, roll(&s, &rssm), NULL, 0), rv_graph_message(s.graph));
    assert_ok(rv_plan_create(s.graph, NULL, &plan), rv_plan_message(plan));
    assert_ok(rv_plan_run(plan), rv_plan_message(plan));
    r->count = 0;
    for (int i = 0; i < s.keeping; i++) add_result(r, s.kept[i]);
    add_result(r, rv_params_array(params, RV_GRADIENT));
    for (int i = 0; i < s.keeping; i++) rv_array_destroy(s.kept[i]);
    for (int i = 0; i < s.given; i++) rv_array_destroy(s.arrays[i]);
    rv_plan_destroy(plan);
    rv_graph_destroy(s.graph);
    rv_params_destroy(params);
}

/* Within what a scan may be off (docs of cases.h), each result and the gradient. */
static void rssm_follows_the_cpu(void **state) {
    static results here, there;
    rv_device *device = open_device(state), *cpu;
    assert_ok(rv_device_open("cpu", NULL, &cpu), rv_device_message(cpu));
    double worst = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        rssm_on(device, &kinds[kind], &here);
        rssm_on(cpu, &kinds[kind], &there);
        assert_int_equal(here.count, there.count);
        for (int i = 0; i < here.count; i++) {
            const int64_t at = there.first[i], count = there.first[i + 1] - at;
            const double off = relative_l2(here.values + at, there.values + at, count);
            if (!(off <= sqrt(1e-9))) fail_msg("kind %d, result %d: off by %.2g", kind, i, off);
            worst = fmax(worst, off);
        }
    }
    print_message("%s: off by %.1e at most\n", rv_device_name(device), worst);
    rv_device_close(cpu);
    rv_device_close(device);
}

/* ---- agents' lives ----------------------------------------------------------------------------------------------- */

enum { BEFORE = 40, ROUND = 2, ROUNDS = 20 };

typedef struct kind {
    int rounds; /* of ROUND steps with an update each, after BEFORE without */
    rv_status (*make)(rv_device *device, rv_env *env, rv_agent **agent);
} kind;

static rv_status make_dreamer(rv_device *device, rv_env *env, rv_agent **agent) {
    rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
    options.model.latent_size = 6;
    options.model.vae_hidden = options.model.dynamics_hidden = (rv_sizes){1, {17}};
    options.model.reward_hidden = options.model.continue_hidden = (rv_sizes){1, {9}};
    options.actor_hidden = options.critic_hidden = (rv_sizes){1, {17}};
    options.critic_bins = 21;
    options.steps = 200;
    options.prefill = BEFORE;
    options.update_every = 1;
    options.updates_each = 1;
    options.batch = 9;
    options.window = 3;
    options.imagined = 9;
    options.horizon = 4;
    options.seed = 5;
    return rv_dreamer_create(device, env, &options, agent);
}

static rv_status make_dreamer_v3(rv_device *device, rv_env *env, rv_agent **agent) {
    rv_dreamer_v3_agent_options options = rv_dreamer_v3_recipe_find("debug")->options;
    options.learner.horizon = 4;
    /* heads of zero leave gradients to rounding, and LaProp steps by their sign */
    options.learner.actor_outscale = options.learner.critic_outscale = options.learner.model.reward_outscale = 1;
    options.learner.learning_rate = 1e-4f;
    options.steps = 200;
    options.batch = 3;
    options.length = 8;
    options.train_ratio = 24; /* an update a step */
    options.start = BEFORE;
    options.seed = 5;
    return rv_dreamer_v3_agent_create(device, env, &options, agent);
}

static const kind dreamer = {ROUNDS, make_dreamer}, dreamer_v3 = {ROUNDS / 2, make_dreamer_v3};

typedef struct life {
    float metric[ROUNDS][RV_AGENT_METRICS]; /* of each round's updates */
    const char *name[RV_AGENT_METRICS];
    uint64_t hash; /* of its checkpoint in the end */
} life;

static uint64_t hash_of(rv_device *device, rv_agent *agent) {
    char path[64];
    rv_checkpoint *file;
    snprintf(path, sizeof path, "life_%d.safetensors", (int)(rv_agent_steps(agent)));
    assert_ok(rv_checkpoint_create(device, &file), "");
    assert_ok(rv_agent_checkpoint(agent, file), rv_agent_message(agent));
    assert_ok(rv_agent_save(agent, file, path), rv_agent_message(agent));
    const uint64_t hash = rv_hash_file(path);
    assert_true(hash != 0 && remove(path) == 0);
    rv_checkpoint_destroy(file);
    return hash;
}

static void live(rv_device *device, const kind *kind, life *l) {
    rv_env *env;
    rv_agent *agent;
    const rv_env_setting steps = {"max_steps", 25};
    assert_ok(rv_env_create("continuous_pendulum", 1, &steps, 1, &env), rv_env_message(env));
    assert_ok(kind->make(device, env, &agent), rv_agent_message(agent));
    assert_ok(rv_agent_run(agent, BEFORE), rv_agent_message(agent));
    for (int round = 0; round < kind->rounds; round++) {
        rv_metric metrics[RV_AGENT_METRICS];
        assert_ok(rv_agent_run(agent, ROUND), rv_agent_message(agent));
        assert_ok(rv_agent_metrics(agent, metrics), rv_agent_message(agent));
        for (int m = 0; m < RV_AGENT_METRICS; m++) {
            l->metric[round][m] = (float)metrics[m].value;
            l->name[m] = metrics[m].name;
        }
    }
    assert_int_equal(rv_agent_updates(agent), ROUND * kind->rounds);
    l->hash = hash_of(device, agent);
    rv_agent_destroy(agent);
    rv_env_destroy(env);
}

/* Relative to the metric's root mean square: some pass through zero. */
static double metric_off(const life *here, const life *there, int rounds, int m) {
    double square = 0, worst = 0;
    for (int round = 0; round < rounds; round++) {
        square += pow((double)there->metric[round][m], 2) / rounds;
        worst = fmax(worst, fabs((double)here->metric[round][m] - (double)there->metric[round][m]));
    }
    return worst == 0 ? 0 : worst / sqrt(square);
}

static void follow_the_cpu(void **state, const kind *kind) {
    static life here, again, there;
    rv_device *device = open_device(state), *cpu;
    assert_ok(rv_device_open("cpu", NULL, &cpu), rv_device_message(cpu));
    live(device, kind, &here);
    live(device, kind, &again);
    live(cpu, kind, &there);
    double worst = 0;
    int compared = 0;
    for (int m = 0; m < RV_AGENT_METRICS && here.name[m][0]; m++) {
        /* a Dreamer's nearly cancels: the CPU's own kernels, by vector length, are 1e-2 apart */
        if (strcmp(here.name[m], "actor_gradient") == 0) continue;
        const double off = metric_off(&here, &there, kind->rounds, m);
        if (!(off <= 1e-3)) fail_msg("%s: off by %.2g", here.name[m], off);
        worst = fmax(worst, off);
        compared++;
    }
    assert_true(compared > 14);
    print_message("%s: %d metrics of %d updates within %.1e of the CPU's\n", rv_device_name(device), compared,
                  ROUND * kind->rounds, worst);
    assert_true(here.hash == again.hash); /* weights, moments, normalisers, replay, environment */
    rv_device_close(cpu);
    rv_device_close(device);
}

static void dreamer_follows_the_cpu(void **state) { follow_the_cpu(state, &dreamer); }
static void dreamer_v3_follows_the_cpu(void **state) { follow_the_cpu(state, &dreamer_v3); }

/* ---- dispatches -------------------------------------------------------------------------------------------------- */

static int64_t dispatches_of(const rv_plan *plan) {
    rv_plan_report report = {.size = sizeof report};
    assert_ok(rv_plan_report_get(plan, &report), "");
    return report.dispatches;
}

static int64_t dispatches_of_dreamer(rv_device *device) {
    rv_env *env;
    rv_agent *agent;
    assert_ok(rv_env_create("continuous_pendulum", 1, NULL, 0, &env), rv_env_message(env));
    const rv_dreamer_options options = rv_dreamer_recipe_find("course")->options;
    assert_ok(rv_dreamer_create(device, env, &options, &agent), rv_agent_message(agent));
    const int64_t dispatches = dispatches_of(rv_agent_train_plan(agent));
    rv_agent_destroy(agent);
    rv_env_destroy(env);
    return dispatches;
}

static int64_t dispatches_of_dreamer_v3(const char *resource, const char *preset, int64_t sequences, int64_t steps) {
    rv_dreamer_v3_options options = dreamer_lab_options(preset);
    options.horizon = 15;
    dreamer_lab lab;
    dreamer_lab_open(&lab, resource, &options, sequences, steps);
    rv_dreamer_v3_learn(lab.graph, lab.agent, &lab.batch, lab.noise);
    rv_random_advance(lab.graph, lab.random);
    rv_plan *plan = dreamer_lab_plan(&lab);
    const int64_t dispatches = dispatches_of(plan);
    rv_plan_destroy(plan);
    dreamer_lab_close(&lab);
    return dispatches;
}

/* As they are now; a fused scan is to bring them down. PoCL keeps functions with barriers apart from others, so that a
 * region is many dispatches there; a GPU of 132 multiprocessors, which the stand-in claims to be, merges more. */
static void updates_have_budgets(void **state) {
    enum { DREAMER, DEBUG, SIZE1M, PLANS };
    static const char *const names[PLANS] = {"the course's Dreamer", "DreamerV3 debug, 4 x 8",
                                             "DreamerV3 size1m, 16 x 64"};
    static const int64_t budgets[2][PLANS] = {{121, 652, 1780}, {39, 45, 1242}};
    rv_device *device = open_device(state);
    const char *resource = devices.names[*(int *)*state];
    const int64_t *most = budgets[strncmp(resource, "cuda", 4) == 0];
    const int64_t taken[PLANS] = {dispatches_of_dreamer(device), dispatches_of_dreamer_v3(resource, "debug", 4, 8),
                                    dispatches_of_dreamer_v3(resource, "size1m", 16, 64)};
    int over = 0;
    for (int i = 0; i < PLANS; i++) {
        print_message("%s: %s: %d dispatches, at most %d\n", resource, names[i], (int)taken[i], (int)most[i]);
        over += taken[i] > most[i];
    }
    rv_device_close(device);
    assert_int_equal(over, 0);
}

int main(int argc, char **argv) {
    /* what is merged depends on how many compute units there are; an OpenCL on the CPU takes this many */
    setenv("POCL_MAX_PTHREAD_COUNT", "2", 1);
    rv_devices_from(&devices, argc, argv, "opencl:0 cuda:0");
    static const struct {
        const char *name;
        CMUnitTestFunction function;
    } each[] = {
        {"rssm", rssm_follows_the_cpu},
        {"dreamer", dreamer_follows_the_cpu},
        {"dreamer_v3", dreamer_v3_follows_the_cpu},
        {"dispatches", updates_have_budgets},
    };
    enum { EACH = sizeof each / sizeof *each };
    struct CMUnitTest tests[EACH * RV_MAX_DEVICES];
    int numbers[RV_MAX_DEVICES];
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        for (int k = 0; k < EACH; k++)
            tests[EACH * i + k] = (struct CMUnitTest){each[k].name, each[k].function, NULL, NULL, &numbers[i]};
    }
    return _cmocka_run_group_tests("agents on devices", tests, (size_t)(EACH * devices.count), NULL, NULL);
}
