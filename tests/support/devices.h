/* tests/support/devices.h: the devices a suite runs on.
 *
 * Names come from the command line, else from REVERIE_DEVICES (separated by spaces), else from the
 * suite's default. One asked for explicitly and absent fails; one of the default list that this
 * machine or build does not have is a counted skip.
 */
#ifndef RV_TESTS_DEVICES_H
#define RV_TESTS_DEVICES_H

#include <stdbool.h>

#include "reverie/device.h"

enum { RV_MAX_DEVICES = 16 };

typedef struct rv_test_devices {
    char names[RV_MAX_DEVICES][96];
    int count;
    bool explicit_names; /* asked for: an absent one is a failure */
} rv_test_devices;

/* Splits `defaults` (separated by spaces) unless arguments or REVERIE_DEVICES name others. */
void rv_devices_from(rv_test_devices *list, int argc, char **argv, const char *defaults);

/* What opening answers where this machine or build does not have the device. */
bool rv_device_absent(rv_status status);

/* Opens one. NULL and *skip = true where it may be absent; NULL and a message printed where it may not. */
rv_device *rv_device_open_for_test(const rv_test_devices *list, int index, bool *skip);

#endif
