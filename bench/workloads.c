/* bench/workloads.c: the work that is also done by PyTorch and JAX (bench/peers). */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/checkpoint.h"

enum { SEED = 7 };

/* ---- making one --------------------------------------------------------------------------------- */

void bench_workload_fail(bench_workload *workload, const char *what, const char *message) {
    if (!workload->error[0]) snprintf(workload->error, sizeof workload->error, "%s: %s", what, message);
}

rv_array *bench_workload_array(bench_workload *workload, const char *name, int64_t rows, int64_t cols) {
    if (workload->error[0]) return NULL;
    rv_array *array;
    rv_status status = rv_array_create(workload->device, RV_F32, rows, cols, name, &array);
    if (status != RV_OK) {
        bench_workload_fail(workload, name, array ? rv_array_message(array) : rv_status_text(status));
        rv_array_destroy(array);
        return NULL;
    }
    workload->arrays[workload->array_count++] = array;
    return array;
}

rv_array *bench_workload_filled(bench_workload *workload, const char *name, int64_t rows, int64_t cols, const float *values) {
    rv_array *array = bench_workload_array(workload, name, rows, cols);
    if (array && rv_array_write(array, 0, rows, values) != RV_OK) {
        bench_workload_fail(workload, name, rv_array_message(array));
    }
    return array;
}

rv_array *bench_workload_normal(bench_workload *workload, const char *name, int64_t rows, int64_t cols, float scale) {
    size_t count = (size_t)(rows * cols);
    float *values = malloc(count * sizeof *values);
    if (!values) {
        bench_workload_fail(workload, name, "out of memory");
        return NULL;
    }
    rv_random_normal(SEED, 0, name, 0, rows, cols, values);
    for (size_t i = 0; i < count; i++) values[i] *= scale;
    rv_array *array = bench_workload_filled(workload, name, rows, cols, values);
    free(values);
    return array;
}

rv_graph *bench_workload_graph(bench_workload *workload) {
    rv_graph *graph;
    if (workload->error[0]) return NULL;
    if (rv_graph_create(workload->device, &graph) == RV_OK) return graph;
    bench_workload_fail(workload, "graph", graph ? rv_graph_message(graph) : "out of memory");
    rv_graph_destroy(graph);
    return NULL;
}

bool bench_workload_plan(bench_workload *workload, rv_graph *graph) {
    if (!workload->error[0] && rv_plan_create(graph, NULL, &workload->plan) != RV_OK) {
        bench_workload_fail(workload, "plan", workload->plan ? rv_plan_message(workload->plan) : "out of memory");
    }
    rv_graph_destroy(graph);
    return !workload->error[0];
}

void bench_workload_count_flops(bench_workload *workload) {
    rv_plan_report report = {.size = sizeof report};
    if (!workload->error[0] && rv_plan_report_get(workload->plan, &report) == RV_OK) workload->flops = report.flops;
}

void bench_workload_add_weights(bench_workload *workload, rv_params *params, rv_params_part part, const char *prefix) {
    for (int i = 0; i < rv_params_count(params) && !workload->error[0]; i++) {
        char name[256];
        int64_t rows, cols;
        snprintf(name, sizeof name, "%s%s", prefix, rv_params_name(params, i));
        rv_params_shape(params, i, &rows, &cols);
        float *values = malloc((size_t)(rows * cols) * sizeof *values);
        if (values && rv_params_get(params, i, part, values) == RV_OK) {
            bench_workload_filled(workload, name, rows, cols, values);
        } else {
            bench_workload_fail(workload, name, values ? rv_params_message(params) : "out of memory");
        }
        free(values);
    }
}

void bench_workload_add_noise(bench_workload *workload, const char *name, uint64_t seed, const char *draw, int64_t steps,
                              int64_t rows, int64_t cols, bool uniform) {
    float *values = malloc((size_t)(steps * rows * cols) * sizeof *values);
    for (int64_t t = 0; values && t < steps; t++) {
        float *const to = values + t * rows * cols;
        if (uniform) rv_random_uniform(seed, 0, draw, (uint32_t)t, rows, cols, to);
        else rv_random_normal(seed, 0, draw, (uint32_t)t, rows, cols, to);
    }
    if (values) bench_workload_filled(workload, name, steps * rows, cols, values);
    else bench_workload_fail(workload, name, "out of memory");
    free(values);
}

/* ---- gru_cell -------------------------------------------------------------------------------------- */

typedef struct gru {
    rv_array *x, *h, *w_x, *w_h, *b_x, *b_h;
} gru;

static gru gru_inputs(bench_workload *workload, const int64_t *size) {
    int64_t batch = size[0], inputs = size[1], hidden = size[2];
    return (gru){
        bench_workload_normal(workload, "x", batch, inputs, 1.0f),
        bench_workload_normal(workload, "h", batch, hidden, 0.5f),
        bench_workload_normal(workload, "w_x", inputs, 3 * hidden, 0.05f),
        bench_workload_normal(workload, "w_h", hidden, 3 * hidden, 0.05f),
        bench_workload_normal(workload, "b_x", 1, 3 * hidden, 0.1f),
        bench_workload_normal(workload, "b_h", 1, 3 * hidden, 0.1f),
    };
}

static void gru_forward(bench_workload *workload, const int64_t *size) {
    int64_t batch = size[0], inputs = size[1], hidden = size[2];
    gru in = gru_inputs(workload, size);
    rv_array *y = bench_workload_array(workload, "y", batch, hidden);
    rv_graph *graph = bench_workload_graph(workload);
    if (!graph) return;
    rv_store(y, rv_gru_cell(rv_read(graph, in.x), rv_read(graph, in.h), rv_read(graph, in.w_x), rv_read(graph, in.w_h),
                            rv_read(graph, in.b_x), rv_read(graph, in.b_h)));
    bench_workload_plan(workload, graph);
    workload->flops = 6.0 * (double)(batch * hidden * (inputs + hidden));
    workload->bytes = 4.0 * (double)(3 * hidden * (inputs + hidden) + 6 * hidden + batch * (inputs + 2 * hidden));
}

/* Forward and backward: the gradient of sum(h' * dy) towards everything. */
static void gru_gradient(bench_workload *workload, const int64_t *size) {
    int64_t batch = size[0], inputs = size[1], hidden = size[2];
    gru in = gru_inputs(workload, size);
    rv_array *dy = bench_workload_normal(workload, "dy", batch, hidden, 1.0f);
    rv_array *source[6] = {in.x, in.h, in.w_x, in.w_h, in.b_x, in.b_h}, *result[6];
    static const char *const names[6] = {"dx", "dh", "dw_x", "dw_h", "db_x", "db_h"};
    if (workload->error[0]) return;
    for (int i = 0; i < 6; i++) {
        result[i] = bench_workload_array(workload, names[i], rv_array_rows(source[i]), rv_array_cols(source[i]));
    }
    rv_graph *graph = bench_workload_graph(workload);
    if (!graph) return;
    rv_tensor t[6], gradient[6];
    for (int i = 0; i < 6; i++) t[i] = rv_read(graph, source[i]);
    rv_tensor y = rv_gru_cell(t[0], t[1], t[2], t[3], t[4], t[5]);
    rv_gradients(rv_sum(rv_mul(y, rv_read(graph, dy)), RV_ALL), t, 6, NULL, 0, gradient);
    for (int i = 0; i < 6; i++) rv_store(result[i], gradient[i]);
    bench_workload_plan(workload, graph);
    workload->flops = 18.0 * (double)(batch * hidden * (inputs + hidden));
    workload->bytes = 4.0 * (double)(9 * hidden * (inputs + hidden) + 12 * hidden + batch * (2 * inputs + 4 * hidden) +
                                     8 * batch * hidden);
}

/* ---- sample_normal ------------------------------------------------------------------------------------ */

static void sample_normal(bench_workload *workload, const int64_t *size) {
    int64_t rows = size[0], cols = size[1];
    rv_array *mean = bench_workload_normal(workload, "mean", rows, cols, 1.0f);
    rv_array *logvar = bench_workload_normal(workload, "logvar", rows, cols, 0.5f);
    bench_workload_normal(workload, "noise", rows, cols, 1.0f); /* what the first run draws */
    rv_array *value = bench_workload_array(workload, "value", rows, cols);
    rv_array *log_prob = bench_workload_array(workload, "log_prob", rows, 1);
    rv_array *kl = bench_workload_array(workload, "kl", rows, 1);
    rv_graph *graph = bench_workload_graph(workload);
    if (!graph) return;
    if (rv_random_create(workload->device, SEED, &workload->random) != RV_OK) {
        bench_workload_fail(workload, "random", "could not be made");
    }
    rv_normal_sample sample = rv_sample_normal(rv_read(graph, mean), rv_read(graph, logvar),
                                               rv_random_state(graph, workload->random), "noise", 0);
    rv_store(value, sample.value);
    rv_store(log_prob, sample.log_prob);
    rv_store(kl, sample.kl);
    rv_random_advance(graph, workload->random);
    bench_workload_plan(workload, graph);
    workload->bytes = 12.0 * (double)(rows * cols) + 8.0 * (double)rows;
}

/* ---- matmul --------------------------------------------------------------------------------------------- */

static void matmul(bench_workload *workload, const int64_t *size) {
    int64_t m = size[0], k = size[1], n = size[2];
    rv_array *a = bench_workload_normal(workload, "a", m, k, 1.0f);
    rv_array *b = bench_workload_normal(workload, "b", k, n, 1.0f);
    rv_array *y = bench_workload_array(workload, "y", m, n);
    rv_graph *graph = bench_workload_graph(workload);
    if (!graph) return;
    rv_store(y, rv_matmul(rv_read(graph, a), rv_read(graph, b), 0, 0));
    bench_workload_plan(workload, graph);
    workload->flops = 2.0 * (double)(m * k * n);
    workload->bytes = 4.0 * (double)(m * k + k * n + m * n);
}

static void train_step(bench_workload *workload, const int64_t *size) {
    (void)size; /* the course's */
    bench_train_step(workload);
}

/* ---- the list ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*make)(bench_workload *workload, const int64_t *size);
    int64_t size[3];
} WORKLOADS[] = {
    {"train_step/course", train_step, {64}},
    {"imagine/course_b1_h15", bench_imagine, {1, 15}},
    {"imagine/course_b64_h15", bench_imagine, {64, 15}},
    {"imagine/course_b1024_h15", bench_imagine, {1024, 15}},
    {"imagine_gradient/course_b1_h15", bench_imagine_gradient, {1, 15}},
    {"imagine_gradient/course_b64_h15", bench_imagine_gradient, {64, 15}},
    {"imagine_gradient/course_b1024_h15", bench_imagine_gradient, {1024, 15}},
    {"dreamer_update/course", bench_dreamer_update, {0}},
    {"rssm_observe/size1m_b16_t64", bench_rssm_observe, {16, 64}},
    {"rssm_imagine/size1m_b1024_h15", bench_rssm_imagine, {1024, 15}},
    {"dreamer_v3_update/size1m_b16_t64", bench_dreamer_v3_update, {16, 64}},
    {"gru_cell/b16_i64_h128", gru_forward, {16, 64, 128}},
    {"gru_cell/b64_i128_h256", gru_forward, {64, 128, 256}},
    {"gru_cell/b1024_i256_h256", gru_forward, {1024, 256, 256}},
    {"gru_cell/b1024_i1024_h1024", gru_forward, {1024, 1024, 1024}},
    {"gru_cell/b16384_i512_h512", gru_forward, {16384, 512, 512}},
    {"gru_cell_gradient/b16_i64_h128", gru_gradient, {16, 64, 128}},
    {"gru_cell_gradient/b64_i128_h256", gru_gradient, {64, 128, 256}},
    {"gru_cell_gradient/b1024_i256_h256", gru_gradient, {1024, 256, 256}},
    {"gru_cell_gradient/b1024_i1024_h1024", gru_gradient, {1024, 1024, 1024}},
    {"gru_cell_gradient/b16384_i512_h512", gru_gradient, {16384, 512, 512}},
    {"sample_normal/all/r312_c32", sample_normal, {312, 32}}, /* 1e4 */
    {"sample_normal/all/r3120_c32", sample_normal, {3120, 32}},
    {"sample_normal/all/r31200_c32", sample_normal, {31200, 32}},
    {"sample_normal/all/r312000_c32", sample_normal, {312000, 32}}, /* 1e7 */
    {"matmul/nn/m64_k768_n256", matmul, {64, 768, 256}},
    {"matmul/nn/m256_k768_n256", matmul, {256, 768, 256}},
    {"matmul/nn/m1024_k768_n256", matmul, {1024, 768, 256}},
    {"matmul/nn/m64_k1024_n1024", matmul, {64, 1024, 1024}},
    {"matmul/nn/m1024_k1024_n1024", matmul, {1024, 1024, 1024}},
};

int bench_workload_count(void) { return (int)(sizeof WORKLOADS / sizeof *WORKLOADS); }

const char *bench_workload_name(int index) { return WORKLOADS[index].name; }

bench_workload *bench_workload_create(int index, rv_device *device) {
    bench_workload *workload = calloc(1, sizeof *workload);
    if (!workload) return NULL;
    workload->device = device;
    WORKLOADS[index].make(workload, WORKLOADS[index].size);
    if (!workload->plan) bench_workload_fail(workload, WORKLOADS[index].name, "could not be made");
    rv_plan_report report = {.size = sizeof report};
    if (workload->plan && rv_plan_report_get(workload->plan, &report) == RV_OK) {
        workload->launches = report.launches;
        workload->dispatches = report.dispatches;
    }
    return workload;
}

void bench_workload_destroy(bench_workload *workload) {
    if (!workload) return;
    if (!workload->trainer && !workload->agent) rv_plan_destroy(workload->plan);
    rv_trainer_destroy(workload->trainer);
    rv_agent_destroy(workload->agent);
    rv_env_destroy(workload->env);
    rv_world_model_destroy(workload->model);
    rv_params_destroy(workload->actor);
    rv_sequence_model_destroy(workload->sequence_model);
    rv_dreamer_v3_destroy(workload->dreamer_v3);
    rv_random_destroy(workload->random);
    for (int i = 0; i < workload->array_count; i++) rv_array_destroy(workload->arrays[i]);
    free(workload);
}

bool bench_workload_run(void *user) {
    bench_workload *workload = user;
    rv_status status = workload->trainer ? rv_trainer_run(workload->trainer, 1) : rv_plan_run(workload->plan);
    return status == RV_OK && rv_device_sync(workload->device) == RV_OK;
}

bool bench_workload_first_run(bench_workload *workload) {
    if (workload->error[0]) return false;
    if (!(workload->first ? workload->first(workload) : bench_workload_run(workload))) {
        bench_workload_fail(workload, "run", rv_plan_message(workload->plan));
    } else if (workload->results) {
        workload->results(workload);
    }
    return !workload->error[0];
}

bool bench_workload_dump(bench_workload *workload, const char *path) {
    rv_checkpoint *file = NULL;
    if (!bench_workload_first_run(workload)) return false;
    bool fine = rv_checkpoint_create(workload->device, &file) == RV_OK;
    for (int i = 0; fine && i < workload->array_count; i++) {
        fine = rv_checkpoint_add_array(file, rv_array_name(workload->arrays[i]), workload->arrays[i]) == RV_OK;
    }
    fine = fine && rv_checkpoint_set(file, "settings", workload->settings) == RV_OK &&
           rv_checkpoint_save(file, path) == RV_OK;
    if (!fine) bench_workload_fail(workload, "dump", file ? rv_checkpoint_message(file) : "out of memory");
    rv_checkpoint_destroy(file);
    return fine;
}
