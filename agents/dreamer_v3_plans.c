/* agents/dreamer_v3_plans.c: what a DreamerV3 agent records: a step, and an update from its replay. */
#include "agents/dreamer_v3_agent.h"

/* ---- acting ---- */

void rv_dreamer_v3_record_act(rv_graph *graph, rv_agent *agent, rv_acting *acting, rv_tensor noise, bool drawn) {
    static const char *const watched[] = {"observation", "action"};
    const int64_t o = acting->observation_size;
    rv_tensor given = rv_read(graph, acting->given), observation = rv_slice_cols(given, 0, o);
    rv_tensor is_first = rv_slice_cols(given, o + 1, 1);
    const rv_rssm_state before = {rv_read(graph, acting->deter), rv_read(graph, acting->stoch)};
    rv_watch(observation, &watched[0], 1);
    rv_dreamer_v3_move move = rv_dreamer_v3_act(graph, rv_dreamer_v3_agent_of(agent)->learner, before,
                                                rv_read(graph, acting->chosen), observation, is_first,
                                                (rv_dreamer_v3_noise){.state = noise}, !drawn);
    rv_watch(move.action, &watched[1], 1);
    const rv_tensor row[RV_V3_FIELDS] = {
        [RV_V3_OBSERVATION] = observation,
        [RV_V3_ACTION] = move.action,
        [RV_V3_REWARD] = rv_slice_cols(given, o, 1),
        [RV_V3_IS_FIRST] = is_first,
        [RV_V3_IS_LAST] = rv_slice_cols(given, o + 2, 1),
        [RV_V3_IS_TERMINAL] = rv_slice_cols(given, o + 3, 1),
        [RV_V3_DETER] = move.state.deter,
        [RV_V3_STOCH] = move.state.stoch,
    };
    if (acting == &agent->acting) rv_replay_append(graph, agent->replay, row, RV_V3_FIELDS); /* not in evaluations */
    rv_store(acting->chosen, move.action);
    rv_store(acting->deter, move.state.deter);
    rv_store(acting->stoch, move.state.stoch);
}

/* The row is kept when it is acted on. What is bad is named at once. */
void rv_dreamer_v3_record_keep(rv_graph *graph, rv_agent *agent) {
    static const char *const watched[] = {"observation", "reward"};
    const int64_t o = agent->acting.observation_size;
    rv_tensor given = rv_read(graph, agent->acting.given);
    rv_watch(rv_slice_cols(given, 0, o), &watched[0], 1);
    rv_watch(rv_slice_cols(given, o, 1), &watched[1], 1);
}

/* ---- metrics ---- */

/* After the losses, whose names rv_dreamer_v3_list has. */
static const char *const names[] = {"kl",           "entropy",  "imagined_reward", "imagined_return",
                                    "return_scale", "gradient", "learning_rate"};
enum { NAMES = sizeof names / sizeof *names };
_Static_assert(RV_DREAMER_V3_LOSSES + NAMES + 2 <= RV_AGENT_METRICS, "with return and length");

static const char *const loss_names[RV_DREAMER_V3_LOSSES] = {"reconstruction", "reward", "continue",
                                                             "dyn",            "rep",    "actor",
                                                             "critic",         "replayed_critic", "loss"};

void rv_dreamer_v3_name_metrics(rv_agent *agent) {
    for (int i = 0; i < RV_DREAMER_V3_LOSSES; i++) agent->metric_name[i] = loss_names[i];
    for (int i = 0; i < NAMES; i++) agent->metric_name[RV_DREAMER_V3_LOSSES + i] = names[i];
    agent->metric_count = RV_DREAMER_V3_LOSSES + NAMES;
}

static void keep_metrics(rv_agent *agent, rv_tensor row, const rv_dreamer_v3_update *update) {
    rv_dreamer_v3_value list[RV_DREAMER_V3_VALUES];
    const rv_dreamer_v3_losses *losses = &update->losses;
    rv_tensor metrics[RV_DREAMER_V3_LOSSES + NAMES];
    rv_dreamer_v3_list(losses, list);
    for (int i = 0; i < RV_DREAMER_V3_LOSSES; i++) metrics[i] = list[i].tensor;
    const rv_tensor rest[NAMES] = {
        rv_mean(losses->world.kl, RV_ALL),     rv_mean(losses->dream.entropy, RV_ALL),
        rv_mean(losses->dream.reward, RV_ALL), rv_mean(losses->dream.target, RV_ALL),
        losses->dream.returns.scale,           update->gradient_norm,
        update->learning_rate,
    };
    for (int i = 0; i < NAMES; i++) metrics[RV_DREAMER_V3_LOSSES + i] = rest[i];
    rv_agent_keep_metrics(agent, row, metrics, RV_DREAMER_V3_LOSSES + NAMES);
}

/* ---- an update ---- */

/* Windows of length + 1 rows: the first gives the start, the rest is the batch. */
static rv_sequence_batch batch_of(rv_graph *graph, rv_dreamer_v3_agent *a, const rv_replay_batch *drawn) {
    const int64_t b = a->options.batch, rows = b * a->options.length;
    rv_tensor start = rv_slice_rows(drawn->rows, 0, b), part[RV_V3_FIELDS];
    rv_replay *replay = a->base.replay;
    for (int i = 0; i < RV_V3_DETER; i++) part[i] = rv_slice_rows(drawn->value[i], b, rows);
    return (rv_sequence_batch){
        .steps = a->options.length,
        .observation = part[RV_V3_OBSERVATION],
        .action = part[RV_V3_ACTION],
        .reward = part[RV_V3_REWARD],
        .is_first = part[RV_V3_IS_FIRST],
        .is_last = part[RV_V3_IS_LAST],
        .is_terminal = part[RV_V3_IS_TERMINAL],
        .start = {rv_gather(rv_read(graph, rv_replay_array(replay, RV_V3_DETER)), start),
                  rv_gather(rv_read(graph, rv_replay_array(replay, RV_V3_STOCH)), start)},
        .start_action = rv_slice_rows(drawn->value[RV_V3_ACTION], 0, b),
    };
}

void rv_dreamer_v3_record_update(rv_graph *graph, rv_agent *agent) {
    rv_dreamer_v3_agent *a = rv_dreamer_v3_agent_of(agent);
    const int64_t b = a->options.batch, length = a->options.length;
    rv_tensor noise = rv_random_state(graph, agent->train_noise);
    rv_replay_batch drawn = rv_replay_sample(graph, agent->replay, noise, "replay", b, length + 1);
    rv_sequence_batch batch = batch_of(graph, a, &drawn);
    rv_tensor metrics_row = rv_agent_metrics_row(graph, rv_dreamer_v3_params(a->learner));
    rv_dreamer_v3_update update =
        rv_dreamer_v3_learn(graph, a->learner, &batch, (rv_dreamer_v3_noise){.state = noise});
    const rv_rssm_state seen = update.losses.world.pass.seen.state;
    rv_tensor rows = rv_slice_rows(drawn.rows, b, b * length);
    rv_replay_write(graph, agent->replay, RV_V3_DETER, rows, seen.deter);
    rv_replay_write(graph, agent->replay, RV_V3_STOCH, rows, seen.stoch);
    keep_metrics(agent, metrics_row, &update);
    rv_random_advance(graph, agent->train_noise);
}
