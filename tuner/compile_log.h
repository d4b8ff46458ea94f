/*
 * compile_log.h - what ptxas says of a kernel beside its code. Text only, so
 * that every judgement can be tested without a compiler.
 */
#ifndef GDR_COMPILE_LOG_H
#define GDR_COMPILE_LOG_H

#include <stddef.h>

/* Bytes that a thread spills, of the function that spills most: the larger of
 * its stores and loads. -1: the log does not say. */
int gdr_compile_log_spills(const char *log);

/* Why no card should run this code: serialised wgmma, an ignored setmaxnreg,
 * spills. 0: nothing against it. */
int gdr_compile_log_refuses(const char *log, char *why, size_t n);

/* The log without the lines that differ from run to run (compile times) or say
 * nothing; cut at n. */
void gdr_compile_log_clean(const char *log, char *out, size_t n);

#endif
