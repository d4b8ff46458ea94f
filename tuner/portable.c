/*
 * portable.c - see portable.h. The stamp is of its own, since one variant and
 * stamp are one build; the rest of the row is the default's.
 */
#include "portable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As long as any compilation. */
static const double limit_s = 60;

int gdr_portable_language(const char *arch, char *language, size_t n)
{
    size_t digits =
        strncmp(arch, "sm_", 3) ? 0 : strspn(arch + 3, "0123456789");

    if (!digits)
        return 0;
    snprintf(language, n, "compute_%.*s", (int)digits, arch + 3);
    return 1;
}

static const gdr_entrant *widest_default(const gdr_batch *b, int64_t *max_work)
{
    const gdr_entrant *best = NULL;

    *max_work = 0;
    for (int64_t i = 0; i < b->space->n_candidates; i++) {
        int64_t work = b->space->candidate[i].default_max_work;
        const gdr_entrant *e =
            b->of_candidate[i] < 0 ? NULL : &b->e[b->of_candidate[i]];
        if (!e || work <= *max_work || !e->compiled || !gdr_entrant_ok(e))
            continue;
        *max_work = work;
        best = e;
    }
    return best;
}

static gdr_status put_device(gdr_session *s, const char *language, int64_t *id)
{
    char fingerprint[64], name[96];
    gdr_device_row row = {fingerprint, s->info.kind, "ptx", language, name};

    snprintf(fingerprint, sizeof fingerprint, "%s:ptx:%s", s->info.kind,
             language);
    snprintf(name, sizeof name, "any card of %s or later", language);
    return gdr_session_store_failed(s,
                                    gdr_store_put_device(s->store, &row, id));
}

static gdr_status compile(gdr_batch *b, const gdr_entrant *e, int step,
                          const char *language, gdr_image *image)
{
    gdr_session *s = b->session;
    char log[2048] = "", *source = NULL;
    size_t bytes;
    gdr_status st = gdr_generator_expand(s->generator, &b->s, e->c->kernel,
                                         e->c->config, step, &source, &bytes);

    if (st != GDR_OK) {
        snprintf(s->msg, s->n, "%s", gdr_generator_errmsg(s->generator));
        return st;
    }
    st = s->target->compile(source, bytes, language, limit_s, image, log,
                            sizeof log);
    free(source);
    if (st == GDR_ERR_COMPILE)
        gdr_report_say(s->o->report, 1, "%s: no %s for newer cards: %.*s",
                       b->statics, language, (int)strcspn(log, "\n"), log);
    return st;
}

static gdr_status put_steps(gdr_batch *b, const gdr_entrant *e,
                            const gdr_image *image, const char *stamp)
{
    gdr_status st = gdr_batch_put_variant(b, e);

    for (int i = 0; i < e->c->n_steps && st == GDR_OK; i++)
        st = gdr_batch_put_step(b, e, i, &image[i], stamp);
    return st;
}

static gdr_status put_rows(gdr_batch *b, const gdr_entrant *e, int64_t max_work,
                           const gdr_image *image, const char *language)
{
    gdr_session *s = b->session;
    char stamp[GDR_HASH_TEXT];
    const char *of[] = {e->stamp, language};
    gdr_default_row row = {.statics = b->statics,
                           .max_work = max_work,
                           .variant = e->hash,
                           .variant_stamp = stamp};
    gdr_status st;

    gdr_hash_texts(of, 2, stamp);
    st = put_steps(b, e, image, stamp);
    if (st == GDR_OK)
        st = put_device(s, language, &row.device);
    if (st != GDR_OK)
        return st;
    return gdr_session_store_failed(s, gdr_store_put_default(s->store, &row));
}

gdr_status gdr_portable_put(gdr_batch *b)
{
    gdr_image image[GDR_RECIPE_STEPS] = {{0}};
    gdr_status st = GDR_OK;
    char language[32];
    int64_t max_work;
    const gdr_entrant *e = widest_default(b, &max_work);

    if (!e || strcmp(b->session->info.kind, "cuda") != 0 ||
        !gdr_portable_language(b->session->info.arch, language,
                               sizeof language))
        return GDR_OK;
    for (int i = 0; i < e->c->n_steps && st == GDR_OK; i++)
        st = compile(b, e, i, language, &image[i]);
    if (st == GDR_OK)
        st = put_rows(b, e, max_work, image, language);
    for (int i = 0; i < e->c->n_steps; i++)
        free(image[i].code);
    return st == GDR_ERR_COMPILE ? GDR_OK : st;
}
