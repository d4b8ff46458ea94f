/*
 * compile_once.h - sources compiled on threads, each once per architecture:
 * what was compiled before is an answer at once. Keeps figures and words, not
 * code.
 *
 * Life cycle: open, want as often as needed, wait, read the answers, close
 * (NULL is harmless). All calls from one thread. Answers live until close.
 */
#ifndef GDR_COMPILE_ONCE_H
#define GDR_COMPILE_ONCE_H

#include "compile_queue.h"
#include "hash.h"

#include <signal.h>

typedef struct gdr_compiled {
    char source[GDR_HASH_TEXT];
    const char *arch;
    int ready;         /* the rest is known */
    gdr_status status; /* gdr_target.compile's */
    gdr_figures figures;
    size_t code_bytes;
    char log[2048];
} gdr_compiled;

typedef struct gdr_compile_once gdr_compile_once;

gdr_status gdr_compile_once_open(const gdr_target *target, int threads,
                                 double limit_s, gdr_compile_once **out);
void gdr_compile_once_close(gdr_compile_once *c);

/* Takes the source (malloc'd), also on failure; arch must outlive c. *out is
 * ready after wait, or already. */
gdr_status gdr_compile_once_want(gdr_compile_once *c, char *source,
                                 size_t bytes, const char *arch,
                                 const gdr_compiled **out);

/* An answer for what never became a source: GDR_ERR_TEMPLATE and the reason. */
gdr_status gdr_compile_once_fail(gdr_compile_once *c, const char *reason,
                                 const char *arch, const gdr_compiled **out);

/* Until everything wanted is ready, or *stop (may be NULL) is set. 0: it is. */
int gdr_compile_once_wait(gdr_compile_once *c,
                          const volatile sig_atomic_t *stop);

/* How many sources were put to the compiler. */
int64_t gdr_compile_once_count(const gdr_compile_once *c);

#endif
