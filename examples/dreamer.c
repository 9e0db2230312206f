/* dreamer.h: a Dreamer of a short life on the pendulum, and what its policy is worth in fresh environments. */
#include <reverie/dreamer.h>
#include <stdio.h>

int main(void) {
    rv_device *device;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_env *env;
    rv_env_create("continuous_pendulum", 1, NULL, 0, &env);
    rv_dreamer_options options = rv_dreamer_recipe_find("default")->options;
    options.steps = 240, options.prefill = 200, options.batch = 16, options.imagined = 16; /* a short life */
    rv_dreamer *dreamer;
    rv_dreamer_create(device, env, &options, &dreamer);
    rv_dreamer_run(dreamer, options.steps); // acts and learns

    rv_env *fresh;
    double returns[16];
    rv_env_create("continuous_pendulum", 16, NULL, 0, &fresh);
    rv_dreamer_evaluate(dreamer, fresh, 1000, 0, returns); // seed 1000; 0: the policy's mode
    const int64_t steps = rv_dreamer_steps(dreamer);
    printf("after %lld steps the first of 16 episodes brings %.1f\n", (long long)steps, returns[0]);
    rv_env_destroy(fresh);
    rv_dreamer_destroy(dreamer);
    rv_env_destroy(env);
    rv_device_close(device);
    return steps == 240 && returns[0] < 0 ? 0 : 1;
}
