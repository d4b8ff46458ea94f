/*
 * contest.h - the race of one problem: a worker with all fit variants loaded
 * answers with times, the race in this process decides, the rows are stored.
 */
#ifndef GDR_CONTEST_H
#define GDR_CONTEST_H

#include "batch.h"

/*
 * Races the batch for one problem and stores trials and choice. end_s: stop
 * then with the best so far; the default is timed in any case. GDR_OK with
 * *won = 0 when there is no winner (the report has the reason); GDR_ERR_BUSY:
 * interrupted, nothing of this problem stored but crashes.
 */
gdr_status gdr_contest(gdr_batch *b, const gdr_problem *p, double end_s,
                       int *won);

/* Is the stored choice made from just this space, with this effort? */
int gdr_contest_current(gdr_batch *b, const gdr_problem *p, const char *effort);

/* Why this problem cannot be timed here (its state does not fit), or 0. */
int gdr_contest_too_big(const gdr_session *s, const gdr_problem *p, char *why,
                        size_t n);

#endif
