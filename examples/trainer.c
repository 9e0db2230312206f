/* trainer.h: a world model trained on the continuous cartpole. */
#include <reverie/collect.h>
#include <reverie/trainer.h>
#include <stdio.h>

int main(void) {
    rv_env *env;
    rv_dataset *data;
    rv_device *device;
    rv_world_model *model;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    if (rv_env_create("continuous_cartpole", 16, NULL, 0, &env) != RV_OK) return 1;
    rv_dataset_create(4, 1, &data);
    rv_collect_options collect = {.size = sizeof collect, .steps = 2000, .policy = RV_POLICY_MIXED, .seed = 7};
    rv_collect_world_model_data(env, &collect, data);
    rv_transitions transitions = rv_dataset_transitions(data);
    rv_world_model_options options = {.size = sizeof options, .observation_size = 4, .action_size = 1};
    rv_world_model_create(device, &options, 1, &model);
    rv_world_model_normalise_by(model, &transitions);

    float first = 0, last = 0;
    rv_trainer *trainer;
    rv_trainer_create(model, &transitions, NULL, &trainer);
    for (int i = 0; i < 3; i++) {
        rv_trainer_run(trainer, 1000);
        rv_metric metrics[RV_TRAINER_METRICS];
        rv_trainer_metrics(trainer, metrics);  // means since the last call
        if (i == 0) first = metrics[0].value;
        last = metrics[0].value;
        printf("%d updates: %s %g\n", (int)rv_trainer_steps(trainer), metrics[0].name, (double)metrics[0].value);
    }
    if (rv_trainer_message(trainer)[0]) fprintf(stderr, "%s\n", rv_trainer_message(trainer));
    rv_trainer_destroy(trainer);

    rv_world_model_destroy(model);
    rv_dataset_destroy(data);
    rv_env_destroy(env);
    rv_device_close(device);
    return !(last < first);
}
