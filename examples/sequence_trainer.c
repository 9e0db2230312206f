/* sequence_trainer.h: a small sequence model learns a memory task's data for a while. */
#include <reverie/collect.h>
#include <reverie/sequence_trainer.h>
#include <stdio.h>

int main(void) {
    rv_env *env;
    rv_dataset *data;
    rv_device *device;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    if (rv_env_create("sequence", 4, NULL, 0, &env) != RV_OK) return 1;
    rv_dataset_create(1, 1, &data);
    rv_collect_options collect = {.size = sizeof collect, .steps = 1000, .seed = 7};
    rv_collect_world_model_data(env, &collect, data);
    rv_transitions transitions = rv_dataset_transitions(data);
    rv_sequence_model_options sizes = {.size = sizeof sizes, .observation_size = 1, .action_size = 1};
    rv_sequence_model *model;
    rv_sequence_model_preset("tiny", &sizes);
    rv_sequence_model_create(device, &sizes, &model);
    rv_sequence_model_commit(model, 1);

    rv_metric metrics[RV_TRAINER_METRICS];
    float first = 0, last = 0;
    rv_sequence_trainer_options options = {.size = sizeof options, .batch = 8, .steps = 16, .learning_rate = 1e-3f};
    options.learning_rate_warmup = 20;
    rv_trainer *trainer;
    rv_sequence_trainer_create(model, &transitions, &options, &trainer);
    for (int i = 0; i < 3; i++) {
        rv_trainer_run(trainer, 50);
        rv_trainer_metrics(trainer, metrics);  // means since the last call
        if (i == 0) first = metrics[0].value;
        last = metrics[0].value;
        printf("%d updates: %s %g\n", (int)rv_trainer_steps(trainer), metrics[0].name, (double)metrics[0].value);
    }
    if (rv_trainer_message(trainer)[0]) fprintf(stderr, "%s\n", rv_trainer_message(trainer));
    rv_trainer_destroy(trainer);

    rv_sequence_model_destroy(model);
    rv_dataset_destroy(data);
    rv_env_destroy(env);
    rv_device_close(device);
    return !(last < first);
}
