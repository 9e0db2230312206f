/* An environment of your own: a corridor of 1 m, in which a step of 0.1 m slips a little, and whose far end pays.
 *     cc -shared -fPIC corridor.c -o corridor.so && reverie env-check ./corridor.so
 * Linked into a program, the table at the end is what rv_env_create_from takes. */
#include <reverie/env.h>
#include <stdlib.h>
#include <string.h>

typedef struct place { double x; int64_t steps; uint64_t random; } place; /* of one environment */
typedef struct corridor { int64_t count; double slip; place *at; } corridor;

static int create(const double *options, int64_t count, void **state) {
    corridor *c = *state = calloc(1, sizeof *c);
    if (c) *c = (corridor){count, options[0], calloc((size_t)count, sizeof(place))};
    if (c && c->at) return 0;
    free(c);
    return 1;
}
static void destroy(void *state) {
    free(((corridor *)state)->at);
    free(state);
}
static void spaces(const void *state, rv_env_spaces *out) {
    static const float low[] = {-0.5f}, high[] = {1.5f}, back[] = {-1.0f}, forth[] = {1.0f};
    static const char *const sees[] = {"place"}, *const does[] = {"step"};
    (void)state;
    *out = (rv_env_spaces){sizeof *out, 1, low, high, sees, 1, 0, back, forth, does, 0.0};
}
static void reset(void *state, const uint8_t *mask, const uint64_t *seed, float *observation) {
    corridor *c = state;
    for (int64_t i = 0; i < c->count; i++) {
        if (mask && !mask[i]) continue; /* the others go on */
        if (seed) c->at[i].random = rv_env_random_seed(seed[i]);
        c->at[i].x = rv_env_random_uniform(&c->at[i].random, 0.0, 0.2);
        c->at[i].steps = 0;
        observation[i] = (float)c->at[i].x;
    }
}
static void step(void *state, const float *action, float *next, float *reward, uint8_t *terminated, uint8_t *truncated) {
    corridor *c = state;
    for (int64_t i = 0; i < c->count; i++) {
        place *p = &c->at[i];
        double x = p->x + 0.1 * (double)action[i] + rv_env_random_uniform(&p->random, -c->slip, c->slip);
        p->x = x < 0.0 ? 0.0 : x > 1.0 ? 1.0 : x;
        next[i] = (float)p->x;
        terminated[i] = p->x >= 1.0;
        reward[i] = terminated[i] ? 1.0f : -0.01f;
        truncated[i] = ++p->steps >= 100;
    }
}
static size_t state_size(const void *state) { return (size_t)((const corridor *)state)->count * sizeof(place); }
static void save(const void *state, void *bytes) { memcpy(bytes, ((const corridor *)state)->at, state_size(state)); }
static int load(void *state, const void *bytes, float *observation) {
    corridor *c = memcpy(((corridor *)state)->at, bytes, state_size(state)) ? state : NULL;
    for (int64_t i = 0; i < c->count; i++) observation[i] = (float)c->at[i].x;
    return 0;
}
static const rv_env_option options[] = {{"slip", 0.02, 0.0, 0.1, 0, "how far a step may miss, in metres"}};
RV_API const rv_env_table rv_env_exported = {
    RV_ENV_ABI, sizeof(rv_env_table), "corridor", "walk to the end of a corridor", options, 1, create, destroy,
    spaces, reset, step, state_size, save, load, NULL};
