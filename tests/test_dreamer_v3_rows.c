/* tests/test_dreamer_v3_rows.c: what a DreamerV3 agent keeps of its steps, and its latents back in their rows. */
#include <math.h>
#include <string.h>

#include "tests/support/suite.h"
#include "tests/support/v3_life.h"

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* A field's filled rows of one stream. */
static void read_rows(v3_life *l, const char *field, int64_t stream, int64_t rows, float *out) {
    rv_replay *replay = rv_agent_replay(l->agent);
    rv_array *array = rv_replay_array(replay, rv_replay_find(replay, field));
    assert_ok(rv_array_read(array, stream * rv_replay_stream_rows(replay), rows, out), "");
}

/* Every episode whole: a first row without reward, one for each step, the last one marked. */
static void test_rows(void **state) {
    (void)state;
    enum { ROWS = 20, STREAMS = 3 };
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:threads=1", NULL, STREAMS, &options);
    v3_live(&l, ROWS * STREAMS);
    int64_t episodes = 0;
    for (int s = 0; s < STREAMS; s++) {
        float seen[ROWS][2], reward[ROWS], first[ROWS], last[ROWS], terminal[ROWS], step = 0, episode = 0;
        read_rows(&l, "observation", s, ROWS, &seen[0][0]);
        read_rows(&l, "reward", s, ROWS, reward);
        read_rows(&l, "is_first", s, ROWS, first);
        read_rows(&l, "is_last", s, ROWS, last);
        read_rows(&l, "is_terminal", s, ROWS, terminal);
        for (int r = 0; r < ROWS; r++) {
            const bool ends = step >= (float)(3 + s);
            assert_true(seen[r][0] == step && seen[r][1] == episode);
            assert_true(reward[r] == (step > 0 ? 10 * episode + step : 0));
            assert_true(first[r] == (step == 0) && last[r] == ends);
            assert_true(terminal[r] == (ends && (int)episode / 2 % 2 == 0));
            /* the environment begins an episode at the end of another, and again at the first row of the next */
            if (ends) episode += 2, episodes++;
            step = ends ? 0 : step + 1;
        }
        if (step == 0) episodes--; /* its last row has not been acted on */
    }
    assert_int_equal(rv_agent_episodes(l.agent), episodes + (20 % 4 == 0) + (20 % 5 == 0));
    v3_end(&l);
}

/* What the rows say of the recurrent state is what the networks make of the rows before. */
static void test_state_goes_on(void **state) {
    (void)state;
    enum { ROWS = 9, D = 8, Z = 8 };
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:reference", NULL, 1, &options);
    v3_live(&l, ROWS);
    float deter[ROWS][D], stoch[ROWS][Z], action[ROWS][1], first[ROWS], expected[D];
    read_rows(&l, "deter", 0, ROWS, &deter[0][0]);
    read_rows(&l, "stoch", 0, ROWS, &stoch[0][0]);
    read_rows(&l, "action", 0, ROWS, &action[0][0]);
    read_rows(&l, "is_first", 0, ROWS, first);
    const rv_rssm *rssm = rv_sequence_model_rssm(rv_dreamer_v3_model(rv_dreamer_v3_agent_learner(l.agent)));
    rv_array *h, *z, *a, *out;
    assert_ok(rv_array_create(l.device, RV_F32, 1, D, "h", &h), "");
    assert_ok(rv_array_create(l.device, RV_F32, 1, Z, "z", &z), "");
    assert_ok(rv_array_create(l.device, RV_F32, 1, 1, "a", &a), "");
    assert_ok(rv_array_create(l.device, RV_F32, 1, D, "out", &out), "");
    rv_graph *graph;
    rv_plan *plan;
    assert_ok(rv_graph_create(l.device, &graph), "");
    const rv_rssm_state before = {rv_read(graph, h), rv_read(graph, z)};
    rv_store(out, rv_rssm_advance(graph, rssm, before, rv_read(graph, a)));
    assert_ok(rv_plan_create(graph, NULL, &plan), rv_plan_message(plan));
    for (int r = 0; r < ROWS; r++) {
        static const float zeros[D] = {0};
        const bool begins = first[r] != 0;
        if (r == 0) assert_true(begins);
        assert_ok(rv_array_write(h, 0, 1, begins ? zeros : deter[r - 1]), "");
        assert_ok(rv_array_write(z, 0, 1, begins ? zeros : stoch[r - 1]), "");
        assert_ok(rv_array_write(a, 0, 1, begins ? zeros : action[r - 1]), "");
        assert_ok(rv_plan_run(plan), "");
        assert_ok(rv_array_read(out, 0, 1, expected), "");
        for (int c = 0; c < D; c++) assert_true(fabsf(expected[c] - deter[r][c]) < 1e-6f);
    }
    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_array *const arrays[] = {h, z, a, out};
    for (int i = 0; i < 4; i++) rv_array_destroy(arrays[i]);
    v3_end(&l);
}

/* ---- latents back in their rows ---------------------------------------------------------------------------------- */

/* The batch of the next update made once more, by hand, from the same draw: rows i32, and the latents of them. */
typedef struct expected_update {
    rv_array *rows, *deter, *stoch;
    rv_plan *plan;
} expected_update;

static expected_update expect_update(v3_life *l, const rv_dreamer_v3_agent_options *o, rv_random *noise) {
    expected_update e = {0};
    rv_graph *graph;
    rv_replay *replay = rv_agent_replay(l->agent);
    const int64_t b = o->batch, rows = b * o->length;
    assert_ok(rv_graph_create(l->device, &graph), "");
    rv_tensor random = rv_random_state(graph, noise);
    rv_replay_batch drawn = rv_replay_sample(graph, replay, random, "replay", b, o->length + 1);
    rv_tensor of[8], start[8];
    static const char *const fields[8] = {"observation", "action",      "reward", "is_first",
                                          "is_last",     "is_terminal", "deter",  "stoch"};
    for (int i = 0; i < 8; i++) {
        const int field = rv_replay_find(replay, fields[i]);
        start[i] = rv_slice_rows(drawn.value[field], 0, b);
        of[i] = rv_slice_rows(drawn.value[field], b, rows);
    }
    const rv_sequence_batch batch = {o->length, of[0], of[1],                of[2],   of[3],
                                     of[4],     of[5], {start[6], start[7]}, start[1]};
    rv_rssm_state seen = rv_sequence_model_observe(graph, rv_dreamer_v3_model(rv_dreamer_v3_agent_learner(l->agent)),
                                                   &batch, (rv_rssm_noise){.state = random, .name = "posterior"})
                             .seen.state;
    assert_ok(rv_array_create(l->device, RV_I32, rows, 1, "rows", &e.rows), "");
    assert_ok(rv_array_create(l->device, RV_F32, rows, 8, "deter", &e.deter), "");
    assert_ok(rv_array_create(l->device, RV_F32, rows, 8, "stoch", &e.stoch), "");
    rv_store(e.rows, rv_slice_rows(drawn.rows, b, rows));
    rv_store(e.deter, seen.deter);
    rv_store(e.stoch, seen.stoch);
    rv_random_advance(graph, noise);
    assert_ok(rv_plan_create(graph, NULL, &e.plan), rv_plan_message(e.plan));
    rv_graph_destroy(graph);
    return e;
}

static void test_latents_go_back(void **state) {
    (void)state;
    enum { MOST = 400, N = 18 };
    const rv_dreamer_v3_agent_options options = v3_small();
    v3_life l = v3_begin("cpu:threads=1", NULL, 2, &options);
    v3_live(&l, 40);
    static float deter[2][MOST][8], stoch[2][MOST][8], made[2][N][8];
    int32_t rows[N];
    rv_random *noise; /* as the agent's: by the same seed, and advanced at the same times */
    assert_ok(rv_random_create(l.device, options.seed, &noise), "");
    expected_update e = expect_update(&l, &options, noise);
    rv_replay *replay = rv_agent_replay(l.agent);
    rv_array *const kept[2] = {rv_replay_array(replay, rv_replay_find(replay, "deter")),
                               rv_replay_array(replay, rv_replay_find(replay, "stoch"))};
    int changed = 0;
    for (int update = 0; update < 3; update++) {
        assert_ok(rv_array_read(kept[0], 0, MOST, deter[0]), "");
        assert_ok(rv_array_read(kept[1], 0, MOST, stoch[0]), "");
        assert_ok(rv_plan_run(e.plan), "");
        assert_ok(rv_array_read(e.rows, 0, N, rows), "");
        assert_ok(rv_array_read(e.deter, 0, N, made[0]), "");
        assert_ok(rv_array_read(e.stoch, 0, N, made[1]), "");
        for (int r = 0; r < N; r++) {
            changed += memcmp(deter[0][rows[r]], made[0][r], sizeof made[0][r]) != 0;
            memcpy(deter[0][rows[r]], made[0][r], sizeof made[0][r]);
            memcpy(stoch[0][rows[r]], made[1][r], sizeof made[1][r]);
        }
        assert_ok(rv_plan_run(rv_agent_train_plan(l.agent)), "");
        assert_ok(rv_array_read(kept[0], 0, MOST, deter[1]), "");
        assert_ok(rv_array_read(kept[1], 0, MOST, stoch[1]), "");
        assert_memory_equal(deter[0], deter[1], sizeof deter[0]);
        assert_memory_equal(stoch[0], stoch[1], sizeof stoch[0]);
    }
    assert_true(changed > N); /* other draws, and other weights from the second update on */
    rv_plan_destroy(e.plan);
    rv_array_destroy(e.rows);
    rv_array_destroy(e.deter);
    rv_array_destroy(e.stoch);
    rv_random_destroy(noise);
    v3_end(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_state_goes_on),
        cmocka_unit_test(test_latents_go_back),
    };
    return cmocka_run_group_tests_name("dreamer_v3_rows", tests, NULL, NULL);
}
