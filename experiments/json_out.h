/* experiments/json_out.h: writes JSON objects, one key after another. Numbers look the same in every locale. */
#ifndef EXPERIMENTS_JSON_OUT_H
#define EXPERIMENTS_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json_out {
    FILE *file;
    int depth;
    bool lines; /* one key a line, indented; else all in one line */
    bool first; /* nothing in this object yet */
} json_out;

json_out json_out_begin(FILE *file, bool lines);
void json_out_end(json_out *json); /* closes it, with a newline */
void json_out_object(json_out *json, const char *key);
void json_out_object_end(json_out *json);
void json_out_text(json_out *json, const char *key, const char *text);
void json_out_flag(json_out *json, const char *key, bool truth);
void json_out_whole(json_out *json, const char *key, int64_t number);
void json_out_numbers(json_out *json, const char *key, const double *numbers, int64_t count); /* a list */
void json_out_texts(json_out *json, const char *key, const char *const *texts, int64_t count);
void json_out_number(json_out *json, const char *key, double number); /* null where it is not finite */

#endif
