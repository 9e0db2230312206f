/* plugin.h: the corridor of plugin/corridor.c, built as ./corridor.so, is walked through. */
#include <reverie/plugin.h>
#include <stdio.h>

int main(void) {
    float observation[16], action[16], reward[16], sum = 0;
    rv_env_result result = {.observation = observation, .reward = reward};
    rv_env_plugin *plugin;
    rv_env *env;
    rv_env_plugin_open("./corridor.so", &plugin);
    if (rv_env_plugin_table(plugin) == NULL) fprintf(stderr, "%s\n", rv_env_plugin_message(plugin));
    rv_env_create_from(rv_env_plugin_table(plugin), 16, NULL, 0, &env);
    for (int i = 0; i < 16; i++) action[i] = 1;
    rv_env_reset(env, 1, observation);
    for (int step = 0; step < 50 && rv_env_step(env, action, &result) == RV_OK; step++) {
        for (int i = 0; i < 16; i++) sum += reward[i];
    }
    printf("50 steps in 16 corridors gave %.2f\n", sum);
    rv_env_destroy(env);
    rv_env_plugin_close(plugin);
    return !(sum > 2 * 16);
}
