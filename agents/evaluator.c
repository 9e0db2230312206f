/* agents/evaluator.c */
#include "agents/evaluator.h"

#include <stdlib.h>
#include <string.h>

int64_t *rv_evaluator_pick_starts(const rv_dataset *held_out, int64_t horizon, int64_t wanted, int64_t *starts) {
    int64_t *all = calloc((size_t)rv_dataset_steps(held_out) + 1, sizeof *all), count = 0;
    if (!all) return NULL;
    for (int64_t i = 0; i < rv_dataset_episodes(held_out); i++) {
        int64_t first, length;
        rv_dataset_episode(held_out, i, &first, &length);
        for (int64_t s = 0; s + horizon <= length; s++) all[count++] = first + s;
    }
    *starts = count < wanted ? count : wanted;
    for (int64_t i = 0; i < *starts; i++) all[i] = all[i * count / *starts]; /* never ahead of i */
    return all;
}

const float *rv_evaluator_truth(const rv_transitions *held, int64_t start, int64_t k) {
    const int64_t o = held->observation_size;
    return k == 0 ? held->observation + start * o : held->next_observation + (start + k - 1) * o;
}

void rv_evaluator_fill(const rv_transitions *held, const int64_t *starts, int64_t rows, int64_t samples, int64_t horizon,
                       float *observation, float *action) {
    const int64_t o = held->observation_size, a = held->action_size;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t start = starts[r / samples];
        memcpy(observation + r * o, rv_evaluator_truth(held, start, 0), (size_t)o * sizeof(float));
        for (int64_t t = 0; t < horizon; t++) {
            memcpy(action + (t * rows + r) * a, held->action + (start + t) * a, (size_t)a * sizeof(float));
        }
    }
}

int rv_ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double rv_sorted_quantile(const float *sorted, int64_t count, double q) {
    double at = q * (double)(count - 1);
    int64_t i = (int64_t)at;
    if (i + 1 >= count) return sorted[count - 1];
    return (double)sorted[i] + (at - (double)i) * ((double)sorted[i + 1] - (double)sorted[i]);
}
