/* tests/cases/cases_categorical.c: categorical variables. Draws are exact. */
#include "reverie/ops_dreamer.h"
#include "tests/cases/cases.h"

enum { VALUE = 1, LOG_PROB = 2, ENTROPY = 4, OUTPUTS = 8 };

/* i[0]: classes, i[1]: which of the three outputs are used; f[0]: unimix. */
static void record_sample(const rv_case_recording *r, rv_tensor *out) {
    rv_categorical_sample sample = rv_sample_categorical(r->in[0], r->item->i[0], r->item->f[0], r->in[1], "latent", 2);
    int used = r->item->i[1], count = 0;
    if (used & VALUE) out[count++] = sample.value;
    if (used & LOG_PROB) out[count++] = sample.log_prob;
    if (used & ENTROPY) out[count++] = sample.entropy;
}

static void record_log_prob(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_categorical_log_prob(r->in[0], r->item->i[0], r->item->f[0], r->in[1]);
}

static void record_entropy(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_categorical_entropy(r->in[0], r->item->i[0], r->item->f[0]);
}

static void record_mode(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_categorical_mode(r->in[0], r->item->i[0]);
}

static void record_kl(const rv_case_recording *r, rv_tensor *out) {
    out[0] = rv_kl_categorical(r->in[0], r->in[1], r->item->i[0], r->item->f[0]);
}

/* DreamerV3's: each side's gradient stopped in turn, free nats, and the draw used once. */
static void record_balanced(const rv_case_recording *r, rv_tensor *out) {
    int64_t classes = r->item->i[0];
    float unimix = r->item->f[0];
    rv_tensor posterior = r->in[0], prior = r->in[1];
    rv_tensor dyn = rv_free_nats(rv_kl_categorical(rv_stop_gradient(posterior), prior, classes, unimix), 0.4f);
    rv_tensor rep = rv_free_nats(rv_kl_categorical(posterior, rv_stop_gradient(prior), classes, unimix), 0.7f);
    rv_tensor value = rv_sample_categorical(posterior, classes, unimix, r->in[2], "latent", 0).value;
    out[0] = rv_add(dyn, rv_affine(rep, 0.1f, 0));
    out[1] = rv_sum(rv_square(rv_add(value, rv_tanh(prior))), RV_COLS);
}

static rv_case *add(rv_case_list *list, rv_case_record record, int outputs, const char *name, int64_t rows, int64_t variables,
                    int64_t classes, float unimix) {
    rv_case *item = rv_case_add(list, record, outputs, "%s/r%d_l%d_c%d%s", name, (int)rows, (int)variables, (int)classes,
                                unimix > 0 ? "_mix" : "");
    rv_case_values(item, rows, variables * classes, RV_CASE_NORMAL, 0, 1.5);
    item->i[0] = (int)classes;
    item->f[0] = unimix;
    if (classes == 1) item->absolute = 1e-7; /* log p is what rounding leaves of 1 */
    return item;
}

static rv_case *add_sample(rv_case_list *list, int used, int64_t rows, int64_t variables, int64_t classes, float unimix) {
    static const char *const names[OUTPUTS] = {"", "sample_categorical/value", "sample_categorical/log_prob",
                                               "sample_categorical/value_log_prob", "sample_categorical/entropy",
                                               "sample_categorical/value_entropy", "sample_categorical/log_prob_entropy",
                                               "sample_categorical/all"};
    int outputs = (used & 1) + (used >> 1 & 1) + (used >> 2);
    rv_case *item = add(list, record_sample, outputs, names[used], rows, variables, classes, unimix);
    rv_case_state(item, 7, 5);
    item->i[1] = used;
    item->flags = RV_CASE_FREEZE | (used == VALUE ? RV_CASE_EXACT : 0);
    return item;
}

/* Uniforms that are given; gradients and draws as above. */
static rv_case *add_given(rv_case_list *list, int used, int64_t rows, int64_t variables, int64_t classes, float unimix) {
    rv_case *item = add(list, record_sample, used == VALUE ? 1 : 3,
                        used == VALUE ? "sample_categorical/given_value" : "sample_categorical/given_all", rows, variables, classes, unimix);
    rv_case_constant(item, rows, variables, RV_CASE_UNIFORM, 0, 1);
    item->i[1] = used;
    item->flags = RV_CASE_FREEZE | (used == VALUE ? RV_CASE_EXACT : 0);
    return item;
}

static void add_all(rv_case_list *list, int64_t rows, int64_t variables, int64_t classes, float unimix, unsigned flags) {
    static const struct {
        rv_case_record record;
        const char *name;
    } two[] = {{record_kl, "kl_categorical"}, {record_log_prob, "categorical_log_prob"}};
    add_sample(list, VALUE, rows, variables, classes, unimix)->flags |= flags;
    add_sample(list, VALUE | LOG_PROB | ENTROPY, rows, variables, classes, unimix)->flags |= flags;
    for (int i = 0; i < 2; i++) {
        rv_case *item = add(list, two[i].record, 1, two[i].name, rows, variables, classes, unimix);
        rv_case_values(item, rows, variables * classes, RV_CASE_NORMAL, 0, 1.5);
        item->flags = flags;
    }
    add(list, record_entropy, 1, "categorical_entropy", rows, variables, classes, unimix)->flags = flags;
}

static void add_balanced(rv_case_list *list) {
    rv_case *item = add(list, record_balanced, 2, "balanced_kl", 9, 3, 5, 0.01f);
    item->input[0].b = 0.3; /* divergences on both sides of the free nats */
    rv_case_values(item, 9, 15, RV_CASE_NORMAL, 0, 0.6);
    rv_case_state(item, 3, 0);
    item->flags = RV_CASE_FREEZE;
}

void rv_cases_categorical(rv_case_list *list) {
    static const int64_t shapes[][3] = {{7, 3, 4}, {1, 1, 1}, {65, 1, 33}, {0, 5, 2}, {33, 33, 7}, {5, 32, 16}, {3, 2, 65}};
    for (int s = 0; s < 7; s++) {
        for (int mix = 0; mix < 2; mix++) add_all(list, shapes[s][0], shapes[s][1], shapes[s][2], mix ? 0.01f : 0, 0);
        add(list, record_mode, 1, "categorical_mode", shapes[s][0], shapes[s][1], shapes[s][2], 0)->flags =
            RV_CASE_EXACT | RV_CASE_NO_GRADIENT;
    }
    for (int s = 0; s < 7; s++) add_given(list, VALUE, shapes[s][0], shapes[s][1], shapes[s][2], s % 2 ? 0 : 0.01f);
    add_given(list, VALUE | LOG_PROB | ENTROPY, 33, 7, 5, 0.01f);
    add_given(list, VALUE | LOG_PROB | ENTROPY, 2, 1, 1500, 0.01f)->flags |= RV_CASE_TALL; /* more classes than tiles hold */
    for (int used = 1; used < OUTPUTS - 1; used++) add_sample(list, used, 6, 5, 9, 0.01f);
    rv_case *ties = add(list, record_mode, 1, "categorical_mode/ties", 65, 7, 6, 0);
    ties->flags = RV_CASE_EXACT | RV_CASE_NO_GRADIENT;
    ties->input[0] = (rv_case_input){RV_F32, 65, 42, RV_CASE_WHOLE, -1, 1, false};
    rv_case *far = add_sample(list, VALUE | LOG_PROB | ENTROPY, 33, 3, 7, 0); /* probabilities below the smallest float */
    far->input[0].b = 80;
    rv_case *even = add_sample(list, VALUE, 33, 4, 8, 1); /* unimix alone: equal classes */
    even->input[0].b = 30;
    add_balanced(list);
    add_all(list, 3000, 2, 5, 0.01f, RV_CASE_TALL);
    add_sample(list, VALUE, 300, 32, 33, 0.01f)->flags |= RV_CASE_TALL;
    add_sample(list, VALUE | LOG_PROB | ENTROPY, 2, 1, 1500, 0.01f)->flags |= RV_CASE_TALL; /* more classes than tiles hold */
    for (int64_t rows = 16; rows <= 1024; rows *= 64) { /* a step of DreamerV3's smallest and largest RSSM; all of a batch */
        add_all(list, rows, 32, 4, 0.01f, RV_CASE_BENCH | RV_CASE_LARGE);
        add_all(list, rows, 32, 64, 0.01f, RV_CASE_BENCH | RV_CASE_LARGE);
    }
}
