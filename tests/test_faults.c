/* Each failure that a device can have, at each call of a training job: the world model is made, trained, saved,
 * trained and saved on, loaded. Every time: the failure's own status and words, nothing left behind, the same device
 * does the whole job when it is asked again (a lost one stays lost), other devices never notice, and the
 * last checkpoint loads. A GPU's transfers are so many that each takes minutes: named on the command line it fails at
 * all of them, else at every seventh. */
#include "tests/support/suite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reverie/random.h"
#include "reverie/trainer.h"
#include "tests/support/allocator.h"
#include "tests/support/devices.h"

enum { N = 48, O = 3, A = 1, UPDATES = 2 };

static float observation[N * O], action[N * A], reward[N], next_observation[N * O];
static const rv_transitions data = {.steps = N, .observation_size = O, .action_size = A, .observation = observation, .action = action,
                                    .reward = reward, .next_observation = next_observation};
static char file_name[96];

static int make_data(void **unused) {
    (void)unused;
    rv_random_normal(1, 0, "observation", 0, N, O, observation);
    rv_random_normal(1, 0, "next", 0, N, O, next_observation);
    rv_random_uniform(1, 0, "action", 0, N, A, action);
    /* in memory where there is such a folder: each save waits for the disk twice */
    snprintf(file_name, sizeof file_name, "%s/reverie-faults-%d.safetensors", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".", (int)getpid());
    return 0;
}

static int remove_file(void **unused) {
    (void)unused;
    unlink(file_name);
    return 0;
}

/* ---- the job ------------------------------------------------------------------------------------------------ */

typedef struct job {
    rv_world_model *model;
    rv_trainer *trainer;
    rv_checkpoint *file;
    char message[512]; /* of the object that failed */
} job;

/* status = call, where nothing has failed yet; keeps the object's words. */
#define TRY(j, call, words)                                                                                         \
    do {                                                                                                            \
        if (status == RV_OK && (status = (call)) != RV_OK) snprintf((j)->message, sizeof (j)->message, "%s", words); \
    } while (0)

static rv_status make(job *j, rv_device *device) {
    rv_world_model_options sizes = {.size = sizeof sizes, .observation_size = O, .action_size = A, .latent_size = 4,
                                    .vae_hidden = {1, {8}}, .dynamics_hidden = {1, {8}}, .reward_hidden = {1, {4}}};
    rv_trainer_options options = {.size = sizeof options, .batch = 8, .seed = 1, .validation = &data, .validation_batch = 8};
    rv_status status = RV_OK;
    *j = (job){0};
    TRY(j, rv_world_model_create(device, &sizes, 2, &j->model), rv_world_model_message(j->model));
    TRY(j, rv_world_model_normalise_by(j->model, &data), rv_world_model_message(j->model));
    TRY(j, rv_trainer_create(j->model, &data, &options, &j->trainer), rv_trainer_message(j->trainer));
    TRY(j, rv_checkpoint_create(device, &j->file), rv_checkpoint_message(j->file));
    TRY(j, rv_trainer_checkpoint(j->trainer, j->file), rv_trainer_message(j->trainer));
    return status;
}

static rv_status train(job *j) {
    rv_metric metrics[RV_TRAINER_METRICS] = {{0}};
    rv_status status = RV_OK;
    TRY(j, rv_trainer_run(j->trainer, UPDATES), rv_trainer_message(j->trainer));
    TRY(j, rv_trainer_metrics(j->trainer, metrics), rv_trainer_message(j->trainer));
    if (status == RV_OK) assert_true(isfinite(metrics[0].value) && metrics[0].value > 0);
    TRY(j, rv_trainer_validate(j->trainer, metrics), rv_trainer_message(j->trainer));
    return status;
}

/* The same by the loop, with its reports. */
static rv_status fit(job *j) {
    rv_fit_options options = {.size = sizeof options, .updates = 3 * UPDATES, .every = 1, .patience = 100};
    rv_status status = RV_OK;
    TRY(j, rv_trainer_fit(j->trainer, &options), rv_trainer_message(j->trainer));
    return status;
}

static rv_status save(job *j) {
    rv_status status = RV_OK;
    TRY(j, rv_checkpoint_save(j->file, file_name), rv_checkpoint_message(j->file));
    return status;
}

static rv_status load(job *j) {
    rv_status status = RV_OK;
    TRY(j, rv_checkpoint_load(j->file, file_name), rv_checkpoint_message(j->file));
    return status;
}

static void drop(job *j) {
    rv_checkpoint_destroy(j->file);
    rv_trainer_destroy(j->trainer);
    rv_world_model_destroy(j->model);
}

/* Makes, trains, saves and loads; then everything goes. */
static rv_status work(rv_device *device, char message[512]) {
    job j;
    rv_status status = make(&j, device);
    if (status == RV_OK) status = train(&j);
    if (status == RV_OK) status = save(&j);
    if (status == RV_OK) status = train(&j);
    if (status == RV_OK) status = fit(&j);
    if (status == RV_OK) status = save(&j);
    if (status == RV_OK) status = load(&j);
    TRY(&j, rv_device_sync(device), rv_device_message(device));
    drop(&j);
    snprintf(message, 512, "%s", j.message);
    return status;
}

/* ---- failures ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    rv_status status;
    int least; /* calls that the job makes at the least: the test bites */
} kinds[] = {
    {"alloc", RV_OUT_OF_MEMORY, 20}, {"upload", RV_DEVICE_LOST, 50}, {"download", RV_DEVICE_LOST, 50}, {"prepare", RV_BUILD_FAILED, 2},
    {"run", RV_DEVICE_LOST, 5},      {"sync", RV_DEVICE_LOST, 5},    {"lost", RV_DEVICE_LOST, 200},
};
enum { KINDS = sizeof kinds / sizeof *kinds, MANY = 50 };

static void count_fires(void *user, rv_log_level level, const char *text) {
    if (level == RV_LOG_WARNING && strstr(text, "as asked")) ++*(int *)user;
}

/* What is beside the failing device all the time. */
typedef struct beside {
    rv_device *device;
    job job;
} beside;

static void other_devices_go_on(beside *b) {
    if (access(file_name, F_OK) == 0) assert_ok(load(&b->job), b->job.message);
    assert_ok(train(&b->job), b->job.message);
}

/* One job whose n-th call fails; whether it came so far. */
static bool fails_at(const char *resource, int kind, int n) {
    char name[96], message[512];
    int fired = 0;
    rv_counting counting = {0};
    rv_device_options options = rv_counting_options(&counting);
    options.log = count_fires;
    options.log_user = &fired;
    rv_device *device;
    snprintf(name, sizeof name, "fault:%s=%d:%s", kinds[kind].text, n, resource);
    assert_ok(rv_device_open(name, &options, &device), rv_device_message(device));
    rv_status status = work(device, message);
    const bool reached = fired > 0, lost = strcmp(kinds[kind].text, "lost") == 0;
    if (status != RV_OK || reached) {
        assert_int_equal(fired, 1);
        /* waiting for an object that goes is nobody's answer */
        if (status == RV_OK && strcmp(kinds[kind].text, "sync") != 0) {
            /* nor is being lost while everything is put away */
            if (!lost) fail_msg("%s: nobody noticed", name);
        } else if (status != RV_OK) {
            if (status != kinds[kind].status) fail_msg("%s: %s: %s", name, rv_status_text(status), message);
            if (!strstr(message, "as asked")) fail_msg("%s: the message is \"%s\"", name, message);
        }
        status = work(device, message);
        if (status != (lost ? RV_DEVICE_LOST : RV_OK)) fail_msg("%s, again: %s: %s", name, rv_status_text(status), message);
    }
    rv_device_close(device);
    if (counting.live != 0) fail_msg("%s: %d blocks are left", name, (int)counting.live);
    return reached;
}

static rv_test_devices devices;

static void every_call_may_fail(void **state) {
    const int index = *(int *)*state;
    const char *resource = devices.names[index];
    const bool all = devices.explicit_names || strncmp(resource, "cpu", 3) == 0;
    bool absent;
    beside b = {.device = rv_device_open_for_test(&devices, index, &absent)};
    if (absent) skip();
    assert_non_null(b.device);
    assert_ok(make(&b.job, b.device), b.job.message);
    assert_ok(save(&b.job), b.job.message);
    for (int kind = 0; kind < KINDS; kind++) {
        const int step = all || kinds[kind].least < MANY ? 1 : 7;
        int n = 1;
        for (; fails_at(resource, kind, n); n += step) other_devices_go_on(&b);
        if (n <= kinds[kind].least) fail_msg("%s: fewer than %d calls of %s", resource, n, kinds[kind].text);
    }
    drop(&b.job);
    rv_device_close(b.device);
}

static void opening_may_fail(void **unused) {
    (void)unused;
    const struct {
        const char *resource;
        rv_status status;
        const char *words;
    } cases[] = {{"fault:driver=1:cpu", RV_NO_DRIVER, "no driver, as asked"},
                 {"fault:device=1:cpu", RV_NO_DEVICE, "no device, as asked"},
                 {"check:fault:run=3,device=1:cpu", RV_NO_DEVICE, "no device, as asked"},
                 {"fault:driver=2:cpu", RV_INVALID_ARGUMENT, "driver and device: 1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_counting counting = {0};
        rv_device_options options = rv_counting_options(&counting);
        rv_device *device;
        rv_array *array;
        assert_status(rv_device_open(cases[i].resource, &options, &device), cases[i].status);
        assert_names(rv_device_message(device), cases[i].words);
        assert_status(rv_array_create(device, RV_F32, 1, 1, "x", &array), RV_WRONG_STATE);
        rv_array_destroy(array);
        rv_device_close(device);
        assert_int_equal(counting.live, 0);
    }
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[1 + RV_MAX_DEVICES] = {cmocka_unit_test(opening_may_fail)};
    int numbers[RV_MAX_DEVICES];
    rv_devices_from(&devices, argc, argv, "cpu:threads=2 opencl:0");
    for (int i = 0; i < devices.count; i++) {
        numbers[i] = i;
        tests[1 + i] = (struct CMUnitTest){devices.names[i], every_call_may_fail, NULL, NULL, &numbers[i]};
    }
    return _cmocka_run_group_tests("faults", tests, (size_t)(1 + devices.count), make_data, remove_file);
}
