/*
 * files.h - where scripts and templates are read from: the table packed into
 * the program, and files. Nothing here knows Lua.
 */
#ifndef GDR_FILES_H
#define GDR_FILES_H

#include "generator.h"
#include "packed.h"

/* A growing block of bytes, from the generator's allocator. */
typedef struct gdr_bytes {
    gdr_alloc_fn alloc;
    void *ctx;
    char *data;
    size_t used, size;
} gdr_bytes;

gdr_status gdr_bytes_add(gdr_bytes *b, const char *data, size_t n);
void gdr_bytes_free(gdr_bytes *b);

/* NULL when nothing of that name is packed. */
const struct gdr_packed_file *gdr_packed_find(const char *name);

/* Reads a whole file, at most 4 MiB, into b. GDR_ERR_NOT_FOUND, GDR_ERR_IO. */
gdr_status gdr_file_read(const char *path, gdr_bytes *b, char *msg, size_t n);

/* Adds the names in a folder that end in suffix, each with its 0. A folder
 * that does not exist has none. */
gdr_status gdr_folder_list(const char *path, const char *suffix, gdr_bytes *b,
                           char *msg, size_t n);

#endif
