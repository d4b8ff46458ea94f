/*
 * digest.c - each row is hashed by itself, with its code; then the sorted
 * hashes. Times are left out: they are told, not used.
 */
#include "digest.h"
#include "gdr_internal.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = crypto_hash_sha256_BYTES };
_Static_assert(2 * BYTES + 1 == GDR_DIGEST_TEXT, "hex of a SHA-256");

typedef crypto_hash_sha256_state hash;

/* With its 0, so that "ab", "c" is not "a", "bc". */
static void add_text(hash *h, const char *text)
{
    crypto_hash_sha256_update(h, (const unsigned char *)text, strlen(text) + 1);
}

static void add_number(hash *h, int64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, number);
    add_text(h, text);
}

/* A function's address says nothing; the variant's hash, of its source, does.
 */
static void hash_code(const gdr_code *code, unsigned char out[BYTES])
{
    hash h;

    crypto_hash_sha256_init(&h);
    add_text(&h, code->why ? code->why : "");
    for (int i = 0; i < code->n_steps; i++) {
        const gdr_step_text *t = &code->step[i].text;
        const char *const texts[] = {
            t->entry, t->grid_x,    t->grid_y, t->grid_z,        t->block,
            t->smem,  t->workspace, t->pdl,    code->step[i].isa};

        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            add_text(&h, texts[k]);
        add_number(&h, (int64_t)code->step[i].bytes);
        if (code->step[i].image)
            crypto_hash_sha256_update(&h, code->step[i].image,
                                      code->step[i].bytes);
    }
    crypto_hash_sha256_final(&h, out);
}

static void hash_entry(const gdr_entry *e, const unsigned char code[BYTES],
                       unsigned char out[BYTES])
{
    const char *const texts[] = {e->origin->fingerprint,
                                 e->origin->kind,
                                 e->origin->arch,
                                 e->origin->isa,
                                 e->text,
                                 e->code->variant,
                                 e->code->stamp,
                                 e->kernel,
                                 e->config,
                                 e->reduction};
    hash h;

    crypto_hash_sha256_init(&h);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        add_text(&h, texts[k]);
    add_number(&h, e->max_work);
    add_number(&h, e->spare);
    crypto_hash_sha256_update(&h, code, BYTES);
    crypto_hash_sha256_final(&h, out);
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, BYTES);
}

gdr_status gdr_rows_digest(const gdr_rows *rows, char digest[GDR_DIGEST_TEXT])
{
    size_t n = rows->n_entries;
    unsigned char(*code)[BYTES] = calloc((size_t)rows->n_codes + 1, BYTES);
    unsigned char(*each)[BYTES] = calloc(n + 1, BYTES);
    unsigned char all[BYTES];

    if (code && each) {
        for (uint32_t i = 0; i < rows->n_codes; i++)
            hash_code(rows->code[i], code[i]);
        for (size_t i = 0; i < n; i++)
            hash_entry(&rows->entry[i], code[rows->entry[i].code->id], each[i]);
        qsort(each, n, BYTES, by_bytes);
        crypto_hash_sha256(all, each[0], n * BYTES);
        sodium_bin2hex(digest, GDR_DIGEST_TEXT, all, sizeof all);
    }
    free(code);
    free(each);
    return code && each ? GDR_OK : GDR_ERR_NO_MEMORY;
}

gdr_status gdr_digest(const gdr *g, char digest[GDR_DIGEST_TEXT])
{
    return g && digest ? gdr_rows_digest(g->rows, digest) : GDR_ERR_ARG;
}
