/* reverie/status.h: what every fallible call answers.
 *
 *     rv_status status = rv_plan_run(plan);
 *     if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
 *
 * A status says which kind of thing went wrong; the message of the object that was
 * asked says what exactly, and what helps. The library never aborts, exits or prints.
 */
#ifndef REVERIE_STATUS_H
#define REVERIE_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RV_API __attribute__((visibility("default")))
#else
#define RV_API
#endif

#if defined(__GNUC__)
#define RV_PRINTF(text_at, first) __attribute__((format(printf, text_at, first)))
#else
#define RV_PRINTF(text_at, first)
#endif

/* X(name, number, text). Numbers are part of the ABI and never reused. */
#define RV_STATUS_LIST(X)                                                     \
    X(OK, 0, "ok")                                                            \
    X(INVALID_ARGUMENT, 1, "invalid argument")                                \
    X(SHAPE_MISMATCH, 2, "shapes do not fit")                                 \
    X(TYPE_MISMATCH, 3, "types do not fit")                                   \
    X(OUT_OF_MEMORY, 4, "out of memory")                                      \
    X(TOO_LARGE, 5, "a size is beyond what can be addressed")                 \
    X(NOT_BUILT_IN, 6, "this backend was left out of the build")              \
    X(NO_DRIVER, 7, "no driver")                                              \
    X(NO_DEVICE, 8, "no such device")                                         \
    X(DEVICE_LOST, 9, "the device was lost")                                  \
    X(BUILD_FAILED, 10, "a kernel could not be built")                        \
    X(UNSUPPORTED, 11, "not supported by this device")                        \
    X(WRONG_DEVICE, 12, "an object of another device")                        \
    X(OBJECT_GONE, 13, "an object it needs was destroyed")                    \
    X(WRONG_STATE, 14, "called in the wrong order")                           \
    X(IO_FAILED, 15, "reading or writing a file failed")                      \
    X(BAD_FILE, 16, "a file is damaged or of another kind")                   \
    X(NOT_FOUND, 17, "not found")                                             \
    X(NON_FINITE, 18, "a value is NaN or infinite")                           \
    X(CANCELLED, 19, "cancelled by the caller")                               \
    X(INTERNAL, 20, "a bug in reverie")

typedef enum rv_status {
#define RV_STATUS_ENUM(name, number, text) RV_##name = number,
    RV_STATUS_LIST(RV_STATUS_ENUM)
#undef RV_STATUS_ENUM
} rv_status;

/* Text of a status; needs no object, never NULL, also for numbers that are none. */
RV_API const char *rv_status_text(rv_status status);

/* Version of the library that runs, "0.1.0"; the header's own is RV_VERSION. */
#define RV_VERSION_MAJOR 0
#define RV_VERSION_MINOR 1
#define RV_VERSION_PATCH 0
#define RV_VERSION "0.1.0"
RV_API const char *rv_version(void);

#ifdef __cplusplus
}
#endif
#endif
