/* facts.c - see facts.h. */
#include "facts.h"

#include "gdr.h"

#include <stdio.h>
#include <string.h>

static int take_step(void *ctx, const gdr_compiled_row *row)
{
    gdr_facts *f = ctx;
    int64_t smem = row->smem_static + row->smem_dynamic;

    if (!row->known)
        return 0;
    f->known = 1;
    if (row->registers > f->registers)
        f->registers = row->registers;
    if (row->spill_bytes > f->spill_bytes)
        f->spill_bytes = row->spill_bytes;
    if (smem > f->smem_bytes)
        f->smem_bytes = smem;
    return 0;
}

/* Of the timing; while that is still being written, of the gate. */
static gdr_status get_trial(gdr_store *st, const gdr_winner_row *row,
                            gdr_trial_row *out)
{
    const gdr_choice_row *c = &row->choice;
    const char *slash = strstr(c->problem, " / ");
    char statics[GDR_PROBLEM_TEXT];
    gdr_status status = gdr_store_get_trial(st, row->device_id, c->problem,
                                            c->variant, c->variant_stamp, out);

    if (status == GDR_OK || !slash)
        return status;
    snprintf(statics, sizeof statics, "%.*s", (int)(slash - c->problem),
             c->problem);
    return gdr_store_get_trial(st, row->device_id, statics, c->variant,
                               c->variant_stamp, out);
}

gdr_facts gdr_facts_of(gdr_store *st, const gdr_winner_row *row)
{
    const gdr_choice_row *c = &row->choice;
    gdr_facts f = {0};
    gdr_trial_row trial;

    if (!st || !c->variant || !c->variant_stamp)
        return f;
    gdr_store_each_compiled(st, row->device_id, c->variant, c->variant_stamp,
                            take_step, &f);
    if (get_trial(st, row, &trial) != GDR_OK)
        return f;
    f.occupancy = trial.occupancy;
    f.in_flight = trial.in_flight;
    f.eager_ns = trial.eager_ns;
    return f;
}

int gdr_facts_any(const gdr_facts *f)
{
    return f->known || f->occupancy > 0 || f->in_flight > 0 || f->eager_ns > 0;
}
