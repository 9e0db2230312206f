/* backends/gpu/lower.h: from one launch to stages: one device function each, over a domain cut into parts. */
#ifndef RV_GPU_LOWER_H
#define RV_GPU_LOWER_H

#include "backends/gpu/gpu.h"

/* One call of a device function. A dispatch runs one, or several that belong together. */
typedef struct rv_gpu_stage {
    rv_gpu_function function;
    rv_operand in[RV_GPU_INPUTS], out[RV_GPU_OUTPUTS]; /* buffer RV_GPU_SCRATCH: offset within the launch's own scratch */
    rv_attributes attributes;
    int64_t rows, cols;           /* the domain */
    int64_t part_rows, part_cols; /* of one work-group */
    int extra[4];
    rv_gpu_gemm gemm;
} rv_gpu_stage;

enum { RV_GPU_MAX_STAGES = 6 };

typedef struct rv_gpu_stages {
    rv_gpu_stage stage[RV_GPU_MAX_STAGES];
    int count;             /* stages of one launch follow one another */
    size_t scratch_bytes;  /* that stages after the first may read */
} rv_gpu_stages;

/* Adds the stages of a launch. slices: there must be exactly one, right for parts of any number of whole rows whose
 * results do not depend on how rows are cut, in bits; false where the op has no such form.
 * Without slices always true. Both forms give the same bits. */
typedef bool (*rv_gpu_lowering)(const rv_gpu *gpu, const rv_launch *launch, bool slices, rv_gpu_stages *stages);

/* By op; NULL: no kernel (table.c). */
rv_gpu_lowering rv_gpu_lowering_of(rv_op op);

/* A new stage with the launch's operands and attributes in their order, domain that of the first output
 * that is there; its parts are still to be chosen by one of the grids below. */
rv_gpu_stage *rv_gpu_stage_add(rv_gpu_stages *stages, const rv_launch *launch, rv_gpu_function function);

/* Elementwise: about RV_GPU_PART_ELEMENTS elements a group; where no operand has gaps or a broadcast row or column,
 * the domain becomes one long row. slices: parts are whole rows. */
enum { RV_GPU_PART_ELEMENTS = 8 * RV_LANES };
void rv_gpu_grid_elements(rv_gpu_stage *stage, bool slices);
/* Whole rows, `rows` a group. */
void rv_gpu_grid_rows(rv_gpu_stage *stage, int64_t rows);
/* The whole domain in one group. */
void rv_gpu_grid_one(rv_gpu_stage *stage);
/* Tiles of rows x cols. */
void rv_gpu_grid_tiles(rv_gpu_stage *stage, int64_t rows, int64_t cols);

/* As many rows a group as its teams (common.k's team_size(cols)) hold at once. */
int64_t rv_gpu_team_rows(int64_t cols);

/* count elements of 32 bits in the launch's scratch memory, [rows, cols]. */
rv_operand rv_gpu_scratch(rv_gpu_stages *stages, rv_dtype dtype, int64_t rows, int64_t cols);

/* ---- between lower.c, merge.c and emit.c ------------------------------------------------------------- */

int64_t rv_gpu_stage_groups(const rv_gpu_stage *stage);
/* Operands as views: false where a number does not fit into an int. */
bool rv_gpu_args_of(const rv_gpu_stage *stage, size_t scratch_base, rv_args *args);

typedef struct rv_gpu_text {
    const rv_gpu *gpu;
    char *text;
    size_t length, capacity;
    bool failed; /* out of memory */
} rv_gpu_text;
void rv_gpu_text_add(rv_gpu_text *text, const char *format, ...) RV_PRINTF(2, 3);

/* The program of all that slices can hold, and of some functions side by side: their kernels are called "slices" and
 * "together". Its index in the plan, -1: out of memory. */
int rv_gpu_source_slices(const rv_gpu *gpu, rv_gpu_plan *plan);
int rv_gpu_source_together(const rv_gpu *gpu, rv_gpu_plan *plan, const bool *functions);
/* Whether slices on this device hold it. */
bool rv_gpu_in_slices(const rv_gpu *gpu, rv_gpu_function function);

/* Keeps a text in the plan, once; its index, -1: out of memory. Takes the text's memory. */
int rv_gpu_source_add(const rv_gpu *gpu, rv_gpu_plan *plan, const char *name, rv_gpu_text *text);
/* The program of a family, once in the plan. */
int rv_gpu_source_family(const rv_gpu *gpu, rv_gpu_plan *plan, rv_gpu_family family);
rv_gpu_dispatch *rv_gpu_dispatch_add(const rv_gpu *gpu, rv_gpu_plan *plan);
rv_entry *rv_gpu_entry_add(const rv_gpu *gpu, rv_gpu_plan *plan);

/* One dispatch a stage. */
rv_status rv_gpu_lower_single(const rv_gpu *gpu, const rv_launch *launch, int64_t index, rv_gpu_plan *plan, rv_error *error);
/* Launches [first, last) are one region. */
rv_status rv_gpu_lower_region(const rv_gpu *gpu, const rv_launch *launches, int64_t first, int64_t last, rv_gpu_plan *plan,
                              rv_error *error);

#endif
