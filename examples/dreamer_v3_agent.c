/* dreamer_v3_agent.h: a DreamerV3 agent of a short life on the pendulum. */
#include <reverie/dreamer_v3_agent.h>
#include <reverie/wrappers.h>
#include <stdio.h>

int main(void) {
    rv_device *device;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_env *env;
    rv_env_create("dmc_pendulum_swingup", 1, NULL, 0, &env);
    rv_env_wrap_action_repeat(&env, 2);
    rv_dreamer_v3_agent_options options = rv_dreamer_v3_recipe_find("tiny")->options;
    options.steps = 80, options.start = 60, options.batch = 4, options.length = 8; /* a short life */
    options.train_ratio = 8;
    rv_agent *agent;
    rv_dreamer_v3_agent_create(device, env, &options, &agent);
    rv_agent_run(agent, options.steps); // acts and learns; agent.h has the rest
    const int64_t steps = rv_agent_steps(agent), updates = rv_agent_updates(agent);
    printf("%lld steps, %lld updates\n", (long long)steps, (long long)updates);
    rv_agent_destroy(agent);
    rv_env_destroy(env);
    rv_device_close(device);
    return steps == 80 && updates == 5 ? 0 : 1;
}
