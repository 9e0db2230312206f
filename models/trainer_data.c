/* models/trainer_data.c: transitions on the device, batches of them, and what they say of the model. */
#include <stdio.h>
#include <string.h>

#include "models/trainer.h"

static int64_t table_width(const rv_trainer *trainer) {
    const rv_world_model_options *sizes = rv_world_model_options_get(trainer->model);
    return 2 * sizes->observation_size + sizes->action_size + 1 + (trainer->flags ? 2 : 0);
}

static float flag(const uint8_t *flags, int64_t t) { return flags && flags[t] ? 1.0f : 0.0f; }

static void fill_row(const rv_trainer *trainer, const rv_transitions *data, int64_t t, float *row) {
    const int64_t o = data->observation_size, a = data->action_size;
    memcpy(row, data->observation + t * o, (size_t)o * sizeof *row);
    memcpy(row + o, data->next_observation + t * o, (size_t)o * sizeof *row);
    memcpy(row + 2 * o, data->action + t * a, (size_t)a * sizeof *row);
    row[2 * o + a] = data->reward[t];
    if (!trainer->flags) return;
    const bool first_next = t + 1 == data->steps || flag(data->first, t + 1) > 0;
    row[2 * o + a + 1] = flag(data->terminated, t);
    row[2 * o + a + 2] = first_next || flag(data->terminated, t) > 0 || flag(data->truncated, t) > 0 ? 1.0f : 0.0f;
}

static rv_status write_table(rv_trainer *trainer, const rv_transitions *from, rv_array *table) {
    enum { BLOCK = 256 };
    const int64_t width = rv_array_cols(table);
    float *block = rv_device_resize(trainer->device, NULL, BLOCK * (size_t)width * sizeof *block);
    if (!block) return rv_trainer_fail(trainer, RV_OUT_OF_MEMORY, "data", "no memory");
    rv_status status = RV_OK;
    for (int64_t first = 0; first < from->steps && status == RV_OK; first += BLOCK) {
        const int64_t count = from->steps - first < BLOCK ? from->steps - first : BLOCK;
        for (int64_t i = 0; i < count; i++) fill_row(trainer, from, first + i, block + i * width);
        status = rv_array_write(table, first, count, block);
    }
    rv_device_resize(trainer->device, block, 0);
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, "data", rv_array_message(table));
}

/* Rows spread evenly over the data. */
static rv_status write_index(rv_trainer *trainer, int64_t rows, rv_array *index) {
    const int64_t batch = rv_array_rows(index);
    rv_status status = RV_OK;
    for (int64_t i = 0; i < batch && status == RV_OK; i++) {
        int32_t row = (int32_t)(i * rows / batch);
        status = rv_array_write(index, i, 1, &row);
    }
    return status == RV_OK ? RV_OK : rv_trainer_fail(trainer, status, "validation", rv_array_message(index));
}

rv_status rv_trainer_upload(rv_trainer *trainer, const rv_transitions *from, int64_t batch, rv_trainer_data *to) {
    const int32_t rows = (int32_t)from->steps;
    to->rows = from->steps;
    rv_status status = rv_trainer_make_array(trainer, RV_F32, from->steps, table_width(trainer), "trainer/data", &to->table);
    if (status == RV_OK) status = rv_trainer_make_array(trainer, RV_I32, 1, 1, "trainer/data_rows", &to->row_count);
    if (status == RV_OK && batch) status = rv_trainer_make_array(trainer, RV_I32, batch, 1, "trainer/index", &to->index);
    if (status == RV_OK) status = write_table(trainer, from, to->table);
    if (status == RV_OK) status = rv_trainer_write(trainer, to->row_count, &rows);
    return status == RV_OK && batch ? write_index(trainer, from->steps, to->index) : status;
}

void rv_trainer_data_destroy(rv_trainer_data *data) {
    rv_array_destroy(data->table);
    rv_array_destroy(data->row_count);
    rv_array_destroy(data->index);
}

/* ---- batches ------------------------------------------------------------------------------------------------ */

static rv_world_model_batch batch_of(const rv_trainer *trainer, rv_tensor rows) {
    const rv_world_model_options *sizes = rv_world_model_options_get(trainer->model);
    const int64_t o = sizes->observation_size, a = sizes->action_size;
    rv_world_model_batch batch = {.observation = rv_slice_cols(rows, 0, o),
                                  .next_observation = rv_slice_cols(rows, o, o),
                                  .action = rv_slice_cols(rows, 2 * o, a),
                                  .reward = rv_slice_cols(rows, 2 * o + a, 1)};
    if (trainer->flags) batch.terminated = rv_slice_cols(rows, 2 * o + a + 1, 1);
    return batch;
}

static rv_world_model_losses window_losses(rv_graph *graph, rv_trainer *trainer, rv_tensor table, rv_tensor index, rv_tensor kl_weight,
                                           rv_tensor state) {
    rv_world_model_batch batch[RV_WINDOW_MAX];
    rv_tensor alive[RV_WINDOW_MAX], last = RV_NONE;
    const int steps = (int)trainer->options.window;
    rv_graph_push(graph, "batch");
    for (int t = 0; t < steps; t++) {
        rv_tensor rows = rv_gather(table, t ? rv_affine(index, 1, (float)t) : index);
        batch[t] = batch_of(trainer, rows);
        alive[t] = t ? rv_mul(alive[t - 1], rv_affine(last, -1, 1)) : rv_fill(graph, rv_tensor_rows(index), 1, 1);
        last = rv_slice_cols(rows, table_width(trainer) - 1, 1);
    }
    rv_graph_pop(graph);
    return rv_world_model_window_loss(graph, trainer->model, batch, alive, steps, kl_weight, trainer->options.prediction_weight, state);
}

rv_world_model_losses rv_trainer_losses(rv_graph *graph, rv_trainer *trainer, const rv_trainer_data *data, rv_tensor index,
                                        rv_tensor kl_weight, rv_tensor state) {
    rv_tensor table = rv_read(graph, data->table);
    if (trainer->windows) return window_losses(graph, trainer, table, index, kl_weight, state);
    rv_graph_push(graph, "batch");
    rv_world_model_batch batch = batch_of(trainer, rv_gather(table, index));
    rv_graph_pop(graph);
    return rv_world_model_loss(graph, trainer->model, batch, kl_weight, state);
}
