/* core/params.c: a named set of weights, flat in memory, its optimiser and its average. */
#include <math.h>
#include <string.h>

#include "core/internal.h"
#include "core/noise.h"
#include "reverie/params.h"

enum { PARTS = RV_MOMENT2 + 1, ALIGNMENT = 16, LONGEST_NAME = 200 };

static const char *const part_names[PARTS] = {"value", "gradient", "moment1", "moment2"};

typedef struct rv_weight {
    char *name;
    int64_t rows, cols, offset; /* offset: in floats, a multiple of ALIGNMENT */
    rv_init init;
    float scale;
} rv_weight;

struct rv_params {
    rv_device *device;
    rv_error error;
    rv_weight *weights;
    uint32_t count, capacity;
    int64_t size, padded; /* floats, without and with the gaps between weights */
    rv_array *parts[PARTS], *updates;
    rv_array *owner; /* i32 [padded / ALIGNMENT, 1]: which weight a group of floats is of; NULL until it is wanted */
    rv_status mistake; /* the first one of rv_params_add */
    bool committed, values_only;
};

rv_status rv_params_create(rv_device *device, rv_params **out) {
    if (out) *out = NULL;
    if (!device || !out) return RV_INVALID_ARGUMENT;
    rv_params *params = rv_alloc(device, 1, sizeof *params);
    if (!params) return rv_fail(&device->error, RV_OUT_OF_MEMORY, "no memory for a set of weights");
    rv_device_retain(device);
    params->device = device;
    *out = params;
    return RV_OK;
}

static void destroy_arrays(rv_params *params) {
    for (int part = 0; part < PARTS; part++) {
        rv_array_destroy(params->parts[part]);
        params->parts[part] = NULL;
    }
    rv_array_destroy(params->updates);
    rv_array_destroy(params->owner);
    params->updates = params->owner = NULL;
}

void rv_params_destroy(rv_params *params) {
    if (!params) return;
    rv_device *device = params->device;
    destroy_arrays(params);
    for (uint32_t i = 0; i < params->count; i++) rv_free(device, params->weights[i].name);
    rv_free(device, params->weights);
    rv_free(device, params);
    rv_device_release(device);
}

const char *rv_params_message(const rv_params *params) { return params ? params->error.text : "no params"; }

/* ---- adding weights ---- */

static bool good_name(const char *name) {
    if (!name || !*name || strlen(name) > LONGEST_NAME) return false;
    for (; *name; name++) {
        if ((unsigned char)*name < 0x20 || *name == 0x7f) return false;
    }
    return true;
}

/* The first mistake is kept. */
static int refuse(rv_params *params, rv_status status, const char *name, const char *text) {
    if (params->mistake == RV_OK) {
        params->mistake = rv_fail(&params->error, status, "rv_params_add \"%.200s\": %s", name ? name : "", text);
    }
    return -1;
}

int rv_params_add(rv_params *params, const char *name, int64_t rows, int64_t cols, rv_init init, float scale) {
    if (!params) return -1;
    if (params->committed) return refuse(params, RV_WRONG_STATE, name, "the set is committed already");
    if (!good_name(name)) return refuse(params, RV_INVALID_ARGUMENT, name, "1 to 200 bytes, none a control character");
    if (rv_params_find(params, name) >= 0) return refuse(params, RV_INVALID_ARGUMENT, name, "the name is taken");
    if (rows < 1 || cols < 1) return refuse(params, RV_INVALID_ARGUMENT, name, "needs rows and columns of at least 1");
    if ((unsigned)init > RV_INIT_TRUNCATED) return refuse(params, RV_INVALID_ARGUMENT, name, "no such initialisation");
    const int64_t most = INT64_MAX / 64; /* so that neither padding nor bytes overflow */
    if (rows > most / cols || rows * cols > most - params->padded || params->count >= INT32_MAX) {
        return refuse(params, RV_TOO_LARGE, name, "more weights than can be addressed");
    }
    rv_device *device = params->device;
    char *copy = rv_copy_text(device, name);
    if (!copy || !rv_grow(device, (void **)&params->weights, &params->capacity, params->count, sizeof(rv_weight))) {
        rv_free(device, copy);
        return refuse(params, RV_OUT_OF_MEMORY, name, "no memory for it");
    }
    params->weights[params->count] = (rv_weight){copy, rows, cols, params->padded, init, scale};
    params->size += rows * cols;
    params->padded += (rows * cols + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return (int)params->count++;
}

int rv_params_refuse(rv_params *params, const char *name, const char *why) {
    return params ? refuse(params, RV_INVALID_ARGUMENT, name, why ? why : "") : -1;
}

void rv_params_values_only(rv_params *params) {
    if (params && !params->committed) params->values_only = true;
}

/* ---- initial weights ---- */

/* Normals beyond 2 are drawn again with the next t; after 64 of them (never seen) the bound it is. */
static void draw_truncated(uint64_t seed, const rv_weight *weight, float *out) {
    rv_noise noise = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, 0, 0, rv_hash_name(weight->name)};
    rv_noise_normal_rows(&noise, 0, weight->rows, weight->cols, weight->cols, out);
    for (int64_t i = 0; i < weight->rows * weight->cols; i++) {
        for (noise.t = 1; fabsf(out[i]) > 2.0f && noise.t <= 64; noise.t++) {
            out[i] = rv_noise_normal_one(&noise, i / weight->cols, weight->cols, i % weight->cols);
        }
        out[i] = fminf(fmaxf(out[i], -2.0f), 2.0f);
    }
}

static void draw(uint64_t seed, const rv_weight *weight, float *out) {
    const int64_t rows = weight->rows, cols = weight->cols, count = rows * cols;
    const float fan = 1.0f / sqrtf((float)rows);
    float scale = weight->scale;
    switch (weight->init) {
    case RV_INIT_ZERO:
    case RV_INIT_CONSTANT:
        for (int64_t i = 0; i < count; i++) out[i] = weight->init == RV_INIT_ZERO ? 0.0f : scale;
        return;
    case RV_INIT_FAN_IN:
        scale *= fan;
        /* fall through */
    case RV_INIT_UNIFORM:
        rv_random_uniform(seed, 0, weight->name, 0, rows, cols, out);
        for (int64_t i = 0; i < count; i++) out[i] = (2.0f * out[i] - 1.0f) * scale;
        return;
    case RV_INIT_NORMAL:
        rv_random_normal(seed, 0, weight->name, 0, rows, cols, out);
        break;
    case RV_INIT_TRUNCATED:
        scale *= 1.1368f * fan;
        draw_truncated(seed, weight, out);
        break;
    }
    for (int64_t i = 0; i < count; i++) out[i] *= scale;
}

static rv_status make_array(rv_params *params, rv_dtype dtype, int64_t cols, const char *name, rv_array **array) {
    rv_status status = rv_array_create(params->device, dtype, 1, cols, name, array);
    if (status == RV_OK) return RV_OK;
    const char *text = *array ? rv_array_message(*array) : rv_device_message(params->device);
    return rv_fail(&params->error, status, "rv_params_commit: %.400s", text);
}

static rv_status write_initial(rv_params *params, uint64_t seed) {
    float *values = rv_alloc(params->device, (size_t)params->padded, sizeof *values);
    if (!values) {
        return rv_fail(&params->error, RV_OUT_OF_MEMORY, "rv_params_commit: no memory to draw %lld weights",
                       (long long)params->size);
    }
    for (uint32_t i = 0; i < params->count; i++) draw(seed, &params->weights[i], values + params->weights[i].offset);
    rv_status status = rv_array_write(params->parts[RV_VALUE], 0, 1, values);
    rv_free(params->device, values);
    if (status == RV_OK) return RV_OK;
    return rv_fail(&params->error, status, "rv_params_commit: %.400s", rv_array_message(params->parts[RV_VALUE]));
}

rv_status rv_params_commit(rv_params *params, uint64_t seed) {
    if (!params) return RV_INVALID_ARGUMENT;
    rv_error *error = &params->error;
    if (params->committed) return rv_fail(error, RV_WRONG_STATE, "rv_params_commit: the set is committed already");
    if (params->mistake != RV_OK) return params->mistake;
    if (params->count == 0) return rv_fail(error, RV_INVALID_ARGUMENT, "rv_params_commit: no weight was added");
    rv_status status = RV_OK;
    const int parts = params->values_only ? RV_VALUE + 1 : PARTS;
    for (int part = 0; part < parts && status == RV_OK; part++) {
        status = make_array(params, RV_F32, params->padded, part_names[part], &params->parts[part]);
    }
    if (status == RV_OK) status = make_array(params, RV_I32, 1, "updates", &params->updates);
    if (status == RV_OK) status = write_initial(params, seed);
    if (status != RV_OK) {
        destroy_arrays(params); /* another commit may try again */
        return status;
    }
    params->committed = true;
    return RV_OK;
}

/* ---- asking ---- */

int rv_params_count(const rv_params *params) { return params ? (int)params->count : 0; }
int64_t rv_params_size(const rv_params *params) { return params ? params->size : 0; }

int rv_params_find(const rv_params *params, const char *name) {
    if (!params || !name) return -1;
    for (uint32_t i = 0; i < params->count; i++) {
        if (strcmp(params->weights[i].name, name) == 0) return (int)i;
    }
    return -1;
}

static bool has(const rv_params *params, int index) { return params && index >= 0 && (uint32_t)index < params->count; }

const char *rv_params_name(const rv_params *params, int index) {
    return has(params, index) ? params->weights[index].name : "";
}

int64_t rv_params_offset(const rv_params *params, int index) { return params->weights[index].offset; }

rv_status rv_params_shape(const rv_params *params, int index, int64_t *rows, int64_t *cols) {
    if (!has(params, index) || !rows || !cols) return RV_INVALID_ARGUMENT;
    *rows = params->weights[index].rows;
    *cols = params->weights[index].cols;
    return RV_OK;
}

static rv_status check_part(rv_params *params, const char *what, int index, rv_params_part part, const void *data) {
    if (!params) return RV_INVALID_ARGUMENT;
    if (params->mistake != RV_OK) return params->mistake;
    if (!has(params, index) || (unsigned)part >= PARTS || !data) {
        return rv_fail(&params->error, RV_INVALID_ARGUMENT, "%s: weight %d of %u, part %d of %d%s", what, index,
                       params->count, (int)part, (int)PARTS, data ? "" : ", data is NULL");
    }
    if (!params->committed) return rv_fail(&params->error, RV_WRONG_STATE, "%s: the set is not committed", what);
    if (!params->parts[part]) return rv_fail(&params->error, RV_WRONG_STATE, "%s: the set holds values only", what);
    return RV_OK;
}

rv_status rv_params_get(rv_params *params, int index, rv_params_part part, float *out) {
    rv_status status = check_part(params, "rv_params_get", index, part, out);
    if (status != RV_OK) return status;
    const rv_weight *weight = &params->weights[index];
    rv_device *device = params->device;
    return device->backend->download(device->state, params->parts[part]->buffer, RV_F32, (size_t)weight->offset,
                                     (size_t)(weight->rows * weight->cols), out, &params->error);
}

rv_status rv_params_set(rv_params *params, int index, rv_params_part part, const float *values) {
    rv_status status = check_part(params, "rv_params_set", index, part, values);
    if (status != RV_OK) return status;
    const rv_weight *weight = &params->weights[index];
    rv_device *device = params->device;
    return device->backend->upload(device->state, params->parts[part]->buffer, RV_F32, (size_t)weight->offset,
                                   (size_t)(weight->rows * weight->cols), values, &params->error);
}

rv_array *rv_params_array(rv_params *params, rv_params_part part) {
    return params && (unsigned)part < PARTS ? params->parts[part] : NULL;
}

rv_array *rv_params_updates(rv_params *params) { return params ? params->updates : NULL; }

/* ---- recording ---- */

static bool recordable(rv_graph *graph, const rv_params *params, const char *op) {
    if (!graph) return false;
    if (params && params->committed) return true;
    if (!params) rv_poison(graph, RV_INVALID_ARGUMENT, op, "the set of weights is NULL");
    else rv_poison(graph, RV_WRONG_STATE, op, "the set of weights is not committed; rv_params_commit allocates it");
    return false;
}

static bool trainable(rv_graph *graph, const rv_params *params, const char *op) {
    if (!recordable(graph, params, op)) return false;
    if (params->values_only) rv_poison(graph, RV_WRONG_STATE, op, "the set holds values only; it cannot be trained");
    return !params->values_only;
}

rv_tensor rv_param(rv_graph *graph, rv_params *params, int index) {
    if (!recordable(graph, params, "rv_param")) return (rv_tensor){graph, 0};
    if (!has(params, index)) {
        return rv_poison(graph, RV_INVALID_ARGUMENT, "rv_param", "no weight %d among %u", index, params->count);
    }
    const rv_weight *weight = &params->weights[index];
    return rv_read_part(graph, params->parts[RV_VALUE], weight->offset, weight->rows, weight->cols);
}

rv_status rv_params_gradients(rv_graph *graph, rv_params *params, rv_tensor loss, const rv_tensor *stop,
                              int stop_count) {
    if (!graph) return RV_INVALID_ARGUMENT;
    if (!trainable(graph, params, "rv_params_gradients")) return graph->error.status;
    const uint32_t count = params->count;
    rv_tensor *weights = rv_alloc(params->device, 2 * (size_t)count, sizeof *weights);
    if (!weights) {
        rv_poison(graph, RV_OUT_OF_MEMORY, "rv_params_gradients", "no memory for %u gradients", count);
        return graph->error.status;
    }
    rv_tensor *gradients = weights + count;
    for (uint32_t i = 0; i < count; i++) weights[i] = rv_param(graph, params, (int)i);
    rv_status status = rv_gradients(loss, weights, (int)count, stop, stop_count, gradients);
    for (uint32_t i = 0; i < count && status == RV_OK; i++) {
        rv_store_part(params->parts[RV_GRADIENT], params->weights[i].offset, gradients[i]);
    }
    rv_free(params->device, weights);
    return status != RV_OK ? status : graph->error.status;
}

rv_tensor rv_params_norm(rv_graph *graph, rv_params *params) {
    if (!trainable(graph, params, "rv_params_norm")) return (rv_tensor){graph, 0};
    return rv_global_norm(rv_read(graph, params->parts[RV_GRADIENT]));
}

rv_tensor rv_params_weight_norm(rv_graph *graph, rv_params *params) {
    if (!recordable(graph, params, "rv_params_weight_norm")) return (rv_tensor){graph, 0};
    return rv_global_norm(rv_read(graph, params->parts[RV_VALUE]));
}

rv_tensor rv_params_adamw(rv_graph *graph, rv_params *params, rv_tensor lr, rv_tensor norm, float clip,
                          const rv_adamw_options *options) {
    if (!trainable(graph, params, "rv_params_adamw")) return (rv_tensor){graph, 0};
    const rv_adamw_options given = options ? *options : (rv_adamw_options){0};
    if (!(clip >= 0.0f)) {
        return rv_poison(graph, RV_INVALID_ARGUMENT, "rv_params_adamw", "clip is %g; 0 means no clip", (double)clip);
    }
    rv_tensor part[PARTS], out[3];
    for (int i = 0; i < PARTS; i++) part[i] = rv_read(graph, params->parts[i]);
    if (!norm.graph) norm = rv_params_norm(graph, params);
    rv_tensor before = rv_read(graph, params->updates);
    rv_tensor updates = rv_affine(before, 1.0f, 1.0f);
    rv_adamw(part[RV_VALUE], part[RV_GRADIENT], part[RV_MOMENT1], part[RV_MOMENT2], lr, updates, norm,
             given.beta1 != 0.0f ? given.beta1 : 0.9f, given.beta2 != 0.0f ? given.beta2 : 0.999f,
             given.eps != 0.0f ? given.eps : 1e-8f, given.weight_decay, clip, out);
    rv_store(params->parts[RV_VALUE], out[0]);
    rv_store(params->parts[RV_MOMENT1], out[1]);
    rv_store(params->parts[RV_MOMENT2], out[2]);
    /* by row, so that an update that the health flag forbids is not counted either */
    rv_store_rows(params->updates, updates, rv_affine(before, 0.0f, 0.0f));
    return norm;
}

/* ---- LaProp ---- */

static rv_status write_owner(rv_params *params) {
    const int64_t groups = params->padded / ALIGNMENT;
    int32_t *owner = rv_alloc(params->device, (size_t)groups, sizeof *owner);
    if (!owner) return RV_OUT_OF_MEMORY;
    for (uint32_t i = 0, next = 1; i < params->count; i++, next++) {
        const int64_t end = next < params->count ? params->weights[next].offset : params->padded;
        for (int64_t at = params->weights[i].offset; at < end; at += ALIGNMENT) owner[at / ALIGNMENT] = (int32_t)i;
    }
    rv_status status = rv_array_write(params->owner, 0, groups, owner);
    rv_free(params->device, owner);
    return status;
}

/* Made at first use: few sets need it. */
static rv_tensor read_owner(rv_graph *graph, rv_params *params) {
    if (!params->owner) {
        rv_status status =
            rv_array_create(params->device, RV_I32, params->padded / ALIGNMENT, 1, "owner", &params->owner);
        if (status == RV_OK) status = write_owner(params);
        if (status != RV_OK) {
            rv_array_destroy(params->owner);
            params->owner = NULL;
            return rv_poison(graph, status, "rv_params_laprop", "the table of weights could not be made: %s",
                             rv_status_text(status));
        }
    }
    return rv_read(graph, params->owner);
}

static float or_default(float given, float value) { return given != 0.0f ? given : value; }

rv_tensor rv_params_laprop(rv_graph *graph, rv_params *params, rv_tensor lr, const rv_laprop_options *options) {
    if (!trainable(graph, params, "rv_params_laprop")) return (rv_tensor){graph, 0};
    const rv_laprop_options given = options ? *options : (rv_laprop_options){0};
    const float agc = or_default(given.agc, 0.3f);
    const rv_laprop_settings settings = {.beta1 = given.beta1 != 0 ? given.beta1 : 0.9,
                                         .beta2 = given.beta2 != 0 ? given.beta2 : 0.999,
                                         .eps = or_default(given.eps, 1e-20f),
                                         .weight_decay = given.weight_decay,
                                         .agc = agc > 0 ? agc : 0.0f,
                                         .smallest = 1e-3f};
    rv_tensor in[8], out[3], before = rv_read(graph, params->updates);
    for (int i = 0; i < PARTS; i++) in[i] = rv_read(graph, params->parts[i]);
    in[4] = lr;
    in[5] = rv_affine(before, 1.0f, 1.0f);
    in[7] = read_owner(graph, params);
    in[6] = rv_segment_norms(in[RV_VALUE], in[RV_GRADIENT], in[7], (int)params->count);
    rv_laprop(in, &settings, out);
    rv_store(params->parts[RV_VALUE], out[0]);
    rv_store(params->parts[RV_MOMENT1], out[1]);
    rv_store(params->parts[RV_MOMENT2], out[2]);
    rv_store_rows(params->updates, in[5], rv_affine(before, 0.0f, 0.0f));
    return rv_global_norm(rv_slice_cols(in[6], 1, 1));
}

/* Weights of the same shapes as target's, one after the other from `first` on: then they lie alike in memory. */
static bool has_run(const rv_params *source, uint32_t first, const rv_params *target) {
    if (target->count > source->count - first) return false;
    for (uint32_t i = 0; i < target->count; i++) {
        const rv_weight *a = &source->weights[first + i], *b = &target->weights[i];
        if (a->rows != b->rows || a->cols != b->cols) return false;
    }
    return true;
}

static void record_ema(rv_graph *graph, rv_params *target, rv_params *source, uint32_t first, float rate) {
    rv_array *to = target->parts[RV_VALUE], *from = source->parts[RV_VALUE];
    rv_tensor part = rv_read_part(graph, from, source->weights[first].offset, 1, target->padded);
    rv_store(to, rv_ema(rv_read(graph, to), part, rate));
}

void rv_params_ema(rv_graph *graph, rv_params *target, rv_params *source, float rate) {
    if (!recordable(graph, target, "rv_params_ema") || !recordable(graph, source, "rv_params_ema")) return;
    if (target->count != source->count || !has_run(source, 0, target)) {
        rv_poison(graph, RV_SHAPE_MISMATCH, "rv_params_ema", "the sets differ: %u and %u weights, %lld and %lld floats",
                  target->count, source->count, (long long)target->size, (long long)source->size);
        return;
    }
    record_ema(graph, target, source, 0, rate);
}

void rv_params_ema_part(rv_graph *graph, rv_params *target, rv_params *source, int first, float rate) {
    static const char *const who = "rv_params_ema_part";
    if (!recordable(graph, target, who) || !recordable(graph, source, who)) return;
    if (!has(source, first) || !has_run(source, (uint32_t)first, target)) {
        rv_poison(graph, RV_SHAPE_MISMATCH, who, "the source's weights from %d of %u on are not shaped as the target's %u",
                  first, source->count, target->count);
        return;
    }
    record_ema(graph, target, source, (uint32_t)first, rate);
}
