/*
 * target_cuda.h - how long things take on a card (target_cuda_time.c), for the
 * target's table alone (target_cuda.c).
 */
#ifndef GDR_TARGET_CUDA_H
#define GDR_TARGET_CUDA_H

#include "target.h"

gdr_status gdr_cuda_time(const gdr_recipe *r, const gdr_args *ring, int n_ring,
                         int *at, int64_t launches, double *ns);
gdr_status gdr_cuda_time_eager(const gdr_recipe *r, const gdr_args *ring,
                               int n_ring, int *at, int64_t launches,
                               double *ns);
gdr_status gdr_cuda_roofline(void *dev, void *p, size_t all, size_t bytes,
                             int64_t *at, double *ns);

#endif
