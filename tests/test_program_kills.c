/* Every job killed at random moments and gone on with: it ends in the state and the metrics of a run that was left
 * alone. RV_KILLS says how often. */
#include "tests/program/kills.h"

#define WORLD_MODEL                                                                                                   \
    "--device=cpu --data.steps=1000 --train.steps=120 --eval.episodes=2 --eval.steps=60 --eval.horizon=15 "            \
    "--train.batch=8 --data.validation=0.2 --log.every=10 --save.seconds=0 "
#define AGENT "--device=cpu --eval.episodes=3 --log.every=50 --save.seconds=0 "

static void a_world_model(void **unused) {
    (void)unused;
    kill_and_go_on("train world_model " WORLD_MODEL
                   "--train.window=3 --model.latent=4 --model.vae_hidden=16 --model.dynamics_hidden=16 "
                   "--model.reward_hidden=8 --model.continue_hidden=8",
                   5);
}

static void an_rssm(void **unused) {
    (void)unused;
    kill_and_go_on("train rssm " WORLD_MODEL "--model.size=debug --train.length=8", 3);
}

static void a_dreamer(void **unused) {
    (void)unused;
    kill_and_go_on("train dreamer " AGENT
                   "--train.steps=600 --train.prefill=100 --train.update_every=2 --model.latent=4 "
                   "--model.vae_hidden=12 --model.dynamics_hidden=12 --model.reward_hidden=8 "
                   "--model.continue_hidden=8 --actor.hidden=12 --critic.hidden=12 --train.batch=6 --train.window=3 "
                   "--imagine.trajectories=6 --imagine.horizon=3",
                   3);
}

/* Episodes that end, two environments, actions that are repeated. */
static void a_dreamer_v3(void **unused) {
    (void)unused;
    kill_and_go_on("train dreamer_v3 " AGENT
                   "--config=debug --env.name=continuous_cartpole --wrap.action_repeat=2 --train.steps=2000 "
                   "--train.ratio=16",
                   3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_world_model),
    cmocka_unit_test(an_rssm),
    cmocka_unit_test(a_dreamer),
    cmocka_unit_test(a_dreamer_v3),
};
RUN_PROGRAM_TESTS(tests)
