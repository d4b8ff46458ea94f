/*
 * gdr_embedded.h - a table that is compiled in: what `gdr-bundle build
 * --format c` writes, and how libgdr opens it. For engines that link
 * statically and want no file; libgdr.a then needs neither SQLite nor
 * libsodium (gdr_open and gdr_digest do).
 *
 * The texts mean what the columns of the same names mean in db/schema.sql.
 */
#ifndef GDR_EMBEDDED_H
#define GDR_EMBEDDED_H

#include "gdr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A kernel of the cpu: units [begin, end) of the grid; any split gives the same
 * bytes. The parameters are runtime/recurrent_abi.h's. */
struct gdr_recurrent_params;
typedef void (*gdr_cpu_kernel)(const struct gdr_recurrent_params *p,
                               long long begin, long long end);

typedef struct gdr_embedded_device {
    const char *fingerprint, *kind, *arch, *isa;
} gdr_embedded_device;

/* Either image and bytes, or run. */
typedef struct gdr_embedded_step {
    const char *entry;
    const char *grid_x, *grid_y, *grid_z, *block, *smem, *workspace, *pdl;
    const char *isa;
    const void *image;
    size_t bytes;
    gdr_cpu_kernel run; /* NULL beside no image: not of this architecture */
} gdr_embedded_step;

typedef struct gdr_embedded_code {
    const char *variant, *stamp;
    const gdr_embedded_step *step;
    size_t n_steps;
} gdr_embedded_code;

typedef struct gdr_embedded_row {
    size_t device, code; /* their places in the lists */
    const char *problem; /* with extents; a default's: without */
    int64_t max_work;    /* a default's, for B*T*Hv up to this */
    const char *kernel, *config, *reduction, *run;
    int64_t abi;
    double time_ns, regret; /* 0: never timed; negative: unknown */
    int spare;              /* serves where its reduction is pinned */
} gdr_embedded_row;

typedef struct gdr_embedded {
    size_t size; /* sizeof(gdr_embedded) */
    const gdr_embedded_device *device;
    size_t n_devices;
    const gdr_embedded_code *code;
    size_t n_codes;
    const gdr_embedded_row *row;
    size_t n_rows;
} gdr_embedded;

/*
 * gdr_open for a table in this process; everything after it is the same. The
 * table is copied. *out is set on failure too (unless memory ran out).
 * GDR_ERR_ARG: the table was made for another gdr_embedded.h, or is not whole.
 */
GDR_API gdr_status gdr_open_embedded(const gdr_embedded *table, gdr **out);

#ifdef __cplusplus
}
#endif
#endif
