/* experiments/options.c: reading, checking and printing typed options. */
#include "experiments/options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
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

/* ---- what was written, and where --------------------------------------------------------------------------- */

bool options_list_add(option_list *list, const char *key, size_t key_length, const char *value, option_form form,
                      option_origin origin) {
    if (list->count == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 32;
        option_entry *entries = realloc(list->entries, (size_t)capacity * sizeof *entries);
        if (!entries) return false;
        list->entries = entries;
        list->capacity = capacity;
    }
    option_entry entry = {.key = strndup(key, key_length), .value = strdup(value), .form = form, .origin = origin};
    if (!entry.key || !entry.value) {
        free(entry.key);
        free(entry.value);
        return false;
    }
    list->entries[list->count++] = entry;
    return true;
}

void options_list_free(option_list *list) {
    for (int i = 0; i < list->count; i++) {
        free(list->entries[i].key);
        free(list->entries[i].value);
    }
    free(list->entries);
    *list = (option_list){0};
}

const char *options_where(const option_origin *origin, char *text, size_t size) {
    text[0] = '\0';
    if (origin->file) snprintf(text, size, "%s:%d: ", origin->file, origin->line);
    return text;
}

static int refuse(int code, const option_entry *entry, const char *format, ...) RV_PRINTF(3, 4);
static int refuse(int code, const option_entry *entry, const char *format, ...) {
    char where[1200], text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return program_fail(code, "%s%s", options_where(&entry->origin, where, sizeof where), text);
}

/* ---- values --------------------------------------------------------------------------------------------- */

/* Decimal numbers. The program never leaves the C locale, so strtod reads a point everywhere. */
static bool read_number(const char *text, double *number) {
    char *end;
    if (strspn(text, "0123456789+-.eE") != strlen(text)) return false;
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

int options_code_point(const char *text, uint32_t *code_point) {
    const unsigned char *c = (const unsigned char *)text;
    const int length = c[0] < 0x80                   ? 1
                       : c[0] >= 0xc2 && c[0] < 0xe0 ? 2
                       : c[0] >= 0xe0 && c[0] < 0xf0 ? 3
                       : c[0] >= 0xf0 && c[0] < 0xf5 ? 4
                                                     : 0;
    if (length == 0 || c[0] == 0) return 0;
    uint32_t value = length == 1 ? c[0] : c[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((c[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (c[i] & 0x3f);
    }
    const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *code_point = value;
    return value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? 0 : length;
}

static bool is_utf8(const char *text) {
    uint32_t code_point;
    for (int length; *text; text += length) {
        length = options_code_point(text, &code_point);
        if (length == 0) return false;
    }
    return true;
}

static int bad_value(const option *o, const option_entry *entry, const char *wanted) {
    return refuse(EXIT_CONFIG, entry, "%s is \"%.200s\", must be %s", o->key, entry->value, wanted);
}

static int out_of_range(const option *o, const option_entry *entry) {
    return refuse(EXIT_CONFIG, entry, "%s is %.200s, must lie between %.10g and %.10g", o->key, entry->value, o->low,
                  o->high);
}

static int read_choice(const option *o, const option_entry *entry, int *choice) {
    char words[256];
    snprintf(words, sizeof words, "%s", o->words);
    char *rest, *word = strtok_r(words, " ", &rest);
    for (int i = 0; word; i++, word = strtok_r(NULL, " ", &rest)) {
        if (strcmp(word, entry->value) == 0) {
            *choice = i;
            return EXIT_OK;
        }
    }
    return refuse(EXIT_CONFIG, entry, "%s is \"%.200s\", must be one of: %s", o->key, entry->value, o->words);
}

static int read_sizes(const option *o, const option_entry *entry, option_sizes *sizes) {
    static const char wanted[] = "up to seven whole numbers such as 128,64";
    char list[256];
    if (strlen(entry->value) >= sizeof list) return bad_value(o, entry, wanted);
    strcpy(list, entry->value);
    char *rest, *word = strtok_r(list, ",", &rest);
    option_sizes read = {0};
    for (; word; word = strtok_r(NULL, ",", &rest)) {
        int64_t size;
        if (read.count == OPTION_SIZES_MAX || !read_whole(word, &size)) return bad_value(o, entry, wanted);
        if ((double)size < o->low || (double)size > o->high) return out_of_range(o, entry);
        read.size[read.count++] = size;
    }
    if (read.count == 0) return bad_value(o, entry, wanted);
    *sizes = read;
    return EXIT_OK;
}

/* What kind of thing was written: a file tells texts and lists from numbers. */
static int check_form(const option *o, const option_entry *entry) {
    if (entry->form == FORM_LIST && o->kind != KIND_SIZES) {
        return refuse(EXIT_CONFIG, entry, "%s is a list, must be one value", o->key);
    }
    if (entry->form == FORM_QUOTED && o->kind != KIND_TEXT && o->kind != KIND_CHOICE) {
        return refuse(EXIT_CONFIG, entry, "%s is the text \"%.200s\"; write it without quotes", o->key, entry->value);
    }
    return EXIT_OK;
}

static int read_value(const option *o, const option_entry *entry, void *settings) {
    void *field = (char *)settings + o->offset;
    const char *text = entry->value;
    int64_t whole;
    double number;
    int code = check_form(o, entry);
    if (code != EXIT_OK) return code;
    switch (o->kind) {
    case KIND_FLAG:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) return bad_value(o, entry, "true or false");
        *(bool *)field = text[0] == 't';
        return EXIT_OK;
    case KIND_WHOLE:
        if (!read_whole(text, &whole)) return bad_value(o, entry, "a whole number");
        if ((double)whole < o->low || (double)whole > o->high) return out_of_range(o, entry);
        *(int64_t *)field = whole;
        return EXIT_OK;
    case KIND_NUMBER:
        if (!read_number(text, &number)) return bad_value(o, entry, "a number");
        if (number < o->low || number > o->high) return out_of_range(o, entry);
        *(double *)field = number;
        return EXIT_OK;
    case KIND_TEXT:
        if (!text[0]) return bad_value(o, entry, "a text that is not empty");
        if (strlen(text) >= OPTION_TEXT_MAX) return bad_value(o, entry, "a text of less than 1,024 bytes");
        if (!is_utf8(text)) return bad_value(o, entry, "a text in UTF-8");
        *(const char **)field = text;
        return EXIT_OK;
    case KIND_CHOICE: return read_choice(o, entry, field);
    case KIND_SIZES: return read_sizes(o, entry, field);
    }
    return EXIT_BUG;
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

const option *options_find(const option_schema *schema, const char *key) {
    for (int i = 0; schema && i < schema->count; i++) {
        if (strcmp(schema->options[i].key, key) == 0) return &schema->options[i];
    }
    return NULL;
}

static bool is_extra(const option_schema *schema, const char *key) {
    if (!schema || !schema->prefix) return false;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const size_t length = strlen(schema->prefix);
    return strncmp(key, schema->prefix, length) == 0 && key[length] &&
           strspn(key + length, letters) == strlen(key + length);
}

static int unknown(const option_schema *schema, const option_entry *entry) {
    const bool argument = entry->origin.argument;
    const char *nearest =
        schema ? options_nearest(entry->key, schema->options, schema->count, sizeof *schema->options) : NULL;
    const char *dashes = argument ? "--" : "", *list = argument ? "--help lists all" : "`reverie config` lists all";
    const char *what = argument ? "option" : "key";
    int code = argument ? EXIT_USAGE : EXIT_CONFIG;
    if (nearest) {
        return refuse(code, entry, "no %s \"%.64s\"; the nearest is %s%s (%s)", what, entry->key, dashes, nearest,
                      list);
    }
    return refuse(code, entry, "no %s \"%.64s\" (%s)", what, entry->key, list);
}

static int take_extra(const option_schema *schema, const option_entry *entry, option_extras *extras) {
    const char *name = entry->key + strlen(schema->prefix);
    double number;
    if (entry->form != FORM_PLAIN || !read_number(entry->value, &number)) {
        return refuse(EXIT_CONFIG, entry, "%s is \"%.200s\", must be a number", entry->key, entry->value);
    }
    int i = 0;
    while (i < extras->count && strcmp(extras->name[i], name) != 0) i++;
    if (i == OPTION_EXTRAS) {
        return refuse(EXIT_CONFIG, entry, "more than %d keys begin with %s", OPTION_EXTRAS, schema->prefix);
    }
    if (i == extras->count) extras->count++;
    extras->name[i] = name;
    extras->value[i] = number;
    extras->origin[i] = entry->origin;
    return EXIT_OK;
}

/* ---- arguments ------------------------------------------------------------------------------------------ */

int options_from_arguments(const option_schema *schema, int argc, char **argv, option_list *list) {
    for (int i = 0; i < argc; i++) {
        const bool dashes = strncmp(argv[i], "--", 2) == 0;
        const char *key = argv[i] + (dashes ? 2 : 0), *equals = strchr(key, '=');
        if (!dashes && !equals) {
            return program_fail(EXIT_USAGE, "\"%s\" is no option; they are written --key=value", argv[i]);
        }
        if (!options_list_add(list, key, equals ? (size_t)(equals - key) : strlen(key), equals ? equals + 1 : "",
                              FORM_PLAIN, (option_origin){.argument = true})) {
            return program_fail(EXIT_DEVICE, "no memory for the options");
        }
        option_entry *entry = &list->entries[list->count - 1];
        for (char *c = entry->key; *c; c++) *c = *c == '-' ? '_' : *c; /* --dry-run */
        const option *o = options_find(schema, entry->key);
        if (!o && !is_extra(schema, entry->key)) return unknown(schema, entry);
        if (equals) continue;
        const char *value = o && o->kind == KIND_FLAG ? "true" : i + 1 < argc ? argv[++i] : NULL;
        if (!value) return program_fail(EXIT_USAGE, "--%s needs a value", entry->key);
        free(entry->value);
        entry->value = strdup(value);
        if (!entry->value) return program_fail(EXIT_DEVICE, "no memory for the options");
    }
    return EXIT_OK;
}

/* ---- settings --------------------------------------------------------------------------------------------- */

static int apply_entry(const option_schema *schema, const option_entry *entry, void *settings, option_origin *origins,
                       option_extras *extras) {
    const option *o = options_find(schema, entry->key);
    if (!o && !is_extra(schema, entry->key)) return unknown(schema, entry);
    if (!o) return extras ? take_extra(schema, entry, extras) : EXIT_OK;
    if (origins) origins[o - schema->options] = entry->origin;
    return read_value(o, entry, settings);
}

static int apply_named(const option_schema *schema, const option_entry *wanted, void *settings, option_origin *origins,
                       option_extras *extras) {
    for (int n = 0; n < schema->named_count; n++) {
        const option_named *named = &schema->named[n];
        if (strcmp(named->name, wanted->value) != 0) continue;
        for (int i = 0; i < named->count; i++) {
            option_entry entry = {(char *)(uintptr_t)named->values[i][0],
                                  (char *)(uintptr_t)named->values[i][1],
                                  FORM_PLAIN,
                                  {.named = named->name}};
            int code = apply_entry(schema, &entry, settings, origins, extras);
            if (code != EXIT_OK) return code;
        }
        return EXIT_OK;
    }
    return EXIT_OK; /* a choice that names nothing is refused with the other values */
}

int options_apply(const option_schema *schema, const option_list *list, void *settings, option_origin *origins,
                  option_extras *extras) {
    if (extras) extras->count = 0;
    for (int i = 0; i < schema->count; i++) {
        const option *o = &schema->options[i];
        option_entry entry = {.key = (char *)(uintptr_t)o->key, .value = (char *)(uintptr_t)o->standard};
        if (origins) origins[i] = (option_origin){0};
        if (o->standard && read_value(o, &entry, settings) != EXIT_OK) return EXIT_BUG;
        if (!o->standard) *(const char **)((char *)settings + o->offset) = NULL; /* a text that may be left out */
    }
    const option_entry *named = NULL;
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].key, "config") == 0) named = &list->entries[i];
    }
    int code = named ? apply_named(schema, named, settings, origins, extras) : EXIT_OK;
    for (int i = 0; i < list->count && code == EXIT_OK; i++) {
        code = apply_entry(schema, &list->entries[i], settings, origins, extras);
    }
    if (code == EXIT_OK && schema->complete) schema->complete(settings);
    return code;
}

int options_read(const option_schema *schema, void *settings, int argc, char **argv, option_list *list) {
    int code = options_from_arguments(schema, argc, argv, list);
    return code == EXIT_OK ? options_apply(schema, list, settings, NULL, NULL) : code;
}

/* ---- printing ------------------------------------------------------------------------------------------- */

void options_print(const option_schema *schema, FILE *file) {
    for (int i = 0; i < schema->count; i++) {
        const option *o = &schema->options[i];
        char range[96] = "";
        if (o->kind == KIND_WHOLE || o->kind == KIND_NUMBER) {
            snprintf(range, sizeof range, ", %g to %g", o->low, o->high);
        }
        if (o->kind == KIND_CHOICE) snprintf(range, sizeof range, ", of: %s", o->words);
        fprintf(file, "  --%-24s %s", o->key, o->text);
        if (o->kind == KIND_FLAG) fprintf(file, "\n");
        else fprintf(file, " [%s%s]\n", o->standard ? o->standard : "none", range);
    }
}

void options_explain(const option_schema *schema, const option *o, FILE *file) {
    static const char *const kinds[] = {"true or false", "a whole number",    "a number",
                                        "a text",        "one word of a few", "up to seven whole numbers"};
    fprintf(file, "%s: %s\n\n  type      %s\n", o->key, o->text, kinds[o->kind]);
    if (o->standard) fprintf(file, "  default   %s\n", o->standard);
    if (o->kind == KIND_CHOICE) fprintf(file, "  words     %s\n", o->words);
    if (o->kind == KIND_WHOLE || o->kind == KIND_NUMBER || o->kind == KIND_SIZES) {
        fprintf(file, "  range     %.10g to %.10g\n", o->low, o->high);
    }
    for (int n = 0; n < schema->named_count; n++) {
        for (int i = 0; i < schema->named[n].count; i++) {
            if (strcmp(schema->named[n].values[i][0], o->key) == 0) {
                fprintf(file, "  %-9s %s\n", schema->named[n].name, schema->named[n].values[i][1]);
            }
        }
    }
    const char *dot = strchr(o->key, '.');
    fprintf(file, "\nOn the command line   --%s=%s\nIn a file             ", o->key,
            o->standard ? o->standard : "VALUE");
    if (dot) {
        fprintf(file, "%.*s:\n                        %s: %s\n", (int)(dot - o->key), o->key, dot + 1,
                o->standard ? o->standard : "VALUE");
    } else {
        fprintf(file, "%s: %s\n", o->key, o->standard ? o->standard : "VALUE");
    }
}

/* The fewest digits that read back as the same number. */
void options_number_text(double number, char text[32]) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, number);
        if (strtod(text, NULL) == number) return;
    }
}

void options_value_text(const option *o, const void *settings, char *text, size_t size) {
    const void *field = (const char *)settings + o->offset;
    size_t at = 0;
    text[0] = '\0';
    switch (o->kind) {
    case KIND_FLAG: snprintf(text, size, "%s", *(const bool *)field ? "true" : "false"); break;
    case KIND_WHOLE: snprintf(text, size, "%lld", (long long)*(const int64_t *)field); break;
    case KIND_NUMBER: {
        char number[32];
        options_number_text(*(const double *)field, number);
        snprintf(text, size, "%s", number);
        break;
    }
    case KIND_TEXT: {
        const char *from = *(const char *const *)field;
        snprintf(text, size, "%s", from ? from : "");
        break;
    }
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
