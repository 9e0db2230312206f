/* agents/internal.h: what the files of agents/ share. */
#ifndef RV_AGENTS_INTERNAL_H
#define RV_AGENTS_INTERNAL_H

#include "reverie/dataset.h"

/* Keeps a message in the dataset and returns the status. */
rv_status rv_dataset_fail(rv_dataset *dataset, rv_status status, const char *format, ...) RV_PRINTF(3, 4);

/* Of `count` things that begin with the name they go by, `stride` bytes apart, the one of that name; NULL where there is
 * none. */
const void *rv_find_named(const char *name, const void *list, size_t count, size_t stride);

#endif
