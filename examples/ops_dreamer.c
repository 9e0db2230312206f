/* ops_dreamer.h: a world model's divergence and a critic's loss, recorded once with made-up numbers and run. */
#include <reverie/ops_dreamer.h>
#include <reverie/plan.h>
#include <reverie/random.h>
#include <stdio.h>

enum { B = 8, L = 4, C = 6, K = 41, T = 5 };

int main(void) {
    float bin[K], divergence[B], predicted[B], cross_entropy[B];
    rv_device *device;
    rv_array *bin_array, *kl_array, *value_array, *loss_array;
    rv_random *random;
    rv_graph *graph;
    rv_plan *plan;
    if (rv_device_open("auto", NULL, &device) != RV_OK) return 1;
    rv_random_create(device, 7, &random);
    rv_array_create(device, RV_F32, 1, K, "bins", &bin_array);
    rv_array_create(device, RV_F32, B, 1, "kl", &kl_array);
    rv_array_create(device, RV_F32, B, 1, "value", &value_array);
    rv_array_create(device, RV_F32, B, 1, "loss", &loss_array);
    rv_symexp_bins(K, bin);
    rv_array_write(bin_array, 0, 1, bin);

    rv_graph_create(device, &graph);
    rv_tensor noise = rv_random_state(graph, random), bins = rv_read(graph, bin_array);
    rv_tensor posterior = rv_normal(noise, "posterior", 0, B, L * C), prior = rv_normal(noise, "prior", 0, B, L * C);
    rv_tensor w = rv_affine(rv_normal(noise, "w", 0, L * C, K), 0.1f, 0.0f), b = rv_fill(graph, 1, K, 0.0f);
    rv_tensor reward = rv_normal(noise, "reward", 0, B, T), logits = rv_normal(noise, "logits", 0, B, K);
    rv_tensor going_on = rv_fill(graph, B, T, 0.997f), values = rv_normal(noise, "values", 0, B, T + 1);

    rv_categorical_sample latent = rv_sample_categorical(posterior, C, 0.01f, noise, "latent", 0);
    rv_tensor dyn = rv_free_nats(rv_kl_categorical(rv_stop_gradient(posterior), prior, C, 0.01f), 1.0f);
    rv_tensor rep = rv_free_nats(rv_kl_categorical(posterior, rv_stop_gradient(prior), C, 0.01f), 1.0f);
    rv_tensor kl = rv_add(dyn, rv_affine(rep, 0.1f, 0.0f));                 // [B, 1]
    rv_tensor value = rv_twohot_mean(rv_linear1(latent.value, w, b, RV_LINEAR), bins); // [B, 1]
    rv_tensor returns = rv_lambda_return(reward, going_on, values, 0.95f);  // [B, T]
    rv_tensor loss = rv_twohot_nll(logits, rv_slice_cols(returns, 0, 1), bins); // [B, 1]
    rv_tensor weight = rv_cumprod(going_on, 0);                             // [B, T]

    rv_store(kl_array, kl);
    rv_store(value_array, value);
    rv_store(loss_array, rv_mul(loss, rv_slice_cols(weight, 0, 1)));
    rv_status status = rv_plan_create(graph, NULL, &plan);
    if (status == RV_OK) status = rv_plan_run(plan);
    if (status == RV_OK) status = rv_array_read(kl_array, 0, B, divergence);
    if (status == RV_OK) status = rv_array_read(value_array, 0, B, predicted);
    if (status == RV_OK) status = rv_array_read(loss_array, 0, B, cross_entropy);
    if (status != RV_OK) fprintf(stderr, "%s: %s\n", rv_status_text(status), rv_plan_message(plan));
    else printf("first row: kl %g, value %g, critic's loss %g\n", (double)divergence[0], (double)predicted[0], (double)cross_entropy[0]);

    rv_plan_destroy(plan);
    rv_graph_destroy(graph);
    rv_random_destroy(random);
    rv_array_destroy(loss_array);
    rv_array_destroy(value_array);
    rv_array_destroy(kl_array);
    rv_array_destroy(bin_array);
    rv_device_close(device);
    return status != RV_OK || !(divergence[0] >= 1.1f) || !(cross_entropy[0] > 0);
}
