/* Every allocation of environments, their wrappers, datasets and collection fails in turn, once and from then on: each
 * time a typed status, no crash, nothing left, and without the fault it works again. malloc and its kin are wrapped by
 * the linker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reverie/collect.h"
#include "reverie/plugin.h"
#include "reverie/wrappers.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *memory);

static struct {
    bool watching, onwards; /* from the fault on, or once */
    int64_t asked, fail_at, live;
} memory;

static bool fails(void) {
    if (!memory.watching) return false;
    memory.asked++;
    return memory.asked == memory.fail_at || (memory.onwards && memory.fail_at && memory.asked > memory.fail_at);
}
static void *counted(void *block) {
    if (memory.watching && block) memory.live++;
    return block;
}
void *__wrap_malloc(size_t size) { return fails() ? NULL : counted(__real_malloc(size)); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : counted(__real_calloc(count, size)); }
void *__wrap_aligned_alloc(size_t alignment, size_t size) { return fails() ? NULL : counted(__real_aligned_alloc(alignment, size)); }
void *__wrap_realloc(void *block, size_t size) {
    if (fails()) return NULL;
    return block ? __real_realloc(block, size) : counted(__real_realloc(NULL, size));
}
void __wrap_free(void *block) {
    if (memory.watching && block) memory.live--;
    __real_free(block);
}

/* ---- jobs: the first status that is not RV_OK ------------------------------------------------------------------ */

static rv_status environments(void) {
    static float observation[5 * 3 * 4], action[5];
    static uint8_t bytes[65536];
    rv_env *env = NULL;
    rv_status status = rv_env_create("continuous_pendulum", 5, NULL, 0, &env);
    if (status == RV_OK) status = rv_env_wrap_time_limit(&env, 20);
    if (status == RV_OK) status = rv_env_wrap_action_repeat(&env, 2);
    if (status == RV_OK) status = rv_env_wrap_action_rescale(&env, -1, 1);
    if (status == RV_OK) status = rv_env_wrap_reward_scale(&env, 0.5);
    if (status == RV_OK) status = rv_env_wrap_normalise(&env, 5);
    if (status == RV_OK) status = rv_env_wrap_frame_stack(&env, 4);
    if (status == RV_OK) status = rv_env_reset(env, 1, observation);
    rv_env_result result = {.observation = observation};
    for (int t = 0; t < 12 && status == RV_OK; t++) status = rv_env_step(env, action, &result);
    if (status == RV_OK && rv_env_state_size(env) > sizeof bytes) status = RV_INTERNAL;
    if (status == RV_OK) status = rv_env_save(env, bytes, rv_env_state_size(env));
    if (status == RV_OK) status = rv_env_load(env, bytes, rv_env_state_size(env), observation);
    if (status != RV_OK && !rv_env_message(env)[0]) status = RV_INTERNAL;
    rv_env_destroy(env);
    return status;
}

static rv_status each_environment(void) {
    static float observation[5 * 5];
    const rv_env_table *list[16];
    const int count = rv_env_list(list, 16);
    rv_status status = RV_OK;
    for (int i = 0; i < count && status == RV_OK; i++) {
        rv_env *env = NULL;
        status = rv_env_create_from(list[i], 5, NULL, 0, &env);
        if (status == RV_OK) status = rv_env_reset(env, 1, observation);
        if (status != RV_OK && !rv_env_message(env)[0]) status = RV_INTERNAL;
        rv_env_destroy(env);
    }
    return status;
}

static rv_status datasets(void) {
    rv_env *env = NULL;
    rv_dataset *data = NULL, *train = NULL, *held = NULL, *loaded = NULL;
    rv_status status = rv_env_create("cartpole", 3, NULL, 0, &env);
    if (status == RV_OK) status = rv_dataset_create(4, 1, &data);
    if (status == RV_OK) status = rv_dataset_create(4, 1, &train);
    if (status == RV_OK) status = rv_dataset_create(4, 1, &held);
    rv_collect_options options = {.size = sizeof options, .steps = 300, .policy = RV_POLICY_MIXED, .seed = 2};
    if (status == RV_OK) status = rv_collect_world_model_data(env, &options, data);
    if (status == RV_OK) status = rv_collect_sequence_data(env, 4, 30, NULL, data);
    if (status == RV_OK) status = rv_dataset_split(data, 0.3, 1, train, held);
    if (status == RV_OK) status = rv_dataset_save(data, "memory.npz");
    if (status == RV_OK) status = rv_dataset_load("memory.npz", &loaded);
    rv_dataset_destroy(data);
    rv_dataset_destroy(train);
    rv_dataset_destroy(held);
    rv_dataset_destroy(loaded);
    rv_env_destroy(env);
    return status;
}

static rv_status numpy_files(void) {
    rv_dataset *data = NULL;
    rv_status status = rv_dataset_load(RV_TEST_DIR "/golden/dataset/deflated.npz", &data);
    if (status != RV_OK && !rv_dataset_message(data)[0]) status = RV_INTERNAL;
    rv_dataset_destroy(data);
    return status;
}

static rv_status run(rv_status (*job)(void), int64_t fail_at, bool onwards) {
    memory.asked = memory.live = 0;
    memory.fail_at = fail_at;
    memory.onwards = onwards;
    memory.watching = true;
    rv_status status = job();
    memory.watching = false;
    if (memory.live != 0) fail_msg("allocation %d: %d blocks are left", (int)fail_at, (int)memory.live);
    return status;
}

static void torture(rv_status (*job)(void), int least) {
    assert_int_equal(run(job, 0, false), RV_OK);
    const int64_t asked = memory.asked;
    assert_true(asked >= least);
    for (int onwards = 0; onwards < 2; onwards++) {
        for (int64_t n = 1; n <= asked; n++) {
            const rv_status status = run(job, n, onwards);
            if (status != RV_OUT_OF_MEMORY) fail_msg("allocation %d of %d: %s", (int)n, (int)asked, rv_status_text(status));
        }
    }
    assert_int_equal(run(job, 0, false), RV_OK);
    print_message("%d allocations failed in turn\n", (int)asked);
}

static void environments_survive(void **unused) {
    (void)unused;
    torture(environments, 30);
}
static void each_environment_survives(void **unused) {
    (void)unused;
    torture(each_environment, 60);
}
static void datasets_survive(void **unused) {
    (void)unused;
    torture(datasets, 60);
}
static void numpy_files_survive(void **unused) {
    (void)unused;
    torture(numpy_files, 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environments_survive),
        cmocka_unit_test(each_environment_survives),
        cmocka_unit_test(datasets_survive),
        cmocka_unit_test(numpy_files_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
