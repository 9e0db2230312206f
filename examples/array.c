/* array.h: numbers to a device and back. */
#include <reverie/array.h>
#include <stdio.h>

int main(void) {
    float host[64 * 4], back[64 * 4] = {0};
    for (int i = 0; i < 64 * 4; i++) host[i] = (float)i / 16.0f;

    rv_device *device;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_array *x;
    rv_array_create(device, RV_F32, 64, 4, "x", &x);
    rv_array_write(x, 0, 64, host);
    rv_status status = rv_array_read(x, 0, 64, back);
    if (status != RV_OK) fprintf(stderr, "%s\n", rv_array_message(x));
    int failed = status != RV_OK;
    for (int i = 0; i < 64 * 4; i++) failed |= back[i] != host[i];

    rv_array_read(x, 0, 64, host);
    rv_array_destroy(x);
    rv_device_close(device);
    return failed;
}
