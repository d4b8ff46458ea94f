/*
 * figures.c - see figures.h. Estimates are of one multiprocessor that is full
 * of blocks: the sizes of a block do not follow from the size of a call, so
 * that its terms are evaluated at the least.
 */
#include "figures.h"

#include "chip.h"

#include <stdlib.h>

gdr_status gdr_figures_put(gdr_batch *b, const gdr_entrant *e, int step,
                           const gdr_image *image, const char *log)
{
    gdr_session *s = b->session;
    const gdr_figures *f = &image->figures;
    gdr_compiled_row row = {.device = s->device,
                            .variant = e->hash,
                            .stamp = e->stamp,
                            .n = step,
                            .known = f->known,
                            .registers = f->registers,
                            .spill_bytes = f->spill_bytes,
                            .stack_bytes = f->stack_bytes,
                            .smem_static = f->smem_bytes,
                            .smem_dynamic =
                                gdr_entrant_term(e, e->c->step[step].smem),
                            .barriers = f->barriers,
                            .min_driver = f->min_driver,
                            .log = log};
    gdr_status st;

    if (!f->known && !*log)
        return GDR_OK;
    if (row.smem_dynamic < 0)
        row.smem_dynamic = 0;
    st = gdr_batch_put_variant(b, e);
    if (st != GDR_OK)
        return st;
    return gdr_session_store_failed(s, gdr_store_put_compiled(s->store, &row));
}

/* A grid that is cut to the card, as of blocks that stay, leaves room unused.
 */
static int64_t most_blocks(const gdr_entrant *e, int step)
{
    const gdr_batch *b = e->batch;
    const char *const texts[] = {e->c->step[step].grid_x,
                                 e->c->step[step].grid_y,
                                 e->c->step[step].grid_z};
    int64_t sms = b->session->info.sms, units = 1;
    gdr_term_env env = {{1 << 16, 8, 64, 64}, b->s.K, b->s.V, sms};

    for (int i = 0; i < 3; i++) {
        gdr_term term;
        int64_t value;
        if (gdr_term_parse(texts[i] ? texts[i] : "1", &term, NULL, 0) != GDR_OK)
            return INT32_MAX;
        value = gdr_term_eval(&term, &env);
        if (value < 1 || __builtin_mul_overflow(units, value, &units))
            return INT32_MAX;
    }
    units = sms > 0 ? (units + sms - 1) / sms : INT32_MAX;
    return units < INT32_MAX ? units : INT32_MAX;
}

static void estimate(const gdr_chip *chip, const gdr_entrant *e, int step,
                     gdr_trial_row *row)
{
    const gdr_figures *f = &e->image[step].figures;
    int64_t threads = gdr_entrant_term(e, e->c->step[step].block);
    int64_t smem = gdr_entrant_term(e, e->c->step[step].smem);
    int64_t bytes = gdr_entrant_term(e, e->c->step[step].in_flight);
    gdr_block_needs needs = {.registers = f->registers,
                             .barriers = f->barriers,
                             .smem_bytes = f->smem_bytes + smem};
    gdr_occupancy o;
    int64_t most = most_blocks(e, step);

    if (threads < 1 || threads > 1024 || smem < 0)
        return;
    needs.threads = (int)threads;
    o = gdr_chip_occupancy(chip, &needs);
    if (o.blocks > most) {
        o.warps *= (double)most / o.blocks;
        o.blocks = (int)most;
    }
    bytes = bytes > 0 ? bytes * o.blocks : 0;
    if (row->occupancy > 0 && bytes <= row->in_flight)
        return;
    row->occupancy = o.warps < 1 ? o.warps : 1;
    row->in_flight = bytes;
}

void gdr_figures_estimate(const gdr_batch *b, const gdr_entrant *e,
                          gdr_trial_row *row)
{
    const gdr_chip *chip;

    if (!e->compiled ||
        gdr_chip_find(b->session->info.arch, &chip, NULL, 0) != GDR_OK)
        return;
    for (int i = 0; i < e->c->n_steps; i++)
        if (e->image[i].figures.known)
            estimate(chip, e, i, row);
}
