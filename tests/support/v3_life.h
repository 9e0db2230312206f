/* tests/support/v3_life.h: a DreamerV3 agent of a few weights in an environment, for tests of its life. */
#ifndef RV_TESTS_V3_LIFE_H
#define RV_TESTS_V3_LIFE_H

#include <stdbool.h>

#include "reverie/dreamer_v3_agent.h"

/* 400 steps, 3 windows of 6 rows, an update every two steps after 40. */
rv_dreamer_v3_agent_options v3_small(void);

/* An environment that tells the time, and can be told to go bad: environment i ends after 3 + i steps, by turns for
 * good and cut short. It sees (its step, its episode), and is paid 10 * episode + step. */
extern const rv_env_table v3_clock_table;

typedef struct v3_clock_fault {
    int64_t step, bad_at; /* of all environments together; bad_at 0: never */
    float bad;
    bool in_reward;
} v3_clock_fault;
extern v3_clock_fault v3_fault;

typedef struct v3_life {
    rv_device *device;
    rv_env *env;
    rv_agent *agent;
    rv_checkpoint *file;
} v3_life;

/* env NULL: clocks. */
v3_life v3_begin(const char *resource, const char *env, int64_t count, const rv_dreamer_v3_agent_options *options);
void v3_end(v3_life *l);
void v3_live(v3_life *l, int64_t steps);
uint64_t v3_hash_of(v3_life *l); /* of all that a checkpoint holds */

#endif
