/* core/ops_table.c: what ops.def says, as data. */
#include "core/internal.h"

static const rv_op_info infos[] = {
#define RV_OP(name, text, inputs_min, inputs_max, outputs, level, rows, whole)                                         \
    [RV_OP_##name] = {text, inputs_min, inputs_max, outputs, level, rows, whole},
#include "core/ops.def"
#undef RV_OP
};
_Static_assert(sizeof infos / sizeof *infos == RV_OP_COUNT, "an op without its line");

#define RV_OP(name, text, inputs_min, inputs_max, outputs, level, rows, whole)                                         \
    _Static_assert((inputs_max) <= RV_MAX_INPUTS && (inputs_min) <= (inputs_max), text ": inputs");                    \
    _Static_assert((outputs) >= 1 && (outputs) <= RV_MAX_OUTPUTS, text ": outputs");
#include "core/ops.def"
#undef RV_OP

const rv_op_info *rv_op_info_get(rv_op op) { return (unsigned)op < RV_OP_COUNT ? &infos[op] : NULL; }

const char *rv_map_name(rv_map map) {
    static const char *const names[] = {
#define RV_MAP_TEXT(name, text) [RV_MAP_##name] = text,
        RV_MAP1_LIST(RV_MAP_TEXT) RV_MAP2_LIST(RV_MAP_TEXT)
#undef RV_MAP_TEXT
    };
    _Static_assert(sizeof names / sizeof *names == RV_MAP_COUNT, "a map without its name");
    return (unsigned)map < RV_MAP_COUNT ? names[map] : "unknown map";
}
