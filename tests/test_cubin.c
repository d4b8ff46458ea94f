/* test_cubin.c - a cubin made by hand, damaged in every way; and, where there
 * is NVRTC, real ones against the compiler's own words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../tuner/compile_nvrtc.h"
#include "../tuner/cubin.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one made by hand ---- */

enum { SECTIONS = 6, ROOM = 2048 };

typedef struct hand {
    unsigned char data[ROOM];
    size_t bytes;
} hand;

static const char names[] = "\0.shstrtab\0.text.k\0.nv.info\0.nv.info.k\0"
                            ".nv.shared.k";

/* REGISTERS 40, FRAME_SIZE 8, MIN_STACK_SIZE 24. */
static const unsigned char info[] = {
    4, 0x2f, 8, 0, 1, 0, 0, 0, 40, 0, 0, 0, /**/
    4, 0x11, 8, 0, 1, 0, 0, 0, 8,  0, 0, 0, /**/
    4, 0x12, 8, 0, 1, 0, 0, 0, 24, 0, 0, 0};
/* An unknown one, BARRIERS 3, MAX_THREADS 128 x 2 x 1. */
static const unsigned char info_k[] = {3, 0x50, 0,  0, 3,   0x4c, 3, 0, /**/
                                       4, 0x05, 12, 0, 128, 0,    0, 0,
                                       2, 0,    0,  0, 1,   0,    0, 0};

static Elf64_Word name_at(const char *name)
{
    const char *at = memmem(names, sizeof names, name, strlen(name) + 1);

    assert_non_null(at);
    return (Elf64_Word)(at - names);
}

/* Appends data, and fills in its section. */
static void put(hand *h, int section, const char *name, Elf64_Word type,
                Elf64_Xword flags, const void *data, size_t bytes)
{
    Elf64_Shdr s = {.sh_name = name ? name_at(name) : 0,
                    .sh_type = type,
                    .sh_flags = flags,
                    .sh_offset = h->bytes,
                    .sh_size = bytes};

    if (type != SHT_NOBITS) {
        memcpy(h->data + h->bytes, data, bytes);
        h->bytes += bytes;
    }
    memcpy(h->data + sizeof(Elf64_Ehdr) + (size_t)section * sizeof s, &s,
           sizeof s);
}

/* abi 8: as CUDA 13 does; 7: as CUDA 12. */
static void make(hand *h, int abi, unsigned arch)
{
    Elf64_Ehdr head = {.e_machine = 190,
                       .e_version = 1,
                       .e_shoff = sizeof head,
                       .e_flags = abi >= 8 ? arch << 8 | 4 : arch << 16 | arch,
                       .e_ehsize = sizeof head,
                       .e_shentsize = sizeof(Elf64_Shdr),
                       .e_shnum = SECTIONS,
                       .e_shstrndx = 1};

    memset(h, 0, sizeof *h);
    memcpy(head.e_ident, ELFMAG, SELFMAG);
    head.e_ident[EI_CLASS] = ELFCLASS64;
    head.e_ident[EI_DATA] = ELFDATA2LSB;
    head.e_ident[EI_ABIVERSION] = (unsigned char)abi;
    memcpy(h->data, &head, sizeof head);
    h->bytes = sizeof head + SECTIONS * sizeof(Elf64_Shdr);
    put(h, 1, ".shstrtab", SHT_STRTAB, 0, names, sizeof names);
    put(h, 2, ".text.k", SHT_PROGBITS, 5u << 20 | 6, info, 8);
    put(h, 3, ".nv.info", SHT_LOPROC, 0, info, sizeof info);
    put(h, 4, ".nv.info.k", SHT_LOPROC, 0, info_k, sizeof info_k);
    put(h, 5, ".nv.shared.k", SHT_NOBITS, 3, NULL, 1424);
}

static gdr_status read_hand(const hand *h, gdr_cubin *c)
{
    char msg[256];

    return gdr_cubin_read(h->data, h->bytes, c, msg, sizeof msg);
}

static void reads_every_figure(void **state)
{
    gdr_cubin c;
    hand h;

    (void)state;
    make(&h, 8, 90);
    assert_int_equal(read_hand(&h, &c), GDR_OK);
    assert_int_equal(c.arch, 90);
    assert_int_equal(c.kernels, 1);
    assert_int_equal(c.registers, 40);
    assert_int_equal(c.stack_bytes, 24);
    assert_int_equal(c.smem_bytes, 400); /* less the system's 1024 */
    assert_int_equal(c.barriers, 3);
    assert_int_equal(c.max_threads, 256);
    make(&h, 7, 80);
    assert_int_equal(read_hand(&h, &c), GDR_OK);
    assert_int_equal(c.arch, 80);
    assert_int_equal(c.smem_bytes, 1424);
    assert_int_equal(c.barriers, 5); /* from the flags of the code */
}

static void checks_the_arch(void **state)
{
    char msg[256];
    hand h;

    (void)state;
    make(&h, 8, 90);
    assert_int_equal(
        gdr_cubin_check(h.data, h.bytes, "sm_90a", msg, sizeof msg), GDR_OK);
    assert_int_equal(gdr_cubin_check(h.data, h.bytes, "sm_80", msg, sizeof msg),
                     GDR_ERR_LOAD);
    assert_non_null(strstr(msg, "sm_90"));
    assert_int_equal(
        gdr_cubin_check(h.data, h.bytes, "x86-64", msg, sizeof msg),
        GDR_ERR_LOAD);
    assert_int_equal(gdr_cubin_check("PTX", 4, "sm_80", msg, sizeof msg),
                     GDR_ERR_FORMAT);
    assert_int_equal(gdr_cubin_check("", 0, "sm_80", msg, sizeof msg),
                     GDR_ERR_FORMAT);
}

/* Every read is of a block of exactly that size, so that a sanitizer sees a
 * byte too many. */
static gdr_status read_copy(const unsigned char *data, size_t bytes)
{
    unsigned char *copy = malloc(bytes ? bytes : 1);
    char msg[64];
    gdr_cubin c;
    gdr_status st;

    assert_non_null(copy);
    memcpy(copy, data, bytes);
    st = gdr_cubin_read(copy, bytes, &c, msg, sizeof msg);
    assert_true(st == GDR_OK || (st == GDR_ERR_FORMAT && *msg));
    free(copy);
    return st;
}

static void survives_every_cut(void **state)
{
    hand h;

    (void)state;
    make(&h, 8, 90);
    for (size_t n = 0; n < h.bytes; n++)
        assert_int_equal(read_copy(h.data, n), GDR_ERR_FORMAT);
    assert_int_equal(read_copy(h.data, h.bytes), GDR_OK);
}

static void survives_every_byte(void **state)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    hand h;

    (void)state;
    make(&h, 8, 90);
    for (size_t i = 0; i < h.bytes; i++) {
        unsigned char was = h.data[i];
        for (size_t v = 0; v < sizeof values; v++) {
            h.data[i] = values[v];
            read_copy(h.data, h.bytes);
        }
        for (int bit = 0; bit < 8; bit++) {
            h.data[i] = was ^ (unsigned char)(1 << bit);
            read_copy(h.data, h.bytes);
        }
        h.data[i] = was;
    }
}

/* ---- real ones ---- */

static const char *const sources[] = {
    "extern \"C\" __global__ void k(float *p) { *p = 1; }\n",
    "extern \"C\" __global__ void __launch_bounds__(128) k(float *p)\n"
    "{ __shared__ float s[100]; s[threadIdx.x % 100] = p[threadIdx.x];\n"
    "__syncthreads(); asm volatile(\"bar.sync 5, 64;\" ::: \"memory\");\n"
    "p[threadIdx.x] = s[threadIdx.x * 7 % 100]; }\n",
    "extern \"C\" __global__ void k(float *p)\n"
    "{ extern __shared__ float s[]; float x[64];\n"
    "for (int i = 0; i < 64; i++) x[i] = p[i];\n"
    "s[0] = x[(int)p[64]]; p[0] = s[threadIdx.x]; }\n",
};

/* The number before a word of the log; 0 when it is not there. */
static int figure(const char *log, const char *word)
{
    const char *at = strstr(log, word);

    while (at && at > log && (at[-1] >= '0' && at[-1] <= '9'))
        at--;
    return at ? atoi(at) : 0;
}

static void compare(const char *source, const char *arch)
{
    gdr_image image;
    char log[2048], msg[256];
    gdr_cubin c;

    assert_int_equal(gdr_nvrtc_compile(source, strlen(source), arch, 60, &image,
                                       log, sizeof log),
                     GDR_OK);
    assert_int_equal(
        gdr_cubin_read(image.code, image.bytes, &c, msg, sizeof msg), GDR_OK);
    assert_int_equal(c.registers, figure(log, " registers"));
    assert_int_equal(c.stack_bytes, figure(log, " bytes stack frame"));
    assert_int_equal(c.smem_bytes, figure(log, " bytes smem"));
    if (strstr(log, " barriers")) /* NVRTC 12.0 does not say it */
        assert_int_equal(c.barriers, figure(log, " barriers"));
    assert_int_equal(
        gdr_cubin_check(image.code, image.bytes, arch, msg, sizeof msg),
        GDR_OK);
    for (size_t n = 0; n < image.bytes; n += 7)
        read_copy(image.code, n);
    free(image.code);
}

static void agrees_with_the_compiler(void **state)
{
    static const char *const archs[] = {"sm_75",  "sm_80",   "sm_86",  "sm_89",
                                        "sm_90a", "sm_100a", "sm_120a"};
    char text[512], msg[8192];

    (void)state;
    if (gdr_nvrtc_identity(text, sizeof text, msg, sizeof msg) != GDR_OK) {
        print_message("%s\n", msg);
        skip();
    }
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (gdr_nvrtc_knows(archs[i], msg, sizeof msg) == GDR_OK)
            for (size_t k = 0; k < sizeof sources / sizeof *sources; k++)
                compare(sources[k], archs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_figure),
        cmocka_unit_test(checks_the_arch),
        cmocka_unit_test(survives_every_cut),
        cmocka_unit_test(survives_every_byte),
        cmocka_unit_test(agrees_with_the_compiler),
    };
    return cmocka_run_group_tests_name("cubin", tests, NULL, NULL);
}
