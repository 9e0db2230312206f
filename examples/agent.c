/* agent.h: an agent's short life on the pendulum, what its policy is worth in fresh environments, and its checkpoint. */
#include <reverie/agent.h>
#include <reverie/dreamer.h>
#include <stdio.h>

int main(void) {
    rv_device *device;
    rv_checkpoint *checkpoint;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_env *env;
    rv_env_create("continuous_pendulum", 1, NULL, 0, &env);
    rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
    options.steps = 240, options.prefill = 200, options.batch = 16, options.imagined = 16; /* a short life */
    rv_agent *agent;
    rv_dreamer_create(device, env, &options, &agent); // or rv_dreamer_v3_agent_create
    rv_agent_run(agent, options.steps);               // acts and learns

    rv_env *fresh;
    double returns[16];
    rv_env_create("continuous_pendulum", 16, NULL, 0, &fresh);
    rv_agent_evaluate(agent, fresh, 1000, 0, returns); // seed 1000; 0: the policy's mode
    rv_env_destroy(fresh);
    const int64_t steps = rv_agent_steps(agent);
    printf("after %lld steps the first of 16 episodes brings %.1f\n", (long long)steps, returns[0]);

    rv_checkpoint_create(device, &checkpoint);
    rv_agent_checkpoint(agent, checkpoint);
    rv_agent_save(agent, checkpoint, "agent.safetensors"); // goes on from there after rv_agent_load
    rv_checkpoint_destroy(checkpoint);
    rv_agent_destroy(agent);
    rv_env_destroy(env);
    rv_device_close(device);
    const int saved = remove("agent.safetensors") == 0;
    return saved && steps == 240 && returns[0] < 0 ? 0 : 1;
}
