/* tests/support/suite.h: what every test program begins with. */
#ifndef RV_TESTS_SUITE_H
#define RV_TESTS_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reverie/device.h"

/* Under a sanitizer the same code runs many times slower: fewer devices and programs then, but every op. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RV_SLOW_RUN 1
#else
#define RV_SLOW_RUN 0
#endif

/* Asserts RV_OK and shows the object's message where it is not. */
#define assert_ok(status, message)                                                                      \
    do {                                                                                                \
        rv_status assert_ok_status = (status);                                                          \
        if (assert_ok_status != RV_OK) fail_msg("%s: %s", rv_status_text(assert_ok_status), (message)); \
    } while (0)

#define assert_status(status, expected) assert_string_equal(rv_status_text(status), rv_status_text(expected))

/* Asserts that a message names something. */
#define assert_names(message, part)                                                       \
    do {                                                                                  \
        if (!strstr((message), (part))) fail_msg("\"%s\" does not name \"%s\"", (message), (part)); \
    } while (0)

#endif
