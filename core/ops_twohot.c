/* core/ops_twohot.c: heads over bins of values. */
#include <math.h>

#include "core/record.h"
#include "reverie/ops_dreamer.h"

enum { BINS_MIN = 2, SYMEXP_MIN = 3 };
static const double symexp_end = 20; /* DreamerV3's */

static void check_head(rv_check *check, rv_tensor logits, rv_tensor bins) {
    int64_t count = rv_tensor_cols(logits);
    rv_check_type(check, "logits", logits, RV_F32);
    rv_check_type(check, "bins", bins, RV_F32);
    rv_check_shape(check, "bins", bins, 1, count);
    if (check->ok && count < BINS_MIN)
        rv_check_refuse(check, RV_SHAPE_MISMATCH, "logits is " RV_SHAPE "; a head has 2 bins or more", RV_SHAPE_OF(logits));
}

rv_tensor rv_twohot_nll(rv_tensor logits, rv_tensor target, rv_tensor bins) {
    rv_tensor inputs[] = {logits, target, bins};
    rv_check check = rv_check_inputs("twohot_nll", inputs, 3, 0);
    check_head(&check, logits, bins);
    rv_check_type(&check, "target", target, RV_F32);
    rv_check_shape(&check, "target", target, rv_tensor_rows(logits), 1);
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(check.graph, RV_OP_TWOHOT_NLL, inputs, 3, RV_F32, rv_tensor_rows(logits), 1, NULL);
}

rv_tensor rv_twohot_mean(rv_tensor logits, rv_tensor bins) {
    rv_tensor inputs[] = {logits, bins};
    rv_check check = rv_check_inputs("twohot_mean", inputs, 2, 0);
    check_head(&check, logits, bins);
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(check.graph, RV_OP_TWOHOT_MEAN, inputs, 2, RV_F32, rv_tensor_rows(logits), 1, NULL);
}

rv_status rv_symexp_bins(int64_t count, float *bins) {
    if (!bins || count < SYMEXP_MIN || count % 2 == 0) return RV_INVALID_ARGUMENT;
    const int64_t middle = count / 2;
    bins[middle] = 0;
    for (int64_t k = 1; k <= middle; k++) {
        bins[middle + k] = (float)expm1(symexp_end * (double)k / (double)middle);
        bins[middle - k] = -bins[middle + k];
    }
    return RV_OK;
}
