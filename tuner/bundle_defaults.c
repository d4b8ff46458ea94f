/*
 * bundle_defaults.c - expand, compile, put: what gdr-tune does with a default,
 * less the card that would judge it.
 */
#include "bundle_defaults.h"
#include "../runtime/recurrent_abi.h"
#include "compile_nvrtc.h"
#include "hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 8 };

/* As long as any compilation. */
static const double limit_s = 60;

typedef struct job {
    gdr_store *st;
    gdr_generator *g;
    const gdr_static *s;
    const gdr_candidate *c;
    char statics[GDR_PROBLEM_TEXT], hash[GDR_HASH_TEXT];
    char *source[STEPS];
    size_t bytes[STEPS];
    char *msg;
    size_t n;
} job;

static gdr_status stored(job *j, gdr_status status)
{
    if (status != GDR_OK)
        snprintf(j->msg, j->n, "%s", gdr_store_errmsg(j->st));
    return status;
}

static gdr_status expand(job *j)
{
    for (int i = 0; i < j->c->n_steps; i++)
        if (gdr_generator_expand(j->g, j->s, j->c->kernel, j->c->config, i,
                                 &j->source[i], &j->bytes[i]) != GDR_OK) {
            snprintf(j->msg, j->n, "%s", gdr_generator_errmsg(j->g));
            return GDR_ERR_TEMPLATE;
        }
    if (j->c->n_steps == 1)
        gdr_hash_bytes(j->source[0], j->bytes[0], j->hash);
    else
        gdr_hash_texts((const char *const *)j->source, (size_t)j->c->n_steps,
                       j->hash);
    return GDR_OK;
}

/* Names a build as gdr-tune's own are named: what it is made of and with. */
static gdr_status stamp_of(job *j, const char *arch, char stamp[GDR_HASH_TEXT])
{
    char compiler[512];
    const char *const texts[] = {j->hash, arch, compiler, "not tuned"};
    gdr_status status =
        gdr_nvrtc_identity(compiler, sizeof compiler, j->msg, j->n);

    if (status == GDR_OK)
        gdr_hash_texts(texts, sizeof texts / sizeof *texts, stamp);
    return status;
}

static gdr_status put_step(job *j, int i, const char *arch, const char *stamp)
{
    char log[2048] = "", hash[GDR_HASH_TEXT];
    gdr_image image;
    gdr_status status = gdr_nvrtc_compile(j->source[i], j->bytes[i], arch,
                                          limit_s, &image, log, sizeof log);
    gdr_step_row row = {.variant = j->hash,
                        .stamp = stamp,
                        .n = i,
                        .entry = j->c->step[i].entry,
                        .grid_x = j->c->step[i].grid_x,
                        .grid_y = j->c->step[i].grid_y,
                        .grid_z = j->c->step[i].grid_z,
                        .block = j->c->step[i].block,
                        .smem = j->c->step[i].smem,
                        .workspace = j->c->step[i].workspace,
                        .pdl = j->c->step[i].pdl,
                        .isa = image.isa,
                        .hash = hash};

    if (status != GDR_OK) {
        snprintf(j->msg, j->n, "%s %s %s for %s: %.*s", j->statics,
                 j->c->kernel, j->c->config, arch, (int)strcspn(log, "\n"),
                 log);
        return GDR_ERR_COMPILE;
    }
    gdr_hash_bytes(image.code, image.bytes, hash);
    row.code = image.code;
    row.bytes = (int64_t)image.bytes;
    status = stored(j, gdr_store_put_step(j->st, &row));
    free(image.code);
    return status;
}

static gdr_status put_default(job *j, const char *arch, int64_t device)
{
    char stamp[GDR_HASH_TEXT];
    const gdr_variant_row variant = {j->hash,         j->statics,
                                     j->c->kernel,    j->c->config,
                                     j->c->reduction, GDR_RECURRENT_ABI};
    const gdr_default_row row = {device, j->statics, j->c->default_max_work,
                                 j->hash, stamp};
    gdr_status status = stamp_of(j, arch, stamp);

    if (status == GDR_OK)
        status = stored(j, gdr_store_put_variant(j->st, &variant));
    for (int i = 0; i < j->c->n_steps && status == GDR_OK; i++)
        status = put_step(j, i, arch, stamp);
    return status == GDR_OK ? stored(j, gdr_store_put_default(j->st, &row))
                            : status;
}

static gdr_status put_candidate(job *j, const char *arch, int64_t device,
                                const char *language, int64_t later)
{
    gdr_status status = expand(j);

    if (status == GDR_OK)
        status = put_default(j, arch, device);
    if (status == GDR_OK && language)
        status = put_default(j, language, later);
    for (int i = 0; i < STEPS; i++) {
        free(j->source[i]);
        j->source[i] = NULL;
    }
    return status;
}

/* The device of the chip, and the one that stands for all later cards. */
static gdr_status put_devices(job *j, const gdr_chip *chip,
                              const char *language, int64_t *own,
                              int64_t *later)
{
    char fingerprint[64], name[96];
    gdr_device_row row = {fingerprint, "cuda", chip->arch, chip->arch, name};
    gdr_status status;

    snprintf(fingerprint, sizeof fingerprint, "cuda:%s:not-tuned", chip->arch);
    snprintf(name, sizeof name, "a card of %s (not tuned)", chip->arch);
    status = stored(j, gdr_store_put_device(j->st, &row, own));
    if (status != GDR_OK)
        return status;
    row.arch = "ptx";
    row.isa = language;
    snprintf(fingerprint, sizeof fingerprint, "cuda:ptx:%s", language);
    snprintf(name, sizeof name, "any card of %s or later", language);
    return stored(j, gdr_store_put_device(j->st, &row, later));
}

static gdr_status put_problem(job *j, const gdr_chip *chip)
{
    const gdr_generator_device traits = gdr_chip_traits(chip);
    const gdr_problem p = {.s = *j->s};
    char language[32];
    gdr_space *space = NULL;
    int64_t own = 0, later = 0;
    gdr_status status;

    gdr_problem_format(&p, j->statics, sizeof j->statics);
    snprintf(language, sizeof language, "compute_%d", atoi(chip->arch + 3));
    status = put_devices(j, chip, language, &own, &later);
    if (status == GDR_OK &&
        gdr_generator_space(j->g, j->s, &traits, &space) != GDR_OK) {
        snprintf(j->msg, j->n, "%s", gdr_generator_errmsg(j->g));
        status = GDR_ERR_TEMPLATE;
    }
    for (int64_t i = 0; status == GDR_OK && i < space->n_candidates; i++) {
        int largest = i == gdr_space_default(space, INT64_MAX);
        j->c = &space->candidate[i];
        if (j->c->default_max_work > 0)
            status = put_candidate(j, chip->arch, own,
                                   largest ? language : NULL, later);
    }
    gdr_space_close(space);
    return status;
}

gdr_status gdr_bundle_defaults(gdr_store *st, const gdr_chip *chip,
                               const gdr_static *statics, int n_statics,
                               char *msg, size_t n)
{
    job j = {.st = st, .msg = msg, .n = n};
    gdr_status status = gdr_nvrtc_knows(chip->arch, msg, n);

    if (status == GDR_OK && gdr_generator_open(NULL, &j.g) != GDR_OK) {
        snprintf(msg, n, "%s", j.g ? gdr_generator_errmsg(j.g) : "no memory");
        status = GDR_ERR_TEMPLATE;
    }
    for (int i = 0; i < n_statics && status == GDR_OK; i++) {
        j.s = &statics[i];
        status = put_problem(&j, chip);
    }
    gdr_generator_close(j.g);
    return status;
}
