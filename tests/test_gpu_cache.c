/* The cache of built kernels: SHA-256 against NIST's vectors; damage, rights and full disks never hurt. */
#define _GNU_SOURCE
#include "tests/support/suite.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/gpu/cache.h"

/* ---- SHA-256 --------------------------------------------------------------------------------------- */

static void hex(const unsigned char *digest, char text[2 * RV_SHA256_BYTES + 1]) {
    for (int i = 0; i < RV_SHA256_BYTES; i++) sprintf(text + 2 * i, "%02x", digest[i]);
}

static void hash_text(const char *message, int times, char text[2 * RV_SHA256_BYTES + 1]) {
    rv_sha256 hash;
    unsigned char digest[RV_SHA256_BYTES];
    rv_sha256_begin(&hash);
    for (int i = 0; i < times; i++) rv_sha256_add(&hash, message, strlen(message));
    rv_sha256_end(&hash, digest);
    hex(digest, text);
}

/* FIPS 180-2, appendix B, and NIST's "two blocks" and empty messages. */
static void digests_are_nists(void **unused) {
    (void)unused;
    static const struct {
        const char *message;
        int times;
        const char *digest;
    } vectors[] = {
        {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
         1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
        {"aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char text[2 * RV_SHA256_BYTES + 1];
        hash_text(vectors[i].message, vectors[i].times, text);
        assert_string_equal(text, vectors[i].digest);
    }
}

/* However a message is cut, around every border of a block. */
static void digests_do_not_depend_on_pieces(void **unused) {
    (void)unused;
    unsigned char message[200], whole[RV_SHA256_BYTES], pieces[RV_SHA256_BYTES];
    for (int i = 0; i < 200; i++) message[i] = (unsigned char)(7 * i);
    for (size_t length = 0; length <= sizeof message; length++) {
        rv_sha256 hash;
        rv_sha256_begin(&hash);
        rv_sha256_add(&hash, message, length);
        rv_sha256_end(&hash, whole);
        rv_sha256_begin(&hash);
        for (size_t i = 0; i < length; i++) rv_sha256_add(&hash, message + i, 1);
        rv_sha256_end(&hash, pieces);
        assert_memory_equal(whole, pieces, sizeof whole);
    }
}

static void keys_know_where_a_text_ends(void **unused) {
    (void)unused;
    const rv_gpu_key one = rv_gpu_cache_key((const char *const[]){"ab", "c"}, 2);
    const rv_gpu_key other = rv_gpu_cache_key((const char *const[]){"a", "bc"}, 2);
    const rv_gpu_key again = rv_gpu_cache_key((const char *const[]){"ab", "c"}, 2);
    assert_memory_not_equal(&one, &other, sizeof one);
    assert_memory_equal(&one, &again, sizeof one);
}

/* ---- a folder of its own ------------------------------------------------------------------------------ */

static int lines;            /* of the log */
static char last_line[512];
static int64_t held;

static void *resize(void *user, void *memory, size_t bytes) {
    (void)user;
    held += (bytes != 0 && !memory) - (bytes == 0 && memory);
    if (bytes) return realloc(memory, bytes);
    free(memory);
    return NULL;
}

static void keep_line(void *user, rv_log_level level, const char *text) {
    (void)user, (void)level;
    lines++;
    snprintf(last_line, sizeof last_line, "%s", text);
}

static const rv_services services = {.size = sizeof services, .resize = resize, .log = keep_line};

static int drop(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)status, (void)kind, (void)where;
    return remove(path);
}

static char base[512]; /* XDG_CACHE_HOME */

static int setup(void **unused) {
    (void)unused;
    char here[400];
    if (!getcwd(here, sizeof here)) return -1;
    snprintf(base, sizeof base, "%s/cache", here);
    nftw(base, drop, 16, FTW_DEPTH | FTW_PHYS);
    lines = 0;
    held = 0;
    return setenv("XDG_CACHE_HOME", base, 1);
}

static const char *path_of(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/reverie%s%s", base, *name ? "/" : "", name);
    return path;
}

static const char *entry_path(const rv_gpu_key *key) {
    char name[2 * RV_SHA256_BYTES + 16];
    hex(key->digest, name);
    return path_of(strcat(name, ".kernel"));
}

static const char binary[] = "what a driver made of a text";

static rv_gpu_key some_key(void) { return rv_gpu_cache_key((const char *const[]){"text"}, 1); }

static bool loads(rv_gpu_cache *cache, const rv_gpu_key *key) {
    void *found;
    size_t bytes = 0;
    if (!rv_gpu_cache_load(cache, key, &found, &bytes)) {
        assert_null(found);
        return false;
    }
    assert_int_equal(bytes, sizeof binary);
    assert_memory_equal(found, binary, sizeof binary);
    resize(NULL, found, 0);
    return true;
}

static unsigned mode_of(const char *path) {
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

static void what_was_stored_is_found(void **unused) {
    (void)unused;
    rv_gpu_cache cache;
    const rv_gpu_key key = some_key(), other = rv_gpu_cache_key((const char *const[]){"other"}, 1);
    const mode_t mask = umask(0);
    rv_gpu_cache_open(&cache, &services);
    assert_false(loads(&cache, &key));
    rv_gpu_cache_store(&cache, &key, binary, sizeof binary);
    umask(mask);
    assert_true(loads(&cache, &key));
    assert_false(loads(&cache, &other));
    rv_gpu_cache_close(&cache);
    assert_int_equal(mode_of(path_of("")), 0700);
    assert_int_equal(mode_of(entry_path(&key)), 0600);
    rv_gpu_cache_open(&cache, &services); /* another process */
    assert_true(loads(&cache, &key));
    rv_gpu_cache_close(&cache);
    assert_int_equal(lines, 0);
    assert_int_equal(held, 0);
}

/* ---- damage ----------------------------------------------------------------------------------------------- */

enum { ENTRY = 8 + 32 + 8 + 32 + sizeof binary };

static void read_entry(const char *path, char *entry) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(entry, 1, ENTRY + 1, file), ENTRY);
    fclose(file);
}

static void write_entry(const char *path, const char *entry, size_t bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(entry, 1, bytes, file), bytes);
    fclose(file);
}

static void damage_is_absence(void **unused) {
    (void)unused;
    rv_gpu_cache cache;
    char entry[ENTRY + 1];
    const rv_gpu_key key = some_key();
    rv_gpu_cache_open(&cache, &services);
    rv_gpu_cache_store(&cache, &key, binary, sizeof binary);
    const char *path = entry_path(&key);
    read_entry(path, entry);
    for (int at = 0; at < ENTRY; at++) { /* every bit of every byte */
        for (int bit = 0; bit < 8; bit++) {
            entry[at] ^= (char)(1 << bit);
            write_entry(path, entry, ENTRY);
            assert_false(loads(&cache, &key));
            entry[at] ^= (char)(1 << bit);
        }
    }
    for (size_t length = 0; length < ENTRY; length++) {
        write_entry(path, entry, length);
        assert_false(loads(&cache, &key));
    }
    entry[ENTRY] = 0;
    write_entry(path, entry, ENTRY + 1);
    assert_false(loads(&cache, &key));
    rv_gpu_cache_store(&cache, &key, binary, sizeof binary); /* rebuilt: replaced */
    assert_true(loads(&cache, &key));
    rv_gpu_cache_close(&cache);
    assert_int_equal(lines, 0);
    assert_int_equal(held, 0);
}

/* One entry under another's name, and things that are no files. */
static void foreign_entries_are_absence(void **unused) {
    (void)unused;
    rv_gpu_cache cache;
    const rv_gpu_key key = some_key(), other = rv_gpu_cache_key((const char *const[]){"other"}, 1);
    char from[1024];
    rv_gpu_cache_open(&cache, &services);
    rv_gpu_cache_store(&cache, &key, binary, sizeof binary);
    snprintf(from, sizeof from, "%s", entry_path(&key));
    assert_int_equal(rename(from, entry_path(&other)), 0);
    assert_false(loads(&cache, &other));
    assert_int_equal(symlink(entry_path(&other), from), 0);
    assert_false(loads(&cache, &key));
    remove(from);
    assert_int_equal(mkfifo(from, 0600), 0);
    assert_false(loads(&cache, &key));
    rv_gpu_cache_store(&cache, &key, binary, sizeof binary);
    assert_true(loads(&cache, &key));
    remove(from);
    assert_int_equal(mkdir(from, 0700), 0);
    assert_false(loads(&cache, &key));
    assert_int_equal(lines, 0);
    rv_gpu_cache_store(&cache, &key, binary, sizeof binary); /* cannot be replaced: said once, and no more tried */
    rv_gpu_cache_store(&cache, &key, binary, sizeof binary);
    assert_int_equal(lines, 1);
    rv_gpu_cache_close(&cache);
}

/* ---- rights --------------------------------------------------------------------------------------------------- */

static void expect_no_cache(const char *why) {
    rv_gpu_cache cache;
    const rv_gpu_key key = some_key();
    lines = 0;
    rv_gpu_cache_open(&cache, &services);
    assert_int_equal(lines, 1);
    assert_names(last_line, why);
    rv_gpu_cache_store(&cache, &key, binary, sizeof binary);
    assert_false(loads(&cache, &key));
    rv_gpu_cache_close(&cache);
    assert_int_equal(lines, 1);
}

static void folders_of_others_are_refused(void **unused) {
    (void)unused;
    assert_int_equal(mkdir(base, 0700), 0);
    assert_int_equal(mkdir(path_of(""), 0700), 0);
    const mode_t modes[] = {0777, 0770, 0722, 0702};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(path_of(""), modes[i]), 0);
        expect_no_cache("others may write");
    }
    assert_int_equal(chmod(path_of(""), 0755), 0); /* reading is harmless */
    rv_gpu_cache cache;
    lines = 0;
    rv_gpu_cache_open(&cache, &services);
    assert_int_equal(lines, 0);
    rv_gpu_cache_close(&cache);
    if (geteuid() == 0) { /* only root can give a folder away */
        assert_int_equal(chown(path_of(""), 12345, (gid_t)-1), 0);
        expect_no_cache("another user");
        assert_int_equal(chown(path_of(""), 0, (gid_t)-1), 0);
    }
    char elsewhere[600];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", base);
    assert_int_equal(rename(path_of(""), elsewhere), 0);
    assert_int_equal(symlink(elsewhere, path_of("")), 0);
    expect_no_cache("reverie");
}

static void without_a_folder_there_is_no_cache(void **unused) {
    (void)unused;
    setenv("XDG_CACHE_HOME", "/dev/null", 1);
    expect_no_cache("/dev/null/reverie");
    char *home = getenv("HOME");
    home = home ? strdup(home) : NULL;
    setenv("XDG_CACHE_HOME", "relative/path", 1); /* as good as unset */
    setenv("HOME", "also/relative", 1);
    expect_no_cache("absolute");
    unsetenv("HOME");
    expect_no_cache("absolute");
    assert_int_equal(mkdir(base, 0700), 0);
    setenv("HOME", base, 1);
    rv_gpu_cache cache;
    lines = 0;
    rv_gpu_cache_open(&cache, &services);
    rv_gpu_cache_close(&cache);
    assert_int_equal(lines, 0);
    char path[600];
    snprintf(path, sizeof path, "%s/.cache/reverie", base);
    assert_int_equal(mode_of(path), 0700);
    if (home) setenv("HOME", home, 1);
    else unsetenv("HOME");
    free(home);
}

/* ---- a full disk ------------------------------------------------------------------------------------------------- */

static int files;

static int count_files(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)path, (void)status, (void)where;
    files += kind != FTW_D;
    return 0;
}

static void a_full_disk_keeps_old_entries(void **unused) {
    (void)unused;
    rv_gpu_cache cache;
    static char large[1 << 16];
    const rv_gpu_key key = some_key(), other = rv_gpu_cache_key((const char *const[]){"other"}, 1);
    struct rlimit before, small;
    rv_gpu_cache_open(&cache, &services);
    rv_gpu_cache_store(&cache, &key, binary, sizeof binary);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    rv_gpu_cache_store(&cache, &other, large, sizeof large);
    rv_gpu_cache_store(&cache, &key, large, sizeof large);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(lines, 1); /* said once */
    assert_names(last_line, "cannot write");
    assert_true(loads(&cache, &key));
    assert_false(loads(&cache, &other));
    files = 0;
    nftw(base, count_files, 16, FTW_PHYS);
    assert_int_equal(files, 1); /* nothing half written lies about */
    rv_gpu_cache_close(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_nists),
        cmocka_unit_test(digests_do_not_depend_on_pieces),
        cmocka_unit_test(keys_know_where_a_text_ends),
        cmocka_unit_test_setup(what_was_stored_is_found, setup),
        cmocka_unit_test_setup(damage_is_absence, setup),
        cmocka_unit_test_setup(foreign_entries_are_absence, setup),
        cmocka_unit_test_setup(folders_of_others_are_refused, setup),
        cmocka_unit_test_setup(without_a_folder_there_is_no_cache, setup),
        cmocka_unit_test_setup(a_full_disk_keeps_old_entries, setup),
    };
    return cmocka_run_group_tests_name("gpu_cache", tests, NULL, NULL);
}
