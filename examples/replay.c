/* replay.h: sixteen streams of made-up rows are appended to, windows of them drawn, and latents written back. */
#include <reverie/plan.h>
#include <reverie/random.h>
#include <reverie/replay.h>
#include <stdio.h>

enum { D = 8, B = 4, STREAMS = 16, WINDOW = 65 };

int main(void) {
    rv_device *device;
    rv_random *random;
    rv_replay *replay;
    rv_array *first_seen;
    rv_graph *acting, *training;
    rv_plan *act, *train;
    float seen_first[B * 5];
    int64_t bytes, items;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_random_create(device, 7, &random);
    rv_array_create(device, RV_F32, B, 5, "first seen", &first_seen);

    rv_replay_field fields[] = {{"observation", RV_F32, 5}, {"action", RV_F32, 1}, {"is_first", RV_F32, 1},
                                {"deter", RV_F32, D}};
    rv_replay_options options = {.size = sizeof options, .fields = fields, .field_count = 4, .streams = 16,
                                 .capacity = 1000000, .run_rows = 500000, .window = 65};
    options.run_rows = 16 * 100; /* a short run */
    if (rv_replay_bytes(&options, &bytes) != RV_OK) return 1;
    rv_replay_create(device, &options, &replay);

    rv_graph_create(device, &acting);
    rv_tensor drawn = rv_random_state(acting, random);
    rv_tensor observation = rv_normal(drawn, "observation", 0, STREAMS, 5),
              action = rv_uniform(drawn, "action", 0, STREAMS, 1);
    rv_tensor is_first = rv_fill(acting, STREAMS, 1, 0), deter = RV_NONE; /* zeros */
    rv_tensor row[4] = {observation, action, is_first, deter};            // [16, C]: one row a stream
    rv_replay_append(acting, replay, row, 4);
    rv_random_advance(acting, random);
    rv_status status = rv_plan_create(acting, NULL, &act);

    rv_graph_create(device, &training);
    rv_tensor noise = rv_random_state(training, random), latents = rv_fill(training, WINDOW * B, D, 0.5f);
    rv_replay_batch batch = rv_replay_sample(training, replay, noise, "replay", B, 65);
    rv_tensor seen = batch.value[0];                           // [65 B, 5], time-major
    rv_replay_write(training, replay, 3, batch.rows, latents); // into the rows they came from
    rv_store(first_seen, rv_slice_rows(seen, 0, B));
    rv_random_advance(training, random);
    rv_status planned = rv_plan_create(training, NULL, &train);
    if (status == RV_OK) status = planned;

    for (int step = 0; step < 80 && status == RV_OK; step++) status = rv_plan_run(act);
    if (status == RV_OK) status = rv_replay_items(replay, WINDOW, &items);
    if (status == RV_OK) status = rv_plan_run(train);
    if (status == RV_OK) status = rv_array_read(first_seen, 0, B, seen_first);
    if (status == RV_OK) status = rv_device_health(device, NULL);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_replay_message(replay));
    else
        printf("%lld bytes, %lld windows of 65 rows; one begins with %g\n", (long long)bytes, (long long)items,
               (double)seen_first[0]);

    rv_plan_destroy(act);
    rv_plan_destroy(train);
    rv_graph_destroy(acting);
    rv_graph_destroy(training);
    rv_array_destroy(first_seen);
    rv_replay_destroy(replay);
    rv_random_destroy(random);
    rv_device_close(device);
    return status != RV_OK || items != STREAMS * (80 - WINDOW + 1);
}
