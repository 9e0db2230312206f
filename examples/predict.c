/* A trained world model at work: load a checkpoint, make one plan, call it in a loop. Nothing here was allocated for
 * training, and a call allocates nothing. (train() makes the checkpoint that the rest needs.) */
#include <math.h>
#include <reverie/collect.h>
#include <reverie/trainer.h>
#include <stdio.h>

enum { O = 4, A = 1 };

static rv_world_model_options sizes = {.size = sizeof sizes, .observation_size = O, .action_size = A};

/* ---- the part that is called ---- */

typedef struct predictor {
    rv_device *device;
    rv_world_model *model;
    rv_array *observation, *action, *next_observation, *reward;
    rv_plan *plan;
} predictor;

static rv_status predictor_load(predictor *p, const char *path) {
    rv_checkpoint *file = NULL;
    sizes.inference = 1; // values alone: no gradients, no moments
    rv_status status = rv_world_model_create(p->device, &sizes, 0, &p->model);
    if (status == RV_OK) status = rv_checkpoint_create(p->device, &file);
    if (status == RV_OK) status = rv_world_model_checkpoint(p->model, "model/", file);
    if (status == RV_OK) status = rv_checkpoint_load(file, path);
    if (status != RV_OK) fprintf(stderr, "%s\n", file ? rv_checkpoint_message(file) : rv_world_model_message(p->model));
    rv_checkpoint_destroy(file);
    return status;
}

static rv_status predictor_open(predictor *p, const char *path) {
    rv_graph *graph = NULL;
    rv_status status = rv_device_open("auto", NULL, &p->device);
    if (status == RV_OK) status = predictor_load(p, path);
    if (status == RV_OK) status = rv_array_create(p->device, RV_F32, 1, O, "observation", &p->observation);
    if (status == RV_OK) status = rv_array_create(p->device, RV_F32, 1, A, "action", &p->action);
    if (status == RV_OK) status = rv_array_create(p->device, RV_F32, 1, O, "next observation", &p->next_observation);
    if (status == RV_OK) status = rv_array_create(p->device, RV_F32, 1, 1, "reward", &p->reward);
    if (status == RV_OK) status = rv_graph_create(p->device, &graph);
    if (status != RV_OK) return status;
    rv_gaussian latent = rv_world_model_encode(graph, p->model, rv_read(graph, p->observation));
    rv_world_model_step next = rv_world_model_predict(graph, p->model, latent.mean, rv_read(graph, p->action));
    rv_store(p->next_observation, rv_world_model_decode(graph, p->model, next.latent.mean));
    rv_store(p->reward, next.reward);
    status = rv_plan_create(graph, NULL, &p->plan);
    rv_graph_destroy(graph);
    return status;
}

static rv_status predictor_call(predictor *p, const float observation[O], const float action[A], float next[O], float *reward) {
    rv_array_write(p->observation, 0, 1, observation);
    rv_array_write(p->action, 0, 1, action);
    rv_status status = rv_plan_run(p->plan);
    if (status == RV_OK) status = rv_array_read(p->next_observation, 0, 1, next);
    return status == RV_OK ? rv_array_read(p->reward, 0, 1, reward) : status;
}

static void predictor_close(predictor *p) {
    rv_plan_destroy(p->plan);
    rv_array_destroy(p->observation);
    rv_array_destroy(p->action);
    rv_array_destroy(p->next_observation);
    rv_array_destroy(p->reward);
    rv_world_model_destroy(p->model);
    rv_device_close(p->device);
}

/* ---- the part that trains ---- */

static rv_status train(rv_env *env, const char *path) {
    rv_device *device;
    rv_dataset *data;
    rv_world_model *model = NULL;
    rv_trainer *trainer = NULL;
    rv_checkpoint *file = NULL;
    rv_collect_options collect = {.size = sizeof collect, .steps = 2000, .policy = RV_POLICY_MIXED, .seed = 7};
    rv_status status = rv_device_open("auto", NULL, &device);
    rv_dataset_create(O, A, &data);
    if (status == RV_OK) status = rv_collect_world_model_data(env, &collect, data);
    rv_transitions transitions = rv_dataset_transitions(data);
    if (status == RV_OK) status = rv_world_model_create(device, &sizes, 1, &model);
    if (status == RV_OK) status = rv_world_model_normalise_by(model, &transitions);
    if (status == RV_OK) status = rv_trainer_create(model, &transitions, NULL, &trainer);
    if (status == RV_OK) status = rv_trainer_run(trainer, 500);
    if (status == RV_OK) status = rv_checkpoint_create(device, &file);
    if (status == RV_OK) status = rv_trainer_checkpoint(trainer, file);
    if (status == RV_OK) status = rv_checkpoint_save(file, path);
    rv_checkpoint_destroy(file);
    rv_trainer_destroy(trainer);
    rv_world_model_destroy(model);
    rv_dataset_destroy(data);
    rv_device_close(device);
    return status;
}

int main(void) {
    const char *path = "predict.safetensors";
    rv_env *env;
    predictor predict = {0};
    if (rv_env_create("continuous_cartpole", 1, NULL, 0, &env) != RV_OK || train(env, path) != RV_OK) return 1;
    if (predictor_open(&predict, path) != RV_OK) return 1;

    float observation[O], next[O], seen[O], action[A] = {0.5f}, reward, earned;
    double error = 0, change = 0;
    rv_env_result result = {.observation = seen, .next_observation = seen, .reward = &earned};
    rv_env_reset(env, 3, observation);
    for (int step = 0; step < 10; step++, action[0] = -action[0]) {
        if (predictor_call(&predict, observation, action, next, &reward) != RV_OK) return 1;
        rv_env_step(env, action, &result);
        printf("angle %7.4f, predicted %7.4f; reward %.3f, predicted %.3f\n", (double)seen[2], (double)next[2], (double)earned, (double)reward);
        error += fabs((double)next[3] - (double)seen[3]);
        change += fabs((double)seen[3] - (double)observation[3]);
        for (int i = 0; i < O; i++) observation[i] = seen[i];
    }
    predictor_close(&predict);
    rv_env_destroy(env);
    remove(path);
    return !(error < change && fabsf(reward - 1) < 0.2f); // better than "nothing changes"
}
