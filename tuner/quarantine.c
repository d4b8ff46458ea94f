/* quarantine.c - see quarantine.h; the rows are by device and hash of code. */
#include "quarantine.h"

#include <stdio.h>
#include <string.h>

/* One step: the image's own hash, which others find by looking at the file. */
static void name_of(const gdr_entrant *e, char hash[GDR_HASH_TEXT])
{
    if (e->c->n_steps == 1)
        gdr_hash_bytes(e->image[0].code, e->image[0].bytes, hash);
    else
        snprintf(hash, GDR_HASH_TEXT, "%s", e->code_hash);
}

gdr_status gdr_quarantine_put(gdr_batch *b, const gdr_entrant *e,
                              const char *outcome, const char *note)
{
    gdr_session *s = b->session;
    char image[GDR_HASH_TEXT];
    gdr_quarantine_row row = {.device = s->device,
                              .run = s->run,
                              .image = image,
                              .outcome = strcmp(outcome, "timeout") ? "crash"
                                                                    : "timeout",
                              .note = note};

    name_of(e, image);
    return gdr_session_store_failed(s,
                                    gdr_store_put_quarantine(s->store, &row));
}

gdr_status gdr_quarantine_look(gdr_batch *b, const gdr_entrant *e, int *yes,
                               const char **outcome, char *note, size_t n)
{
    gdr_session *s = b->session;
    char image[GDR_HASH_TEXT];
    gdr_quarantine_row row;
    gdr_status st;

    name_of(e, image);
    st = gdr_store_get_quarantine(s->store, s->device, image, &row);
    *yes = st == GDR_OK;
    if (st == GDR_ERR_NOT_FOUND)
        return GDR_OK;
    if (st != GDR_OK)
        return gdr_session_store_failed(s, st);
    *outcome = strcmp(row.outcome, "timeout") ? "crash" : "timeout";
    snprintf(note, n, "quarantined: %s; --fresh tries it again", row.note);
    return GDR_OK;
}

gdr_status gdr_quarantine_lift(gdr_batch *b, const gdr_entrant *e)
{
    gdr_session *s = b->session;
    char image[GDR_HASH_TEXT];

    name_of(e, image);
    return gdr_session_store_failed(
        s, gdr_store_lift_quarantine(s->store, s->device, image));
}
