/* cuda_image.c - see cuda_image.h; needs no header of CUDA. */
#include "cuda_image.h"
#include "status.h"

#include <elf.h>
#include <string.h>

#ifndef EM_CUDA
#define EM_CUDA 190
#endif

static int inside(uint64_t offset, uint64_t length, uint64_t bytes)
{
    return offset <= bytes && length <= bytes - offset;
}

static const char *header_fault(const Elf64_Ehdr *e)
{
    if (e->e_ident[EI_CLASS] != ELFCLASS64 ||
        e->e_ident[EI_DATA] != ELFDATA2LSB || e->e_machine != EM_CUDA)
        return "it was not made for an NVIDIA card";
    if (!e->e_shnum || e->e_shentsize != sizeof(Elf64_Shdr) ||
        e->e_shstrndx >= e->e_shnum ||
        (e->e_phnum && e->e_phentsize != sizeof(Elf64_Phdr)))
        return "it is no cubin";
    return NULL;
}

/* Every section and segment lies in the file. */
static const char *cubin_fault(const char *code, size_t bytes)
{
    Elf64_Ehdr e;
    Elf64_Shdr s;
    Elf64_Phdr p;
    const char *fault;

    if (bytes < sizeof e)
        return "it is cut off";
    memcpy(&e, code, sizeof e);
    fault = header_fault(&e);
    if (fault)
        return fault;
    if (!inside(e.e_shoff, (uint64_t)e.e_shnum * sizeof s, bytes) ||
        !inside(e.e_phoff, (uint64_t)e.e_phnum * sizeof p, bytes))
        return "it is cut off";
    for (unsigned i = 0; i < e.e_shnum; i++) {
        memcpy(&s, code + e.e_shoff + i * sizeof s, sizeof s);
        if (s.sh_type != SHT_NOBITS && !inside(s.sh_offset, s.sh_size, bytes))
            return "it is cut off";
    }
    for (unsigned i = 0; i < e.e_phnum; i++) {
        memcpy(&p, code + e.e_phoff + i * sizeof p, sizeof p);
        if (!inside(p.p_offset, p.p_filesz, bytes))
            return "it is cut off";
    }
    return NULL;
}

/* PTX begins with comments and its version; a 0 may end it. */
static const char *ptx_fault(const char *code, size_t bytes)
{
    static const char version[] = ".version";

    if (bytes && !code[bytes - 1])
        bytes--;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)code[i];
        if ((c < 32 || c > 126) && c != '\n' && c != '\t' && c != '\r')
            return "it is neither a cubin nor PTX";
    }
    if (!memmem(code, bytes, version, sizeof version - 1))
        return "it is neither a cubin nor PTX";
    return NULL;
}

gdr_status gdr_cuda_image_check(const void *code, size_t bytes, char *msg,
                                size_t n)
{
    int elf = bytes >= SELFMAG && !memcmp(code, ELFMAG, SELFMAG);
    const char *fault = elf ? cubin_fault(code, bytes) : ptx_fault(code, bytes);

    return fault ? gdr_fail(GDR_ERR_LOAD, msg, n, "the image is damaged: %s",
                            fault)
                 : GDR_OK;
}
