/* backends/gpu/args.h: what the host and the kernels share. Host code includes it through gpu.h;
 * every program's text begins with it, behind the dialect (INDEX: 64-bit integer, uint: 32-bit).
 */
#ifndef RV_GPU_ARGS_H
#define RV_GPU_ARGS_H

#define RV_GPU_INPUTS 10
#define RV_GPU_OUTPUTS 6

/* Work-items of every work-group. Results never depend on it: reductions use teams whose size
 * depends on the shape alone. */
#define RV_LANES 256

/* An operand: element (r, c) is base[at + r * stride + c * step]. stride is 0 where there is one
 * row, step 0 where there is one column, so that a broadcast needs no question. Absent: rows is -1. */
typedef struct rv_view {
    INDEX at;
    int rows, cols, stride, step, type; /* type: 0 f32, 1 i32, 2 u8, as rv_dtype */
} rv_view;

/* One launch as its kernel sees it. */
typedef struct rv_args {
    rv_view in[RV_GPU_INPUTS], out[RV_GPU_OUTPUTS];
    float f[6];
    int i[4];
    uint stream, t;
    int rows, cols;                       /* of the domain that is cut into parts, one a work-group */
    int part_rows, part_cols, col_parts;  /* part g: rows from g / col_parts * part_rows on, columns likewise */
    int extra[4];                         /* whatever a lowering and its kernel agree on */
} rv_args;

/* Where the operands' memory begins; at is added by the macros of common.k. */
typedef struct rv_bases {
    GLOBAL char *in[RV_GPU_INPUTS];
    GLOBAL char *out[RV_GPU_OUTPUTS];
} rv_bases;

/* Rows [row0, row1), columns [col0, col1) of the domain: what one work-group does. */
typedef struct rv_part {
    int row0, row1, col0, col1;
} rv_part;

/* Memory arguments of a kernel that runs many launches. */
#define RV_GPU_MAX_BUFFERS 16

/* One launch in the table of such a kernel. */
typedef struct rv_entry {
    rv_args args;
    int function;                               /* rv_gpu_function */
    int first_group, groups;                    /* side by side: its groups */
    int in[RV_GPU_INPUTS], out[RV_GPU_OUTPUTS]; /* which memory argument; 0 where absent */
} rv_entry;

/* Entries [first, first + count) of the table; slices: `rows` rows a group, of `all`. */
typedef struct rv_batch {
    int first, count, rows, all;
} rv_batch;

#endif
