/*
 * cpu_image.c - from bytes to callable code. The dynamic linker wants a file: a
 * memory file where the system allows one, else a private temporary file. No
 * descriptor and no file outlives the call.
 */
#include "cpu_image.h"
#include "status.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC /* Linux 6.3 */
#define MFD_EXEC 0x10U
#endif

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_NONE };
#endif

/* ---- the bytes ---------------------------------------------------------- */

static const char *header_fault(const Elf64_Ehdr *e)
{
    const union {
        uint16_t word;
        uint8_t byte;
    } probe = {1};
    if (memcmp(e->e_ident, ELFMAG, SELFMAG) != 0)
        return "it is not an ELF object";
    if (e->e_ident[EI_CLASS] != ELFCLASS64 ||
        e->e_ident[EI_DATA] != (probe.byte ? ELFDATA2LSB : ELFDATA2MSB) ||
        e->e_machine != MACHINE)
        return "it was made for another architecture";
    if (e->e_type != ET_DYN || e->e_phentsize != sizeof(Elf64_Phdr))
        return "it is not a shared object";
    return NULL;
}

static int inside(uint64_t offset, uint64_t length, uint64_t bytes)
{
    return offset <= bytes && length <= bytes - offset;
}

/* NULL, or what is wrong. A segment past the end of the file would kill the
 * process at its first access instead of failing. */
static const char *image_fault(const void *code, size_t bytes)
{
    Elf64_Ehdr e;
    Elf64_Phdr p;
    int dynamic = 0;
    if (bytes < sizeof e)
        return "it is too short";
    memcpy(&e, code, sizeof e);
    const char *fault = header_fault(&e);
    if (fault)
        return fault;
    if (!inside(e.e_phoff, (uint64_t)e.e_phnum * sizeof p, bytes))
        return "it is cut off";
    for (unsigned i = 0; i < e.e_phnum; i++) {
        memcpy(&p, (const char *)code + e.e_phoff + i * sizeof p, sizeof p);
        if (!inside(p.p_offset, p.p_filesz, bytes))
            return "it is cut off";
        dynamic |= p.p_type == PT_DYNAMIC;
    }
    return dynamic ? NULL : "it is not a shared object";
}

/* ---- the file ----------------------------------------------------------- */

static int write_all(int fd, const void *code, size_t bytes)
{
    const char *p = code;
    while (bytes) {
        ssize_t n = write(fd, p, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        p += n;
        bytes -= (size_t)n;
    }
    return 1;
}

static int memory_file(void)
{
    int fd = memfd_create("gdr", MFD_CLOEXEC | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) /* an older kernel knows no MFD_EXEC */
        fd = memfd_create("gdr", MFD_CLOEXEC);
    return fd;
}

/* The linker takes an equal name for the same library, and the numbers of
 * descriptors come back once closed. So the name carries a number in binary, as
 * "/" and "/." components, which mean nothing to the kernel. */
static void memory_file_name(int fd, unsigned number, char *path, size_t n)
{
    size_t used = (size_t)snprintf(path, n, "/proc/self/fd");
    for (int bit = 0; bit < 32; bit++)
        used += (size_t)snprintf(path + used, n - used, "%s",
                                 number >> bit & 1 ? "/." : "/");
    snprintf(path + used, n - used, "/%d", fd);
}

/* A library of this name would be returned in place of ours. */
static int name_taken(const char *path)
{
    void *other = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (other)
        dlclose(other);
    return other != NULL;
}

static void *open_in_memory(const void *code, size_t bytes, char *why, size_t n)
{
    char path[128];
    void *handle = NULL;
    int fd = memory_file();
    if (fd < 0 || !write_all(fd, code, bytes)) {
        snprintf(why, n, "memory file: %s", strerror(errno));
        goto done;
    }
    /* An address is as good a start as any, and rarely taken. */
    unsigned number = (unsigned)((uintptr_t)code >> 4) * 2654435761u;
    do
        memory_file_name(fd, number++, path, sizeof path);
    while (name_taken(path));
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        snprintf(why, n, "memory file: %s", dlerror());
done:
    if (fd >= 0)
        close(fd);
    return handle;
}

static void *open_in_folder(const char *folder, const void *code, size_t bytes,
                            char *why, size_t n)
{
    char path[PATH_MAX];
    void *handle = NULL;
    if (snprintf(path, sizeof path, "%s/gdr-XXXXXX", folder) >=
        (int)sizeof path) {
        snprintf(why, n, "%.300s: %s", folder, strerror(ENAMETOOLONG));
        return NULL;
    }
    int fd = mkostemp(path, O_CLOEXEC); /* mode 0600 */
    if (fd < 0 || !write_all(fd, code, bytes) || name_taken(path))
        snprintf(why, n, "%.300s: %s", path, strerror(errno));
    else if (!(handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)))
        snprintf(why, n, "%s", dlerror());
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return handle;
}

static void *open_in_file(const void *code, size_t bytes, char *why, size_t n)
{
    const char *const folders[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"),
                                   "/tmp"};
    void *handle = NULL;
    for (size_t i = 0; i < 3 && !handle; i++)
        if (folders[i] && folders[i][0] == '/')
            handle = open_in_folder(folders[i], code, bytes, why, n);
    return handle;
}

gdr_status gdr_cpu_image_open(const void *code, size_t bytes, void **handle,
                              char *msg, size_t n)
{
    char memory[512] = "", file[512] = "";
    *handle = NULL;
    const char *fault = image_fault(code, bytes);
    if (fault)
        return gdr_fail(GDR_ERR_LOAD, msg, n,
                        "an image of %zu bytes cannot be loaded: %s; tune "
                        "again with gdr-tune --fresh",
                        bytes, fault);
    *handle = open_in_memory(code, bytes, memory, sizeof memory);
    if (!*handle)
        *handle = open_in_file(code, bytes, file, sizeof file);
    if (*handle)
        return GDR_OK;
    return gdr_fail(GDR_ERR_LOAD, msg, n,
                    "the system loads no code: %s; %s; set TMPDIR to a folder "
                    "that allows execution",
                    memory, file);
}

void gdr_cpu_image_close(void *handle)
{
    if (handle)
        dlclose(handle);
}
