/*
 * target_emu.c - the emulated card, "emu:sm_90a": kernels for cards compiled by
 * the host's C++ compiler and watched while they run. It checks and never
 * times, and libgdr does not know it.
 */
#include "compile_cc.h"
#include "emulator/emulator.h"
#include "hash.h"
#include "target.h"

#include "../generator/files.h"
#include "../runtime/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const gdr_target gdr_target_emu;

/* ---- the backend ---- */

/* An open device. */
typedef struct emu_device {
    gdr_emu *emu;
    gdr_device_info info;
} emu_device;

static void describe(const gdr_emu_chip *chip, gdr_device_info *info)
{
    *info = (gdr_device_info){
        /* few, so that a grid of `sms` blocks goes round more than once */
        .sms = 2,
        .vector_bytes = 16,
        .l2_bytes = chip->l2_bytes,
        .llc_bytes = chip->l2_bytes,
        .smem_bytes = chip->smem_bytes,
    };
    snprintf(info->kind, sizeof info->kind, "emu");
    snprintf(info->arch, sizeof info->arch, "%s", chip->arch);
    snprintf(info->isa, sizeof info->isa, "%s", chip->arch);
    snprintf(info->name, sizeof info->name, "emulated %s", chip->arch);
    snprintf(info->fingerprint, sizeof info->fingerprint, "emu:%s", chip->arch);
}

static gdr_status open_device(const char *name,
                              const gdr_device_options *options, void **dev,
                              char *msg, size_t n)
{
    const gdr_emu_chip *chip = gdr_emu_chip_find(name);
    char names[256];
    emu_device *d;
    gdr_status st;

    (void)options;
    *dev = NULL;
    if (!chip) {
        gdr_emu_chip_names(names, sizeof names);
        return gdr_fail(GDR_ERR_NO_DEVICE, msg, n,
                        "no device \"emu:%.32s\": emu: wants one of %s", name,
                        names);
    }
    d = calloc(1, sizeof *d);
    if (!d)
        return GDR_ERR_NO_MEMORY;
    st = gdr_emu_open(chip, &d->emu);
    if (st != GDR_OK) {
        free(d);
        return gdr_fail(st, msg, n, "out of memory");
    }
    describe(chip, &d->info);
    *dev = d;
    return GDR_OK;
}

static void close_device(void *dev)
{
    emu_device *d = dev;

    if (d)
        gdr_emu_close(d->emu);
    free(d);
}

static const gdr_device_info *info(const void *dev)
{
    return &((const emu_device *)dev)->info;
}

static int loadable(const void *dev, const char *isa)
{
    return !strcmp(info(dev)->isa, isa);
}

static gdr_status load(void *dev, const void *code, size_t bytes,
                       const char *entry, void **kernel, char *msg, size_t n)
{
    gdr_emu_image *image = NULL;
    gdr_status st;

    if (!code)
        return gdr_fail(GDR_ERR_NOT_FOUND, msg, n,
                        "emu has no kernels of its own");
    st = gdr_emu_load(((emu_device *)dev)->emu, code, bytes, entry, &image, msg,
                      n);
    *kernel = image;
    return st;
}

static void unload(void *dev, void *kernel)
{
    gdr_emu_unload(((emu_device *)dev)->emu, kernel);
}

static gdr_status launch(void *dev, void *kernel, const gdr_launch_dims *dims,
                         const void *params, size_t params_bytes, void *stream)
{
    (void)stream;
    return gdr_emu_launch(((emu_device *)dev)->emu, kernel, dims, params,
                          params_bytes);
}

static const gdr_backend backend = {
    .kind = "emu",
    .open = open_device,
    .close = close_device,
    .info = info,
    .loadable = loadable,
    .load = load,
    .unload = unload,
    .launch = launch,
};

/* ---- compiling ---- */

/* What stands before each kernel, in this order. */
static const char *const heads[] = {"tuner/emulator/calls.h",
                                    "tuner/emulator/prim_emu.h"};
enum { HEADS = sizeof heads / sizeof *heads };

static gdr_status compiler(char *text, size_t text_n, char *msg, size_t n)
{
    const char *head[HEADS];
    char hash[GDR_HASH_TEXT];
    gdr_status st = gdr_cxx_identity(text, text_n, msg, n);
    size_t at;

    if (st != GDR_OK)
        return st;
    for (int i = 0; i < HEADS; i++)
        head[i] = gdr_packed_find(heads[i])->text;
    gdr_hash_texts(head, HEADS, hash);
    at = strlen(text);
    snprintf(text + at, text_n - at, "; emulator %s", hash);
    return GDR_OK;
}

/* Heads and kernel in one text; malloc'd, or NULL. */
static char *assemble(const gdr_emu_chip *chip, const char *source,
                      size_t bytes, size_t *whole)
{
    size_t room = bytes + 256, at;
    char *text;

    for (int i = 0; i < HEADS; i++)
        room += gdr_packed_find(heads[i])->bytes + strlen(heads[i]) + 32;
    text = malloc(room);
    if (!text)
        return NULL;
    at =
        (size_t)snprintf(text, room, "#define __CUDA_ARCH__ %d\n", chip->macro);
    for (int i = 0; i < HEADS; i++)
        at += (size_t)snprintf(text + at, room - at, "#line 1 \"%s\"\n%s\n",
                               heads[i], gdr_packed_find(heads[i])->text);
    at += (size_t)snprintf(text + at, room - at, "#line 1 \"kernel\"\n");
    memcpy(text + at, source, bytes);
    text[at + bytes] = 0;
    *whole = at + bytes;
    return text;
}

static gdr_status compile(const char *source, size_t bytes, const char *arch,
                          double limit_s, gdr_image *out, char *log, size_t n)
{
    const gdr_emu_chip *chip = gdr_emu_chip_find(arch);
    size_t whole;
    char *text;
    gdr_status st;

    memset(out, 0, sizeof *out);
    if (!chip)
        return gdr_fail(GDR_ERR_ARG, log, n, "no chip '%.32s'", arch);
    text = assemble(chip, source, bytes, &whole);
    if (!text)
        return GDR_ERR_NO_MEMORY;
    st = gdr_cxx_compile(text, whole, limit_s, &out->code, &out->bytes, log, n);
    free(text);
    snprintf(out->isa, sizeof out->isa, "%s", arch);
    return st;
}

/* ---- memory ---- */

static gdr_status mem_alloc(void *dev, size_t bytes, void **p)
{
    return gdr_emu_alloc(((emu_device *)dev)->emu, bytes, p);
}

static void mem_free(void *dev, void *p)
{
    gdr_emu_free(((emu_device *)dev)->emu, p);
}

static gdr_status mem_write(void *dev, void *dst, const void *host,
                            size_t bytes)
{
    return gdr_emu_write(((emu_device *)dev)->emu, dst, host, bytes);
}

static gdr_status mem_read(void *dev, void *host, const void *src, size_t bytes)
{
    return gdr_emu_read(((emu_device *)dev)->emu, host, src, bytes);
}

static int explain(void *dev, const char **outcome, char *note, size_t n)
{
    gdr_emu_explain(((emu_device *)dev)->emu, outcome, note, n);
    return 0;
}

const gdr_target gdr_target_emu = {
    .kind = "emu",
    .templates = "cuda",
    .backend = &backend,
    .deadline_s = 30,
    .compiler = compiler,
    .compile = compile,
    .alloc = mem_alloc,
    .free = mem_free,
    .write = mem_write,
    .read = mem_read,
    .explain = explain,
};
