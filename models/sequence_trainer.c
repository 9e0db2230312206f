/* models/sequence_trainer.c: a trainer's sequences: episodes as rows, samples, and what they say of the model. */
#include <stdio.h>
#include <string.h>

#include "models/trainer.h"

enum { FLAGS = 3 }; /* is_first, is_last, is_terminal */

static int64_t table_width(const rv_transitions *data) {
    return data->observation_size + data->action_size + 1 + FLAGS;
}

static bool flag(const uint8_t *flags, int64_t t) { return flags && flags[t]; }
static bool begins(const rv_transitions *data, int64_t t) { return t == 0 || flag(data->first, t); }
static bool ends(const rv_transitions *data, int64_t t) {
    return t + 1 == data->steps || begins(data, t + 1) || flag(data->terminated, t) || flag(data->truncated, t);
}

/* Transitions, and each episode's last observation. */
static int64_t count_rows(const rv_transitions *data) {
    int64_t rows = data->steps;
    for (int64_t t = 0; t < data->steps; t++) rows += ends(data, t);
    return rows;
}

/* ---- the table ---- */

/* Row by row, in blocks. */
typedef struct writer {
    rv_array *table;
    float *block;
    int64_t width, written, count; /* rows in the table; in the block */
    rv_status status;
} writer;

enum { BLOCK = 256 };

static void flush(writer *w) {
    if (w->status == RV_OK && w->count) w->status = rv_array_write(w->table, w->written, w->count, w->block);
    w->written += w->count;
    w->count = 0;
}

static float *next_row(writer *w) {
    if (w->count == BLOCK) flush(w);
    float *row = w->block + w->count++ * w->width;
    memset(row, 0, (size_t)w->width * sizeof *row);
    return row;
}

static void put_row(writer *w, const rv_transitions *data, int64_t t) {
    const int64_t o = data->observation_size, a = data->action_size;
    const bool first = t == 0 || ends(data, t - 1);
    float *row = next_row(w);
    memcpy(row, data->observation + t * o, (size_t)o * sizeof *row);
    memcpy(row + o, data->action + t * a, (size_t)a * sizeof *row);
    row[o + a] = first ? 0 : data->reward[t - 1];
    row[o + a + 1] = first ? 1 : 0;
}

/* What the episode's last transition led to. */
static void put_end(writer *w, const rv_transitions *data, int64_t t) {
    const int64_t o = data->observation_size, a = data->action_size;
    float *row = next_row(w);
    memcpy(row, data->next_observation + t * o, (size_t)o * sizeof *row);
    row[o + a] = data->reward[t];
    row[o + a + 2] = 1;
    row[o + a + 3] = flag(data->terminated, t) ? 1 : 0;
}

static rv_status write_table(rv_trainer *trainer, const rv_transitions *data, rv_array *table) {
    writer w = {.table = table, .width = table_width(data)};
    w.block = rv_device_resize(trainer->device, NULL, BLOCK * (size_t)w.width * sizeof *w.block);
    if (!w.block) return rv_trainer_fail(trainer, RV_OUT_OF_MEMORY, "data", "no memory");
    for (int64_t t = 0; t < data->steps && w.status == RV_OK; t++) {
        put_row(&w, data, t);
        if (ends(data, t)) put_end(&w, data, t);
    }
    flush(&w);
    rv_device_resize(trainer->device, w.block, 0);
    return w.status == RV_OK ? RV_OK : rv_trainer_fail(trainer, w.status, "data", rv_array_message(table));
}

/* ---- on the device ---- */

/* values[i] = i * last / (count - 1), of one: 0 */
static rv_status write_even(rv_trainer *trainer, rv_array *array, int64_t last) {
    const int64_t count = rv_array_rows(array);
    rv_status status = RV_OK;
    for (int64_t i = 0; i < count && status == RV_OK; i++) {
        const int32_t value = (int32_t)(count > 1 ? i * last / (count - 1) : 0);
        status = rv_array_write(array, i, 1, &value);
    }
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, rv_array_name(array), rv_array_message(array));
}

static rv_status make_offsets(rv_trainer *trainer) {
    const int64_t steps = trainer->sequence_options.steps;
    rv_status status = rv_trainer_make_array(trainer, RV_I32, steps, 1, "trainer/offsets", &trainer->offsets);
    return status == RV_OK ? write_even(trainer, trainer->offsets, steps - 1) : status;
}

rv_status rv_trainer_upload_sequences(rv_trainer *trainer, const rv_transitions *from, int64_t batch,
                                      rv_trainer_data *to) {
    to->rows = count_rows(from);
    const int32_t starts = (int32_t)(to->rows - trainer->sequence_options.steps + 1);
    rv_status status = trainer->offsets ? RV_OK : make_offsets(trainer);
    if (status == RV_OK)
        status = rv_trainer_make_array(trainer, RV_F32, to->rows, table_width(from), "trainer/data", &to->table);
    if (status == RV_OK) status = rv_trainer_make_array(trainer, RV_I32, 1, 1, "trainer/data_rows", &to->row_count);
    if (status == RV_OK && batch)
        status = rv_trainer_make_array(trainer, RV_I32, batch, 1, "trainer/index", &to->index);
    if (status == RV_OK) status = write_table(trainer, from, to->table);
    if (status == RV_OK) status = rv_trainer_write(trainer, to->row_count, &starts);
    return status == RV_OK && batch ? write_even(trainer, to->index, starts - 1) : status;
}

/* Rows index[b] + t, time-major. */
static rv_sequence_batch batch_of(rv_graph *graph, rv_trainer *trainer, const rv_trainer_data *data, rv_tensor index) {
    const rv_sequence_model_options *sizes = rv_sequence_model_options_get(trainer->sequence);
    const int64_t o = sizes->observation_size, a = sizes->action_size, steps = trainer->sequence_options.steps;
    const int64_t sequences = rv_tensor_rows(index);
    rv_graph_push(graph, "batch");
    rv_tensor at = rv_add(rv_read(graph, trainer->offsets), rv_reshape(index, 1, sequences)); /* [T, B] */
    rv_tensor rows = rv_gather(rv_read(graph, data->table), rv_reshape(at, steps * sequences, 1));
    rv_graph_pop(graph);
    return (rv_sequence_batch){.steps = steps,
                               .observation = rv_slice_cols(rows, 0, o),
                               .action = rv_slice_cols(rows, o, a),
                               .reward = rv_slice_cols(rows, o + a, 1),
                               .is_first = rv_slice_cols(rows, o + a + 1, 1),
                               .is_last = rv_slice_cols(rows, o + a + 2, 1),
                               .is_terminal = rv_slice_cols(rows, o + a + 3, 1)};
}

void rv_trainer_sequence_losses(rv_graph *graph, rv_trainer *trainer, const rv_trainer_data *data, rv_tensor index,
                                rv_tensor state, rv_tensor row[RV_TRAINER_METRICS]) {
    static const char *const watched[] = {"observation", "action", "reward"};
    rv_sequence_batch batch = batch_of(graph, trainer, data, index);
    const rv_tensor given[] = {batch.observation, batch.action, batch.reward};
    for (int i = 0; i < 3; i++) rv_watch(given[i], &watched[i], 1); /* two-hot bins have room for what is infinite */
    rv_rssm_noise noise = {.state = state, .name = "posterior"};
    rv_sequence_losses losses = rv_sequence_model_loss(graph, trainer->sequence, &batch, noise);
    const rv_tensor all[] = {losses.total, losses.reconstruction, losses.dyn, losses.rep, losses.reward};
    _Static_assert(sizeof all / sizeof *all == RV_METRIC_NORM, "the losses before the gradient's norm");
    memcpy(row, all, sizeof all);
    row[RV_METRIC_NORM + 1] = losses.continues;
}

/* ---- making ---- */

static void fill_defaults(rv_sequence_trainer_options *o) {
    if (o->batch == 0) o->batch = 16;
    if (o->steps == 0) o->steps = 64;
    if (o->learning_rate == 0) o->learning_rate = 4e-5f;
    if (o->learning_rate_warmup == 0) o->learning_rate_warmup = 1000;
    if (o->clip == 0) o->clip = 1000;
    if (o->validation_batch == 0) o->validation_batch = 16;
}

static rv_status check_data(rv_trainer *trainer, const rv_transitions *data) {
    const rv_sequence_model_options *sizes = rv_sequence_model_options_get(trainer->sequence);
    if (!data || data->steps < 1)
        return rv_trainer_fail(trainer, RV_INVALID_ARGUMENT, "data", "there is none; collect some first");
    if (data->steps > INT32_MAX / 2) return rv_trainer_fail(trainer, RV_TOO_LARGE, "data", "more than 2^30 steps");
    if (data->observation_size != sizes->observation_size || data->action_size != sizes->action_size) {
        snprintf(trainer->message, sizeof trainer->message,
                 "trainer: the data has observations of %lld and actions of %lld, the model %lld and %lld",
                 (long long)data->observation_size, (long long)data->action_size, (long long)sizes->observation_size,
                 (long long)sizes->action_size);
        return RV_SHAPE_MISMATCH;
    }
    if (count_rows(data) >= trainer->sequence_options.steps) return RV_OK;
    snprintf(trainer->message, sizeof trainer->message,
             "trainer: the data has %lld rows, a sequence %lld; collect more, or set steps",
             (long long)count_rows(data), (long long)trainer->sequence_options.steps);
    return RV_INVALID_ARGUMENT;
}

static rv_status check(rv_trainer *trainer, const rv_transitions *data) {
    const rv_sequence_trainer_options *o = &trainer->sequence_options;
    if (o->batch < 1 || o->steps < 1 || o->steps > INT32_MAX || o->validation_batch < 1) {
        return rv_trainer_fail(trainer, RV_INVALID_ARGUMENT, "options",
                               "batch, steps and validation_batch must be at least 1");
    }
    if ((unsigned)o->optimiser > RV_OPTIMISER_ADAMW)
        return rv_trainer_fail(trainer, RV_INVALID_ARGUMENT, "options", "no such optimiser");
    rv_status status = check_data(trainer, data);
    return status == RV_OK && o->validation ? check_data(trainer, o->validation) : status;
}

/* What every trainer has. */
static rv_trainer_options common_options(const rv_sequence_trainer_options *o) {
    return (rv_trainer_options){.size = sizeof(rv_trainer_options),
                                .batch = o->batch,
                                .learning_rate = o->learning_rate,
                                .clip = o->clip,
                                .adamw = o->adamw,
                                .seed = o->seed,
                                .learning_rate_warmup = o->learning_rate_warmup,
                                .learning_rate_decay = o->learning_rate_decay,
                                .validation = o->validation,
                                .validation_batch = o->validation_batch};
}

rv_status rv_sequence_trainer_create(rv_sequence_model *model, const rv_transitions *data,
                                     const rv_sequence_trainer_options *options, rv_trainer **out) {
    if (out) *out = NULL;
    if (!model || !out) return RV_INVALID_ARGUMENT;
    rv_trainer *trainer = *out = rv_trainer_begin(rv_sequence_model_device(model));
    if (!trainer) return RV_OUT_OF_MEMORY;
    trainer->sequence = model;
    trainer->params = rv_sequence_model_params(model);
    rv_sequence_trainer_options *o = &trainer->sequence_options;
    if (options) memcpy(o, options, options->size < sizeof *o ? options->size : sizeof *o);
    fill_defaults(o);
    trainer->options = common_options(o);
    rv_status status = check(trainer, data);
    if (status == RV_OK) status = rv_trainer_finish(trainer, data);
    o->validation = NULL; /* the caller's, and copied */
    return status;
}
