/* experiments/open_loop.c: predictions under the actions of an episode, beside what happened. */
#include <math.h>
#include <stdlib.h>

#include "experiments/figures_imagine.h"
#include "experiments/spread.h"

void open_loop_free(open_loop *out) {
    free(out->truth);
    *out = (open_loop){0};
}

static double predicted(const dream *dream, int64_t step, int64_t row, int64_t column) {
    const int64_t o = dream->observation_size, at = (step - 1) * dream->rows + row;
    return (double)(column < o ? dream->observation[at * o + column] : dream->reward[at]);
}

static void summarise(open_loop *out, const dream *dream, int64_t episode, int64_t samples, double *values) {
    for (int64_t k = 1; k <= out->horizon; k++) {
        for (int64_t c = 0; c < out->columns; c++) {
            const int64_t at = k * out->columns + c;
            for (int64_t s = 0; s < samples; s++) values[s] = predicted(dream, k, episode * samples + s, c);
            const int64_t count = spread_sort(values, samples);
            out->mean[at] = count ? spread_mean(values, count) : NAN;
            out->low[at] = spread_quantile(values, count, 0.05);
            out->high[at] = spread_quantile(values, count, 0.95);
        }
    }
}

/* Up to the episode's end. The last transition's reward is known, where it led to is not. */
static void take_truth(open_loop *out, const imagined *what, int64_t episode) {
    const episodes *real = what->real;
    const int64_t o = real->observation_size, first = what->context - 1;
    const int64_t length = episodes_length(real, episode, first);
    for (int64_t k = 0; k <= out->horizon; k++) {
        double *row = out->truth + k * out->columns;
        const int64_t at = (first + k) * real->rows + episode;
        const bool seen = k < length || (k == length && real->is_first[at] == 0);
        for (int64_t c = 0; c < o; c++) row[c] = seen ? (double)real->observation[at * o + c] : NAN;
        row[o] = k > 0 && k <= length ? (double)real->reward[at - real->rows] : NAN;
    }
    for (int64_t c = 0; c < out->columns; c++) out->mean[c] = out->low[c] = out->high[c] = out->truth[c];
}

bool open_loop_make(open_loop *out, const imagined *what, int64_t episode, int64_t samples) {
    const dream *dream = what->dream;
    *out = (open_loop){.horizon = dream->steps, .columns = dream->observation_size + 1};
    const int64_t each = (out->horizon + 1) * out->columns;
    out->truth = calloc((size_t)(4 * each + samples), sizeof *out->truth);
    if (!out->truth) return false;
    out->mean = out->truth + each;
    out->low = out->mean + each;
    out->high = out->low + each;
    take_truth(out, what, episode);
    summarise(out, dream, episode, samples, out->high + each);
    return true;
}
