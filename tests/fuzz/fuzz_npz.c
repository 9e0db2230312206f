/* Any bytes as a dataset in memory: an error with a message, or a dataset that holds together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(int truth) {
    if (!truth) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1); /* of just this size, so that a read past its end is seen */
    need(copy != NULL);
    memcpy(copy, data, size);
    rv_dataset *loaded;
    const rv_status status = rv_dataset_load_memory(copy, size, &loaded);
    free(copy);
    const rv_transitions t = rv_dataset_transitions(loaded);
    if (status != RV_OK) {
        need(rv_dataset_message(loaded)[0] && t.steps == 0 && status != RV_INTERNAL && status != RV_INVALID_ARGUMENT);
    } else {
        need(t.steps > 0 && t.first[0] == 1);
        for (int64_t i = 0; i < t.steps; i++) {
            need(isfinite(t.reward[i]) && t.terminated[i] <= 1 && t.truncated[i] <= 1 && t.first[i] <= 1);
            if (i > 0) need(t.first[i] == (t.terminated[i - 1] || t.truncated[i - 1]));
        }
        for (int64_t i = 0; i < t.steps * t.observation_size; i++) need(isfinite(t.observation[i]) && isfinite(t.next_observation[i]));
        for (int64_t i = 0; i < t.steps * t.action_size; i++) need(isfinite(t.action[i]));
    }
    rv_dataset_destroy(loaded);
    return 0;
}
