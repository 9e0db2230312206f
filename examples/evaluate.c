/* evaluate.h: how well a model that was trained for a moment predicts cartpole episodes it has not seen. */
#include <reverie/collect.h>
#include <reverie/evaluate.h>
#include <reverie/trainer.h>
#include <math.h>
#include <stdio.h>

int main(void) {
    rv_env *env;
    rv_dataset *data, *training, *held_out;
    rv_device *device;
    rv_world_model *model;
    rv_trainer *trainer;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    if (rv_env_create("continuous_cartpole", 16, NULL, 0, &env) != RV_OK) return 1;
    rv_dataset_create(4, 1, &data);
    rv_dataset_create(4, 1, &training);
    rv_dataset_create(4, 1, &held_out);
    rv_collect_options collect = {.size = sizeof collect, .steps = 4000, .policy = RV_POLICY_SCRIPTED, .seed = 7};
    rv_collect_world_model_data(env, &collect, data);
    rv_dataset_split(data, 0.25, 7, training, held_out);
    rv_transitions transitions = rv_dataset_transitions(training);
    const rv_transitions *train = &transitions;

    rv_world_model_options options = {.size = sizeof options, .observation_size = 4, .action_size = 1};
    rv_world_model_create(device, &options, 1, &model);
    rv_world_model_normalise_by(model, train);
    rv_trainer_create(model, train, NULL, &trainer);
    rv_trainer_run(trainer, 500);

    rv_evaluation *evaluation;
    rv_evaluate_world_model(model, train, held_out, NULL, &evaluation);
    printf("R2 of the change, first dimension: %.3f\n", evaluation->change_r2[0]);
    int failed = evaluation->transitions == 0 || !isfinite(evaluation->change_r2[0]);
    if (evaluation->message[0]) fprintf(stderr, "%s\n", evaluation->message);
    rv_evaluation_destroy(evaluation);

    rv_trainer_destroy(trainer);
    rv_world_model_destroy(model);
    rv_dataset_destroy(held_out);
    rv_dataset_destroy(training);
    rv_dataset_destroy(data);
    rv_env_destroy(env);
    rv_device_close(device);
    return failed;
}
