/*
 * hash.h - names of things by what they hold: SHA-256 in lower-case hex. The
 * same bytes give the same name on every machine.
 */
#ifndef GDR_HASH_H
#define GDR_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { GDR_HASH_TEXT = 65 }; /* 64 hex digits and the 0 */

void gdr_hash_bytes(const void *data, size_t bytes, char hex[GDR_HASH_TEXT]);

/* Of a list of texts; each is followed by its 0, so that {"ab","c"} and
 * {"a","bc"} differ. */
void gdr_hash_texts(const char *const *text, size_t n, char hex[GDR_HASH_TEXT]);

/* A well mixed number from three: the seed of everything random here. */
uint64_t gdr_mix(uint64_t a, uint64_t b, uint64_t c);

/* The first 64 bits of a text's SHA-256. */
uint64_t gdr_hash_number(const char *text);

#endif
