/* wrappers.h: a pendulum whose last four normalised observations are seen at once, each action acting twice. */
#include <reverie/wrappers.h>
#include <stdio.h>

int main(void) {
    static float observation[16 * 12], action[16];
    double count = 0;
    rv_env *env;
    rv_env_create("continuous_pendulum", 16, NULL, 0, &env);
    rv_env_wrap_action_repeat(&env, 2);
    rv_env_wrap_normalise(&env, 10.0);
    rv_env_wrap_frame_stack(&env, 4);
    rv_env_result result = {.observation = observation};
    rv_status status = rv_env_reset(env, 1, observation);
    for (int step = 0; step < 100 && status == RV_OK; step++) {
        rv_env_scripted(env, 16, observation, action);
        status = rv_env_step(env, action, &result);
    }
    rv_env_normaliser_get(env, NULL, NULL, &count);
    printf("%s: statistics of %g observations\n", rv_env_table_of(env)->name, count);
    if (status != RV_OK) fprintf(stderr, "%s\n", rv_env_message(env));
    rv_env_destroy(env);
    return status != RV_OK || count != 16 * (1 + 100 + 1); /* the episodes ended, and began anew, with the last step */
}
