/* experiments/imagined_table.c: what is imagined, as comma-separated values with a line of names. */
#include <math.h>
#include <string.h>

#include "experiments/figures_imagine.h"

const char *observation_name(const imaginer *im, int64_t dimension, char text[64]) {
    if (dimension == im->observation_size) return "reward";
    if (im->spaces->observation_names) return im->spaces->observation_names[dimension];
    snprintf(text, 64, "observation %lld", (long long)dimension);
    return text;
}

const char *action_name(const imaginer *im, int64_t dimension, char text[64]) {
    const rv_env_spaces *spaces = im->spaces;
    const bool choices = im->action_size != spaces->action_size;
    const int64_t column = choices ? dimension / spaces->action_choices : dimension;
    const char *name = spaces->action_names ? spaces->action_names[column] : "action";
    if (choices) snprintf(text, 64, "%.40s %lld", name, (long long)(dimension % spaces->action_choices));
    else if (spaces->action_names) snprintf(text, 64, "%.60s", name);
    else snprintf(text, 64, "action %lld", (long long)column);
    return text;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* A name as a field, behind a comma. */
static void write_name(FILE *file, const char *before, const char *name) {
    fprintf(file, ",\"%s", before);
    for (; *name; name++) {
        if (*name == '"') fputc('"', file);
        fputc(*name, file);
    }
    fputc('"', file);
}

/* Nothing where a number is not known. */
static void write_number(FILE *file, double value) {
    fputc(',', file);
    if (isfinite(value)) fprintf(file, "%.9g", value);
}

static void write_row(FILE *file, const float *values, int64_t row, int64_t cols) {
    for (int64_t c = 0; c < cols; c++) write_number(file, values ? (double)values[row * cols + c] : NAN);
}

/* ---- trajectories ---------------------------------------------------------------------------------------------- */

static void write_header(FILE *file, const imagined *what) {
    char text[64];
    fputs("trajectory,step", file);
    for (int64_t a = 0; a < what->dream->action_size; a++) write_name(file, "action: ", action_name(what->im, a, text));
    fputs(",reward,going_on", file);
    for (int64_t d = 0; d < what->dream->observation_size; d++) {
        write_name(file, "", observation_name(what->im, d, text));
    }
    for (int64_t z = 0; z < what->dream->latent_size; z++) fprintf(file, ",latent_%lld", (long long)z);
    fputc('\n', file);
}

static void write_imagined(FILE *file, const void *user) {
    const imagined *what = user;
    const dream *dream = what->dream;
    const float *seen = what->real->observation;
    write_header(file, what);
    for (int64_t row = 0; row < dream->rows; row++) {
        for (int64_t k = 0; k <= dream->steps; k++) {
            const int64_t at = (k - 1) * dream->rows + row, now = (what->context - 1) * what->real->rows + row;
            fprintf(file, "%lld,%lld", (long long)row, (long long)k);
            write_row(file, k ? dream->action : NULL, at, dream->action_size);
            write_row(file, k ? dream->reward : NULL, at, 1);
            write_row(file, k ? dream->going_on : NULL, at, 1);
            write_row(file, k ? dream->observation : seen, k ? at : now, dream->observation_size);
            write_row(file, dream->latent, k * dream->rows + row, dream->latent_size);
            fputc('\n', file);
        }
    }
}

int table_imagined(const run_folder *run, const imagined *what) {
    return run_folder_write(run, "imagined.csv", write_imagined, what);
}

/* ---- open loop ------------------------------------------------------------------------------------------------- */

typedef struct predictions {
    const imagined *what;
    const open_loop *episodes;
    int64_t count;
} predictions;

static void write_open_loop(FILE *file, const void *user) {
    static const char *const kinds[] = {"truth: ", "mean: ", "low: ", "high: "};
    const predictions *p = user;
    const imaginer *im = p->what->im;
    char text[64];
    fputs("episode,step", file);
    for (int64_t a = 0; a < im->action_size; a++) write_name(file, "action: ", action_name(im, a, text));
    for (int64_t c = 0; c <= im->observation_size; c++) {
        for (int kind = 0; kind < 4; kind++) write_name(file, kinds[kind], observation_name(im, c, text));
    }
    fputc('\n', file);
    for (int64_t i = 0; i < p->count; i++) {
        const open_loop *e = &p->episodes[i];
        const double *const lists[] = {e->truth, e->mean, e->low, e->high};
        for (int64_t k = 0; k <= e->horizon; k++) {
            fprintf(file, "%lld,%lld", (long long)i, (long long)k);
            write_row(file, k ? p->what->real->action : NULL,
                      (p->what->context - 2 + k) * p->what->real->rows + i, im->action_size);
            for (int64_t c = 0; c < e->columns; c++) {
                for (int kind = 0; kind < 4; kind++) write_number(file, lists[kind][k * e->columns + c]);
            }
            fputc('\n', file);
        }
    }
}

int table_open_loop(const run_folder *run, const imagined *what, const open_loop *list, int64_t count) {
    const predictions p = {what, list, count};
    return run_folder_write(run, "open_loop.csv", write_open_loop, &p);
}
