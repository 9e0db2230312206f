/* experiments/options.h: typed options from the command line.
 *
 *     static const option table[] = {
 *         OPTION_WHOLE(settings, train_steps, "train.steps", "1000", 1, 1e9, "updates"),
 *     };
 *     settings s;
 *     int code = options_read(table, 1, &s, argc, argv, NULL);
 *
 * Each is written --key=value, --key value or key=value. Numbers are read the same way in every locale.
 */
#ifndef EXPERIMENTS_OPTIONS_H
#define EXPERIMENTS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { OPTION_SIZES_MAX = 7 };

typedef struct option_sizes {
    int count;
    int64_t size[OPTION_SIZES_MAX];
} option_sizes;

typedef enum option_kind {
    KIND_FLAG,   /* bool: alone, or true / false */
    KIND_WHOLE,  /* int64_t */
    KIND_NUMBER, /* double */
    KIND_TEXT,   /* const char *, into argv */
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

#define OPTION_FLAG(type, field, key, text) {key, KIND_FLAG, offsetof(type, field), "false", 0, 0, NULL, text}
#define OPTION_WHOLE(type, field, key, standard, low, high, text) \
    {key, KIND_WHOLE, offsetof(type, field), standard, low, high, NULL, text}
#define OPTION_NUMBER(type, field, key, standard, low, high, text) \
    {key, KIND_NUMBER, offsetof(type, field), standard, low, high, NULL, text}
#define OPTION_TEXT(type, field, key, standard, text) {key, KIND_TEXT, offsetof(type, field), standard, 0, 0, NULL, text}
#define OPTION_CHOICE(type, field, key, standard, words, text) \
    {key, KIND_CHOICE, offsetof(type, field), standard, 0, 0, words, text}
#define OPTION_SIZES(type, field, key, standard, low, high, text) \
    {key, KIND_SIZES, offsetof(type, field), standard, low, high, NULL, text}

/* Numbers under keys that begin with a prefix, whatever follows it: an environment's own options. */
typedef struct option_extras {
    const char *prefix; /* "env." */
    int count;
    const char *name[32]; /* behind the prefix; into argv */
    double value[32];
    char names[32][64];
} option_extras;

/* Fills the settings with the standard values, then with the arguments'. Prints what is wrong, with the
 * nearest key, and returns an exit code. extras may be NULL. */
int options_read(const option *table, int count, void *settings, int argc, char **argv, option_extras *extras);

/* One line an option: key, meaning, standard value, range. */
void options_print(const option *table, int count, FILE *file);

/* An option's value as it would be written. */
void options_value_text(const option *option, const void *settings, char *text, size_t size);

/* The nearest of some names (stride bytes apart, each beginning with a char pointer), or NULL where none is near. */
const char *options_nearest(const char *name, const void *names, int count, size_t stride);

#endif
