/* recipe.h: a world model of the continuous cartpole by the tuned settings, with few updates. */
#include <reverie/evaluate.h>
#include <reverie/recipe.h>
#include <stdio.h>

int main(void) {
    const uint64_t seed = 1;
    rv_env *env;
    rv_dataset *all, *data, *held_back;
    rv_device *device;
    rv_world_model *model;
    rv_trainer *trainer;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    if (rv_env_create("continuous_cartpole", 16, NULL, 0, &env) != RV_OK) return 1;
    rv_dataset_create(4, 1, &all);
    rv_dataset_create(4, 1, &data);
    rv_dataset_create(4, 1, &held_back);

    const rv_world_model_recipe *recipe = rv_world_model_recipe_find("default");
    rv_collect_options collect = {.size = sizeof collect, .steps = recipe->data_steps, .policy = recipe->data_policy, .seed = seed};
    rv_collect_world_model_data(env, &collect, all);
    rv_dataset_split(all, recipe->validation, seed, data, held_back);
    rv_transitions transitions = rv_dataset_transitions(data), validation = rv_dataset_transitions(held_back);
    rv_world_model_options sizes = recipe->model;
    sizes.observation_size = 4, sizes.action_size = 1;
    rv_world_model_create(device, &sizes, seed, &model);
    rv_world_model_normalise_by(model, &transitions);
    rv_trainer_options training = recipe->trainer;
    training.seed = seed, training.validation = &validation;
    rv_trainer_create(model, &transitions, &training, &trainer);
    rv_fit_options fit = {.size = sizeof fit, .updates = recipe->updates};
    fit.updates /= 50; /* enough for an example */
    rv_status status = rv_trainer_fit(trainer, &fit);
    if (status != RV_OK) fprintf(stderr, "%s\n", rv_trainer_message(trainer));
    if (recipe->model.calibrated) rv_calibrate_world_model(model, held_back, NULL);

    int64_t reports;
    const rv_trainer_report *history = rv_trainer_history(trainer, &reports);
    for (int64_t i = 0; i < reports; i++) {
        printf("%d updates: loss %g, of validation %g\n", (int)history[i].update, (double)history[i].training[0],
               (double)history[i].validation[0]);
    }
    const int learnt = status == RV_OK && reports > 1 && history[reports - 1].validation[0] < history[0].validation[0];

    rv_trainer_destroy(trainer);
    rv_world_model_destroy(model);
    rv_dataset_destroy(all);
    rv_dataset_destroy(data);
    rv_dataset_destroy(held_back);
    rv_env_destroy(env);
    rv_device_close(device);
    return !learnt;
}
