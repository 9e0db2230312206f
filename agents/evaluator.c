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

/* Row r's context, from the start backwards; the action of the last of it leads into the horizon. */
static void fill_context(const rv_transitions *held, int64_t start, int64_t r, rv_rollout *rollout) {
    const int64_t o = held->observation_size, a = held->action_size, rows = rollout->rows;
    bool outside = false;
    for (int64_t t = rollout->context - 1, step = start; t >= 0; t--, step--) {
        float *observation = rollout->observation + (t * rows + r) * o;
        outside = outside || step < 0;
        rollout->is_first[t * rows + r] = outside || held->first[step] ? 1.0f : 0.0f;
        if (outside) memset(observation, 0, (size_t)o * sizeof *observation);
        else memcpy(observation, held->observation + step * o, (size_t)o * sizeof *observation);
        if (t < rollout->context - 1) {
            float *action = rollout->action + (t * rows + r) * a;
            if (outside) memset(action, 0, (size_t)a * sizeof *action);
            else memcpy(action, held->action + step * a, (size_t)a * sizeof *action);
        }
        outside = outside || held->first[step];
    }
}

void rv_evaluator_fill(const rv_transitions *held, const int64_t *starts, int64_t samples, rv_rollout *rollout) {
    const int64_t a = held->action_size, rows = rollout->rows;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t start = starts[r / samples];
        fill_context(held, start, r, rollout);
        for (int64_t t = 0; t < rollout->horizon; t++) {
            memcpy(rollout->action + ((rollout->context - 1 + t) * rows + r) * a, held->action + (start + t) * a,
                   (size_t)a * sizeof(float));
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
