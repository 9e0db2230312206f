/* core/ops_update.c: what changes arrays: optimiser, averages, row stores, the health flag. */
#include <string.h>

#include "core/record.h"

rv_tensor rv_health(rv_graph *graph) {
    if (!graph) return RV_NONE;
    rv_array *array = rv_device_health_array(graph->device);
    const rv_error *error = &graph->device->error;
    if (!array) return rv_poison(graph, error->status, "health", "%.400s", error->text);
    return rv_read(graph, array);
}

rv_tensor rv_global_norm(rv_tensor x) {
    rv_check check = rv_check_inputs("global_norm", &x, 1, 0);
    rv_check_type(&check, "x", x, RV_F32);
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(x.graph, RV_OP_GLOBAL_NORM, &x, 1, RV_F32, 1, 1, NULL);
}

void rv_adamw(rv_tensor value, rv_tensor gradient, rv_tensor m, rv_tensor v, rv_tensor lr, rv_tensor updates,
              rv_tensor norm, float beta1, float beta2, float eps, float weight_decay, float clip, rv_tensor out[3]) {
    static const char *const names[] = {"value", "gradient", "m", "v", "lr", "updates", "norm"};
    rv_tensor inputs[8] = {value, gradient, m, v, lr, updates, norm, rv_health(value.graph)};
    rv_check check = rv_check_inputs("adamw", inputs, 8, 0);
    int64_t size = rv_tensor_cols(value);
    for (int i = 0; i < 7; i++) {
        rv_check_type(&check, names[i], inputs[i], i == 5 ? RV_I32 : RV_F32);
        rv_check_shape(&check, names[i], inputs[i], 1, i < 4 ? size : 1);
    }
    if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1)) {
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "beta1 is %g, beta2 is %g; from 0 to below 1 would fit",
                        (double)beta1, (double)beta2);
    }
    if (!(eps >= 0 && weight_decay >= 0 && clip >= 0)) {
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "eps is %g, weight_decay %g, clip %g; 0 or more would fit",
                        (double)eps, (double)weight_decay, (double)clip);
    }
    rv_tensor first = rv_check_failed(&check);
    if (check.ok) {
        rv_shape shape = {RV_F32, 1, size};
        rv_attributes attributes = {.f = {beta1, beta2, eps, weight_decay, clip}};
        first = rv_append(check.graph, RV_OP_ADAMW, inputs, 8, (rv_shape[]){shape, shape, shape}, 3, &attributes);
    }
    for (int i = 0; i < 3; i++) out[i] = rv_output(first, i);
}

/* Groups of W neighbours, each of one segment: W is whole, and owner one column. */
static void check_owner(rv_check *check, rv_tensor x, rv_tensor owner) {
    rv_check_type(check, "owner", owner, RV_I32);
    rv_check_shape(check, "owner", owner, RV_ANY, 1);
    int64_t groups = rv_tensor_rows(owner), size = rv_tensor_cols(x);
    if (groups < 1 || size % groups != 0) {
        rv_check_refuse(check, RV_SHAPE_MISMATCH, "owner is " RV_SHAPE "; its rows must divide %lld elements",
                        RV_SHAPE_OF(owner), (long long)size);
    }
}

rv_tensor rv_segment_norms(rv_tensor a, rv_tensor b, rv_tensor owner, int segments) {
    rv_tensor inputs[] = {a, b, owner};
    rv_check check = rv_check_inputs("segment_norms", inputs, 3, 0);
    rv_check_type(&check, "a", a, RV_F32);
    rv_check_type(&check, "b", b, RV_F32);
    rv_check_shape(&check, "a", a, 1, RV_ANY);
    rv_check_shape(&check, "b", b, 1, rv_tensor_cols(a));
    check_owner(&check, a, owner);
    if (segments < 1) rv_check_refuse(&check, RV_INVALID_ARGUMENT, "%d segments; 1 or more would fit", segments);
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.i = {segments}};
    return rv_append_one(check.graph, RV_OP_SEGMENT_NORMS, inputs, 3, RV_F32, segments, 2, &attributes);
}

static void check_laprop(rv_check *check, const rv_laprop_settings *s) {
    if (!(s->beta1 >= 0 && s->beta1 < 1 && s->beta2 >= 0 && s->beta2 < 1)) {
        rv_check_refuse(check, RV_INVALID_ARGUMENT, "beta1 is %g, beta2 is %g; from 0 to below 1 would fit",
                        s->beta1, s->beta2);
    }
    if (!(s->eps >= 0 && s->weight_decay >= 0 && s->agc >= 0 && s->smallest > 0)) {
        rv_check_refuse(check, RV_INVALID_ARGUMENT,
                        "eps is %g, weight_decay %g, agc %g, smallest norm %g; 0 or more would fit", (double)s->eps,
                        (double)s->weight_decay, (double)s->agc, (double)s->smallest);
    }
}

void rv_laprop(const rv_tensor in[8], const rv_laprop_settings *settings, rv_tensor out[3]) {
    static const char *const names[] = {"value", "gradient", "m", "v", "lr", "updates", "norms"};
    rv_tensor inputs[9];
    memcpy(inputs, in, 8 * sizeof *in);
    inputs[8] = rv_health(in[0].graph);
    rv_check check = rv_check_inputs("laprop", inputs, 9, 0);
    int64_t size = rv_tensor_cols(in[0]);
    for (int i = 0; i < 6; i++) {
        rv_check_type(&check, names[i], inputs[i], i == 5 ? RV_I32 : RV_F32);
        rv_check_shape(&check, names[i], inputs[i], 1, i < 4 ? size : 1);
    }
    rv_check_type(&check, names[6], inputs[6], RV_F32);
    rv_check_shape(&check, names[6], inputs[6], RV_ANY, 2);
    check_owner(&check, in[0], in[7]);
    check_laprop(&check, settings);
    rv_tensor first = rv_check_failed(&check);
    if (check.ok) {
        const rv_laprop_settings *s = settings;
        rv_shape shape = {RV_F32, 1, size};
        const float rest1 = (float)(1 - s->beta1), rest2 = (float)(1 - s->beta2);
        rv_attributes attributes = {.f = {rest1, rest2, s->eps, s->weight_decay, s->agc, s->smallest}};
        first = rv_append(check.graph, RV_OP_LAPROP, inputs, 9, (rv_shape[]){shape, shape, shape}, 3, &attributes);
    }
    for (int i = 0; i < 3; i++) out[i] = rv_output(first, i);
}

rv_tensor rv_ema(rv_tensor target, rv_tensor source, float rate) {
    rv_tensor inputs[] = {target, source, rv_health(target.graph)};
    rv_check check = rv_check_inputs("ema", inputs, 3, 0);
    rv_check_type(&check, "target", target, RV_F32);
    rv_check_type(&check, "source", source, RV_F32);
    rv_check_shape(&check, "source", source, rv_tensor_rows(target), rv_tensor_cols(target));
    if (!(rate >= 0.0f && rate <= 1.0f))
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "rate is %g; 0 to 1 would fit", (double)rate);
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.f = {rate}};
    return rv_append_one(check.graph, RV_OP_EMA, inputs, 3, RV_F32, rv_tensor_rows(target), rv_tensor_cols(target),
                         &attributes);
}

/* The new array is one op's output, always in place of the old one: the store costs nothing. */
void rv_store_rows(rv_array *array, rv_tensor tensor, rv_tensor index) {
    rv_graph *graph = tensor.graph ? tensor.graph : index.graph;
    rv_tensor inputs[] = {rv_read(graph, array), tensor, index, rv_health(graph)};
    rv_check check = rv_check_inputs("store_rows", inputs, 4, 0);
    if (!check.ok) return;
    rv_check_type(&check, "the tensor", tensor, rv_array_dtype(array));
    rv_check_shape(&check, "the tensor", tensor, RV_ANY, rv_array_cols(array));
    rv_check_type(&check, "index", index, RV_I32);
    rv_check_shape(&check, "index", index, rv_tensor_rows(tensor), 1);
    if (!check.ok) return;
    rv_store(array, rv_append_one(graph, RV_OP_STORE_ROWS, inputs, 4, rv_array_dtype(array), rv_array_rows(array),
                                  rv_array_cols(array), NULL));
}

/* ---- watch ---- */

static bool names_stand_at(const rv_device *device, uint32_t first, const char *const *names, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(device->names[first + i], names[i]) != 0) return false;
    }
    return true;
}

/* Index of the first of `count` names in a row on the device, -1 without memory. Plans that watch
 * the same names share them. */
static int64_t register_names(rv_device *device, const char *const *names, uint32_t count) {
    for (uint32_t first = 0; first + count <= device->name_count; first++) {
        if (names_stand_at(device, first, names, count)) return first;
    }
    uint32_t first = device->name_count;
    for (uint32_t i = 0; i < count; i++) {
        char *copy = rv_copy_text(device, names[i]);
        if (!copy || !rv_grow(device, (void **)&device->names, &device->name_capacity, device->name_count,
                              sizeof *device->names)) {
            rv_free(device, copy);
            while (device->name_count > first) rv_free(device, device->names[--device->name_count]);
            return -1;
        }
        device->names[device->name_count++] = copy;
    }
    return first;
}

void rv_watch(rv_tensor x, const char *const *names, int name_count) {
    rv_tensor inputs[] = {x, rv_health(x.graph)};
    rv_check check = rv_check_inputs("watch", inputs, 2, 0);
    rv_check_type(&check, "x", x, RV_F32);
    bool named = names && name_count >= 1;
    for (int i = 0; named && i < name_count; i++) named = names[i] != NULL;
    if (!named) rv_check_refuse(&check, RV_INVALID_ARGUMENT, "no names");
    if (name_count != 1 && name_count != rv_tensor_cols(x)) {
        rv_check_refuse(&check, RV_SHAPE_MISMATCH, "x is " RV_SHAPE ", %d names; one, or one a column would fit",
                        RV_SHAPE_OF(x), name_count);
    }
    if (!check.ok) return;
    int64_t first = register_names(x.graph->device, names, (uint32_t)name_count);
    if (first < 0) {
        rv_poison(x.graph, RV_OUT_OF_MEMORY, "watch", "no memory for the names");
        return;
    }
    rv_attributes attributes = {.i = {1 + (int32_t)first, name_count > 1}};
    rv_tensor health = rv_append_one(x.graph, RV_OP_WATCH, inputs, 2, RV_I32, 1, 1, &attributes);
    rv_store(x.graph->device->health, health);
}
