/* experiments/options.c: reading, checking and printing typed options. */
#include "experiments/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/program.h"

/* ---- the nearest name ---------------------------------------------------------------------------------- */

/* How many letters must change to turn one word into the other. */
static size_t distance(const char *a, const char *b) {
    size_t row[64], length = strlen(b);
    if (length >= 64) return SIZE_MAX;
    for (size_t j = 0; j <= length; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j + 1] + 1 < best) best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[length];
}

const char *options_nearest(const char *name, const void *names, int count, size_t stride) {
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (int i = 0; i < count; i++) {
        const char *other;
        memcpy(&other, (const char *)names + (size_t)i * stride, sizeof other);
        size_t d = distance(name, other);
        const char *last = strrchr(other, '.'); /* "steps" is near to "train.steps" */
        if (last && distance(name, last + 1) + 1 < d) d = distance(name, last + 1) + 1;
        if (d < least) {
            least = d;
            nearest = other;
        }
    }
    return least <= 2 + strlen(name) / 2 ? nearest : NULL;
}

/* ---- values --------------------------------------------------------------------------------------------- */

/* The program never leaves the C locale, so strtod reads a point everywhere. */
static bool read_number(const char *text, double *number) {
    char *end;
    errno = 0;
    *number = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*number);
}

static bool read_whole(const char *text, int64_t *number) {
    char *end;
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    double real;
    if (end != text && *end == '\0' && errno == 0) {
        *number = whole;
        return true;
    }
    if (!read_number(text, &real) || real != floor(real) || fabs(real) > 9e15) return false; /* 5e3 */
    *number = (int64_t)real;
    return true;
}

static int bad_value(const option *o, const char *text, const char *wanted) {
    return program_fail(EXIT_CONFIG, "%s is \"%s\", must be %s", o->key, text, wanted);
}

static int out_of_range(const option *o, const char *text) {
    return program_fail(EXIT_CONFIG, "%s is %s, must lie between %g and %g", o->key, text, o->low, o->high);
}

static int read_choice(const option *o, const char *text, int *choice) {
    char words[256];
    snprintf(words, sizeof words, "%s", o->words);
    char *rest, *word = strtok_r(words, " ", &rest);
    for (int i = 0; word; i++, word = strtok_r(NULL, " ", &rest)) {
        if (strcmp(word, text) == 0) {
            *choice = i;
            return EXIT_OK;
        }
    }
    return program_fail(EXIT_CONFIG, "%s is \"%s\", must be one of: %s", o->key, text, o->words);
}

static int read_sizes(const option *o, const char *text, option_sizes *sizes) {
    char list[256];
    snprintf(list, sizeof list, "%s", text);
    char *rest, *word = strtok_r(list, ",", &rest);
    option_sizes read = {0};
    for (; word; word = strtok_r(NULL, ",", &rest)) {
        int64_t size;
        if (read.count == OPTION_SIZES_MAX || !read_whole(word, &size)) return bad_value(o, text, "up to seven whole numbers such as 128,64");
        if ((double)size < o->low || (double)size > o->high) return out_of_range(o, word);
        read.size[read.count++] = size;
    }
    if (read.count == 0) return bad_value(o, text, "up to seven whole numbers such as 128,64");
    *sizes = read;
    return EXIT_OK;
}

static int read_value(const option *o, const char *text, void *settings) {
    void *field = (char *)settings + o->offset;
    int64_t whole;
    double number;
    switch (o->kind) {
    case KIND_FLAG:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) return bad_value(o, text, "true or false");
        *(bool *)field = text[0] == 't';
        return EXIT_OK;
    case KIND_WHOLE:
        if (!read_whole(text, &whole)) return bad_value(o, text, "a whole number");
        if ((double)whole < o->low || (double)whole > o->high) return out_of_range(o, text);
        *(int64_t *)field = whole;
        return EXIT_OK;
    case KIND_NUMBER:
        if (!read_number(text, &number)) return bad_value(o, text, "a number");
        if (number < o->low || number > o->high) return out_of_range(o, text);
        *(double *)field = number;
        return EXIT_OK;
    case KIND_TEXT:
        if (!text[0]) return bad_value(o, text, "a text that is not empty");
        *(const char **)field = text;
        return EXIT_OK;
    case KIND_CHOICE: return read_choice(o, text, field);
    case KIND_SIZES: return read_sizes(o, text, field);
    }
    return EXIT_BUG;
}

/* ---- arguments ------------------------------------------------------------------------------------------ */

static const option *find(const option *table, int count, const char *key, size_t length) {
    for (int i = 0; i < count; i++) {
        if (strlen(table[i].key) == length && strncmp(table[i].key, key, length) == 0) return &table[i];
    }
    return NULL;
}

static int unknown(const option *table, int count, const char *key, size_t length) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), key);
    const char *nearest = options_nearest(name, table, count, sizeof *table);
    if (nearest) return program_fail(EXIT_USAGE, "no option \"%s\"; the nearest is --%s (--help lists all)", name, nearest);
    return program_fail(EXIT_USAGE, "no option \"%s\" (--help lists all)", name);
}

static bool is_extra(const option_extras *extras, const char *key, size_t length) {
    return extras && length > strlen(extras->prefix) && strncmp(key, extras->prefix, strlen(extras->prefix)) == 0;
}

static int take_extra(option_extras *extras, const char *key, size_t length, const char *value) {
    int i = extras->count;
    size_t prefix = strlen(extras->prefix);
    if (i == 32) return program_fail(EXIT_USAGE, "more than 32 options begin with %s", extras->prefix);
    if (!read_number(value, &extras->value[i])) {
        return program_fail(EXIT_CONFIG, "%.*s is \"%s\", must be a number", (int)length, key, value);
    }
    snprintf(extras->names[i], sizeof extras->names[i], "%.*s", (int)(length - prefix), key + prefix);
    extras->name[i] = extras->names[i];
    extras->count++;
    return EXIT_OK;
}

int options_read(const option *table, int count, void *settings, int argc, char **argv, option_extras *extras) {
    for (int i = 0; i < count; i++) {
        if (table[i].standard && read_value(&table[i], table[i].standard, settings) != EXIT_OK) return EXIT_BUG;
    }
    for (int i = 0; i < argc; i++) {
        bool dashes = strncmp(argv[i], "--", 2) == 0;
        const char *key = argv[i] + (dashes ? 2 : 0), *equals = strchr(key, '=');
        size_t length = equals ? (size_t)(equals - key) : strlen(key);
        if (!dashes && !equals) return program_fail(EXIT_USAGE, "\"%s\" is no option; they are written --key=value", argv[i]);
        const option *o = find(table, count, key, length);
        if (!o && !is_extra(extras, key, length)) return unknown(table, count, key, length);
        const char *value = equals ? equals + 1 : NULL;
        if (!value && o && o->kind == KIND_FLAG) value = "true";
        if (!value && i + 1 < argc) value = argv[++i];
        if (!value) return program_fail(EXIT_USAGE, "--%.*s needs a value", (int)length, key);
        int code = o ? read_value(o, value, settings) : take_extra(extras, key, length, value);
        if (code != EXIT_OK) return code;
    }
    return EXIT_OK;
}

/* ---- printing ------------------------------------------------------------------------------------------- */

void options_print(const option *table, int count, FILE *file) {
    for (int i = 0; i < count; i++) {
        const option *o = &table[i];
        char range[96] = "";
        if (o->kind == KIND_WHOLE || o->kind == KIND_NUMBER) snprintf(range, sizeof range, ", %g to %g", o->low, o->high);
        if (o->kind == KIND_CHOICE) snprintf(range, sizeof range, ", of: %s", o->words);
        fprintf(file, "  --%-24s %s", o->key, o->text);
        if (o->kind == KIND_FLAG) fprintf(file, "\n");
        else fprintf(file, " [%s%s]\n", o->standard ? o->standard : "none", range);
    }
}

void options_value_text(const option *o, const void *settings, char *text, size_t size) {
    const void *field = (const char *)settings + o->offset;
    size_t at = 0;
    text[0] = '\0';
    switch (o->kind) {
    case KIND_FLAG: snprintf(text, size, "%s", *(const bool *)field ? "true" : "false"); break;
    case KIND_WHOLE: snprintf(text, size, "%lld", (long long)*(const int64_t *)field); break;
    case KIND_NUMBER: snprintf(text, size, "%.9g", *(const double *)field); break;
    case KIND_TEXT: snprintf(text, size, "%s", *(const char *const *)field); break;
    case KIND_CHOICE: {
        const char *word = o->words;
        for (int i = 0; i < *(const int *)field; i++) word = strchr(word, ' ') + 1;
        snprintf(text, size, "%.*s", (int)strcspn(word, " "), word);
        break;
    }
    case KIND_SIZES: {
        const option_sizes *sizes = field;
        for (int i = 0; i < sizes->count && at < size; i++) {
            at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? "," : "", (long long)sizes->size[i]);
        }
        break;
    }
    }
}
