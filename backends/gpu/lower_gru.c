/* backends/gpu/lower_gru.c: the GRU cell and the block GRU's gates. */
#include "backends/gpu/lower_product.h"

/* Tiles of rows x units, as product.c's; of the smallest a group does little, but there are many. */
static const struct {
    rv_gpu_function function;
    int64_t rows, units;
    double rate;
} tiles[] = {{RV_GPU_gru_128, 128, 32, 0.8}, {RV_GPU_gru_64, 64, 32, 0.65}, {RV_GPU_gru_16, 16, 16, 0.25}};
enum { TILES = sizeof tiles / sizeof *tiles };

static int64_t pieces_of(int64_t count, int64_t size) { return (count + size - 1) / size; }

/* A lane a unit of h: each is some hundred operations. */
static void grid_units(rv_gpu_stage *stage, const rv_operand *h) {
    stage->rows = h->rows;
    stage->cols = h->cols;
    rv_gpu_grid_rows(stage, h->cols > 0 ? RV_LANES / h->cols : 1);
}

RV_GPU_LOWERING(gru_cell) {
    const int64_t rows = launch->input[1].rows, units = launch->input[1].cols;
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_gru_slices);
    stage->rows = rows;
    stage->cols = units;
    rv_gpu_grid_rows(stage, 1);
    double shortest = 0;
    for (int t = 0; !slices && t < TILES; t++) {
        const int64_t groups = pieces_of(rows, tiles[t].rows) * pieces_of(units, tiles[t].units);
        const double time = (double)(pieces_of(groups, gpu->units) * tiles[t].rows * tiles[t].units) / tiles[t].rate;
        if (t > 0 && time >= shortest) continue;
        shortest = time;
        stage->function = tiles[t].function;
        rv_gpu_grid_tiles(stage, tiles[t].rows, tiles[t].units);
    }
    return true;
}

/* The slopes, and then dx and dh side by side in one dispatch. */
static void backward_apart(const rv_gpu *gpu, const rv_launch *launch, rv_gpu_stages *stages) {
    const rv_operand *dx = &launch->output[0], *dh = &launch->output[1];
    rv_gpu_stage *gates = rv_gpu_stage_add(stages, launch, RV_GPU_gru_backward_gates);
    grid_units(gates, &launch->input[1]);
    rv_operand dgates[2];
    for (int k = 0; k < 2; k++) {
        if (!gates->out[2 + k].buffer) gates->out[2 + k] = rv_gpu_scratch(stages, RV_F32, gates->rows, 3 * gates->cols);
        dgates[k] = gates->out[2 + k];
    }
    if (!dx->buffer && !dh->buffer) return;
    rv_gpu_stage *back = rv_gpu_product_add(stages, RV_GPU_PAIR, dx->buffer ? 1 : 0, dx->buffer ? dx->cols : 1);
    back->in[0] = launch->input[3];
    back->in[2] = dgates[0];
    back->in[3] = dgates[1];
    back->in[4] = launch->input[4];
    back->in[6] = *dh;
    back->out[0] = *dx;
    back->out[1] = *dh;
    rv_gpu_product_grid(gpu, back, launch->input[1].rows, dh->buffer ? dh->cols : 0, RV_GPU_TILES);
}

/* One dispatch where every group can read the weights sooner than a second dispatch would begin. */
RV_GPU_LOWERING(gru_cell_backward) {
    const rv_operand *dx = &launch->output[0], *dh = &launch->output[1];
    const bool gates = launch->output[2].buffer && launch->output[3].buffer;
    const int64_t cols = (dx->buffer ? dx->cols : 0) + (dh->buffer ? dh->cols : 0);
    const double read =
        4.0 * (double)(rv_operand_count(&launch->input[3]) + rv_operand_count(&launch->input[4])) / gpu->unit_bandwidth;
    if (slices ? !gates : !gates || cols == 0 || read > gpu->launch_seconds) {
        if (!slices) backward_apart(gpu, launch, stages);
        return !slices;
    }
    rv_gpu_stage *stage = rv_gpu_stage_add(stages, launch, RV_GPU_gru_backward);
    stage->rows = launch->input[1].rows;
    stage->cols = cols;
    rv_gpu_grid_rows(stage, pieces_of(stage->rows, gpu->units));
    return true;
}

RV_GPU_LOWERING(block_gru) {
    (void)gpu, (void)slices;
    grid_units(rv_gpu_stage_add(stages, launch, RV_GPU_block_gru), &launch->input[1]);
    return true;
}

RV_GPU_LOWERING(block_gru_backward) {
    (void)gpu, (void)slices;
    grid_units(rv_gpu_stage_add(stages, launch, RV_GPU_block_gru_backward), &launch->input[2]);
    return true;
}
