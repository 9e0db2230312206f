/* dreamer.h: a Dreamer of a short life on the pendulum. */
#include <reverie/dreamer.h>
#include <stdio.h>

int main(void) {
    rv_device *device;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_env *env;
    rv_env_create("continuous_pendulum", 1, NULL, 0, &env);
    rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
    options.steps = 240, options.prefill = 200, options.batch = 16, options.imagined = 16; /* a short life */
    rv_agent *agent;
    rv_dreamer_create(device, env, &options, &agent);
    rv_agent_run(agent, options.steps); // acts and learns; agent.h has the rest
    const int64_t steps = rv_agent_steps(agent), updates = rv_agent_updates(agent);
    printf("%lld steps, %lld updates\n", (long long)steps, (long long)updates);
    rv_agent_destroy(agent);
    rv_env_destroy(env);
    rv_device_close(device);
    return steps == 240 && updates > 0 ? 0 : 1;
}
