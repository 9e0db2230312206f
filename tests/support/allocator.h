/* tests/support/allocator.h: an allocator that counts, and fails when it is told to. */
#ifndef RV_TESTS_ALLOCATOR_H
#define RV_TESTS_ALLOCATOR_H

#include <stdbool.h>

#include "reverie/device.h"

typedef struct rv_counting {
    int64_t calls;   /* that wanted memory */
    int64_t live;    /* blocks given and not yet taken back */
    int64_t fail_at; /* this call gives NULL; 0: none does */
    bool from_then_on;
} rv_counting;

/* Options with this allocator; `counting` must outlive every object made with them. */
rv_device_options rv_counting_options(rv_counting *counting);

#endif
