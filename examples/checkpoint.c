/* checkpoint.h: save a set of weights and the random state, spoil them, load them again. */
#include <reverie/checkpoint.h>
#include <reverie/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int main(void) {
    const char *text = "{\"latent\": 32}";
    float before[8 * 2], after[8 * 2], zero[8 * 2] = {0};
    rv_device *device;
    rv_params *params;
    rv_random *random;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_params_create(device, &params);
    int w = rv_params_add(params, "weight", 8, 2, RV_INIT_FAN_IN, 1.0f);
    rv_params_commit(params, 3);
    rv_random_create(device, 7, &random);
    rv_params_get(params, w, RV_VALUE, before);
    mkdir("run", 0777);

    rv_checkpoint *file;
    rv_checkpoint_create(device, &file);
    rv_checkpoint_add_params(file, "world_model/", params);
    rv_checkpoint_add_array(file, "random", rv_random_array(random));
    rv_checkpoint_set(file, "config", text);
    rv_checkpoint_save(file, "run/last.safetensors");

    rv_params_set(params, w, RV_VALUE, zero);
    if (rv_checkpoint_load(file, "run/missing.safetensors") != RV_IO_FAILED) return 1;
    printf("%s\n", rv_checkpoint_message(file)); /* names the file */

    rv_checkpoint_load(file, "run/last.safetensors");
    rv_params_get(params, w, RV_VALUE, after);
    const char *config = rv_checkpoint_get(file, "config");
    int failed = memcmp(before, after, sizeof before) != 0 || !config || strcmp(config, text) != 0;
    if (failed) fprintf(stderr, "%s\n", rv_checkpoint_message(file));
    rv_checkpoint_destroy(file);

    rv_random_destroy(random);
    rv_params_destroy(params);
    rv_device_close(device);
    return failed;
}
