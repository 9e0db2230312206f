/* The format alone: which headers are taken, which are refused and with what status, and what is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/safetensors.h"
#include "tests/support/suite.h"

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    if (bytes) return realloc(memory, bytes);
    free(memory);
    return NULL;
}

static const rv_allocator allocator = {resize, NULL};

static rv_status parse(const char *header, size_t header_bytes, uint64_t data_bytes, rv_error *error) {
    rv_safetensors file;
    *error = (rv_error){0};
    /* a copy of just that size, so that reading past its end is seen */
    char *copy = malloc(header_bytes);
    memcpy(copy, header, header_bytes);
    rv_status status = rv_safetensors_parse(&file, &allocator, copy, header_bytes, data_bytes, error);
    free(copy);
    rv_safetensors_free(&file);
    return status;
}

#define TENSOR(name, type, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"
#define A TENSOR("a", "F32", "2,3", 0, 24)

static void test_taken(void **state) {
    (void)state;
    static const struct {
        const char *header;
        uint64_t bytes;
    } cases[] = {
        {"{}", 0},
        {"{}      ", 0},
        {"{" A "}", 24},
        {"{" A "}  \n\t\r ", 24},
        {"{\"__metadata__\":{}," A "}", 24},
        {"{\"__metadata__\":{\"a\":\"\",\"b\":\"{[,]}\\\"\"}," A "}", 24},
        {"{" TENSOR("b", "U8", "4", 24, 28) "," A "}", 28},
        {"{" TENSOR("scalar", "F64", "", 0, 8) "}", 8},
        {"{" TENSOR("none", "F32", "0,4611686018427387904", 0, 0) "," A "}", 24},
        {"{" TENSOR("half", "BF16", "3", 0, 6) "," TENSOR("eight", "F8_E4M3", "1,1,1,1,1,1,1,2", 6, 8) "}", 8},
        {"{" TENSOR("four", "F4", "2,3", 0, 3) "}", 3},
        {"{\"a\":{\"data_offsets\":[0,4],\"shape\":[1],\"dtype\":\"F32\"}}", 4},
        {"{" TENSOR("Gr\xc3\xb6\xc3\x9f" "e", "F32", "1", 0, 4) "}", 4},
        {"{" TENSOR("\\u00e9\\\"\\\\/", "F32", "1", 0, 4) "}", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_error error;
        rv_status status = parse(cases[i].header, strlen(cases[i].header), cases[i].bytes, &error);
        if (status != RV_OK) fail_msg("%s: %s", cases[i].header, error.text);
    }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        uint64_t bytes;
        const char *names; /* part of the message */
    } cases[] = {
        {"", 0, "no JSON object"},
        {" {}", 0, "no JSON object"},
        {"[]", 0, "no JSON object"},
        {"{", 0, "no valid JSON"},
        {"{}x", 0, "no valid JSON"},
        {"{" A ",}", 24, "no valid JSON"},
        {"{" A "," A "}", 24, "no valid JSON"},
        {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}," A "}", 24, "no valid JSON"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "no valid JSON"},
        {"{\"a\\u0000b\":1}", 0, "no valid JSON"},
        {"{\"\\ud800\":1}", 0, "no valid JSON"},
        {"{\"\xff\":1}", 0, "no valid JSON"},
        {"{" A "}", 23, "truncated"},
        {"{" A "}", 25, "truncated"},
        {"{}", 1, "truncated"},
        {"{" TENSOR("a", "F32", "2,3", 0, 20) "}", 20, "disagree"},
        {"{" TENSOR("a", "F32", "2,3", 24, 0) "}", 24, "disagree"},
        {"{" TENSOR("a", "F32", "2,3", 4, 28) "}", 28, "gap or an overlap"},
        {"{" A "," TENSOR("b", "U8", "4", 20, 24) "}", 24, "gap or an overlap"},
        {"{" A "," TENSOR("b", "U8", "4", 28, 32) "}", 32, "gap or an overlap"},
        {"{" A "," TENSOR("b", "F32", "2,3", 0, 24) "}", 24, "gap or an overlap"},
        {"{" TENSOR("a", "F32", "4294967296,4294967296", 0, 0) "}", 0, "overflows"},
        {"{" TENSOR("a", "F32", "4611686018427387904,4", 0, 0) "}", 0, "overflows"},
        {"{" TENSOR("a", "F4", "3", 0, 1) "}", 1, "whole bytes"},
        {"{" TENSOR("a", "F32", "-1", 0, 4) "}", 4, "list of sizes"},
        {"{" TENSOR("a", "F32", "1.0", 0, 4) "}", 4, "list of sizes"},
        {"{" TENSOR("a", "F32", "1e0", 0, 4) "}", 4, "list of sizes"},
        {"{" TENSOR("a", "F32", "true", 0, 4) "}", 4, "list of sizes"},
        {"{" TENSOR("a", "F32", "18446744073709551616", 0, 4) "}", 4, "no valid JSON"},
        {"{" TENSOR("a", "F32", "1,1,1,1,1,1,1,1,1", 0, 4) "}", 4, "8 dimensions"},
        {"{" TENSOR("a", "F31", "1", 0, 4) "}", 4, "dtype"},
        {"{" TENSOR("a", "f32", "1", 0, 4) "}", 4, "dtype"},
        {"{" TENSOR("", "F32", "1", 0, 4) "}", 4, "name"},
        {"{" TENSOR("a\\n", "F32", "1", 0, 4) "}", 4, "name"},
        {"{" TENSOR("a\\u007f", "F32", "1", 0, 4) "}", 4, "name"},
        {"{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "nothing else"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two sizes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, "two sizes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}", 4, "two sizes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "nothing else"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":0}}", 4, "nothing else"},
        {"{\"a\":[]}", 0, "nothing else"},
        {"{\"a\":null}", 0, "nothing else"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]}}", 4, "nests deeper"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "not a text"},
        {"{\"__metadata__\":{\"a\":null}}", 0, "not a text"},
        {"{\"__metadata__\":{\"a\":{}}}", 0, "not a text"},
        {"{\"__metadata__\":\"a\"}", 0, "not an object"},
        {"{\"__metadata__\":[]}", 0, "not an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_error error;
        rv_status status = parse(cases[i].header, strlen(cases[i].header), cases[i].bytes, &error);
        if (status != RV_BAD_FILE) fail_msg("%s: %s", cases[i].header, rv_status_text(status));
        if (!strstr(error.text, cases[i].names)) fail_msg("%s: %s", cases[i].header, error.text);
    }
}

static void test_limits(void **state) {
    (void)state;
    const size_t most = 4 << 20;
    char *header = malloc(most);
    rv_error error;
    /* depth: refused before the JSON reader recurses */
    memset(header, '[', most);
    header[0] = '{';
    assert_status(parse(header, most, 0, &error), RV_BAD_FILE);
    assert_names(error.text, "nests deeper");
    /* number of values: refused before the JSON reader allocates for each */
    memset(header, ',', most);
    header[0] = '{';
    assert_status(parse(header, most, 0, &error), RV_BAD_FILE);
    assert_names(error.text, "more than 65536");
    /* 65536 tensors are taken, one more is not */
    for (int count = 65536; count <= 65537; count++) {
        size_t at = 0;
        for (int i = 0; i < count; i++) {
            at += (size_t)sprintf(header + at, "%c\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                                  i ? ',' : '{', i);
        }
        header[at++] = '}';
        assert_status(parse(header, at, 0, &error), count == 65536 ? RV_OK : RV_BAD_FILE);
    }
    /* names of 512 bytes are taken, 513 are not */
    for (int length = 512; length <= 513; length++) {
        char name[514];
        memset(name, 'n', sizeof name);
        name[length] = 0;
        const int at = sprintf(header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
        assert_status(parse(header, (size_t)at, 1, &error), length == 512 ? RV_OK : RV_BAD_FILE);
    }
    free(header);
}

static void test_begin(void **state) {
    (void)state;
    rv_error error;
    uint64_t header;
    static const uint64_t lengths[] = {0, 1, 93, 100, (1u << 24) + 1, (1u << 31) - 1, 1u << 31, (1u << 31) + 1,
                                       0xffffffff, 0x100000000, 1ull << 53, 1ull << 63, UINT64_MAX, UINT64_MAX - 7};
    uint8_t first[8];
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int k = 0; k < 8; k++) first[k] = (uint8_t)(lengths[i] >> 8 * k);
        assert_status(rv_safetensors_begin(first, 100, &header, &error), RV_BAD_FILE);
    }
    for (int k = 0; k < 8; k++) first[k] = k == 0 ? 92 : 0;
    assert_status(rv_safetensors_begin(first, 100, &header, &error), RV_OK);
    assert_int_equal(header, 92);
    for (uint64_t size = 0; size < 8; size++) {
        assert_status(rv_safetensors_begin(first, size, &header, &error), RV_BAD_FILE);
    }
    static const struct {
        const char *first, *names;
    } kinds[] = {{"PK\3\4\24\0\0\0", "zip"}, {"\x93NUMPY\1\0", ".npy"}, {"\x89HDF\r\n\x1a\n", "HDF5"},
                 {"GGUF\3\0\0\0", "GGUF"}, {"\x80\2}q\0X\1\0", "pickle"}, {"\0\0\0\0\0\0\0\x5c", "big-endian"},
                 {"weights!", "damaged or of another kind"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_status(rv_safetensors_begin((const uint8_t *)kinds[i].first, 1 << 20, &header, &error), RV_BAD_FILE);
        assert_names(error.text, kinds[i].names);
    }
}

static void test_texts(void **state) {
    (void)state;
    static const char *const good[] = {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf",
                                       "\n\t\x7f"};
    static const char *const broken[] = {"\x80", "\xc3", "\xc3(", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80",
                                         "\xed\xa0\x80", "\xe2\x82", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
                                         "\xf5\x80\x80\x80", "\xff"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(rv_safetensors_text_valid(good[i]));
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) assert_false(rv_safetensors_text_valid(broken[i]));
    assert_true(rv_safetensors_name_valid("a/b"));
    assert_false(rv_safetensors_name_valid(""));
    assert_false(rv_safetensors_name_valid("a\n"));
    assert_false(rv_safetensors_name_valid("__metadata__"));
    assert_false(rv_safetensors_name_valid("\xff"));
}

/* Sorted by type, then by name as bytes; escapes as short as can be; padded to eight bytes. */
static void test_written(void **state) {
    (void)state;
    rv_safetensor tensors[] = {
        {.name = "z", .type = RV_SAFETENSORS_U8, .dims = 1, .shape = {3}},
        {.name = "b", .type = RV_SAFETENSORS_F32, .dims = 2, .shape = {1, 2}},
        {.name = "\xc3\xa9", .type = RV_SAFETENSORS_F32},
        {.name = "a\"\\/", .type = RV_SAFETENSORS_I32, .dims = 1, .shape = {0}},
    };
    const rv_safetensors_text metadata[] = {{"k", "\b\f\n\r\t\x01\x1f\x7f\xc3\xa9/\"\\"}, {"l", ""}};
    const char expected[] = "\x0\x1\0\0\0\0\0\0"
        "{\"__metadata__\":{\"k\":\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9/\\\"\\\\\",\"l\":\"\"},"
        TENSOR("b", "F32", "1,2", 0, 8) "," TENSOR("\xc3\xa9", "F32", "", 8, 12) ","
        TENSOR("a\\\"\\\\/", "I32", "0", 12, 12) "," TENSOR("z", "U8", "3", 12, 15) "}";
    char *header;
    size_t bytes;
    rv_error error;
    assert_status(rv_safetensors_write(&allocator, tensors, 4, metadata, 2, &header, &bytes, &error), RV_OK);
    assert_int_equal(bytes % 8, 0);
    assert_int_equal((uint8_t)header[0] + 256 * (uint8_t)header[1], bytes - 8);
    assert_memory_equal(header + 8, expected + 8, sizeof expected - 9);
    for (size_t i = sizeof expected - 1; i < bytes; i++) assert_int_equal(header[i], ' ');
    assert_true(bytes - (sizeof expected - 1) < 8);
    assert_status(parse(header + 8, bytes - 8, 15, &error), RV_OK);
    free(header);

    rv_safetensor large[] = {{.name = "a", .type = RV_SAFETENSORS_F32, .dims = 2, .shape = {1ull << 40, 1ull << 40}}};
    assert_status(rv_safetensors_write(&allocator, large, 1, NULL, 0, &header, &bytes, &error), RV_TOO_LARGE);
    assert_null(header);
    char *text = malloc((17u << 20) + 1);
    memset(text, 'x', 17u << 20);
    text[17u << 20] = 0;
    const rv_safetensors_text long_text = {"k", text};
    assert_status(rv_safetensors_write(&allocator, NULL, 0, &long_text, 1, &header, &bytes, &error), RV_TOO_LARGE);
    assert_null(header);
    free(text);
    assert_status(rv_safetensors_write(&allocator, NULL, 0, NULL, 0, &header, &bytes, &error), RV_OK);
    assert_memory_equal(header, "\x8\0\0\0\0\0\0\0{}      ", 16);
    free(header);
}

/* The JSON library's own allocations fail one after the other. */
static long json_left;

static void *json_resize(size_t bytes) { return json_left-- == 0 ? NULL : malloc(bytes); }

static void test_json_out_of_memory(void **state) {
    (void)state;
    const char *header = "{\"__metadata__\":{\"key\":\"a text\"}," A "," TENSOR("b", "U8", "4", 24, 28) "}";
    json_set_alloc_funcs(json_resize, free);
    rv_status status = RV_OUT_OF_MEMORY;
    long n = 0;
    for (; n < 1000 && status != RV_OK; n++) {
        rv_error error;
        json_left = n;
        status = parse(header, strlen(header), 28, &error);
        if (status != RV_OK) assert_status(status, RV_OUT_OF_MEMORY);
    }
    json_set_alloc_funcs(malloc, free);
    assert_status(status, RV_OK);
    assert_true(n > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),   cmocka_unit_test(test_refused), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_begin),   cmocka_unit_test(test_texts),   cmocka_unit_test(test_written),
        cmocka_unit_test(test_json_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
