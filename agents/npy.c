/* agents/npy.c: NumPy's array files: a header that is a Python dictionary in text, then the elements. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agents/npz.h"

static rv_status fail(char *message, rv_status status, const char *text) {
    snprintf(message, RV_NPZ_MESSAGE, "%s", text);
    return status;
}

/* ---- the dictionary ------------------------------------------------------------------------------------- */

typedef struct scanner {
    const char *at, *end;
} scanner;

static void skip_blanks(scanner *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t')) s->at++;
}

static bool take(scanner *s, char c) {
    skip_blanks(s);
    if (s->at == s->end || *s->at != c) return false;
    s->at++;
    return true;
}

static bool take_word(scanner *s, const char *word) {
    skip_blanks(s);
    const size_t length = strlen(word);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0) return false;
    s->at += length;
    return true;
}

/* A quoted text without escapes, of less than `size` letters. */
static bool take_text(scanner *s, char *text, size_t size) {
    skip_blanks(s);
    if (s->at == s->end || (*s->at != '\'' && *s->at != '"')) return false;
    const char quote = *s->at++;
    size_t length = 0;
    while (s->at < s->end && *s->at != quote) {
        if (*s->at == '\\' || length + 1 >= size) return false;
        text[length++] = *s->at++;
    }
    text[length] = '\0';
    return take(s, quote);
}

/* (), (5,) or (5, 3). */
static bool take_shape(scanner *s, rv_npy *array) {
    if (!take(s, '(')) return false;
    array->dims = 0;
    while (!take(s, ')')) {
        int64_t value = 0;
        int digits = 0;
        skip_blanks(s);
        for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++, digits++) {
            if (value > (INT64_MAX - 9) / 10) return false;
            value = 10 * value + (*s->at - '0');
        }
        take(s, 'L'); /* Python 2 */
        if (digits == 0 || array->dims == RV_NPY_DIMS_MAX) return false;
        array->shape[array->dims++] = value;
        if (!take(s, ',')) return array->dims > 1 && take(s, ')');
    }
    return true;
}

static bool host_is_little(void) {
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static rv_status take_type(const char *text, rv_npy *array, char *message) {
    const char order = text[0], kind = order ? text[1] : '\0', size = kind ? text[2] : '\0';
    if (kind == 'O') return fail(message, RV_TYPE_MISMATCH, "holds Python objects, which are not read: save it as float32");
    const bool number = (kind == 'f' && (size == '4' || size == '8')) || (kind == 'b' && size == '1') ||
                        ((kind == 'i' || kind == 'u') && (size == '1' || size == '2' || size == '4' || size == '8'));
    if (!strchr("<>|=", order) || !number || text[3] != '\0') {
        return fail(message, RV_TYPE_MISMATCH, "is of a type that is not read: bool, integers, float32 and float64 are");
    }
    array->kind = kind;
    array->item = size - '0';
    array->swapped = array->item > 1 && ((order == '<' && !host_is_little()) || (order == '>' && host_is_little()));
    return RV_OK;
}

static rv_status parse_header(const char *text, size_t size, rv_npy *array, char *message) {
    static const char damaged[] = "has a damaged header";
    scanner s = {text, text + size};
    char key[32], type[32];
    int seen = 0;
    if (!take(&s, '{')) return fail(message, RV_BAD_FILE, damaged);
    while (!take(&s, '}')) {
        if (!take_text(&s, key, sizeof key) || !take(&s, ':')) return fail(message, RV_BAD_FILE, damaged);
        int which = strcmp(key, "descr") == 0 ? 1 : strcmp(key, "fortran_order") == 0 ? 2 : strcmp(key, "shape") == 0 ? 4 : 0;
        if (!which || (seen & which)) return fail(message, RV_BAD_FILE, damaged);
        seen |= which;
        if (which == 1) {
            skip_blanks(&s);
            if (s.at < s.end && (*s.at == '[' || *s.at == '(')) return fail(message, RV_TYPE_MISMATCH, "holds structures, which are not read");
            if (!take_text(&s, type, sizeof type)) return fail(message, RV_BAD_FILE, damaged);
            rv_status status = take_type(type, array, message);
            if (status != RV_OK) return status;
        } else if (which == 2) {
            array->fortran = take_word(&s, "True");
            if (!array->fortran && !take_word(&s, "False")) return fail(message, RV_BAD_FILE, damaged);
        } else if (!take_shape(&s, array)) {
            return fail(message, RV_BAD_FILE, damaged);
        }
        if (!take(&s, ',')) {
            if (!take(&s, '}')) return fail(message, RV_BAD_FILE, damaged);
            break;
        }
    }
    skip_blanks(&s);
    return seen == 7 && s.at == s.end ? RV_OK : fail(message, RV_BAD_FILE, damaged);
}

rv_status rv_npy_parse(const uint8_t *bytes, size_t size, rv_npy *array, char message[RV_NPZ_MESSAGE]) {
    *array = (rv_npy){0};
    if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0) return fail(message, RV_BAD_FILE, "is no NPY file");
    const int version = bytes[6], width = version == 1 ? 2 : 4;
    if (version < 1 || version > 3 || bytes[7] != 0) return fail(message, RV_BAD_FILE, "is of an unknown version of NPY");
    size_t begin = 8 + (size_t)width, length = 0;
    if (size < begin) return fail(message, RV_BAD_FILE, "is cut off");
    for (int i = width - 1; i >= 0; i--) length = length << 8 | bytes[8 + i];
    if (length > RV_NPY_HEADER_MAX || length > size - begin) return fail(message, RV_BAD_FILE, "has a damaged header");
    rv_status status = parse_header((const char *)bytes + begin, length, array, message);
    if (status != RV_OK) return status;

    uint64_t left = size - begin - length, needed = (uint64_t)array->item;
    bool none = false;
    for (int d = 0; d < array->dims; d++) none |= array->shape[d] == 0;
    for (int d = 0; d < array->dims && !none; d++) {
        if (needed > left / (uint64_t)array->shape[d]) return fail(message, RV_BAD_FILE, "has fewer elements than its shape says");
        needed *= (uint64_t)array->shape[d];
    }
    if (none) needed = 0;
    if (needed > left) return fail(message, RV_BAD_FILE, "has fewer elements than its shape says");
    if (needed < left) return fail(message, RV_BAD_FILE, "has more bytes than its shape says");
    array->data = bytes + begin + length;
    return RV_OK;
}

/* ---- elements ---------------------------------------------------------------------------------------------- */

double rv_npy_value(const rv_npy *array, int64_t row, int64_t column) {
    const int64_t columns = array->dims > 1 ? array->shape[1] : 1;
    const int64_t index = array->fortran ? column * array->shape[0] + row : row * columns + column;
    uint8_t b[8] = {0};
    memcpy(b, array->data + (size_t)index * (size_t)array->item, (size_t)array->item);
    for (int i = 0; array->swapped && i < array->item / 2; i++) {
        const uint8_t byte = b[i];
        b[i] = b[array->item - 1 - i];
        b[array->item - 1 - i] = byte;
    }
#define AS(type) do { type value; memcpy(&value, b, sizeof value); return (double)value; } while (0)
    switch (array->kind) {
    case 'f':
        if (array->item == 4) AS(float);
        AS(double);
    case 'i':
        if (array->item == 1) AS(int8_t);
        if (array->item == 2) AS(int16_t);
        if (array->item == 4) AS(int32_t);
        AS(int64_t);
    case 'u':
        if (array->item == 1) AS(uint8_t);
        if (array->item == 2) AS(uint16_t);
        if (array->item == 4) AS(uint32_t);
        AS(uint64_t);
    default: AS(uint8_t);
    }
#undef AS
}
