#include <math.h>
#include <reverie/evaluate.h>
#include <reverie/recipe.h>
#include <stdio.h>
#include <stdlib.h>

enum { B = 64, O = 4, A = 1, Z = 32, STEPS = 15 };

#define OK(call)                                                                  \
    do {                                                                          \
        rv_status status_ = (call);                                               \
        if (status_ != RV_OK) {                                                   \
            fprintf(stderr, "%s: %s\n", #call, rv_status_text(status_));          \
            exit(1);                                                              \
        }                                                                         \
    } while (0)

int main(void) {
    const uint64_t seed = 7;
    const rv_world_model_recipe *course = rv_world_model_recipe_find("course");
    rv_env *env;
    rv_dataset *all, *data, *held_out;
    OK(rv_env_create("continuous_cartpole", 16, NULL, 0, &env));
    OK(rv_dataset_create(O, A, &all));
    OK(rv_dataset_create(O, A, &data));
    OK(rv_dataset_create(O, A, &held_out));
    rv_collect_options collect = {.size = sizeof collect, .steps = course->data_steps, .policy = course->data_policy, .seed = seed};
    OK(rv_collect_world_model_data(env, &collect, all));
    OK(rv_dataset_split(all, 0.2, seed, data, held_out)); /* whole episodes */
    rv_transitions transitions = rv_dataset_transitions(data);
    printf("%d steps to learn from, %d held out\n", (int)transitions.steps, (int)rv_dataset_steps(held_out));
    rv_device *device;
    rv_params *params;
    rv_random *random;
    rv_graph *graph;
    rv_array *observations, *figures;
    OK(rv_device_open("auto", NULL, &device));
    OK(rv_params_create(device, &params));
    OK(rv_random_create(device, seed, &random));
    rv_sizes hidden = {2, {128, 64}};
    rv_vae vae = rv_vae_add(params, "vae", O, Z, hidden, RV_SILU);
    rv_dynamics dynamics = rv_dynamics_add(params, "dynamics", Z, A, hidden, RV_SILU, RV_DYNAMICS_STOCHASTIC | RV_DYNAMICS_RESIDUAL);
    OK(rv_params_commit(params, seed));

    OK(rv_array_create(device, RV_F32, B, O, "observations", &observations));
    OK(rv_array_write(observations, 0, B, transitions.observation));
    OK(rv_graph_create(device, &graph));
    rv_tensor observation = rv_read(graph, observations), state = rv_random_state(graph, random);
    rv_gaussian posterior = rv_vae_encode(graph, &vae, observation);                              /* [B, Z] mean and log-variance */
    rv_normal_sample latent = rv_vae_reparameterise(posterior, state, "latent", 0);               /* a draw, with its KL */
    rv_tensor reconstruction = rv_vae_decode(graph, &vae, latent.value);                          /* [B, O] */
    rv_tensor reconstruction_loss = rv_mean(rv_mse(reconstruction, observation), RV_ALL);
    rv_tensor kl = rv_mean(rv_vae_kl_divergence(posterior), RV_ALL);
    rv_tensor push = rv_fill(graph, B, A, 1.0f);
    rv_gaussian next = rv_dynamics_predict(graph, &dynamics, latent.value, push);
    rv_tensor moved = rv_mean(rv_abs(rv_sub(next.mean, latent.value)), RV_ALL);
    rv_tensor row[3] = {reconstruction_loss, kl, moved};
    OK(rv_array_create(device, RV_F32, 1, 3, "figures", &figures));
    rv_store(figures, rv_concat_cols(row, 3));
    rv_plan *plan;
    float untrained[3];
    OK(rv_plan_create(graph, NULL, &plan));
    OK(rv_plan_run(plan));
    OK(rv_array_read(figures, 0, 1, untrained));
    printf("untrained: reconstruction error %.3f, KL %.3f, one step moves a latent by %.3f\n", (double)untrained[0],
           (double)untrained[1], (double)untrained[2]);
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(observations);
    rv_array_destroy(figures);
    rv_random_destroy(random);
    rv_params_destroy(params);
    rv_world_model *model;
    rv_trainer *trainer;
    rv_world_model_options sizes = course->model;
    rv_trainer_options training = course->trainer;
    sizes.observation_size = O, sizes.action_size = A;
    training.seed = seed;
    OK(rv_world_model_create(device, &sizes, seed, &model));
    OK(rv_world_model_normalise_by(model, &transitions));
    OK(rv_trainer_create(model, &transitions, &training, &trainer));
    rv_fit_options fit = {.size = sizeof fit, .updates = course->updates, .every = 200};
    OK(rv_trainer_fit(trainer, &fit));
    int64_t reports;
    const rv_trainer_report *history = rv_trainer_history(trainer, &reports);
    for (int64_t i = 0; i < reports; i++) {
        printf("%5d updates:", (int)history[i].update);
        for (int m = 0; m < 5; m++) printf("  %s %.4g", rv_trainer_metric_name(trainer, m), (double)history[i].training[m]);
        printf("\n");
    }
    rv_array *predicted;
    rv_tensor actions[STEPS], mean[STEPS], drawn[STEPS], rewards[STEPS];
    OK(rv_random_create(device, seed, &random));
    OK(rv_array_create(device, RV_F32, 2 * STEPS, B * O, "predicted", &predicted));
    OK(rv_array_create(device, RV_F32, B, O, "observations", &observations));
    rv_transitions unseen = rv_dataset_transitions(held_out);
    for (int i = 0; i < B; i++) OK(rv_array_write(observations, i, 1, unseen.observation)); /* one start, B times */
    OK(rv_graph_create(device, &graph));
    observation = rv_read(graph, observations);
    for (int t = 0; t < STEPS; t++) actions[t] = rv_fill(graph, B, A, unseen.action[t]);
    rv_world_model_rollout(graph, model, observation, actions, STEPS, RV_NONE, mean, rewards);
    rv_world_model_rollout(graph, model, observation, actions, STEPS, rv_random_state(graph, random), drawn, NULL);
    for (int t = 0; t < STEPS; t++) {
        rv_store_part(predicted, (int64_t)t * B * O, rv_reshape(mean[t], 1, B * O));
        rv_store_part(predicted, (int64_t)(STEPS + t) * B * O, rv_reshape(drawn[t], 1, B * O));
    }
    OK(rv_plan_create(graph, NULL, &plan));
    OK(rv_plan_run(plan));
    static float imagined[2][STEPS][B][O];
    OK(rv_array_read(predicted, 0, 2 * STEPS, imagined));
    double spread[STEPS];
    for (int t = 0; t < STEPS; t++) {
        double sum = 0, square = 0;
        for (int i = 0; i < B; i++) sum += imagined[1][t][i][2] / B;
        for (int i = 0; i < B; i++) square += pow(imagined[1][t][i][2] - sum, 2) / B;
        spread[t] = sqrt(square);
        if (t % 5 == 4) {
            printf("angle %2d steps ahead: %7.4f imagined, +- %.4f; in truth %7.4f\n", t + 1, (double)imagined[0][t][0][2], spread[t],
                   (double)unseen.next_observation[t * O + 2]);
        }
    }
    rv_evaluation *evaluation;
    rv_evaluate_options evaluate = {.size = sizeof evaluate, .horizon = STEPS, .seed = seed};
    OK(rv_evaluate_world_model(model, &transitions, held_out, &evaluate, &evaluation));
    for (int d = 0; d < O; d++) {
        printf("dimension %d: R2 of the change %.3f; %d steps ahead: R2 %.3f, error %.3g (repeating %.3g, linear %.3g)\n", d,
               evaluation->change_r2[d], (int)STEPS, evaluation->open_loop_r2[(STEPS - 1) * O + d],
               evaluation->model_rmse[(STEPS - 1) * O + d], evaluation->repeat_rmse[(STEPS - 1) * O + d],
               evaluation->linear_rmse[(STEPS - 1) * O + d]);
    }
    printf("reward error %.3g; %.0f %% of the truth inside the 90 %% band\n", evaluation->reward_rmse, 100 * evaluation->inside_90[STEPS - 1]);
    rv_checkpoint *file;
    OK(rv_checkpoint_create(device, &file));
    OK(rv_trainer_checkpoint(trainer, file));
    OK(rv_checkpoint_save(file, "walkthrough.safetensors"));

    const int learnt = history[reports - 1].training[0] < history[0].training[0];
    const int surer_at_first = spread[0] < spread[STEPS - 1];
    const int better = evaluation->model_error[STEPS - 1] < evaluation->repeat_error[STEPS - 1];
    rv_checkpoint_destroy(file);
    rv_evaluation_destroy(evaluation);
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array_destroy(predicted);
    rv_array_destroy(observations);
    rv_random_destroy(random);
    rv_trainer_destroy(trainer);
    rv_world_model_destroy(model);
    rv_device_close(device);
    rv_dataset_destroy(all);
    rv_dataset_destroy(data);
    rv_dataset_destroy(held_out);
    rv_env_destroy(env);
    return !(learnt && surer_at_first && better);
}
