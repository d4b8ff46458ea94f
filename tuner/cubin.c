/*
 * cubin.c - reads through at(), which checks every offset against the end and
 * copies, so that nothing is read out of bounds or misaligned.
 */
#include "cubin.h"

#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MACHINE_CUDA = 190, ABI_8 = 8, RESERVED_SMEM = 1024 };

/* How an attribute holds its value, and which attributes are read. */
enum {
    FORMAT_VALUE = 3, /* 16 bits in place */
    FORMAT_SIZED = 4, /* 16 bits of length, then that many bytes */
    MAX_THREADS = 0x05,
    REQUIRED_THREADS = 0x10,
    FRAME_SIZE = 0x11,
    MIN_STACK_SIZE = 0x12,
    REGISTERS = 0x2f,
    BARRIERS = 0x4c
};

typedef struct file {
    const unsigned char *data;
    size_t bytes;
    Elf64_Ehdr head;
    Elf64_Shdr names; /* the section of section names */
    char *msg;
    size_t n;
} file;

__attribute__((format(printf, 2, 3))) static gdr_status
damaged(const file *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(f->msg, f->n, format, args);
    va_end(args);
    return GDR_ERR_FORMAT;
}

/* Copies what stands at an offset; 0 when it is not all there. */
static int at(const file *f, uint64_t offset, void *out, size_t bytes)
{
    if (offset > f->bytes || bytes > f->bytes - offset)
        return 0;
    memcpy(out, f->data + offset, bytes);
    return 1;
}

static int section(const file *f, unsigned i, Elf64_Shdr *out)
{
    return i < f->head.e_shnum &&
           at(f, f->head.e_shoff + (uint64_t)i * sizeof *out, out, sizeof *out);
}

/* Does the section's data lie in the file? NOBITS has none. */
static int has_data(const file *f, const Elf64_Shdr *s)
{
    return s->sh_type != SHT_NOBITS && s->sh_offset <= f->bytes &&
           s->sh_size <= f->bytes - s->sh_offset;
}

/* The section's name begins with prefix, and goes on where `more`. */
static int named(const file *f, const Elf64_Shdr *s, const char *prefix,
                 int more)
{
    char name[32] = "";
    size_t length = strlen(prefix) + 1;

    return at(f, f->names.sh_offset + s->sh_name, name, length) &&
           !strncmp(name, prefix, length - 1) &&
           (more ? name[length - 1] != 0 : name[length - 1] == 0);
}

static void raise_to(int *most, uint64_t value)
{
    if (value > INT32_MAX)
        value = INT32_MAX;
    if ((int)value > *most)
        *most = (int)value;
}

/* ---- attributes ---- */

/* An attribute's words; those that are not there are 0. */
static void take_sized(gdr_cubin *c, int attribute, const uint32_t word[3])
{
    switch (attribute) {
    case REGISTERS: /* word[0]: the function */
        raise_to(&c->registers, word[1]);
        break;
    case FRAME_SIZE:
    case MIN_STACK_SIZE:
        raise_to(&c->stack_bytes, word[1]);
        break;
    case MAX_THREADS:
    case REQUIRED_THREADS:
        raise_to(&c->max_threads,
                 (uint64_t)word[0] * word[1] % INT32_MAX * word[2]);
        break;
    default:
        break;
    }
}

static gdr_status read_attributes(const file *f, const Elf64_Shdr *s,
                                  gdr_cubin *c)
{
    uint64_t here = s->sh_offset, end = here + s->sh_size;
    unsigned char head[4] = {0};

    while (end - here >= sizeof head) {
        uint32_t word[3] = {0};
        unsigned value;

        at(f, here, head, sizeof head);
        here += sizeof head;
        value = head[2] | (unsigned)head[3] << 8;
        if (head[0] == FORMAT_SIZED) {
            if (value > end - here)
                return damaged(f, "an attribute runs over its section");
            at(f, here, word, value < sizeof word ? value : sizeof word);
            take_sized(c, head[1], word);
            here += value;
        } else if (head[1] == BARRIERS) {
            raise_to(&c->barriers, value & 0xff);
        }
    }
    return GDR_OK;
}

/* ---- sections ---- */

/* From sm_90 on the size has 1024 bytes that the system takes; what the
 * compiler says (-v) has them not. */
static void take_shared(const Elf64_Shdr *s, gdr_cubin *c)
{
    uint64_t bytes = s->sh_size;

    if (c->arch >= 90)
        bytes = bytes > RESERVED_SMEM ? bytes - RESERVED_SMEM : 0;
    raise_to(&c->smem_bytes, bytes);
}

/* Before ABI 8 the number of barriers stands in the flags of the code. */
static void take_text(const file *f, const Elf64_Shdr *s, gdr_cubin *c)
{
    c->kernels++;
    if (f->head.e_ident[EI_ABIVERSION] < ABI_8)
        raise_to(&c->barriers, s->sh_flags >> 20 & 0x1f);
}

static gdr_status take_section(const file *f, const Elf64_Shdr *s, gdr_cubin *c)
{
    if (named(f, s, ".nv.shared.reserved.", 1))
        return GDR_OK;
    if (named(f, s, ".nv.shared.", 1))
        take_shared(s, c);
    else if (named(f, s, ".text.", 1))
        take_text(f, s, c);
    else if (named(f, s, ".nv.info", 0) || named(f, s, ".nv.info.", 1))
        return has_data(f, s) ? read_attributes(f, s, c)
                              : damaged(f, "a section runs over the end");
    return GDR_OK;
}

/* Bits 8 to 15 from ABI 8 (CUDA 13) on; bits 0 to 7 before. */
static int read_arch(const Elf64_Ehdr *head)
{
    return head->e_ident[EI_ABIVERSION] >= ABI_8
               ? (int)(head->e_flags >> 8) & 0xff
               : (int)head->e_flags & 0xff;
}

static gdr_status open_file(file *f)
{
    if (!at(f, 0, &f->head, sizeof f->head))
        return damaged(f, "%zu bytes are no cubin", f->bytes);
    if (memcmp(f->head.e_ident, ELFMAG, SELFMAG) != 0 ||
        f->head.e_ident[EI_CLASS] != ELFCLASS64 ||
        f->head.e_ident[EI_DATA] != ELFDATA2LSB ||
        f->head.e_machine != MACHINE_CUDA)
        return damaged(f, "no ELF file for CUDA");
    if (f->head.e_shentsize != sizeof(Elf64_Shdr) ||
        !section(f, f->head.e_shstrndx, &f->names) || !has_data(f, &f->names))
        return damaged(f, "the section names are missing");
    return GDR_OK;
}

gdr_status gdr_cubin_read(const void *code, size_t bytes, gdr_cubin *out,
                          char *msg, size_t n)
{
    file f = {.data = code, .bytes = bytes, .msg = msg, .n = n};
    gdr_status st;

    msg[0] = 0;
    st = open_file(&f);
    memset(out, 0, sizeof *out);
    out->arch = st == GDR_OK ? read_arch(&f.head) : 0;
    for (unsigned i = 0; st == GDR_OK && i < f.head.e_shnum; i++) {
        Elf64_Shdr s;
        st = section(&f, i, &s) ? take_section(&f, &s, out)
                                : damaged(&f, "section %u is missing", i);
    }
    if (st == GDR_OK && (!out->kernels || !out->registers))
        st = damaged(&f, "there is no kernel in it");
    return st;
}

gdr_status gdr_cubin_check(const void *code, size_t bytes, const char *arch,
                           char *msg, size_t n)
{
    gdr_cubin c;
    gdr_status st = gdr_cubin_read(code, bytes, &c, msg, n);
    int wanted = !strncmp(arch, "sm_", 3) ? atoi(arch + 3) : 0;

    if (st != GDR_OK || c.arch == wanted)
        return st;
    snprintf(msg, n, "code for sm_%d, not %s", c.arch, arch);
    return GDR_ERR_LOAD;
}
