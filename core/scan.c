/* core/scan.c: scans by their definition: the body, recorded once a step. */
#include "reverie/scan.h"

#include "core/record.h"

typedef struct scan {
    rv_check check;
    int64_t steps;
    const rv_tensor *input;
    int carry_count, input_count, output_count;
    rv_tensor *stacks; /* output k of step t: stacks[k * steps + t] */
} scan;

static bool good_count(int count, const void *list) {
    return count >= 0 && count <= RV_SCAN_MAX && (count == 0 || list);
}

static void check_counts(scan *s, const rv_tensor *carry, const rv_tensor *output) {
    bool good = good_count(s->carry_count, carry) && good_count(s->input_count, s->input);
    if (good && good_count(s->output_count, output)) return;
    rv_check_refuse(&s->check, RV_INVALID_ARGUMENT,
                    "%d states, %d inputs, %d outputs; 0 to %d of each, in a list, would fit", s->carry_count,
                    s->input_count, s->output_count, (int)RV_SCAN_MAX);
    s->carry_count = s->output_count = 0; /* nothing there to poison */
}

static void check_inputs(scan *s, const rv_tensor *carry) {
    rv_tensor all[2 * RV_SCAN_MAX];
    rv_graph *graph = s->check.graph;
    const int count = s->carry_count + s->input_count;
    for (int i = 0; i < count; i++) all[i] = i < s->carry_count ? carry[i] : s->input[i - s->carry_count];
    if (count > 0) s->check = rv_check_inputs("scan", all, count, 0);
    if (s->check.graph != graph) {
        s->check = (rv_check){graph, "scan", true};
        rv_check_refuse(&s->check, RV_INVALID_ARGUMENT, "its tensors belong to another graph, or to none");
    }
    for (int i = 0; i < s->input_count && s->check.ok; i++) {
        if (rv_tensor_rows(s->input[i]) % s->steps == 0) continue;
        rv_check_refuse(&s->check, RV_SHAPE_MISMATCH,
                        "input %d is " RV_SHAPE "; its rows must be a multiple of %lld steps", i,
                        RV_SHAPE_OF(s->input[i]), (long long)s->steps);
    }
}

/* What the body gave for something of a shape known before: `like`. */
static void check_given(scan *s, const char *what, int index, int64_t t, rv_tensor given, rv_tensor like) {
    if (!s->check.ok) return;
    if (!given.graph) {
        rv_check_refuse(&s->check, RV_INVALID_ARGUMENT, "the body left %s[%d] unset at step %lld", what, index,
                        (long long)t);
    } else if (given.graph != s->check.graph || given.id == 0) {
        s->check.ok = false;
        if (given.graph != s->check.graph) {
            rv_poison(s->check.graph, RV_INVALID_ARGUMENT, "scan", "%s[%d] of step %lld belongs to another graph", what,
                      index, (long long)t);
        }
    } else if (rv_tensor_rows(given) != rv_tensor_rows(like) || rv_tensor_cols(given) != rv_tensor_cols(like)) {
        rv_check_refuse(&s->check, RV_SHAPE_MISMATCH, "%s[%d] of step %lld is " RV_SHAPE ", " RV_SHAPE " would fit",
                        what, index, (long long)t, RV_SHAPE_OF(given), RV_SHAPE_OF(like));
    } else if (rv_tensor_dtype(given) != rv_tensor_dtype(like)) {
        rv_check_refuse(&s->check, RV_TYPE_MISMATCH, "%s[%d] of step %lld is %s, %s would fit (rv_cast)", what, index,
                        (long long)t, rv_dtype_name(rv_tensor_dtype(given)), rv_dtype_name(rv_tensor_dtype(like)));
    }
}

static void record_step(scan *s, int64_t t, rv_scan_body body, void *user, rv_tensor *carry) {
    rv_tensor input[RV_SCAN_MAX], next[RV_SCAN_MAX] = {{0}}, output[RV_SCAN_MAX] = {{0}};
    for (int i = 0; i < s->input_count; i++) {
        int64_t rows = rv_tensor_rows(s->input[i]) / s->steps;
        input[i] = rv_slice_rows(s->input[i], t * rows, rows);
    }
    body(user, &(rv_scan_step){s->check.graph, t, carry, input, next, output});
    for (int i = 0; i < s->carry_count; i++) check_given(s, "next", i, t, next[i], carry[i]);
    for (int k = 0; k < s->output_count; k++) {
        rv_tensor *stack = s->stacks + k * s->steps;
        check_given(s, "output", k, t, output[k], t && stack[0].graph ? stack[0] : output[k]);
        stack[t] = output[k];
    }
    for (int i = 0; i < s->carry_count; i++) carry[i] = next[i];
}

static void record_steps(scan *s, rv_scan_body body, void *user, rv_tensor *carry, rv_tensor *output) {
    rv_graph *graph = s->check.graph;
    s->stacks =
        rv_alloc(graph->device, (size_t)(s->output_count ? s->output_count : 1) * (size_t)s->steps, sizeof *s->stacks);
    if (!s->stacks) {
        rv_check_refuse(&s->check, RV_OUT_OF_MEMORY, "no memory for %lld steps", (long long)s->steps);
        return;
    }
    for (int64_t t = 0; t < s->steps && s->check.ok; t++) record_step(s, t, body, user, carry);
    for (int k = 0; k < s->output_count && s->check.ok; k++) {
        output[k] = rv_join_rows(s->stacks + k * s->steps, (int)s->steps);
    }
    rv_free(graph->device, s->stacks);
}

void rv_scan(rv_graph *graph, int64_t steps, rv_scan_body body, void *user, rv_tensor *carry, int carry_count,
             const rv_tensor *input, int input_count, rv_tensor *output, int output_count) {
    if (!graph) return;
    scan s = {{graph, "scan", true}, steps, input, carry_count, input_count, output_count, NULL};
    check_counts(&s, carry, output);
    if (steps < 1 || steps > INT32_MAX || !body) {
        rv_check_refuse(&s.check, RV_INVALID_ARGUMENT, "%lld steps%s; 1 or more, and a body, would fit",
                        (long long)steps, body ? "" : " of no body");
    }
    if (s.check.ok) check_inputs(&s, carry);
    if (s.check.ok) record_steps(&s, body, user, carry, output);
    for (int i = 0; i < s.carry_count && !s.check.ok; i++) carry[i] = (rv_tensor){graph, 0};
    for (int k = 0; k < s.output_count && !s.check.ok; k++) output[k] = (rv_tensor){graph, 0};
}

/* ---- GRU ---- */

typedef struct gru {
    rv_tensor w_x, w_h, b_x, b_h, zero;
    bool resets;
} gru;

static void gru_step(void *user, const rv_scan_step *step) {
    const gru *g = user;
    rv_tensor h = step->carry[0];
    if (g->resets) h = rv_where(step->input[1], g->zero, h);
    step->next[0] = step->output[0] = rv_gru_cell(step->input[0], h, g->w_x, g->w_h, g->b_x, g->b_h);
}

rv_tensor rv_gru_sequence(rv_tensor x, rv_tensor h, rv_tensor reset, rv_tensor w_x, rv_tensor w_h, rv_tensor b_x,
                          rv_tensor b_h) {
    rv_tensor inputs[] = {x, h, w_x, w_h, b_x, b_h, reset}, states;
    rv_check check = rv_check_inputs("gru_sequence", inputs, 7, 1u << 6);
    int64_t rows = rv_tensor_rows(x), batch = rv_tensor_rows(h);
    if (batch < 1 || rows < batch || rows % batch != 0) {
        rv_check_refuse(&check, RV_SHAPE_MISMATCH,
                        "x is " RV_SHAPE ", h " RV_SHAPE "; the rows of x must be h's, step after step", RV_SHAPE_OF(x),
                        RV_SHAPE_OF(h));
    }
    rv_check_type(&check, "reset", reset, RV_F32);
    rv_check_shape(&check, "reset", reset, rows, 1);
    if (!check.ok) return rv_check_failed(&check);
    gru g = {w_x, w_h, b_x, b_h, rv_fill(check.graph, 1, 1, 0), reset.graph != NULL};
    rv_scan(check.graph, rows / batch, gru_step, &g, &h, 1, (rv_tensor[]){x, reset}, g.resets ? 2 : 1, &states, 1);
    return states;
}
