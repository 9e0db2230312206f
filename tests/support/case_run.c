/* tests/support/case_run.c: one case of the table on one device. */
#include "tests/support/case_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/host.h"
#include "core/internal.h"
#include "reverie/random.h"

/* Columns of a strided input's array on either side of its slice. */
enum { PAD_LEFT = 3, PAD_RIGHT = 2 };

static const size_t host_bytes[] = {sizeof(float), sizeof(int32_t), sizeof(uint8_t)};

static rv_status explain(rv_case_run *run, rv_status status, const char *what, const char *message) {
    snprintf(run->message, sizeof run->message, "%s: %s: %.500s", what, rv_status_text(status), message ? message : "");
    return status;
}

/* An array; on cpu:double *exact is its memory, so that tests see every digit. */
static rv_status make_array(rv_case_run *run, rv_dtype dtype, int64_t rows, int64_t cols, const char *name,
                            rv_array **array, double **exact) {
    rv_status status = rv_array_create(run->device, dtype, rows, cols, name, array);
    if (status != RV_OK) return explain(run, status, name, rv_array_message(*array));
    bool doubles = strcmp(rv_device_name(run->device), "cpu:double") == 0;
    if (dtype == RV_F32 && doubles) *exact = (double *)(void *)(*array)->buffer->memory;
    return RV_OK;
}

/* Puts the values inside an array of wider rows whose margins hold NaN. */
static void widen(const rv_case_input *input, const unsigned char *values, unsigned char *wide) {
    size_t size = host_bytes[input->dtype];
    size_t cols = (size_t)input->cols, width = cols + PAD_LEFT + PAD_RIGHT;
    for (size_t r = 0; r < (size_t)input->rows; r++) {
        unsigned char *row = wide + r * width * size;
        for (size_t c = 0; c < width; c++) {
            float margin = NAN;
            if (input->dtype == RV_F32) memcpy(row + c * size, &margin, size);
            else memset(row + c * size, 0x5a, size);
        }
        memcpy(row + PAD_LEFT * size, values + r * cols * size, cols * size);
    }
}

static bool is_strided(const rv_case *item, int index) {
    return (item->flags & RV_CASE_STRIDED) && item->input[index].fill != RV_CASE_STATE;
}

static rv_status make_input(rv_case_run *run, int index) {
    const rv_case_input *input = &run->item->input[index];
    bool strided = is_strided(run->item, index);
    int64_t width = input->cols + (strided ? PAD_LEFT + PAD_RIGHT : 0);
    char name[24];
    snprintf(name, sizeof name, "input %d", index);
    rv_status status = make_array(run, input->dtype, input->rows, width, name, &run->input[index], &run->exact[index]);
    if (status != RV_OK || input->rows == 0) return status;
    size_t size = host_bytes[input->dtype];
    unsigned char *values = malloc((size_t)(input->rows * width) * size * 2);
    if (!values) return explain(run, RV_OUT_OF_MEMORY, name, "");
    rv_case_fill_input(run->item, index, values);
    unsigned char *wide = values + (size_t)(input->rows * width) * size;
    if (strided) widen(input, values, wide);
    status = rv_array_write(run->input[index], 0, input->rows, strided ? wide : values);
    free(values);
    return status == RV_OK ? RV_OK : explain(run, status, name, rv_array_message(run->input[index]));
}

/* Weights of the loss: away from 0, so that no output goes unseen. */
static rv_status make_weight(rv_case_run *run, int output, int64_t rows, int64_t cols) {
    char name[24];
    snprintf(name, sizeof name, "weight %d", output);
    rv_status status = rv_array_create(run->device, RV_F32, rows, cols, name, &run->weight[output]);
    if (status != RV_OK) return explain(run, status, name, rv_array_message(run->weight[output]));
    if (rows == 0) return RV_OK;
    float *values = malloc((size_t)(rows * cols) * sizeof *values);
    if (!values) return explain(run, RV_OUT_OF_MEMORY, name, "");
    rv_random_uniform(13, 0, name, 0, rows, cols, values);
    for (int64_t i = 0; i < rows * cols; i++) values[i] = values[i] < 0.5f ? values[i] - 1 : values[i];
    status = rv_array_write(run->weight[output], 0, rows, values);
    free(values);
    return status == RV_OK ? RV_OK : explain(run, status, name, rv_array_message(run->weight[output]));
}

static rv_status store_output(rv_case_run *run, rv_tensor tensor) {
    int k = run->output_count;
    char name[24];
    snprintf(name, sizeof name, "output %d", k);
    rv_status status = make_array(run, rv_tensor_dtype(tensor), rv_tensor_rows(tensor), rv_tensor_cols(tensor), name,
                                  &run->output[k], &run->exact_output[k]);
    run->output_count++;
    if (status == RV_OK) rv_store(run->output[k], tensor);
    return status;
}

static rv_status record_loss(rv_case_run *run, rv_graph *graph, const rv_tensor *out, rv_tensor *loss) {
    *loss = rv_fill(graph, 1, 1, 0);
    for (int k = 0; k < run->item->output_count; k++) {
        if (rv_tensor_dtype(out[k]) != RV_F32) continue;
        rv_status status = make_weight(run, k, rv_tensor_rows(out[k]), rv_tensor_cols(out[k]));
        if (status != RV_OK) return status;
        rv_tensor weighed = rv_mul(out[k], rv_read(graph, run->weight[k]));
        *loss = rv_add(*loss, rv_sum(weighed, RV_ALL));
    }
    return RV_OK;
}

static rv_status store_gradients(rv_case_run *run, rv_tensor loss, const rv_tensor *in) {
    rv_tensor wrt[RV_CASE_MAX_INPUTS], gradient[RV_CASE_MAX_INPUTS];
    int count = 0;
    for (int i = 0; i < run->item->input_count; i++) {
        if (run->item->input[i].differentiable) wrt[count++] = in[i];
    }
    rv_status status = rv_gradients(loss, wrt, count, NULL, 0, gradient);
    if (status != RV_OK) return explain(run, status, "gradients", rv_graph_message(loss.graph));
    for (int i = 0; i < count && status == RV_OK; i++) status = store_output(run, gradient[i]);
    return status;
}

static rv_status record(rv_case_run *run, rv_graph *graph, rv_case_mode mode) {
    rv_tensor in[RV_CASE_MAX_INPUTS], out[RV_CASE_MAX_OUTPUTS] = {{0}}, loss;
    for (int i = 0; i < run->item->input_count; i++) {
        in[i] = rv_read(graph, run->input[i]);
        if (is_strided(run->item, i)) in[i] = rv_slice_cols(in[i], PAD_LEFT, run->item->input[i].cols);
    }
    run->item->record(&(rv_case_recording){run->item, graph, in, run->input}, out);
    rv_status status = rv_graph_status(graph);
    if (status != RV_OK) return explain(run, status, "recording", rv_graph_message(graph));
    if (mode == RV_CASE_FORWARD) {
        for (int k = 0; k < run->item->output_count && status == RV_OK; k++) status = store_output(run, out[k]);
        return status;
    }
    status = record_loss(run, graph, out, &loss);
    if (status != RV_OK) return status;
    return mode == RV_CASE_LOSS ? store_output(run, loss) : store_gradients(run, loss, in);
}

rv_status rv_case_open(rv_case_run *run, rv_device *device, const rv_case *item, rv_case_mode mode,
                       const rv_plan_options *options) {
    *run = (rv_case_run){.item = item, .device = device};
    rv_status status = RV_OK;
    for (int i = 0; i < item->input_count && status == RV_OK; i++) status = make_input(run, i);
    if (status != RV_OK) return status;
    rv_graph *graph;
    status = rv_graph_create(device, &graph);
    if (status != RV_OK) status = explain(run, status, "graph", rv_graph_message(graph));
    else status = record(run, graph, mode);
    if (status == RV_OK) {
        status = rv_plan_create(graph, options, &run->plan);
        if (status != RV_OK) explain(run, status, "plan", rv_plan_message(run->plan));
    }
    rv_graph_destroy(graph);
    return status;
}

rv_status rv_case_execute(rv_case_run *run) {
    rv_status status = rv_plan_run(run->plan);
    if (status != RV_OK) return explain(run, status, "run", rv_plan_message(run->plan));
    status = rv_device_sync(run->device);
    return status == RV_OK ? RV_OK : explain(run, status, "sync", rv_device_message(run->device));
}

void rv_case_close(rv_case_run *run) {
    rv_plan_destroy(run->plan);
    for (int i = 0; i < RV_CASE_MAX_INPUTS; i++) {
        rv_array_destroy(run->input[i]);
        rv_array_destroy(run->output[i]);
    }
    for (int i = 0; i < RV_CASE_MAX_OUTPUTS; i++) rv_array_destroy(run->weight[i]);
    *run = (rv_case_run){0};
}

int64_t rv_case_output_count(const rv_case_run *run, int output) {
    return rv_array_rows(run->output[output]) * rv_array_cols(run->output[output]);
}

double *rv_case_read(rv_case_run *run, int output) {
    rv_array *array = run->output[output];
    int64_t count = rv_case_output_count(run, output);
    rv_dtype dtype = rv_array_dtype(array);
    double *values = malloc((size_t)(count + 1) * sizeof *values);
    void *raw = malloc((size_t)(count + 1) * host_bytes[dtype]);
    rv_status status = !values || !raw ? RV_OUT_OF_MEMORY : rv_array_read(array, 0, rv_array_rows(array), raw);
    if (status != RV_OK) {
        explain(run, status, "read", rv_array_message(array));
        free(values);
        values = NULL;
    } else if (run->exact_output[output]) {
        memcpy(values, run->exact_output[output], (size_t)count * sizeof *values);
    } else {
        for (int64_t i = 0; i < count; i++) {
            if (dtype == RV_F32) values[i] = (double)((float *)raw)[i];
            else values[i] = dtype == RV_I32 ? ((int32_t *)raw)[i] : ((uint8_t *)raw)[i];
        }
    }
    free(raw);
    return values;
}

int rv_case_differentiable(const rv_case *item) {
    int count = 0;
    if (item->flags & RV_CASE_NO_GRADIENT) return 0;
    for (int i = 0; i < item->input_count; i++) count += item->input[i].differentiable;
    return count;
}

double rv_case_bytes(const rv_case_run *run) {
    if (run->item->bytes > 0) return run->item->bytes;
    double bytes = 0;
    for (int i = 0; i < run->item->input_count; i++) {
        const rv_case_input *input = &run->item->input[i];
        bytes += (double)(input->rows * input->cols) * (double)host_bytes[input->dtype];
    }
    for (int k = 0; k < run->output_count; k++) {
        bytes += (double)rv_case_output_count(run, k) * (double)host_bytes[rv_array_dtype(run->output[k])];
    }
    return bytes;
}
