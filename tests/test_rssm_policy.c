/* tests/test_rssm_policy.c: an actor learns through an RSSM that it acts in: the gradients of what it dreams, by
 * reparameterisation through observed sequences with resets, imagined states and its own actions, against differences
 * in double; with more rows than a slice has. */
#include <stdlib.h>
#include <string.h>

#include "reverie/actor.h"
#include "reverie/random.h"
#include "reverie/rssm.h"
#include "tests/support/differences.h"

enum { B = 65, SEEN = 3, AHEAD = 3, A = 2, E = 3, MOST = 24 };

#define KIND(of_core, of_latent, ...)                                                                              \
    {.size = sizeof(rv_rssm_options), .core = RV_CORE_##of_core, .latent = RV_LATENT_##of_latent, .action_size = A, \
     .token_size = E, .hidden = 3, __VA_ARGS__}
static const rv_rssm_options kinds[] = {
    KIND(BLOCK_GRU, CATEGORICAL, .deter = 4, .stoch = 2, .classes = 3, .blocks = 2),
    KIND(GRU, CATEGORICAL, .deter = 3, .stoch = 2, .classes = 3, .prior_layers = 1),
    KIND(BLOCK_GRU, GAUSSIAN, .deter = 6, .stoch = 2, .blocks = 3, .prior_layers = 1),
    KIND(GRU, GAUSSIAN, .deter = 3, .stoch = 3, .posterior_layers = 2),
};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct lab {
    rv_device *device;
    rv_params *params;
    rv_rssm rssm;
    rv_actor actor;
    rv_random *random;
    rv_graph *graph;
    rv_tensor noise, log_prob[AHEAD], entropy[AHEAD];
    rv_array *arrays[MOST];
    int count;
} lab;

static void lab_open(lab *l, const rv_rssm_options *options, rv_actor_kind kind) {
    *l = (lab){0};
    assert_ok(rv_device_open("cpu:double", NULL, &l->device), rv_device_message(l->device));
    assert_ok(rv_params_create(l->device, &l->params), "params");
    l->rssm = rv_rssm_add(l->params, "", options);
    const rv_actor_options acting = {.size = sizeof acting,
                                     .kind = kind,
                                     .inputs = options->deter + rv_rssm_stoch_size(&l->rssm),
                                     .action_size = A,
                                     .hidden = rv_sizes_of(1, 4),
                                     .outscale = 1};
    l->actor = rv_actor_add(l->params, "pol", &acting);
    assert_ok(rv_params_commit(l->params, 5), rv_params_message(l->params));
    rv_array *flat = rv_params_array(l->params, RV_VALUE);
    for (int64_t i = 0; i < rv_array_cols(flat); i++) doubles_of(flat)[i] += 0.2 * sin((double)i + 1); /* no zeros */
    assert_ok(rv_random_create(l->device, 7, &l->random), "random");
    assert_ok(rv_graph_create(l->device, &l->graph), "graph");
    l->noise = rv_random_state(l->graph, l->random);
}

static void lab_close(lab *l) {
    for (int i = 0; i < l->count; i++) rv_array_destroy(l->arrays[i]);
    rv_graph_destroy(l->graph);
    rv_random_destroy(l->random);
    rv_params_destroy(l->params);
    rv_device_close(l->device);
}

/* Normals; of "first" a 1 in every fourth place or so. */
static rv_tensor input(lab *l, const char *name, int64_t rows, int64_t cols) {
    float values[SEEN * B * 8];
    assert_true(rows * cols <= SEEN * B * 8 && l->count < MOST);
    rv_random_normal(9, 0, name, 0, rows, cols, values);
    for (int64_t i = 0; i < rows * cols && strcmp(name, "first") == 0; i++) values[i] = values[i] < -0.7f;
    rv_array **array = &l->arrays[l->count++];
    assert_ok(rv_array_create(l->device, RV_F32, rows, cols, name, array), rv_array_message(*array));
    assert_ok(rv_array_write(*array, 0, rows, values), rv_array_message(*array));
    return rv_read(l->graph, *array);
}

static rv_tensor weighed(lab *l, rv_tensor x, const char *name) {
    return rv_mean(rv_mul(x, input(l, name, rv_tensor_rows(x), rv_tensor_cols(x))), RV_ALL);
}

static rv_tensor act(void *user, rv_graph *graph, rv_rssm_state state, int64_t t) {
    lab *l = user;
    const rv_tensor features[] = {state.deter, state.stoch};
    const rv_action drawn = rv_actor_sample(graph, &l->actor, features, 2, l->noise, "action", (uint32_t)t);
    l->log_prob[t] = drawn.log_prob;
    l->entropy[t] = drawn.entropy;
    return drawn.action;
}

/* Of all that is seen and dreamt, the actions among it. */
static rv_tensor record_loss(lab *l) {
    const rv_rssm_noise seeing = {.state = l->noise, .name = "posterior"};
    const rv_rssm_noise dreaming = {.state = l->noise, .name = "prior"};
    const rv_rssm_rollout seen = rv_rssm_observe(
        l->graph, &l->rssm, rv_rssm_start(l->graph, &l->rssm, B), RV_NONE, input(l, "tokens", SEEN * B, E),
        input(l, "actions", SEEN * B, A), input(l, "first", SEEN * B, 1), SEEN, seeing);
    const rv_rssm_rollout dream = rv_rssm_imagine_policy(l->graph, &l->rssm, seen.last, AHEAD, act, l, dreaming);
    rv_tensor loss = rv_add(weighed(l, dream.state.deter, "w0"), weighed(l, dream.state.stoch, "w1"));
    loss = rv_add(loss, weighed(l, dream.action, "w2"));
    for (int t = 0; t < AHEAD; t++) {
        loss = rv_add(loss, rv_affine(rv_mean(l->entropy[t], RV_ALL), 0.1f, 0));
        loss = rv_add(loss, rv_affine(rv_mean(l->log_prob[t], RV_ALL), 0.1f, 0));
    }
    return loss;
}

/* Nothing escapes: each weight has a gradient that is not 0 somewhere. */
static void all_reached(const lab *l) {
    const double *gradient = doubles_of(rv_params_array(l->params, RV_GRADIENT));
    for (int w = 0; w < rv_params_count(l->params); w++) {
        const char *name = rv_params_name(l->params, w);
        int64_t rows, cols;
        double flow = 0;
        assert_ok(rv_params_shape(l->params, w, &rows, &cols), name);
        for (int64_t k = 0; k < rows * cols; k++) flow += fabs(gradient[rv_params_offset(l->params, w) + k]);
        if (flow == 0) fail_msg("nothing reaches %s", name);
    }
}

static void policy(void **state) {
    for (int kind = 0; kind < KINDS; kind++) {
        lab l;
        lab_open(&l, &kinds[kind], *(rv_actor_kind *)*state);
        check_differences(l.graph, l.params, record_loss(&l), 2e-6, 0.1);
        all_reached(&l);
        lab_close(&l);
    }
}

int main(void) {
    static rv_actor_kind tanh_normal = RV_ACTOR_TANH_NORMAL, bounded = RV_ACTOR_BOUNDED_NORMAL,
                         categorical = RV_ACTOR_CATEGORICAL;
    const struct CMUnitTest tests[] = {{"tanh-normal", policy, NULL, NULL, &tanh_normal},
                                       {"bounded normal", policy, NULL, NULL, &bounded},
                                       {"categorical, straight through", policy, NULL, NULL, &categorical}};
    return cmocka_run_group_tests_name("policies in an RSSM", tests, NULL, NULL);
}
