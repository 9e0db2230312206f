/* core/ops_categorical.c: categorical variables side by side: draws, likelihoods, divergences. */
#include <math.h>

#include "core/record.h"
#include "reverie/ops_dreamer.h"

/* The inputs' types and shapes, classes that divide the columns, unimix; and what of it an op keeps. */
static rv_attributes check_variables(rv_check *check, const rv_tensor *inputs, const char *const *names, int count,
                                     int64_t classes, float unimix) {
    int64_t cols = rv_tensor_cols(inputs[0]);
    for (int i = 0; i < count; i++) {
        rv_check_type(check, names[i], inputs[i], RV_F32);
        rv_check_shape(check, names[i], inputs[i], rv_tensor_rows(inputs[0]), cols);
    }
    if (check->ok && (classes < 1 || classes > INT32_MAX || cols % classes != 0)) {
        rv_check_refuse(check, RV_SHAPE_MISMATCH, "%s is " RV_SHAPE ", which %lld classes do not divide into variables",
                        names[0], RV_SHAPE_OF(inputs[0]), (long long)classes);
    }
    if (!(unimix >= 0 && unimix <= 1))
        rv_check_refuse(check, RV_INVALID_ARGUMENT, "unimix is %g; 0 to 1 would fit", (double)unimix);
    if (!check->ok) return (rv_attributes){0};
    return (rv_attributes){.i = {(int32_t)classes}, .f = {1 - unimix, (float)((double)unimix / (double)classes)}};
}

rv_categorical_sample rv_sample_categorical(rv_tensor logits, int64_t classes, float unimix, rv_tensor state,
                                            const char *name, uint32_t t) {
    static const char *const names[] = {"logits"};
    const bool given = rv_tensor_dtype(state) == RV_F32; /* uniforms, not what they are drawn from */
    rv_check check = rv_check_inputs("sample_categorical", (rv_tensor[]){logits, state}, 2, 0);
    rv_attributes attributes = check_variables(&check, &logits, names, 1, classes, unimix);
    if (given && check.ok) rv_check_shape(&check, "uniforms", state, rv_tensor_rows(logits), rv_tensor_cols(logits) / classes);
    if (!given) rv_check_draw(&check, state, name);
    rv_tensor value = rv_check_failed(&check);
    if (check.ok) {
        rv_shape shape = {RV_F32, rv_tensor_rows(logits), rv_tensor_cols(logits)}, column = {RV_F32, shape.rows, 1};
        rv_tensor inputs[] = {logits, given ? RV_NONE : state, given ? state : RV_NONE};
        attributes.stream = given ? 0 : rv_hash_name(name);
        attributes.t = given ? 0 : t;
        value = rv_append(check.graph, RV_OP_SAMPLE_CATEGORICAL, inputs, 3, (rv_shape[]){shape, column, column}, 3,
                          &attributes);
    }
    return (rv_categorical_sample){value, rv_output(value, 1), rv_output(value, 2)};
}

static rv_tensor log_prob(const char *op, rv_tensor logits, int64_t classes, float unimix, rv_tensor onehot, int count) {
    static const char *const names[] = {"logits", "onehot"};
    rv_tensor inputs[] = {logits, onehot};
    rv_check check = rv_check_inputs(op, inputs, count, 0);
    rv_attributes attributes = check_variables(&check, inputs, names, count, classes, unimix);
    if (!check.ok) return rv_check_failed(&check);
    rv_shape column = {RV_F32, rv_tensor_rows(logits), 1};
    return rv_append(check.graph, RV_OP_CATEGORICAL_LOG_PROB, inputs, 2, (rv_shape[]){column, column}, 2, &attributes);
}

rv_tensor rv_categorical_log_prob(rv_tensor logits, int64_t classes, float unimix, rv_tensor onehot) {
    return log_prob("categorical_log_prob", logits, classes, unimix, onehot, 2);
}

rv_tensor rv_categorical_entropy(rv_tensor logits, int64_t classes, float unimix) {
    return rv_output(log_prob("categorical_entropy", logits, classes, unimix, RV_NONE, 1), 1);
}

rv_tensor rv_categorical(rv_tensor logits, rv_tensor state, rv_tensor uniforms, const rv_attributes *attributes) {
    rv_tensor inputs[] = {logits, state, uniforms};
    return rv_append_one(logits.graph, RV_OP_CATEGORICAL, inputs, 3, RV_F32, rv_tensor_rows(logits),
                         rv_tensor_cols(logits), attributes);
}

rv_tensor rv_categorical_mode(rv_tensor logits, int64_t classes) {
    static const char *const names[] = {"logits"};
    rv_check check = rv_check_inputs("categorical_mode", &logits, 1, 0);
    rv_attributes attributes = check_variables(&check, &logits, names, 1, classes, 0);
    return check.ok ? rv_categorical(logits, RV_NONE, RV_NONE, &attributes) : rv_check_failed(&check);
}

rv_tensor rv_kl_categorical(rv_tensor logits_p, rv_tensor logits_q, int64_t classes, float unimix) {
    static const char *const names[] = {"logits_p", "logits_q"};
    rv_tensor inputs[] = {logits_p, logits_q};
    rv_check check = rv_check_inputs("kl_categorical", inputs, 2, 0);
    rv_attributes attributes = check_variables(&check, inputs, names, 2, classes, unimix);
    if (!check.ok) return rv_check_failed(&check);
    return rv_append_one(check.graph, RV_OP_KL_CATEGORICAL, inputs, 2, RV_F32, rv_tensor_rows(logits_p), 1, &attributes);
}

/* A clamp's gradient is 1 on its bound; what lies exactly there is not below. */
rv_tensor rv_free_nats(rv_tensor kl, float nats) {
    rv_check check = rv_check_inputs("free_nats", &kl, 1, 0);
    rv_check_type(&check, "kl", kl, RV_F32);
    if (!(nats >= 0 && nats < INFINITY))
        rv_check_refuse(&check, RV_INVALID_ARGUMENT, "nats is %g; 0 or more would fit", (double)nats);
    return check.ok ? rv_clamp(kl, nats, INFINITY) : rv_check_failed(&check);
}
