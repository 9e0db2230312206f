/* agents/dreamer_act.c: a dreamer's actions, what it keeps of them, and its normalisers. */
#include <string.h>

#include "agents/dreamer.h"

/* ---- acting ---- */

static rv_tensor to_act_on(rv_graph *graph, const rv_acting *acting) {
    const int64_t o = acting->observation_size;
    return rv_slice_cols(rv_read(graph, acting->given), o + 3, o);
}

void rv_dreamer_record_act(rv_graph *graph, rv_agent *agent, rv_acting *acting, rv_tensor noise, bool drawn) {
    static const char *const watched[] = {"observation", "action"};
    rv_dreamer *d = rv_dreamer_of(agent);
    rv_tensor observation = to_act_on(graph, acting);
    rv_watch(observation, &watched[0], 1);
    rv_tensor latent = rv_world_model_encode(graph, d->model, observation).mean;
    rv_actor_policy policy = rv_actor_forward(graph, &d->actor, &latent, 1);
    rv_tensor action = drawn ? rv_actor_draw(policy, noise, "act", 0).action : rv_actor_mode(policy);
    rv_watch(action, &watched[1], 1);
    rv_store(acting->chosen, action);
}

/* ---- to the replay ---- */

void rv_dreamer_fields(int64_t observation_size, int64_t action_size, rv_replay_field fields[RV_DREAMER_FIELDS]) {
    const rv_replay_field all[RV_DREAMER_FIELDS] = {
        [RV_SEEN] = {"observation", RV_F32, observation_size},
        [RV_ACTED] = {"action", RV_F32, action_size},
        [RV_REWARDED] = {"reward", RV_F32, 1},
        [RV_LED_TO] = {"next_observation", RV_F32, observation_size},
        [RV_TERMINATED] = {"terminated", RV_F32, 1},
        [RV_LAST] = {"last", RV_F32, 1},
    };
    memcpy(fields, all, sizeof all);
}

void rv_dreamer_record_keep(rv_graph *graph, rv_agent *agent) {
    static const char *const watched = "observation";
    const rv_acting *a = &agent->acting;
    const int64_t o = a->observation_size;
    rv_tensor given = rv_read(graph, a->given), next = to_act_on(graph, a);
    const rv_tensor row[RV_DREAMER_FIELDS] = {
        [RV_SEEN] = rv_read(graph, a->observation),
        [RV_ACTED] = rv_read(graph, a->chosen),
        [RV_REWARDED] = rv_slice_cols(given, o, 1),
        [RV_LED_TO] = rv_slice_cols(given, 0, o),
        [RV_TERMINATED] = rv_slice_cols(given, o + 1, 1),
        [RV_LAST] = rv_slice_cols(given, o + 2, 1),
    };
    rv_watch(next, &watched, 1);
    rv_replay_append(graph, agent->replay, row, RV_DREAMER_FIELDS);
    rv_store(a->observation, next);
}

/* ---- normalisers, from what the prefill gave ---- */

/* All rows of a field that are filled, stream after stream. */
static rv_status read_field(rv_agent *agent, int field, int64_t filled, float *to) {
    rv_array *array = rv_replay_array(agent->replay, field);
    const int64_t stream = rv_replay_stream_rows(agent->replay);
    rv_status status = RV_OK;
    for (int64_t i = 0; i < agent->acting.count && status == RV_OK; i++) {
        status = rv_array_read(array, i * stream, filled, to);
        to += filled * rv_array_cols(array);
    }
    return status == RV_OK ? RV_OK : rv_agent_fail(agent, status, "replay", rv_array_message(array));
}

rv_status rv_dreamer_normalise(rv_agent *agent) {
    int64_t rows;
    rv_world_model *model = rv_dreamer_of(agent)->model;
    rv_status status = rv_replay_filled(agent->replay, &rows);
    if (status != RV_OK) return rv_agent_fail(agent, status, "replay", rv_replay_message(agent->replay));
    const int64_t o = agent->acting.observation_size, filled = rows / agent->acting.count;
    float *seen = rv_device_resize(agent->device, NULL, (size_t)(rows * (2 * o + 1)) * sizeof *seen);
    if (!seen) return rv_agent_fail(agent, RV_OUT_OF_MEMORY, "normalisers", "no memory");
    float *led_to = seen + rows * o, *reward = led_to + rows * o;
    status = read_field(agent, RV_SEEN, filled, seen);
    if (status == RV_OK) status = read_field(agent, RV_LED_TO, filled, led_to);
    if (status == RV_OK) status = read_field(agent, RV_REWARDED, filled, reward);
    if (status == RV_OK) {
        const rv_transitions data = {.steps = rows,
                                     .observation_size = o,
                                     .action_size = agent->acting.action_size,
                                     .observation = seen,
                                     .next_observation = led_to,
                                     .reward = reward};
        status = rv_world_model_normalise_by(model, &data);
        if (status != RV_OK) rv_agent_fail(agent, status, "normalisers", rv_world_model_message(model));
    }
    rv_device_resize(agent->device, seen, 0);
    return status;
}
