/*
 * status.h - statuses and the words that go with them.
 */
#ifndef GDR_STATUS_H
#define GDR_STATUS_H

#include "gdr.h"

/* Writes the message to msg (n bytes; may be NULL or empty) and returns the
 * status, so that a failure is one line: return gdr_fail(...). The arguments
 * must not point into msg. Cold: what leads here lies out of the way of calls
 * that succeed, which meet cold caches after each launch. */
gdr_status gdr_fail(gdr_status status, char *msg, size_t n, const char *format,
                    ...) __attribute__((cold, format(printf, 4, 5)));

#endif
