/* device.h: open a device, and see what there is. */
#include <reverie/device.h>
#include <stdio.h>

int main(void) {
    rv_backend_info backends[8];
    int count = rv_backend_list(backends, 8);
    for (int i = 0; i < count && i < 8; i++) printf("%-8s %s\n", backends[i].name, backends[i].text);

    rv_device *device;
    if (rv_device_open("auto", NULL, &device) != RV_OK) {
        fprintf(stderr, "%s\n", rv_device_message(device));
        rv_device_close(device);
        return 1;
    }
    printf("%s: %s\n", rv_device_name(device), rv_device_description(device));
    int failed = rv_device_sync(device) != RV_OK;
    rv_device_close(device);
    return failed;
}
