/*
 * signature.h - who vouches for a table: Ed25519 over its digest. Keys and
 * signatures are lower-case hex.
 */
#ifndef GDR_SIGNATURE_H
#define GDR_SIGNATURE_H

#include "gdr.h"

enum {
    GDR_KEY_TEXT = 65,     /* a public key, with its 0 */
    GDR_SECRET_TEXT = 129, /* a secret one */
    GDR_SIGNATURE_TEXT = 129
};

/* Reads `text - 1` hex digits from a file that may end in a newline. *out has
 * room for text. GDR_ERR_IO, GDR_ERR_ARG with msg. */
gdr_status gdr_key_read(const char *path, size_t text, char *out, char *msg,
                        size_t n);

/* 1: the signature of the digest by the key is right. */
int gdr_signature_fits(const char *digest, const char *key,
                       const char *signature);

/* GDR_ERR_ARG when the secret is none; key is the public half. */
gdr_status gdr_signature_make(const char *digest, const char *secret,
                              char key[GDR_KEY_TEXT],
                              char signature[GDR_SIGNATURE_TEXT]);

/* A new pair. GDR_ERR_INTERNAL: the system gives no random numbers. */
gdr_status gdr_key_make(char key[GDR_KEY_TEXT], char secret[GDR_SECRET_TEXT]);

#endif
