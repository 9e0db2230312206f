/* dreamer_v3.h: an update on noise, and an action. */
#include <reverie/dreamer_v3.h>
#include <reverie/plan.h>
#include <reverie/random.h>
#include <stdio.h>

enum { B = 4, T = 8 };

int main(void) {
    const uint64_t seed = 1;
    float total, host[B];
    rv_device *device;
    rv_random *random;
    rv_graph *graph;
    rv_array *loss, *chosen;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_random_create(device, seed, &random);
    rv_array_create(device, RV_F32, 1, 1, "loss", &loss);
    rv_array_create(device, RV_F32, B, 1, "action", &chosen);

    rv_dreamer_v3_options options = {.size = sizeof options};
    rv_sequence_model_preset("debug", &options.model);
    options.model.observation_size = 3;
    options.model.action_size = 1;
    rv_dreamer_v3 *agent;
    rv_dreamer_v3_create(device, &options, seed, &agent);

    rv_graph_create(device, &graph);
    rv_dreamer_v3_noise noise = {.state = rv_random_state(graph, random)};
    rv_tensor none = rv_fill(graph, T * B, 1, 0), is_first = rv_fill(graph, B, 1, 1);
    rv_sequence_batch batch = {.steps = T,
                               .observation = rv_normal(noise.state, "observation", 0, T * B, 3),
                               .action = rv_uniform(noise.state, "taken", 0, T * B, 1),
                               .reward = rv_normal(noise.state, "reward", 0, T * B, 1),
                               .is_first = none,
                               .is_last = none,
                               .is_terminal = none};
    rv_dreamer_v3_update update = rv_dreamer_v3_learn(graph, agent, &batch, noise);  // one whole update
    rv_store(loss, update.losses.total);

    rv_rssm_state state = rv_rssm_start(graph, rv_sequence_model_rssm(rv_dreamer_v3_model(agent)), B);
    rv_tensor action = rv_fill(graph, B, 1, 0), observation = rv_normal(noise.state, "seen", 0, B, 3);
    rv_dreamer_v3_move move = rv_dreamer_v3_act(graph, agent, state, action, observation, is_first, noise, 0);
    rv_store(chosen, move.action);

    rv_random_advance(graph, random);
    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(loss, 0, 1, &total);
    if (status == RV_OK) status = rv_array_read(chosen, 0, B, host);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else printf("loss %g; action %g\n", (double)total, (double)host[0]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_dreamer_v3_destroy(agent);
    rv_array_destroy(loss);
    rv_array_destroy(chosen);
    rv_random_destroy(random);
    rv_device_close(device);
    return status != RV_OK || !(total > 0);
}
