/*
 * status.c - statuses and the words that go with them. Every enumerator has
 * its phrase; an unknown value gets one too, so no caller ever prints NULL.
 */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const phrases[] = {
    [GDR_OK] = "no error",
    [GDR_ERR_ARG] = "wrong argument",
    [GDR_ERR_PARSE] = "text does not parse",
    [GDR_ERR_NO_MEMORY] = "out of memory",
    [GDR_ERR_IO] = "input or output failed",
    [GDR_ERR_NOT_FOUND] = "not found",
    [GDR_ERR_FORMAT] = "not a gdr database, or a damaged one",
    [GDR_ERR_NEWER] = "database written by a newer gdr-tune",
    [GDR_ERR_READONLY] = "database cannot be written",
    [GDR_ERR_FULL] = "disk full",
    [GDR_ERR_BUSY] = "database held by another process",
    [GDR_ERR_UNSAFE] = "file with code is writable by others",
    [GDR_ERR_NO_DEVICE] = "no such device",
    [GDR_ERR_NO_PLAN] = "nothing tuned that fits",
    [GDR_ERR_COMPILE] = "compiler missing or refused the source",
    [GDR_ERR_LOAD] = "code cannot run on this device",
    [GDR_ERR_LAUNCH] = "launch failed",
    [GDR_ERR_TEMPLATE] = "template, spec or shape list is wrong",
    [GDR_ERR_INTERNAL] = "bug in libgdr: please report it",
};

static const char *const matches[] = {
    [GDR_MATCH_EXACT] = "exact",     [GDR_MATCH_NEAR] = "near",
    [GDR_MATCH_EDGE] = "edge",       [GDR_MATCH_SIBLING] = "sibling",
    [GDR_MATCH_DEFAULT] = "default", [GDR_MATCH_PTX] = "ptx",
    [GDR_MATCH_GENERIC] = "generic",
};

static const char *word(const char *const *words, size_t n, size_t at)
{
    return at < n && words[at] ? words[at] : "unknown";
}

const char *gdr_strerror(gdr_status status)
{
    return word(phrases, sizeof phrases / sizeof *phrases, (size_t)status);
}

const char *gdr_match_name(gdr_match m)
{
    return word(matches, sizeof matches / sizeof *matches, (size_t)m);
}

const char *gdr_version(void)
{
    return GDR_VERSION;
}

gdr_status gdr_fail(gdr_status status, char *msg, size_t n, const char *format,
                    ...)
{
    va_list args;

    if (!msg || n == 0)
        return status;
    va_start(args, format);
    vsnprintf(msg, n, format, args);
    va_end(args);
    return status;
}
