/* reverie/scan.h: the same few ops step after step, from one state to the next.
 *
 *     static void decay(void *user, const rv_scan_step *step) {          // one step's ops
 *         rv_tensor kept = rv_mul(step->carry[0], *(rv_tensor *)user);   // a constant: [1, C]
 *         step->next[0] = rv_add(kept, step->input[0]);
 *         step->output[0] = rv_tanh(step->next[0]);
 *     }
 *     ...
 *     rv_tensor state = rv_fill(graph, B, C, 0), outputs;
 *     rv_scan(graph, T, decay, &rate, &state, 1, &inputs, 1, &outputs, 1);
 *
 * Sequences are time-major: rows [t * B, (t + 1) * B) of a [T * B, C] tensor are step t, row b of every step one
 * sequence. A scan is its expansion: the body is called once a step and records that step, so gradients, shapes
 * and messages are those of the ops in it. What the body takes from outside (weights, say) is the same for every
 * step; gradients of weights used in four steps or more become one product over the rows of all steps.
 */
#ifndef REVERIE_SCAN_H
#define REVERIE_SCAN_H

#include "reverie/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RV_SCAN_MAX = 16 }; /* states, inputs, outputs of a scan */

typedef struct rv_scan_step {
    rv_graph *graph;
    int64_t t;              /* 0 to steps - 1; also the time index of noise */
    const rv_tensor *carry; /* what the step before left, or the first one's */
    const rv_tensor *input; /* this step's rows of the inputs */
    rv_tensor *next;        /* to be set: as many as the carry, of equal shapes and types */
    rv_tensor *output;      /* to be set: of the same shapes and types at every step */
} rv_scan_step;

/* Records one step. */
typedef void (*rv_scan_body)(void *user, const rv_scan_step *step);

/* Records `steps` (1 or more) steps. carry[0..carry_count) is the first state and becomes the last one; inputs and
 * outputs are [steps * B, C], every input with its own B and C, every output as the body gives it. At most
 * RV_SCAN_MAX of each. A mistake poisons carry and outputs: a number of rows that steps do not divide, a state or an
 * output that the body leaves out or gives another shape. */
RV_API void rv_scan(rv_graph *graph, int64_t steps, rv_scan_body body, void *user, rv_tensor *carry, int carry_count,
                    const rv_tensor *input, int input_count, rv_tensor *output, int output_count);

/* rv_gru_cell over a sequence: x [T * B, I], h [B, H] the first state, weights as rv_gru_cell's; gives the states
 * after every step, [T * B, H]. reset [T * B, 1] or RV_NONE: where it is not 0, the row begins its step with a state
 * of zeros, whatever it held (torch.nn.GRU, with episodes that end inside the sequence). */
RV_API rv_tensor rv_gru_sequence(rv_tensor x, rv_tensor h, rv_tensor reset, rv_tensor w_x, rv_tensor w_h, rv_tensor b_x,
                                 rv_tensor b_h);

#ifdef __cplusplus
}
#endif
#endif
