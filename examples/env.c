/* env.h: 64 cartpoles pushed towards where the pole leans. */
#include <reverie/env.h>
#include <stdio.h>

enum { COUNT = 64 };

static void act(const float *observation, float *action) {
    for (int i = 0; i < COUNT; i++) action[i] = observation[4 * i + 2] > 0.0f ? 1.0f : -1.0f;
}

int main(void) {
    const uint64_t seed = 1;
    float observation[COUNT * 4], action[COUNT], reward[COUNT];
    uint8_t terminated[COUNT], truncated[COUNT];
    rv_env_result result = {.observation = observation, .reward = reward, .terminated = terminated, .truncated = truncated};
    int steps = 0, episodes = 0;

    rv_env *env;
    rv_env_setting settings[] = {{"force", 10.0}, {"max_steps", 500}};
    rv_env_create("continuous_cartpole", 64, settings, 2, &env);
    rv_status status = rv_env_message(env)[0] ? RV_INVALID_ARGUMENT : RV_OK;
    rv_env_reset(env, seed, observation);
    for (;;) {
        if (status != RV_OK || steps == 500) break;
        act(observation, action);
        rv_env_step(env, action, &result);
        steps++;
        for (int i = 0; i < COUNT; i++) episodes += terminated[i] || truncated[i];
    }
    if (status != RV_OK) fprintf(stderr, "%s\n", rv_env_message(env));
    rv_env_destroy(env);
    printf("%d episodes in %d steps\n", episodes, steps * COUNT);
    return status != RV_OK || episodes == 0;
}
