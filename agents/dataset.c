/* agents/dataset.c: transitions on the host, one array a column group, episode after episode. */
#include "reverie/dataset.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/internal.h"
#include "reverie/random.h"

struct rv_dataset {
    int64_t observation_size, action_size;
    int64_t steps, capacity;
    float *observation, *action, *reward, *next_observation;
    uint8_t *first, *terminated, *truncated;
    int64_t *episode; /* its first step */
    int64_t episodes, episode_capacity;
    char message[192];
};

rv_status rv_dataset_fail(rv_dataset *dataset, rv_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(dataset->message, sizeof dataset->message, format, arguments);
    va_end(arguments);
    return status;
}

rv_status rv_dataset_create(int64_t observation_size, int64_t action_size, rv_dataset **dataset) {
    const int64_t limit = 1 << 24;
    *dataset = calloc(1, sizeof **dataset);
    if (!*dataset) return RV_OUT_OF_MEMORY;
    if (observation_size < 1 || observation_size > limit || action_size < 1 || action_size > limit) {
        return rv_dataset_fail(*dataset, RV_INVALID_ARGUMENT, "sizes of observation %lld and action %lld must lie between 1 and %lld",
                    (long long)observation_size, (long long)action_size, (long long)limit);
    }
    (*dataset)->observation_size = observation_size;
    (*dataset)->action_size = action_size;
    return RV_OK;
}

void rv_dataset_destroy(rv_dataset *dataset) {
    if (!dataset) return;
    free(dataset->observation);
    free(dataset->action);
    free(dataset->reward);
    free(dataset->next_observation);
    free(dataset->first);
    free(dataset->terminated);
    free(dataset->truncated);
    free(dataset->episode);
    free(dataset);
}

const char *rv_dataset_message(const rv_dataset *dataset) { return dataset ? dataset->message : "out of memory"; }

/* ---- appending ------------------------------------------------------------------------------------ */

static bool resize(void *list, int64_t count, size_t size) {
    void *memory = (size_t)count > SIZE_MAX / 2 / size ? NULL : realloc(*(void **)list, (size_t)count * size);
    if (memory) memcpy(list, &memory, sizeof memory);
    return memory != NULL;
}

/* Room for `more` further steps, each of which may begin an episode. Larger arrays that stay after a failure do no harm. */
static bool reserve(rv_dataset *d, int64_t more) {
    if (more > INT64_MAX / 4 - d->steps) return false;
    int64_t needed = d->steps + more;
    if (needed > d->capacity) {
        int64_t capacity = needed > 2 * d->capacity ? needed : 2 * d->capacity;
        if (capacity < 256) capacity = 256;
        const size_t observation = (size_t)d->observation_size * sizeof(float);
        if (!resize(&d->observation, capacity, observation) || !resize(&d->next_observation, capacity, observation) ||
            !resize(&d->action, capacity, (size_t)d->action_size * sizeof(float)) ||
            !resize(&d->reward, capacity, sizeof(float)) || !resize(&d->first, capacity, 1) ||
            !resize(&d->terminated, capacity, 1) || !resize(&d->truncated, capacity, 1)) {
            return false;
        }
        d->capacity = capacity;
    }
    if (d->episodes >= d->episode_capacity) {
        int64_t capacity = d->episode_capacity ? 2 * d->episode_capacity : 64;
        if (!resize(&d->episode, capacity, sizeof *d->episode)) return false;
        d->episode_capacity = capacity;
    }
    return true;
}

static bool all_finite(const float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

rv_status rv_dataset_append(rv_dataset *d, const rv_transition *t) {
    const char *bad = !all_finite(t->observation, d->observation_size)        ? "observation"
                      : !all_finite(t->action, d->action_size)                ? "action"
                      : !all_finite(&t->reward, 1)                            ? "reward"
                      : !all_finite(t->next_observation, d->observation_size) ? "next observation"
                                                                          : NULL;
    if (bad) return rv_dataset_fail(d, RV_NON_FINITE, "step %lld: the %s is NaN or infinite", (long long)d->steps, bad);
    if (!reserve(d, 1)) return rv_dataset_fail(d, RV_OUT_OF_MEMORY, "no memory for step %lld", (long long)d->steps);

    const int64_t s = d->steps;
    const size_t observation = (size_t)d->observation_size, action = (size_t)d->action_size;
    memcpy(d->observation + (size_t)s * observation, t->observation, observation * sizeof(float));
    memcpy(d->action + (size_t)s * action, t->action, action * sizeof(float));
    memcpy(d->next_observation + (size_t)s * observation, t->next_observation, observation * sizeof(float));
    d->reward[s] = t->reward;
    d->first[s] = s == 0 || d->terminated[s - 1] || d->truncated[s - 1];
    d->terminated[s] = t->terminated != 0;
    d->truncated[s] = t->truncated != 0;
    if (d->first[s]) d->episode[d->episodes++] = s;
    d->steps++;
    return RV_OK;
}

void rv_dataset_cut(rv_dataset *d) {
    if (d->steps > 0 && !d->terminated[d->steps - 1]) d->truncated[d->steps - 1] = 1;
}

static rv_transition transition_at(const rv_dataset *d, int64_t step) {
    return (rv_transition){
        .observation = d->observation + step * d->observation_size,
        .action = d->action + step * d->action_size,
        .reward = d->reward[step],
        .next_observation = d->next_observation + step * d->observation_size,
        .terminated = d->terminated[step],
        .truncated = d->truncated[step],
    };
}

rv_status rv_dataset_append_range(rv_dataset *d, const rv_dataset *from, int64_t first, int64_t count) {
    if (from->observation_size != d->observation_size || from->action_size != d->action_size) {
        return rv_dataset_fail(d, RV_SHAPE_MISMATCH, "observations of %lld and actions of %lld columns do not fit into %lld and %lld",
                    (long long)from->observation_size, (long long)from->action_size, (long long)d->observation_size,
                    (long long)d->action_size);
    }
    if (first < 0 || count < 0 || first > from->steps - count) {
        return rv_dataset_fail(d, RV_INVALID_ARGUMENT, "%lld steps from %lld on, of %lld", (long long)count, (long long)first,
                    (long long)from->steps);
    }
    if (!reserve(d, count)) return rv_dataset_fail(d, RV_OUT_OF_MEMORY, "no memory for %lld steps", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        rv_transition transition = transition_at(from, first + i);
        rv_status status = rv_dataset_append(d, &transition);
        if (status != RV_OK) return status;
    }
    return RV_OK;
}

void rv_dataset_clear(rv_dataset *dataset) { dataset->steps = dataset->episodes = 0; }

/* ---- reading ---------------------------------------------------------------------------------------- */

rv_transitions rv_dataset_transitions(const rv_dataset *d) {
    return (rv_transitions){d->steps,  d->observation_size, d->action_size, d->observation, d->action,
                            d->reward, d->next_observation, d->first,       d->terminated,  d->truncated};
}

int64_t rv_dataset_steps(const rv_dataset *dataset) { return dataset->steps; }
int64_t rv_dataset_episodes(const rv_dataset *dataset) { return dataset->episodes; }

rv_status rv_dataset_episode(const rv_dataset *d, int64_t episode, int64_t *first, int64_t *length) {
    if (episode < 0 || episode >= d->episodes) return RV_INVALID_ARGUMENT;
    int64_t end = episode + 1 < d->episodes ? d->episode[episode + 1] : d->steps;
    *first = d->episode[episode];
    *length = end - *first;
    return RV_OK;
}

/* ---- splitting -------------------------------------------------------------------------------------- */

/* Marks the episodes that are held out. */
static void pick(const rv_dataset *d, double fraction, uint64_t seed, int64_t *order, uint8_t *held) {
    for (int64_t i = 0; i < d->episodes; i++) order[i] = i;
    for (int64_t i = d->episodes - 1; i > 0; i--) { /* Fisher and Yates */
        uint32_t bits;
        rv_random_bits(seed, 0, "split", (uint32_t)i, 1, 1, &bits);
        int64_t j = (int64_t)(((uint64_t)bits * (uint64_t)(i + 1)) >> 32), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    double wanted = fraction * (double)d->steps;
    int64_t taken = 0;
    for (int64_t i = 0; i + 1 < d->episodes && (double)taken < wanted; i++) {
        int64_t first = 0, length = 0;
        rv_dataset_episode(d, order[i], &first, &length);
        held[order[i]] = 1;
        taken += length;
    }
}

rv_status rv_dataset_split(const rv_dataset *d, double fraction, uint64_t seed, rv_dataset *train, rv_dataset *held_out) {
    if (!(fraction >= 0.0 && fraction <= 1.0)) return rv_dataset_fail(train, RV_INVALID_ARGUMENT, "split: %g is no fraction", fraction);
    if (d->episodes == 0) return RV_OK;
    int64_t *order = calloc((size_t)d->episodes, sizeof *order);
    uint8_t *held = calloc((size_t)d->episodes, 1);
    rv_status status = order && held ? RV_OK : rv_dataset_fail(train, RV_OUT_OF_MEMORY, "split: no memory for %lld episodes", (long long)d->episodes);
    if (status == RV_OK) pick(d, fraction, seed, order, held);
    for (int64_t i = 0; status == RV_OK && i < d->episodes; i++) {
        int64_t first = 0, length = 0;
        rv_dataset_episode(d, i, &first, &length);
        status = rv_dataset_append_range(held[i] ? held_out : train, d, first, length);
    }
    free(order);
    free(held);
    return status;
}
