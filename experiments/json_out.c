/* experiments/json_out.c: a JSON writer. */
#include "experiments/json_out.h"

#include <math.h>

static void quoted(FILE *file, const char *text) {
    fputc('"', file);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') fprintf(file, "\\%c", c);
        else if (c < 0x20) fprintf(file, "\\u%04x", c);
        else fputc(c, file);
    }
    fputc('"', file);
}

static void next(json_out *j, const char *key) {
    if (!j->first) fputc(',', j->file);
    j->first = false;
    if (j->lines) fprintf(j->file, "\n%*s", 2 * j->depth, "");
    if (!key) return;
    quoted(j->file, key);
    fputs(j->lines ? ": " : ":", j->file);
}

json_out json_out_begin(FILE *file, bool lines) {
    fputc('{', file);
    return (json_out){.file = file, .depth = 1, .lines = lines, .first = true};
}

static void close(json_out *j) {
    j->depth--;
    if (j->lines && !j->first) fprintf(j->file, "\n%*s", 2 * j->depth, "");
    fputc('}', j->file);
    j->first = false;
}

void json_out_end(json_out *j) {
    close(j);
    fputc('\n', j->file);
}

void json_out_object(json_out *j, const char *key) {
    next(j, key);
    fputc('{', j->file);
    j->depth++;
    j->first = true;
}

void json_out_object_end(json_out *j) { close(j); }

void json_out_text(json_out *j, const char *key, const char *text) {
    next(j, key);
    quoted(j->file, text);
}

void json_out_whole(json_out *j, const char *key, int64_t number) {
    next(j, key);
    fprintf(j->file, "%lld", (long long)number);
}

void json_out_flag(json_out *j, const char *key, bool truth) {
    next(j, key);
    fputs(truth ? "true" : "false", j->file);
}

/* The program never leaves the C locale, so the decimal point is one. */
static void number(FILE *file, double value) {
    if (isfinite(value)) fprintf(file, "%.9g", value);
    else fputs("null", file);
}

void json_out_number(json_out *j, const char *key, double value) {
    next(j, key);
    number(j->file, value);
}

void json_out_numbers(json_out *j, const char *key, const double *numbers, int64_t count) {
    next(j, key);
    fputc('[', j->file);
    for (int64_t i = 0; i < count; i++) {
        if (i) fputc(',', j->file);
        if (isfinite(numbers[i])) fprintf(j->file, "%.17g", numbers[i]); /* reads back as it was */
        else fputs("null", j->file);
    }
    fputc(']', j->file);
}

void json_out_texts(json_out *j, const char *key, const char *const *texts, int64_t count) {
    next(j, key);
    fputc('[', j->file);
    for (int64_t i = 0; i < count; i++) {
        if (i) fputc(',', j->file);
        quoted(j->file, texts[i]);
    }
    fputc(']', j->file);
}
