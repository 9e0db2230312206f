/* tests/support/compare.h: how near two results must be. */
#ifndef RV_TESTS_COMPARE_H
#define RV_TESTS_COMPARE_H

#include "tests/cases/cases.h"

/* True where `actual` meets the case's bounds against `reference`: the bits for exact ones, else normalised
 * mean square error and every element relative to |reference| + rms. NaN and infinities must stand in the same
 * places. On false `why` says where and by how much. */
bool rv_compare(const rv_case *item, const double *actual, const double *reference, int64_t count, char *why,
                size_t size);

/* The same with bounds given: element relative to |reference| + rms of the reference. */
bool rv_compare_within(const double *actual, const double *reference, int64_t count, double nmse, double element,
                       char *why, size_t size);

/* FNV-1a, 64 bit, of memory: to compare whole states. */
uint64_t rv_hash_bytes(uint64_t hash, const void *memory, size_t bytes);
#define RV_HASH_START 0xcbf29ce484222325u
/* The same of a file; 0 where it cannot be read. */
uint64_t rv_hash_file(const char *path);

#endif
