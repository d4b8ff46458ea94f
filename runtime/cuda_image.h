/*
 * cuda_image.h - a card's image looked at before the driver sees it, which is
 * told no length and trusts what it is given.
 */
#ifndef GDR_CUDA_IMAGE_H
#define GDR_CUDA_IMAGE_H

#include "gdr.h"

/* GDR_ERR_LOAD with the reason in msg: neither a whole cubin nor PTX text. */
gdr_status gdr_cuda_image_check(const void *code, size_t bytes, char *msg,
                                size_t n);

#endif
