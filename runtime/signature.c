/*
 * signature.c - Ed25519 by libsodium. What is signed begins with a word of its
 * own, so that a signature of something else is never one of this.
 */
#include "signature.h"
#include "status.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

_Static_assert(2 * crypto_sign_PUBLICKEYBYTES + 1 == GDR_KEY_TEXT &&
                   2 * crypto_sign_SECRETKEYBYTES + 1 == GDR_SECRET_TEXT &&
                   2 * crypto_sign_BYTES + 1 == GDR_SIGNATURE_TEXT,
               "hex of Ed25519");

enum { MESSAGE = 8 + GDR_DIGEST_TEXT };

/* The length of what is signed. */
static unsigned long long message_of(const char *digest, char text[MESSAGE])
{
    return (unsigned long long)snprintf(text, MESSAGE, "gdr 1 %s", digest);
}

/* 0: not so many bytes of lower-case hex. */
static int from_hex(const char *text, unsigned char *out, size_t bytes)
{
    size_t length = 0;

    return strlen(text) == 2 * bytes &&
           strspn(text, "0123456789abcdef") == 2 * bytes &&
           !sodium_hex2bin(out, bytes, text, 2 * bytes, NULL, &length, NULL) &&
           length == bytes;
}

gdr_status gdr_key_read(const char *path, size_t text, char *out, char *msg,
                        size_t n)
{
    char line[GDR_SECRET_TEXT + 8] = "";
    FILE *f = fopen(path, "re");
    size_t bytes;

    if (!f)
        return gdr_fail(GDR_ERR_IO, msg, n, "%s: %s", path, strerror(errno));
    bytes = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[bytes] = 0;
    line[strcspn(line, "\n")] = 0;
    if (strlen(line) != text - 1 ||
        strspn(line, "0123456789abcdef") != text - 1) {
        sodium_memzero(line, sizeof line);
        return gdr_fail(GDR_ERR_ARG, msg, n,
                        "%s: not a key of %zu hex digits, as gdr-bundle "
                        "keygen makes them",
                        path, text - 1);
    }
    memcpy(out, line, text);
    sodium_memzero(line, sizeof line);
    return GDR_OK;
}

int gdr_signature_fits(const char *digest, const char *key,
                       const char *signature)
{
    unsigned char public[crypto_sign_PUBLICKEYBYTES], sign[crypto_sign_BYTES];
    char message[MESSAGE];
    unsigned long long length = message_of(digest, message);

    return from_hex(key, public, sizeof public) &&
           from_hex(signature, sign, sizeof sign) &&
           !crypto_sign_verify_detached(sign, (const unsigned char *)message,
                                        length, public);
}

gdr_status gdr_signature_make(const char *digest, const char *secret,
                              char key[GDR_KEY_TEXT],
                              char signature[GDR_SIGNATURE_TEXT])
{
    unsigned char private[crypto_sign_SECRETKEYBYTES];
    unsigned char public[crypto_sign_PUBLICKEYBYTES], sign[crypto_sign_BYTES];
    char message[MESSAGE];
    unsigned long long length = message_of(digest, message);

    if (!from_hex(secret, private, sizeof private))
        return GDR_ERR_ARG;
    crypto_sign_ed25519_sk_to_pk(public, private);
    crypto_sign_detached(sign, NULL, (const unsigned char *)message, length,
                         private);
    sodium_memzero(private, sizeof private);
    sodium_bin2hex(key, GDR_KEY_TEXT, public, sizeof public);
    sodium_bin2hex(signature, GDR_SIGNATURE_TEXT, sign, sizeof sign);
    return GDR_OK;
}

gdr_status gdr_key_make(char key[GDR_KEY_TEXT], char secret[GDR_SECRET_TEXT])
{
    unsigned char public[crypto_sign_PUBLICKEYBYTES];
    unsigned char private[crypto_sign_SECRETKEYBYTES];

    if (sodium_init() < 0)
        return GDR_ERR_INTERNAL;
    crypto_sign_keypair(public, private);
    sodium_bin2hex(key, GDR_KEY_TEXT, public, sizeof public);
    sodium_bin2hex(secret, GDR_SECRET_TEXT, private, sizeof private);
    sodium_memzero(private, sizeof private);
    return GDR_OK;
}
