/* files.c - see files.h. */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FILE_LIMIT = 4 << 20 }; /* no template is that long: a wrong path is */

gdr_status gdr_bytes_add(gdr_bytes *b, const char *data, size_t n)
{
    if (b->size - b->used < n) {
        size_t size = b->size ? b->size : 4096;
        while (size - b->used < n)
            size *= 2;
        char *grown = b->alloc(b->ctx, b->data, b->size, size);
        if (!grown)
            return GDR_ERR_NO_MEMORY;
        b->data = grown;
        b->size = size;
    }
    memcpy(b->data + b->used, data, n);
    b->used += n;
    return GDR_OK;
}

void gdr_bytes_free(gdr_bytes *b)
{
    if (b->data)
        b->alloc(b->ctx, b->data, b->size, 0);
    b->data = NULL;
    b->used = b->size = 0;
}

const struct gdr_packed_file *gdr_packed_find(const char *name)
{
    const struct gdr_packed_file *f = gdr_packed_files;
    while (f->name && strcmp(f->name, name) != 0)
        f++;
    return f->name ? f : NULL;
}

static gdr_status read_failed(const char *path, char *msg, size_t n)
{
    int missing = errno == ENOENT || errno == ENOTDIR;
    snprintf(msg, n, "%s: %s", path, strerror(errno));
    return missing ? GDR_ERR_NOT_FOUND : GDR_ERR_IO;
}

gdr_status gdr_file_read(const char *path, gdr_bytes *b, char *msg, size_t n)
{
    gdr_status st = GDR_OK;
    char block[4096];
    size_t got;
    FILE *f = fopen(path, "rb");
    if (!f)
        return read_failed(path, msg, n);
    while (!st && (got = fread(block, 1, sizeof(block), f)) > 0) {
        if (b->used + got > FILE_LIMIT) {
            snprintf(msg, n, "%s: larger than %d MiB", path, FILE_LIMIT >> 20);
            st = GDR_ERR_IO;
        } else {
            st = gdr_bytes_add(b, block, got);
        }
    }
    if (!st && ferror(f))
        st = read_failed(path, msg, n);
    fclose(f);
    return st;
}

static int ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

gdr_status gdr_folder_list(const char *path, const char *suffix, gdr_bytes *b,
                           char *msg, size_t n)
{
    gdr_status st = GDR_OK;
    const struct dirent *entry;
    DIR *dir = opendir(path);
    if (!dir && (errno == ENOENT || errno == ENOTDIR))
        return GDR_OK;
    if (!dir)
        return read_failed(path, msg, n);
    while (!st && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (name[0] != '.' && ends_with(name, suffix))
            st = gdr_bytes_add(b, name, strlen(name) + 1);
    }
    closedir(dir);
    return st;
}
