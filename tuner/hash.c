/* hash.c - SHA-256 by libsodium; needs no initialisation for hashing. */
#include "hash.h"

#include <sodium.h>
#include <string.h>

void gdr_hash_bytes(const void *data, size_t bytes, char hex[GDR_HASH_TEXT])
{
    unsigned char digest[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(digest, data, bytes);
    sodium_bin2hex(hex, GDR_HASH_TEXT, digest, sizeof digest);
}

void gdr_hash_texts(const char *const *text, size_t n, char hex[GDR_HASH_TEXT])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < n; i++)
        crypto_hash_sha256_update(&state, (const unsigned char *)text[i],
                                  strlen(text[i]) + 1);
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(hex, GDR_HASH_TEXT, digest, sizeof digest);
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t scramble(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t gdr_mix(uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;

    return scramble(scramble(scramble(a + golden) + b + golden) + c + golden);
}

uint64_t gdr_hash_number(const char *text)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    uint64_t x = 0;

    crypto_hash_sha256(digest, (const unsigned char *)text, strlen(text));
    for (int i = 0; i < 8; i++)
        x = x << 8 | digest[i];
    return x;
}
