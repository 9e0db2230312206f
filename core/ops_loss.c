/* core/ops_loss.c: likelihoods and divergences, a row of columns to one number. */
#include "core/record.h"

/* All inputs f32 and of the first one's shape -> [B, 1]. */
static rv_tensor rowwise(rv_op op, const rv_tensor *inputs, const char *const *names, int count) {
    rv_check check = rv_check_inputs(rv_op_info_get(op)->name, inputs, count, 0);
    for (int i = 0; i < count; i++) {
        rv_check_type(&check, names[i], inputs[i], RV_F32);
        rv_check_shape(&check, names[i], inputs[i], rv_tensor_rows(inputs[0]), rv_tensor_cols(inputs[0]));
    }
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(check.graph, op, inputs, count, RV_F32, rv_tensor_rows(inputs[0]), 1, NULL);
}

rv_tensor rv_kl_normal(rv_tensor mean_p, rv_tensor logvar_p, rv_tensor mean_q, rv_tensor logvar_q) {
    static const char *const names[] = {"mean_p", "logvar_p", "mean_q", "logvar_q"};
    return rowwise(RV_OP_KL_NORMAL, (rv_tensor[]){mean_p, logvar_p, mean_q, logvar_q}, names, 4);
}

rv_tensor rv_mse(rv_tensor prediction, rv_tensor target) {
    static const char *const names[] = {"prediction", "target"};
    return rowwise(RV_OP_MSE, (rv_tensor[]){prediction, target}, names, 2);
}

rv_tensor rv_gaussian_nll(rv_tensor mean, rv_tensor logvar, rv_tensor target) {
    static const char *const names[] = {"mean", "logvar", "target"};
    return rowwise(RV_OP_GAUSSIAN_NLL, (rv_tensor[]){mean, logvar, target}, names, 3);
}

rv_tensor rv_bernoulli_nll(rv_tensor logits, rv_tensor target) {
    static const char *const names[] = {"logits", "target"};
    return rowwise(RV_OP_BERNOULLI_NLL, (rv_tensor[]){logits, target}, names, 2);
}
