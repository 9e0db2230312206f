/* experiments/json.h: writes JSON objects, one key after another. Numbers look the same in every locale. */
#ifndef EXPERIMENTS_JSON_H
#define EXPERIMENTS_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json {
    FILE *file;
    int depth;
    bool lines; /* one key a line, indented; else all in one line */
    bool first; /* nothing in this object yet */
} json;

json json_begin(FILE *file, bool lines);
void json_end(json *json); /* closes it, with a newline */
void json_object(json *json, const char *key);
void json_object_end(json *json);
void json_text(json *json, const char *key, const char *text);
void json_whole(json *json, const char *key, int64_t number);
void json_number(json *json, const char *key, double number); /* null where it is not finite */

#endif
