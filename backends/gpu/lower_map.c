/* backends/gpu/lower_map.c: elementwise ops. */
#include "backends/gpu/lowerings.h"

RV_GPU_BY_ELEMENTS(map1)
RV_GPU_BY_ELEMENTS(map2)
RV_GPU_BY_ELEMENTS(where)
RV_GPU_BY_ELEMENTS(fill)
RV_GPU_BY_ELEMENTS(copy)
