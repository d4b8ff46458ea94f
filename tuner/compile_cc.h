/*
 * compile_cc.h - C source to shared object by the system's compiler. $CC (which
 * may hold arguments) and no other, else cc, gcc, clang from $PATH. Keeps
 * nothing: each call looks the compiler up anew and leaves no file behind, even
 * when killed. Safe from several threads.
 */
#ifndef GDR_COMPILE_CC_H
#define GDR_COMPILE_CC_H

#include "gdr.h"

/* First line of `--version`, then the flags. GDR_ERR_COMPILE names what was
 * tried, and the remedy. */
gdr_status gdr_cc_identity(char *text, size_t text_n, char *msg, size_t n);

/* *code is malloc'd, of *bytes bytes. macros (may be NULL) gets the malloc'd
 * text of all macros that the flags predefine (-dM). log gets what the compiler
 * said, cut at n. GDR_ERR_COMPILE: refused, too slow or too large.
 * GDR_ERR_IO: missing, or it compiles nothing at all now, so that this says
 * nothing about the source; nor does GDR_ERR_NO_MEMORY, ours or its. */
gdr_status gdr_cc_compile(const char *source, size_t source_bytes,
                          double limit_s, void **code, size_t *bytes,
                          char **macros, char *log, size_t n);

/* The same for kernels of the emulator: C++, by $CXX and no other, else c++,
 * g++, clang++; instrumented, and linked against nothing. */
gdr_status gdr_cxx_identity(char *text, size_t text_n, char *msg, size_t n);
gdr_status gdr_cxx_compile(const char *source, size_t source_bytes,
                           double limit_s, void **code, size_t *bytes,
                           char *log, size_t n);

#endif
