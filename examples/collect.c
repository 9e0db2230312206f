/* collect.h: a data set for a world model, random and scripted actions mixed. */
#include <reverie/collect.h>
#include <stdio.h>

int main(void) {
    rv_env *env;
    rv_dataset *data;
    if (rv_env_create("continuous_cartpole", 16, NULL, 0, &env) != RV_OK) return 1;
    rv_dataset_create(4, 1, &data);

    rv_collect_options options = {.size = sizeof options, .steps = 5000, .policy = RV_POLICY_MIXED, .seed = 7};
    rv_collect_world_model_data(env, &options, data);

    printf("%d steps in %d episodes\n", (int)rv_dataset_steps(data), (int)rv_dataset_episodes(data));
    int failed = rv_dataset_steps(data) != 5000;
    if (failed) fprintf(stderr, "%s\n", rv_dataset_message(data));
    rv_dataset_destroy(data);
    rv_env_destroy(env);
    return failed;
}
