/* core/ops_block.c: the block GRU's layers: a block-diagonal linear with shared inputs, and the gates. */
#include "core/record.h"

enum { SHARED_MAX = 3 };

static void check_blocks(rv_check *check, int blocks) {
    if (blocks >= 1 && blocks <= RV_BLOCKS_MAX) return;
    rv_check_refuse(check, RV_INVALID_ARGUMENT, "%d blocks; 1 to %d would fit", blocks, (int)RV_BLOCKS_MAX);
}

static bool divides(rv_check *check, const char *name, rv_tensor x, int blocks) {
    check_blocks(check, blocks);
    if (check->ok && rv_tensor_cols(x) % blocks != 0) {
        rv_check_refuse(check, RV_SHAPE_MISMATCH, "%s is " RV_SHAPE "; a multiple of %d columns would fit", name,
                        RV_SHAPE_OF(x), blocks);
    }
    return check->ok;
}

/* Columns of own and shared inputs that one block sees. */
static int64_t block_inputs(rv_check *check, rv_tensor own, const rv_tensor *shared, int count, int blocks) {
    rv_check_type(check, "own", own, RV_F32);
    int64_t cols = divides(check, "own", own, blocks) ? rv_tensor_cols(own) / blocks : 0;
    for (int i = 0; i < count && check->ok; i++) {
        char name[] = "shared 0";
        name[7] = (char)('0' + i);
        rv_check_type(check, name, shared[i], RV_F32);
        rv_check_shape(check, name, shared[i], rv_tensor_rows(own), RV_ANY);
        cols += rv_tensor_cols(shared[i]);
    }
    return cols;
}

rv_tensor rv_block_linear(rv_tensor own, const rv_tensor *shared, int shared_count, int blocks, rv_tensor w,
                          rv_tensor bias, rv_activation activation) {
    if (shared_count < 0 || shared_count > SHARED_MAX || (shared_count > 0 && !shared)) {
        return rv_poison(w.graph, RV_INVALID_ARGUMENT, "block_linear", "%d shared inputs; it takes 0 to %d",
                         shared ? shared_count : 0, (int)SHARED_MAX);
    }
    rv_tensor inputs[3 + SHARED_MAX] = {w, bias, own};
    for (int i = 0; i < shared_count; i++) inputs[3 + i] = shared[i];
    rv_check check = rv_check_inputs("block_linear", inputs, 3 + shared_count, 2);
    rv_check_type(&check, "w", w, RV_F32);
    rv_check_type(&check, "bias", bias, RV_F32);
    int64_t inner = block_inputs(&check, own, shared, shared_count, blocks);
    if (check.ok && rv_tensor_rows(w) != blocks * inner) {
        rv_check_refuse(&check, RV_SHAPE_MISMATCH, "w is " RV_SHAPE "; %d blocks of %lld inputs need %lld rows",
                        RV_SHAPE_OF(w), blocks, (long long)inner, (long long)(blocks * inner));
    }
    int64_t n = rv_tensor_cols(w) * blocks;
    rv_check_shape(&check, "bias", bias, 1, n);
    if ((unsigned)activation >= RV_ACTIVATION_COUNT)
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "%d is no activation", (int)activation);
    if (!check.ok) return rv_check_failed(&check);
    rv_shape y = {RV_F32, rv_tensor_rows(own), n};
    rv_attributes attributes = {.i = {activation, blocks}};
    return rv_append(check.graph, RV_OP_BLOCK_LINEAR, inputs, 3 + shared_count, (rv_shape[]){y, y}, 2, &attributes);
}

rv_tensor rv_block_linear_wgrad(rv_tensor dpre, rv_tensor own, const rv_tensor *shared, int shared_count, int blocks,
                                rv_tensor *dbias) {
    rv_tensor inputs[2 + SHARED_MAX] = {dpre, own};
    for (int i = 0; i < shared_count; i++) inputs[2 + i] = shared[i];
    rv_check check = rv_check_inputs("block_linear_wgrad", inputs, 2 + shared_count, 0);
    rv_check_type(&check, "dpre", dpre, RV_F32);
    int64_t inner = block_inputs(&check, own, shared, shared_count, blocks), n = rv_tensor_cols(dpre);
    rv_check_shape(&check, "dpre", dpre, rv_tensor_rows(own), RV_ANY);
    if (!divides(&check, "dpre", dpre, blocks)) return *dbias = rv_check_failed(&check);
    rv_shape outputs[] = {{RV_F32, blocks * inner, n / blocks}, {RV_F32, 1, n}};
    rv_attributes attributes = {.i = {0, blocks}};
    rv_tensor dw = rv_append(check.graph, RV_OP_BLOCK_LINEAR_WGRAD, inputs, 2 + shared_count, outputs, 2, &attributes);
    *dbias = rv_output(dw, 1);
    return dw;
}

rv_tensor rv_block_gru(rv_tensor gates, rv_tensor h, int blocks) {
    rv_tensor inputs[] = {gates, h};
    rv_check check = rv_check_inputs("block_gru", inputs, 2, 0);
    rv_check_type(&check, "gates", gates, RV_F32);
    rv_check_type(&check, "h", h, RV_F32);
    divides(&check, "h", h, blocks);
    rv_check_shape(&check, "gates", gates, rv_tensor_rows(h), 3 * rv_tensor_cols(h));
    if (!check.ok) return rv_check_failed(&check);
    rv_attributes attributes = {.i = {0, blocks}};
    return rv_append_one(check.graph, RV_OP_BLOCK_GRU, inputs, 2, RV_F32, rv_tensor_rows(h), rv_tensor_cols(h),
                         &attributes);
}
