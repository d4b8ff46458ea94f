/* compile_nvrtc.c - stand-in until the compiler's own file is merged. */
#include "compile_nvrtc.h"

#include <stdio.h>
#include <string.h>

gdr_status gdr_nvrtc_identity(char *text, size_t text_n, char *msg, size_t n)
{
    (void)text;
    (void)text_n;
    snprintf(msg, n, "no NVRTC in this build");
    return GDR_ERR_COMPILE;
}

gdr_status gdr_nvrtc_compile(const char *source, size_t bytes, const char *arch,
                             double limit_s, gdr_image *out, char *log,
                             size_t n)
{
    (void)source;
    (void)bytes;
    (void)arch;
    (void)limit_s;
    memset(out, 0, sizeof *out);
    snprintf(log, n, "no NVRTC in this build");
    return GDR_ERR_COMPILE;
}
