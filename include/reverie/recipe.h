/* reverie/recipe.h: the settings under which a world model is known to learn, by name.
 *
 *     const rv_world_model_recipe *recipe = rv_world_model_recipe_find("default");
 *     rv_world_model_options sizes = recipe->model;
 *     sizes.observation_size = 4, sizes.action_size = 1;
 *     rv_world_model_create(device, &sizes, seed, &model);
 *     rv_trainer_options training = recipe->trainer;
 *     training.seed = seed, training.validation = &validation;
 *     rv_trainer_create(model, &transitions, &training, &trainer);
 *     rv_fit_options fit = {.size = sizeof fit, .updates = recipe->updates};
 *     rv_status status = rv_trainer_fit(trainer, &fit);
 *     if (recipe->model.calibrated) rv_calibrate_world_model(model, held_back, NULL);
 *
 * "default" is tuned: docs/world_model.md holds its figures. "course" has the constants of the course's
 * notebook: single transitions, a constant learning rate, 1,000 updates.
 */
#ifndef REVERIE_RECIPE_H
#define REVERIE_RECIPE_H

#include "reverie/collect.h"
#include "reverie/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_world_model_recipe {
    const char *name, *text;
    int64_t data_steps;            /* to collect, with data_policy */
    rv_policy data_policy;
    double validation;             /* share of the steps, in whole episodes, that is held back from training; 0: none */
    int64_t updates;
    rv_world_model_options model;  /* every constant is written out; sizes of the environment are 0 */
    rv_trainer_options trainer;    /* likewise; without seed and data */
} rv_world_model_recipe;

/* NULL where there is none of that name. */
RV_API const rv_world_model_recipe *rv_world_model_recipe_find(const char *name);

/* All of them, the default first. */
RV_API const rv_world_model_recipe *rv_world_model_recipe_list(int *count);

#ifdef __cplusplus
}
#endif
#endif
