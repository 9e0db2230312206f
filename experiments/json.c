/* experiments/json.c: a JSON writer. */
#include "experiments/json.h"

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

static void next(json *j, const char *key) {
    if (!j->first) fputc(',', j->file);
    j->first = false;
    if (j->lines) fprintf(j->file, "\n%*s", 2 * j->depth, "");
    if (!key) return;
    quoted(j->file, key);
    fputs(j->lines ? ": " : ":", j->file);
}

json json_begin(FILE *file, bool lines) {
    fputc('{', file);
    return (json){.file = file, .depth = 1, .lines = lines, .first = true};
}

static void close(json *j) {
    j->depth--;
    if (j->lines && !j->first) fprintf(j->file, "\n%*s", 2 * j->depth, "");
    fputc('}', j->file);
    j->first = false;
}

void json_end(json *j) {
    close(j);
    fputc('\n', j->file);
}

void json_object(json *j, const char *key) {
    next(j, key);
    fputc('{', j->file);
    j->depth++;
    j->first = true;
}

void json_object_end(json *j) { close(j); }

void json_text(json *j, const char *key, const char *text) {
    next(j, key);
    quoted(j->file, text);
}

void json_whole(json *j, const char *key, int64_t number) {
    next(j, key);
    fprintf(j->file, "%lld", (long long)number);
}

/* The program never leaves the C locale, so the decimal point is one. */
void json_number(json *j, const char *key, double number) {
    next(j, key);
    if (isfinite(number)) fprintf(j->file, "%.9g", number);
    else fputs("null", j->file);
}
