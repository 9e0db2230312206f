/* dataset.h: ten short episodes, split into two sets. */
#include <reverie/dataset.h>
#include <stdio.h>

int main(void) {
    const uint64_t seed = 1;
    float at[4] = {0}, next[4] = {0}, action[1] = {0};
    rv_dataset *train, *held_out;
    rv_dataset_create(4, 1, &train);
    rv_dataset_create(4, 1, &held_out);

    rv_dataset *data;
    rv_dataset_create(4, 1, &data);
    for (int step = 0; step < 200; step++) {
        next[0] = at[0] + 0.1f;
        rv_transition transition = {.observation = at, .action = action, .reward = 1.0f, .next_observation = next,
                                    .terminated = step % 20 == 19};
        rv_dataset_append(data, &transition);
        at[0] = step % 20 == 19 ? 0.0f : next[0];
    }
    rv_dataset_split(data, 0.2, seed, train, held_out);
    rv_transitions t = rv_dataset_transitions(data);

    printf("%d steps in %d episodes: %d to train, %d held out\n", (int)t.steps, (int)rv_dataset_episodes(data),
           (int)rv_dataset_steps(train), (int)rv_dataset_steps(held_out));
    int failed = t.steps != 200 || rv_dataset_steps(train) != 160 || rv_dataset_steps(held_out) != 40;
    rv_dataset_destroy(data);
    rv_dataset_destroy(held_out);
    rv_dataset_destroy(train);
    return failed;
}
