/* agents/internal.h: what the files of agents/ share. */
#ifndef RV_AGENTS_INTERNAL_H
#define RV_AGENTS_INTERNAL_H

#include "reverie/dataset.h"

/* Keeps a message in the dataset and returns the status. */
rv_status rv_dataset_fail(rv_dataset *dataset, rv_status status, const char *format, ...) RV_PRINTF(3, 4);

#endif
