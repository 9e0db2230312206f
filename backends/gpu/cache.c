/* backends/gpu/cache.c: built kernels on disk.
 *
 * An entry is one file, KEY.kernel: magic, key, length and SHA-256 of the binary, the binary. It is written beside its
 * place, brought to the disk and renamed, so that a reader sees a whole entry or none.
 */
#define _GNU_SOURCE
#include "backends/gpu/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "rvkern1";

/* as it stands in the file; read and written on one machine only */
typedef struct entry_head {
    char magic[sizeof magic];
    rv_gpu_key key;
    uint64_t bytes;
    unsigned char digest[RV_SHA256_BYTES];
} entry_head;
_Static_assert(sizeof(entry_head) == 8 + 32 + 8 + 32, "no gaps in the file");

enum { NAME_BYTES = 2 * RV_SHA256_BYTES + 64, LARGEST = 1 << 28 };

static void complain(const rv_gpu_cache *cache, const char *what, const char *path, const char *why) {
    char text[512];
    snprintf(text, sizeof text, "kernel cache: %s%.300s: %s; kernels are built anew in every process", what, path, why);
    cache->services->log(cache->services->user, RV_LOG_WARNING, text);
}

/* ---- the folder ---------------------------------------------------------------------------------- */

/* $XDG_CACHE_HOME where it is absolute, as its specification wants, else ~/.cache. */
static bool base_folder(char *path, size_t size) {
    const char *base = secure_getenv("XDG_CACHE_HOME"), *tail = "";
    if (!base || *base != '/') {
        base = secure_getenv("HOME");
        tail = "/.cache";
    }
    if (!base || *base != '/') return false;
    const int length = snprintf(path, size, "%s%s", base, tail);
    return length > 0 && (size_t)length < size;
}

/* Why the folder cannot be trusted; NULL: it can. */
static const char *distrust(int folder) {
    struct stat status;
    if (fstat(folder, &status) != 0) return strerror(errno);
    if (status.st_uid != geteuid()) return "it belongs to another user";
    if (status.st_mode & (S_IWGRP | S_IWOTH)) return "others may write into it (chmod go-w mends it)";
    return NULL;
}

void rv_gpu_cache_open(rv_gpu_cache *cache, const rv_services *services) {
    *cache = (rv_gpu_cache){.services = services, .folder = -1};
    char path[4096];
    if (!base_folder(path, sizeof path - sizeof "/reverie")) {
        complain(cache, "", "no folder", "neither XDG_CACHE_HOME nor HOME is an absolute path");
        return;
    }
    mkdir(path, 0700);
    strcat(path, "/reverie");
    mkdir(path, 0700);
    cache->folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const char *why = cache->folder < 0 ? strerror(errno) : distrust(cache->folder);
    if (!why) return;
    complain(cache, "not used: ", path, why);
    rv_gpu_cache_close(cache);
}

void rv_gpu_cache_close(rv_gpu_cache *cache) {
    if (cache->folder >= 0) close(cache->folder);
    cache->folder = -1;
}

/* ---- names --------------------------------------------------------------------------------------- */

rv_gpu_key rv_gpu_cache_key(const char *const *texts, int count) {
    rv_gpu_key key;
    rv_sha256 hash;
    rv_sha256_begin(&hash);
    for (int i = 0; i < count; i++) rv_sha256_add(&hash, texts[i], strlen(texts[i]) + 1);
    rv_sha256_end(&hash, key.digest);
    return key;
}

static void entry_name(const rv_gpu_key *key, char name[NAME_BYTES]) {
    for (int i = 0; i < RV_SHA256_BYTES; i++) snprintf(name + 2 * i, 3, "%02x", key->digest[i]);
    strcat(name, ".kernel");
}

static void digest_of(const void *binary, size_t bytes, unsigned char digest[RV_SHA256_BYTES]) {
    rv_sha256 hash;
    rv_sha256_begin(&hash);
    rv_sha256_add(&hash, binary, bytes);
    rv_sha256_end(&hash, digest);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static bool read_all(int file, void *memory, size_t bytes) {
    char *to = memory;
    while (bytes > 0) {
        const ssize_t got = read(file, to, bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got;
        bytes -= (size_t)got;
    }
    return true;
}

/* The head of a file that is ours, has the key and is as long as it says. */
static bool read_head(int file, const rv_gpu_key *key, entry_head *head) {
    struct stat status;
    return fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           read_all(file, head, sizeof *head) && memcmp(head->magic, magic, sizeof magic) == 0 &&
           memcmp(&head->key, key, sizeof *key) == 0 && head->bytes > 0 && head->bytes <= LARGEST &&
           (uint64_t)status.st_size == sizeof *head + head->bytes;
}

bool rv_gpu_cache_load(rv_gpu_cache *cache, const rv_gpu_key *key, void **binary, size_t *bytes) {
    const rv_services *services = cache->services;
    char name[NAME_BYTES];
    *binary = NULL;
    if (cache->folder < 0) return false;
    entry_name(key, name);
    const int file = openat(cache->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return false;
    entry_head head;
    bool good = read_head(file, key, &head);
    if (good) *binary = services->resize(services->user, NULL, head.bytes);
    good = *binary && read_all(file, *binary, head.bytes);
    close(file);
    if (good) {
        unsigned char digest[RV_SHA256_BYTES];
        digest_of(*binary, head.bytes, digest);
        good = memcmp(digest, head.digest, sizeof digest) == 0;
        *bytes = head.bytes;
    }
    if (!good && *binary) *binary = services->resize(services->user, *binary, 0);
    return good;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static bool write_all(int file, const void *memory, size_t bytes) {
    const char *from = memory;
    while (bytes > 0) {
        const ssize_t done = write(file, from, bytes);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        from += done;
        bytes -= (size_t)done;
    }
    return true;
}

static bool write_entry(int folder, const char *name, const entry_head *head, const void *binary) {
    const int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) return false;
    bool good = write_all(file, head, sizeof *head) && write_all(file, binary, head->bytes) && fsync(file) == 0;
    const int why = errno;
    if (close(file) != 0) return false;
    errno = why;
    return good;
}

void rv_gpu_cache_store(rv_gpu_cache *cache, const rv_gpu_key *key, const void *binary, size_t bytes) {
    if (cache->folder < 0 || cache->readonly || bytes == 0 || bytes > LARGEST) return;
    char name[NAME_BYTES], temporary[2 * NAME_BYTES];
    entry_name(key, name);
    /* of this process and cache alone; one that a killed process left under the same name goes */
    snprintf(temporary, sizeof temporary, "%s.%ld.%p", name, (long)getpid(), (void *)cache);
    unlinkat(cache->folder, temporary, 0);
    entry_head head = {.key = *key, .bytes = bytes};
    memcpy(head.magic, magic, sizeof magic);
    digest_of(binary, bytes, head.digest);
    if (write_entry(cache->folder, temporary, &head, binary) &&
        renameat(cache->folder, temporary, cache->folder, name) == 0)
        return;
    const int why = errno;
    unlinkat(cache->folder, temporary, 0);
    complain(cache, "cannot write ", name, strerror(why));
    cache->readonly = true;
}
