/* agents/critic.c: values, their losses, and the slow copy. */
#include "reverie/critic.h"

#include <string.h>

#include "agents/network.h"

rv_status rv_critic_bins(rv_device *device, int64_t count, rv_array **bins) {
    if (bins) *bins = NULL;
    if (!device || !bins || count < 3 || count > INT32_MAX) return RV_INVALID_ARGUMENT;
    float *values = rv_device_resize(device, NULL, (size_t)count * sizeof *values);
    if (!values) return RV_OUT_OF_MEMORY;
    rv_status status = rv_symexp_bins(count, values);
    if (status == RV_OK) status = rv_array_create(device, RV_F32, 1, count, "bins", bins);
    if (status == RV_OK) status = rv_array_write(*bins, 0, 1, values);
    rv_device_resize(device, values, 0);
    return status;
}

/* What is wrong with the options, or NULL. */
static const char *mistake(const rv_critic_options *o) {
    if (o->kind != RV_CRITIC_TWOHOT && o->kind != RV_CRITIC_MSE && o->kind != RV_CRITIC_SYMLOG)
        return "no such kind of critic";
    if (o->inputs < 1) return "a critic's inputs must be 1 or more";
    if (o->kind != RV_CRITIC_TWOHOT) return NULL;
    if (!o->bins) return "a two-hot critic needs bins; rv_critic_bins makes them";
    return rv_array_rows(o->bins) == 1 && rv_array_cols(o->bins) >= 2 && rv_array_dtype(o->bins) == RV_F32
               ? NULL
               : "a two-hot critic's bins must be f32 [1, K], K 2 or more";
}

rv_critic rv_critic_add(rv_params *params, const char *name, const rv_critic_options *options) {
    rv_critic critic = {.params = params, .first = rv_params_count(params)};
    if (!options || options->size == 0) {
        rv_params_refuse(params, name, "set size to sizeof(rv_critic_options)");
        return critic;
    }
    rv_critic_options *o = &critic.options;
    memcpy(o, options, options->size < sizeof *o ? options->size : sizeof *o);
    rv_network_defaults(&o->hidden, &o->activation);
    if (mistake(o)) {
        rv_params_refuse(params, name, mistake(o));
        return critic;
    }
    const int64_t outputs = o->kind == RV_CRITIC_TWOHOT ? rv_array_cols(o->bins) : 1;
    critic.trunk = rv_network_add(params, name, o->inputs, o->hidden, o->activation, o->plain);
    critic.out = rv_network_add_head(params, name, "out", o->hidden, outputs, o->outscale);
    critic.weights = rv_params_count(params) - critic.first;
    return critic;
}

/* ---- recorded ---- */

rv_tensor rv_critic_forward(rv_graph *graph, const rv_critic *critic, const rv_tensor *features, int count) {
    rv_tensor x = rv_mlp_forward(graph, &critic->trunk, features, count);
    return rv_layer_forward(graph, &critic->out, &x, 1);
}

rv_tensor rv_critic_value(rv_graph *graph, const rv_critic *critic, rv_tensor output) {
    if (critic->options.kind == RV_CRITIC_MSE) return output;
    if (critic->options.kind == RV_CRITIC_SYMLOG) return rv_symexp(output);
    return rv_twohot_mean(output, rv_read(graph, critic->options.bins));
}

rv_tensor rv_critic_error(rv_graph *graph, const rv_critic *critic, rv_tensor output, rv_tensor target) {
    target = rv_stop_gradient(target);
    if (critic->options.kind == RV_CRITIC_MSE) return rv_mse(output, target);
    if (critic->options.kind == RV_CRITIC_SYMLOG) return rv_mse(output, rv_symlog(target));
    return rv_twohot_nll(output, target, rv_read(graph, critic->options.bins));
}

rv_tensor rv_critic_loss(rv_graph *graph, const rv_critic *critic, rv_tensor output, const rv_tensor *targets,
                         int count, rv_tensor weight) {
    if (!targets || count < 1 || count > 4)
        return rv_graph_refuse(graph, RV_INVALID_ARGUMENT, "rv_critic_loss", "%d targets; 1 to 4 would fit", count);
    rv_tensor error = rv_critic_error(graph, critic, output, targets[0]);
    for (int i = 1; i < count; i++) error = rv_add(error, rv_critic_error(graph, critic, output, targets[i]));
    if (!weight.graph) return rv_mean(error, RV_ALL);
    if (weight.id && (rv_tensor_rows(weight) != rv_tensor_rows(error) || rv_tensor_cols(weight) != 1)) {
        return rv_graph_refuse(graph, RV_SHAPE_MISMATCH, "rv_critic_loss",
                               "weight is [%lld, %lld], [%lld, 1] would fit", (long long)rv_tensor_rows(weight),
                               (long long)rv_tensor_cols(weight), (long long)rv_tensor_rows(error));
    }
    return rv_mean(rv_mul(rv_stop_gradient(weight), error), RV_ALL);
}

/* ---- the slow copy ---- */

static rv_status copy_weight(const rv_critic *slow, const rv_critic *critic, int i, float *values) {
    rv_status status = rv_params_get(critic->params, critic->first + i, RV_VALUE, values);
    return status == RV_OK ? rv_params_set(slow->params, slow->first + i, RV_VALUE, values) : status;
}

/* The largest weight's size, 0 where the two differ. */
static int64_t largest_weight(const rv_critic *slow, const rv_critic *critic) {
    int64_t largest = 0;
    for (int i = 0; i < critic->weights && slow->weights == critic->weights; i++) {
        int64_t rows, cols, slow_rows, slow_cols;
        if (rv_params_shape(critic->params, critic->first + i, &rows, &cols) != RV_OK) return 0;
        if (rv_params_shape(slow->params, slow->first + i, &slow_rows, &slow_cols) != RV_OK) return 0;
        if (rows != slow_rows || cols != slow_cols) return 0;
        if (rows * cols > largest) largest = rows * cols;
    }
    return largest;
}

rv_status rv_critic_copy(const rv_critic *slow, const rv_critic *critic) {
    const int64_t largest = largest_weight(slow, critic);
    if (largest == 0) return RV_SHAPE_MISMATCH;
    rv_array *all = rv_params_array(critic->params, RV_VALUE);
    if (!all) return RV_WRONG_STATE; /* not committed */
    rv_device *device = rv_array_device(all);
    float *values = rv_device_resize(device, NULL, (size_t)largest * sizeof *values);
    rv_status status = values ? RV_OK : RV_OUT_OF_MEMORY;
    for (int i = 0; i < critic->weights && status == RV_OK; i++) status = copy_weight(slow, critic, i, values);
    rv_device_resize(device, values, 0);
    return status;
}

void rv_critic_follow(rv_graph *graph, const rv_critic *slow, const rv_critic *critic, float rate) {
    rv_params_ema_part(graph, slow->params, critic->params, critic->first, rate);
}
