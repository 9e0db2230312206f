/* experiments/config_file.c: reads and writes settings as YAML, over libyaml's events. */
#include "experiments/config_file.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "experiments/program.h"

/* ---- reading ------------------------------------------------------------------------------------------- */

enum { KEY_SIZE = 128, MAX_DEPTH = 4, LIST_SIZE = 512 };

typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the one being looked at */
    bool holds_event;
    const char *path;
    option_list *list;
    int first; /* of this file's entries in the list */
} reader;

static int line_of(const reader *r) { return (int)r->event.start_mark.line + 1; }

static int refuse(const reader *r, int line, const char *format, ...) RV_PRINTF(3, 4);
static int refuse(const reader *r, int line, const char *format, ...) {
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return program_fail(EXIT_CONFIG, "%s:%d: %s", r->path, line, text);
}

static int next(reader *r) {
    if (r->holds_event) yaml_event_delete(&r->event);
    r->holds_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    if (r->holds_event) return EXIT_OK;
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return program_fail(EXIT_DEVICE, "%s: no memory to read it", r->path);
    size_t line = p->error == YAML_READER_ERROR ? p->mark.line : p->problem_mark.line;
    return refuse(r, (int)line + 1, "%s%s%s", p->problem ? p->problem : "cannot be read", p->context ? ", " : "",
                  p->context ? p->context : "");
}

/* Nothing that stands for something written elsewhere. */
static int check_plainness(const reader *r) {
    const yaml_event_t *e = &r->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_ALIAS_EVENT) {
        return refuse(r, line_of(r), "an alias (*%.64s); write the value out", e->data.alias.anchor);
    }
    if (e->type == YAML_SCALAR_EVENT) anchor = e->data.scalar.anchor, tag = e->data.scalar.tag;
    if (e->type == YAML_SEQUENCE_START_EVENT) anchor = e->data.sequence_start.anchor, tag = e->data.sequence_start.tag;
    if (e->type == YAML_MAPPING_START_EVENT) anchor = e->data.mapping_start.anchor, tag = e->data.mapping_start.tag;
    if (anchor) return refuse(r, line_of(r), "an anchor (&%.64s); write the value out where it is needed", anchor);
    if (tag) return refuse(r, line_of(r), "a tag (%.64s); the key says the type", tag);
    return EXIT_OK;
}

static int scalar_text(const reader *r, const char **text) {
    *text = (const char *)r->event.data.scalar.value;
    if (strlen(*text) != r->event.data.scalar.length) return refuse(r, line_of(r), "a zero byte in a value");
    return EXIT_OK;
}

static int add(reader *r, const char *key, int line, const char *value, option_form form) {
    for (int i = r->first; i < r->list->count; i++) {
        const option_entry *other = &r->list->entries[i];
        if (strcmp(other->key, key) == 0) {
            return refuse(r, line, "%s stands here again; line %d has it already", key, other->origin.line);
        }
    }
    if (options_list_add(r->list, key, strlen(key), value, form, (option_origin){.file = r->path, .line = line})) {
        return EXIT_OK;
    }
    return program_fail(EXIT_DEVICE, "%s: no memory to read it", r->path);
}

/* Behind a sequence's start: its values, joined by commas. */
static int read_list(reader *r, const char *key, int line) {
    char joined[LIST_SIZE] = "";
    size_t at = 0;
    for (int code = next(r); ; code = next(r)) {
        const char *text;
        if (code == EXIT_OK) code = check_plainness(r);
        if (code != EXIT_OK) return code;
        if (r->event.type == YAML_SEQUENCE_END_EVENT) return add(r, key, line, joined, FORM_LIST);
        if (r->event.type != YAML_SCALAR_EVENT) return refuse(r, line_of(r), "%s: a list holds plain values only", key);
        code = scalar_text(r, &text);
        if (code != EXIT_OK) return code;
        at += (size_t)snprintf(joined + at, sizeof joined - at, "%s%s", at ? "," : "", text);
        if (at >= sizeof joined) return refuse(r, line, "%s: the list is too long", key);
    }
}

static int read_map(reader *r, const char *prefix, int depth);

static int read_value(reader *r, const char *key, int key_line, int depth) {
    const char *text;
    int code = next(r);
    if (code == EXIT_OK) code = check_plainness(r);
    if (code != EXIT_OK) return code;
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        code = scalar_text(r, &text);
        if (code != EXIT_OK) return code;
        bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (plain && (!text[0] || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)) {
            return refuse(r, key_line, "%s has no value; leave the line out to get the default", key);
        }
        return add(r, key, key_line, text, plain ? FORM_PLAIN : FORM_QUOTED);
    case YAML_SEQUENCE_START_EVENT: return read_list(r, key, key_line);
    case YAML_MAPPING_START_EVENT:
        if (depth == MAX_DEPTH) return refuse(r, key_line, "%s: nested too deeply", key);
        return read_map(r, key, depth + 1);
    default: return refuse(r, key_line, "%s has no value", key);
    }
}

/* Behind a map's start: all of it. */
static int read_map(reader *r, const char *prefix, int depth) {
    for (;;) {
        char key[KEY_SIZE];
        const char *name;
        int code = next(r);
        if (code == EXIT_OK) code = check_plainness(r);
        if (code != EXIT_OK) return code;
        if (r->event.type == YAML_MAPPING_END_EVENT) return EXIT_OK;
        if (r->event.type != YAML_SCALAR_EVENT) return refuse(r, line_of(r), "a key must be a name");
        code = scalar_text(r, &name);
        if (code != EXIT_OK) return code;
        int length = snprintf(key, sizeof key, "%s%s%s", prefix, prefix[0] ? "." : "", name);
        if (length >= (int)sizeof key || !name[0]) {
            return refuse(r, line_of(r), "a key must be a name of at most %d letters", KEY_SIZE - 1);
        }
        code = read_value(r, key, line_of(r), depth);
        if (code != EXIT_OK) return code;
    }
}

static int read_document(reader *r) {
    int code = next(r); /* stream start */
    if (code == EXIT_OK) code = next(r);
    if (code != EXIT_OK) return code;
    if (r->event.type == YAML_STREAM_END_EVENT) {
        return refuse(r, 1, "the file is empty; it needs at least one key: value");
    }
    code = next(r);
    if (code == EXIT_OK) code = check_plainness(r);
    if (code != EXIT_OK) return code;
    if (r->event.type != YAML_MAPPING_START_EVENT) {
        return refuse(r, line_of(r), "no config: it must be made of lines such as \"seed: 1\"");
    }
    code = read_map(r, "", 0);
    if (code == EXIT_OK) code = next(r); /* document end */
    if (code == EXIT_OK) code = next(r);
    if (code == EXIT_OK && r->event.type != YAML_STREAM_END_EVENT) {
        return refuse(r, line_of(r), "a second document; a file holds one");
    }
    return code;
}

int config_read_stream(FILE *file, const char *path, option_list *list) {
    reader r = {.path = path, .list = list, .first = list->count};
    if (!yaml_parser_initialize(&r.parser)) return program_fail(EXIT_DEVICE, "%s: no memory to read it", path);
    yaml_parser_set_input_file(&r.parser, file);
    int code = read_document(&r);
    if (r.holds_event) yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return code;
}

int config_read_file(const char *path, option_list *list) {
    FILE *file = fopen(path, "re");
    if (!file) return program_fail(EXIT_IO, "cannot read %s: %s", path, strerror(errno));
    struct stat about;
    int code;
    if (fstat(fileno(file), &about) == 0 && S_ISDIR(about.st_mode)) {
        code = program_fail(EXIT_IO, "%s is a folder, not a config", path);
    } else {
        code = config_read_stream(file, path, list);
    }
    fclose(file);
    return code;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* Whatever may not stand there as it is, is escaped; returns the columns it takes. */
static int write_quoted(FILE *file, const char *text) {
    int width = fprintf(file, "\"");
    uint32_t c;
    for (int length = options_code_point(text, &c); length > 0; text += length, length = options_code_point(text, &c)) {
        if (c == '"' || c == '\\') width += fprintf(file, "\\%c", (int)c);
        else if (c >= 0x20 && c < 0x7f) width += fprintf(file, "%c", (int)c);
        else if (c >= 0xa1 && c < 0x2000) width += fprintf(file, "%.*s", length, text) > 0;
        else width += fprintf(file, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
    }
    return width + fprintf(file, "\"");
}

/* A value as YAML: plain where nothing in it could be read otherwise. */
static void write_value(FILE *file, const option *o, const char *text, int *width) {
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=+";
    if (o->kind == KIND_SIZES) {
        *width += fprintf(file, "[%s]", text);
    } else if (o->kind != KIND_TEXT || (strspn(text, safe) == strlen(text) && strcmp(text, "null") != 0)) {
        *width += fprintf(file, "%s", text);
    } else {
        *width += write_quoted(file, text);
    }
}

static void write_origin(FILE *file, int width, const option_origin *origin) {
    fprintf(file, "%*s# ", width < 40 ? 40 - width : 1, "");
    if (origin->argument) fputs("command line\n", file);
    else if (origin->file) fprintf(file, "%s:%d\n", origin->file, origin->line);
    else if (origin->named) fprintf(file, "config %s\n", origin->named);
    else fputs("default\n", file);
}

static void write_extras(FILE *file, const option_extras *extras) {
    for (int i = 0; i < extras->count; i++) {
        char value[32];
        options_number_text(extras->value[i], value);
        int width = fprintf(file, "  %s: %s", extras->name[i], value);
        write_origin(file, width, &extras->origin[i]);
    }
}

bool config_among(const char *words, const char *key) {
    size_t length = strlen(key);
    for (const char *at = strstr(words, key); at; at = strstr(at + 1, key)) {
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length])) return true;
    }
    return false;
}

static size_t group_length(const char *key) {
    const char *dot = strchr(key, '.');
    return dot ? (size_t)(dot - key) : 0;
}

static bool same_group(const char *a, const char *b) {
    size_t length = group_length(a);
    return length > 0 && length == group_length(b) && strncmp(a, b, length) == 0;
}

typedef struct written {
    const option_schema *schema;
    const void *settings;
    const option_origin *origins;
    const char *leave_out;
} written;

static void write_option(FILE *file, const written *w, int index) {
    const option *o = &w->schema->options[index];
    const size_t length = group_length(o->key);
    char value[1200];
    options_value_text(o, w->settings, value, sizeof value);
    if (!value[0] || config_among(w->leave_out, o->key)) return;
    int width = fprintf(file, "%s%s: ", length ? "  " : "", length ? o->key + length + 1 : o->key);
    write_value(file, o, value, &width);
    write_origin(file, width, &w->origins[index]);
}

/* A group's keys stand together, wherever in the schema they are: a mapping has each key once. */
static void write_group(FILE *file, const written *w, int first, const option_extras *extras) {
    const option *options = w->schema->options;
    const size_t length = group_length(options[first].key);
    const char *prefix = w->schema->prefix;
    for (int before = 0; before < first; before++) {
        if (same_group(options[before].key, options[first].key)) return;
    }
    fprintf(file, "%.*s:\n", (int)length, options[first].key);
    if (prefix && strlen(prefix) == length + 1 && strncmp(options[first].key, prefix, length + 1) == 0) {
        write_extras(file, extras);
    }
    for (int i = first; i < w->schema->count; i++) {
        if (same_group(options[i].key, options[first].key)) write_option(file, w, i);
    }
}

void config_write(FILE *file, const option_schema *schema, const void *settings, const option_origin *origins,
                  const option_extras *extras, const char *leave_out) {
    const written w = {schema, settings, origins, leave_out};
    for (int i = 0; i < schema->count; i++) {
        if (group_length(schema->options[i].key) > 0) write_group(file, &w, i, extras);
        else write_option(file, &w, i);
    }
}

/* ---- differences ------------------------------------------------------------------------------------------- */

static const double *extra(const option_extras *extras, const char *name) {
    for (int i = 0; i < extras->count; i++) {
        if (strcmp(extras->name[i], name) == 0) return &extras->value[i];
    }
    return NULL;
}

static int print_extra(FILE *file, const option_schema *schema, const char *name, const double *before,
                       const double *now) {
    char texts[2][32] = {"the default", "the default"};
    if (before) options_number_text(*before, texts[0]);
    if (now) options_number_text(*now, texts[1]);
    return fprintf(file, "  %s%s: %s before, %s now\n", schema->prefix, name, texts[0], texts[1]) > 0;
}

int config_print_differences(FILE *file, const option_schema *schema, const void *before,
                             const option_extras *extras_before, const void *now, const option_extras *extras_now,
                             const char *passing) {
    int count = 0;
    for (int i = 0; i < schema->count; i++) {
        char old[1200], fresh[1200];
        const option *o = &schema->options[i];
        options_value_text(o, before, old, sizeof old);
        options_value_text(o, now, fresh, sizeof fresh);
        if (strcmp(old, fresh) == 0 || config_among(passing, o->key)) continue;
        fprintf(file, "  %s: %s before, %s now\n", o->key, old[0] ? old : "none", fresh[0] ? fresh : "none");
        count++;
    }
    for (int i = 0; i < extras_before->count; i++) {
        const double *other = extra(extras_now, extras_before->name[i]);
        if (!other || *other != extras_before->value[i]) {
            count += print_extra(file, schema, extras_before->name[i], &extras_before->value[i], other);
        }
    }
    for (int i = 0; i < extras_now->count; i++) {
        if (!extra(extras_before, extras_now->name[i])) {
            count += print_extra(file, schema, extras_now->name[i], NULL, &extras_now->value[i]);
        }
    }
    return count;
}
