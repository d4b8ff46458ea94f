/*
 * cpu_image.h - a cpu image in this process: the bytes of a shared object,
 * checked and opened. The code stays mapped until close.
 */
#ifndef GDR_CPU_IMAGE_H
#define GDR_CPU_IMAGE_H

#include "gdr.h"

/* *handle is for dlsym. GDR_ERR_LOAD with the reason in msg: not an object of
 * this architecture, damaged, or a system that lets no code be loaded. */
gdr_status gdr_cpu_image_open(const void *code, size_t bytes, void **handle,
                              char *msg, size_t n);
void gdr_cpu_image_close(void *handle);

#endif
