/* tests/modules/fake.h: what test_modules tells the modules it plants. */
#ifndef RV_TESTS_FAKE_H
#define RV_TESTS_FAKE_H

#include "core/backend.h"

/* A module's data symbol "fake_module". */
typedef struct fake_control {
    int devices;        /* that it lists; 0: none, and it says what is missing */
    unsigned gpus;      /* bit i: device i is a GPU */
    unsigned broken;    /* bit i: device i does not open */
    int opened, closed; /* how often */
    int native;         /* how often with the host program's handles */
} fake_control;

#endif
