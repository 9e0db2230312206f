/* agents/linear.c: the linear baseline of evaluation. */
#include "agents/linear.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool has_squares(const rv_linear_fit *fit) { return fit->inputs > fit->observation_size + fit->action_size + 1; }

static void input_row(const rv_linear_fit *fit, const float *observation, const float *action, double *row) {
    const int64_t o = fit->observation_size, a = fit->action_size, plain = o + a;
    for (int64_t i = 0; i < o; i++) row[i] = (double)observation[i];
    for (int64_t i = 0; i < a; i++) row[o + i] = (double)action[i];
    for (int64_t i = 0; has_squares(fit) && i < plain; i++) row[plain + i] = row[i] * row[i];
    row[fit->inputs - 1] = 1.0;
}

/* gram = X'X and the weight = X'Y over all steps. */
static void accumulate(const rv_transitions *data, rv_linear_fit *fit, const float *target, double *gram, double *row) {
    const int64_t n = fit->inputs, outputs = fit->outputs;
    for (int64_t s = 0; s < data->steps; s++) {
        input_row(fit, data->observation + s * fit->observation_size, data->action + s * fit->action_size, row);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j <= i; j++) gram[i * n + j] += row[i] * row[j];
            for (int64_t j = 0; j < outputs; j++) fit->weight[i * outputs + j] += row[i] * (double)target[s * outputs + j];
        }
    }
}

/* Cholesky in place on the lower half; the ridge makes a column without variance harmless. */
static void factor(double *gram, int64_t n) {
    for (int64_t i = 0; i < n; i++) gram[i * n + i] += 1e-10 * gram[i * n + i] + 1e-12;
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = j; i < n; i++) {
            double sum = gram[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= gram[i * n + k] * gram[j * n + k];
            gram[i * n + j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / gram[j * n + j];
        }
    }
}

static void solve(const double *gram, double *target, int64_t n, int64_t columns) {
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t i = 0; i < n; i++) {
            double sum = target[i * columns + c];
            for (int64_t k = 0; k < i; k++) sum -= gram[i * n + k] * target[k * columns + c];
            target[i * columns + c] = sum / gram[i * n + i];
        }
        for (int64_t i = n - 1; i >= 0; i--) {
            double sum = target[i * columns + c];
            for (int64_t k = i + 1; k < n; k++) sum -= gram[k * n + i] * target[k * columns + c];
            target[i * columns + c] = sum / gram[i * n + i];
        }
    }
}

static rv_status make(const rv_transitions *data, const float *target, rv_linear_fit *fit) {
    const int64_t n = fit->inputs;
    double *gram = calloc((size_t)n, (size_t)n * sizeof *gram), *row = calloc((size_t)n, sizeof *row);
    fit->weight = calloc((size_t)n, (size_t)fit->outputs * sizeof *fit->weight);
    bool ok = gram && row && fit->weight;
    if (ok) {
        accumulate(data, fit, target, gram, row);
        factor(gram, n);
        solve(gram, fit->weight, n, fit->outputs);
    }
    free(gram);
    free(row);
    return ok ? RV_OK : RV_OUT_OF_MEMORY;
}

rv_status rv_linear_fit_make(const rv_transitions *data, rv_linear_fit *fit) {
    const int64_t o = data->observation_size, a = data->action_size;
    *fit = (rv_linear_fit){.observation_size = o, .action_size = a, .inputs = o + a + 1, .outputs = o};
    return make(data, data->next_observation, fit);
}

rv_status rv_reward_fit_make(const rv_transitions *data, rv_linear_fit *fit) {
    const int64_t o = data->observation_size, a = data->action_size;
    *fit = (rv_linear_fit){.observation_size = o, .action_size = a, .inputs = 2 * (o + a) + 1, .outputs = 1};
    return make(data, data->reward, fit);
}

void rv_linear_fit_release(rv_linear_fit *fit) {
    free(fit->weight);
    fit->weight = NULL;
}

void rv_linear_fit_predict(const rv_linear_fit *fit, const float *observation, const float *action, double *output) {
    const int64_t o = fit->observation_size, plain = o + fit->action_size, outputs = fit->outputs;
    for (int64_t j = 0; j < outputs; j++) {
        double sum = fit->weight[(fit->inputs - 1) * outputs + j];
        for (int64_t i = 0; i < plain; i++) {
            const double x = i < o ? (double)observation[i] : (double)action[i - o];
            sum += x * fit->weight[i * outputs + j];
            if (has_squares(fit)) sum += x * x * fit->weight[(plain + i) * outputs + j];
        }
        output[j] = sum;
    }
}

void rv_linear_fit_step(const rv_linear_fit *fit, double *observation, const float *action, double *scratch) {
    const int64_t o = fit->observation_size, a = fit->action_size;
    for (int64_t j = 0; j < o; j++) {
        double sum = fit->weight[(o + a) * o + j];
        for (int64_t i = 0; i < o; i++) sum += observation[i] * fit->weight[i * o + j];
        for (int64_t i = 0; i < a; i++) sum += (double)action[i] * fit->weight[(o + i) * o + j];
        scratch[j] = sum;
    }
    memcpy(observation, scratch, (size_t)o * sizeof *scratch);
}
