/*
 * compile_nvrtc.h - CUDA source to cubin or PTX by NVRTC, which is opened at
 * run time and never linked. Needs no card, no driver and no CUDA headers at
 * run time. Safe from several threads; the library is loaded once.
 *
 * Built without the toolkit's headers, it is as if there were no NVRTC, and
 * says so.
 */
#ifndef GDR_COMPILE_NVRTC_H
#define GDR_COMPILE_NVRTC_H

#include "target.h"

/* "NVRTC 13.0", then the flags. GDR_ERR_COMPILE names what was tried, and the
 * remedy. */
gdr_status gdr_nvrtc_identity(char *text, size_t text_n, char *msg, size_t n);

/* Does this NVRTC know "sm_90a", "compute_90"? GDR_ERR_NOT_FOUND: no, and msg
 * says what it knows; such a variant is not wrong, but out of reach.
 * GDR_ERR_COMPILE: there is no NVRTC. */
gdr_status gdr_nvrtc_knows(const char *arch, char *msg, size_t n);

/*
 * gdr_target.compile: "sm_90a" gives a cubin with its figures, "compute_90" PTX
 * with the 0 at its end and no figures. The caller frees out->code.
 *
 * GDR_ERR_COMPILE: refused by the compiler; of an arch that it does not know;
 * too slow; or code that no card should run (compile_log.h), whose figures are
 * kept and whose reason is the first line of log. GDR_ERR_IO: there is no
 * NVRTC; that, and GDR_ERR_NO_MEMORY, say nothing about the source.
 *
 * limit_s is kept as far as NVRTC lets one: from 12.8 on it asks now and then
 * whether to go on, but not while ptxas runs, and before that never. What is
 * too slow is then refused when it is done.
 */
gdr_status gdr_nvrtc_compile(const char *source, size_t bytes, const char *arch,
                             double limit_s, gdr_image *out, char *log,
                             size_t n);

#endif
