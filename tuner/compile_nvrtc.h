/* compile_nvrtc.h - stand-in until the compiler's own file is merged. */
#ifndef GDR_COMPILE_NVRTC_H
#define GDR_COMPILE_NVRTC_H

#include "target.h"

gdr_status gdr_nvrtc_identity(char *text, size_t text_n, char *msg, size_t n);
gdr_status gdr_nvrtc_compile(const char *source, size_t bytes, const char *arch,
                             double limit_s, gdr_image *out, char *log,
                             size_t n);

#endif
