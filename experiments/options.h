/* experiments/options.h: typed options, from a file and from the command line alike.
 *
 *     static const option table[] = {
 *         OPTION_WHOLE(settings, train_steps, "train.steps", "1000", 1, 1e9, "updates"),
 *     };
 *     static const option_schema schema = {.options = table, .count = 1};
 *     option_list list = {0};
 *     settings s;
 *     int code = options_from_arguments(&schema, argc, argv, &list);     // or config_read_file, or both
 *     if (code == EXIT_OK) code = options_apply(&schema, &list, &s, NULL, NULL);
 *     options_list_free(&list);                                          // the settings' texts go with it
 *
 * On the command line each is written --key=value, --key value or key=value. Numbers are read the same way in
 * every locale.
 */
#ifndef EXPERIMENTS_OPTIONS_H
#define EXPERIMENTS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { OPTION_SIZES_MAX = 7, OPTION_MAX = 64, OPTION_EXTRAS = 32, OPTION_TEXT_MAX = 1024 /* with its end */ };

typedef struct option_sizes {
    int count;
    int64_t size[OPTION_SIZES_MAX];
} option_sizes;

typedef enum option_kind {
    KIND_FLAG,   /* bool: alone, or true / false */
    KIND_WHOLE,  /* int64_t */
    KIND_NUMBER, /* double */
    KIND_TEXT,   /* const char *, into the list */
    KIND_CHOICE, /* int: index among the words */
    KIND_SIZES   /* option_sizes: "128,64" */
} option_kind;

typedef struct option {
    const char *key;
    option_kind kind;
    size_t offset;        /* in the settings */
    const char *standard; /* as it would be written */
    double low, high;     /* whole, number, each of the sizes */
    const char *words;    /* choice: "random scripted mixed" */
    const char *text;
} option;

#define OPTION_FLAG(type, field, key, standard, text)                                                                  \
    { key, KIND_FLAG, offsetof(type, field), standard, 0, 0, NULL, text }
#define OPTION_WHOLE(type, field, key, standard, low, high, text) \
    {key, KIND_WHOLE, offsetof(type, field), standard, low, high, NULL, text}
#define OPTION_NUMBER(type, field, key, standard, low, high, text) \
    {key, KIND_NUMBER, offsetof(type, field), standard, low, high, NULL, text}
#define OPTION_TEXT(type, field, key, standard, text)                                                                  \
    { key, KIND_TEXT, offsetof(type, field), standard, 0, 0, NULL, text }
#define OPTION_CHOICE(type, field, key, standard, words, text) \
    {key, KIND_CHOICE, offsetof(type, field), standard, 0, 0, words, text}
#define OPTION_SIZES(type, field, key, standard, low, high, text) \
    {key, KIND_SIZES, offsetof(type, field), standard, low, high, NULL, text}

/* Values for some keys under one name, chosen by the key "config". */
typedef struct option_named {
    const char *name, *text;
    int count;
    const char *const (*values)[2]; /* key, value */
} option_named;

typedef struct option_schema {
    const option *options; /* at most OPTION_MAX */
    int count;
    const char *prefix; /* "env.": numbers under whatever key begins so; NULL: none */
    const option_named *named;
    int named_count;
    void (*complete)(void *settings); /* fills in what follows from the rest; NULL: nothing does */
} option_schema;

/* ---- what was written, and where --------------------------------------------------------------------------- */

typedef enum option_form { FORM_PLAIN, FORM_QUOTED, FORM_LIST } option_form;

/* Where a value comes from: all NULL and zero is the standard value. */
typedef struct option_origin {
    const char *named;  /* a named config */
    const char *file;
    int line;           /* in that file */
    bool argument;      /* the command line */
} option_origin;

typedef struct option_entry {
    char *key, *value;
    option_form form;
    option_origin origin;
} option_entry;

/* In the order written; later entries win. All zero: empty. */
typedef struct option_list {
    int count, capacity;
    option_entry *entries;
} option_list;

/* Copies key and value. false: out of memory. */
bool options_list_add(option_list *list, const char *key, size_t key_length, const char *value, option_form form,
                      option_origin origin);
void options_list_free(option_list *list);

/* Numbers under the schema's prefix, whatever follows it: an environment's own options. */
typedef struct option_extras {
    int count;
    const char *name[OPTION_EXTRAS]; /* behind the prefix; into the list */
    double value[OPTION_EXTRAS];
    option_origin origin[OPTION_EXTRAS];
} option_extras;

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* Adds what the arguments say. Prints what is wrong, with the nearest key; an exit code. */
int options_from_arguments(const option_schema *schema, int argc, char **argv, option_list *list);

/* Fills the settings: standard values, then the named config that the list asks for, then the list. `origins`
 * [schema->count] and `extras` may be NULL. Prints what is wrong, with file and line; an exit code. */
int options_apply(const option_schema *schema, const option_list *list, void *settings, option_origin *origins,
                  option_extras *extras);

/* Both at once, for a command with no file. The list holds the texts. */
int options_read(const option_schema *schema, void *settings, int argc, char **argv, option_list *list);

/* "FILE:LINE: " for what came from a file, else "". */
const char *options_where(const option_origin *origin, char *text, size_t size);

/* ---- printing ------------------------------------------------------------------------------------------------- */

/* One line an option: key, meaning, standard value, range. */
void options_print(const option_schema *schema, FILE *file);

/* An option in full. */
void options_explain(const option_schema *schema, const option *option, FILE *file);

const option *options_find(const option_schema *schema, const char *key);

/* An option's value as it would be written. */
void options_value_text(const option *option, const void *settings, char *text, size_t size);

/* The code point that a text in UTF-8 begins with, and its length in bytes; 0 where it begins with no whole
 * character. */
int options_code_point(const char *text, uint32_t *code_point);

/* A number in the fewest digits that read back as the same. */
void options_number_text(double number, char text[32]);

/* The nearest of some names (stride bytes apart, each beginning with a char pointer), or NULL where none is near. */
const char *options_nearest(const char *name, const void *names, int count, size_t stride);

#endif
