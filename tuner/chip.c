/*
 * chip.c - one table. Limits: "Technical Specifications per Compute Capability"
 * of the CUDA C++ Programming Guide (13.0) and cuda_occupancy.h of the toolkit,
 * which agree. SMs and L2: NVIDIA's architecture whitepapers (Volta, Turing,
 * Ampere GA100 and GA102, Ada, Hopper, Blackwell and RTX Blackwell), full L2 as
 * the driver reports it. A wrong number here is a poor estimate, never a
 * wrong result: cards are asked themselves.
 */
#include "chip.h"

#include <stdio.h>
#include <string.h>

enum {
    REGISTERS = 65536, /* of a multiprocessor, since Maxwell */
    PARTITIONS = 4,    /* each with its own registers */
    REGISTER_UNIT = 256,
    MOST_REGISTERS = 256,
    MOST_THREADS = 1024,
    WARP = 32,
    KB = 1024
};

const gdr_chip gdr_chips[] = {
    {"sm_70", "V100", 64, 32, 0, 96 * KB, 96 * KB, 0, 256, 80, 6 << 20, 1},
    {"sm_75", "T4", 32, 16, 0, 64 * KB, 64 * KB, 0, 256, 40, 4 << 20, 0},
    {"sm_80", "A100", 64, 32, 0, 164 * KB, 163 * KB, KB, 128, 108, 40 << 20, 0},
    {"sm_86", "RTX 3090", 48, 16, 0, 100 * KB, 99 * KB, KB, 128, 82, 6 << 20,
     0},
    {"sm_89", "RTX 4090", 48, 24, 0, 100 * KB, 99 * KB, KB, 128, 128, 72 << 20,
     0},
    {"sm_90a", "H100", 64, 32, 64, 228 * KB, 227 * KB, KB, 128, 132, 50 << 20,
     0},
    {"sm_100a", "B200", 64, 32, 64, 228 * KB, 227 * KB, KB, 128, 148, 126 << 20,
     0},
    {"sm_120a", "RTX 5090", 48, 24, 24, 100 * KB, 99 * KB, KB, 128, 170,
     96 << 20, 0},
    {0},
};

static gdr_status list_chips(const char *arch, char *msg, size_t n)
{
    int at = snprintf(msg, n, "unknown architecture '%s': there are", arch);

    for (const gdr_chip *c = gdr_chips; c->arch && at < (int)n; c++)
        at += snprintf(msg + at, n - (size_t)at, " %s", c->arch);
    return GDR_ERR_NOT_FOUND;
}

gdr_status gdr_chip_find(const char *arch, const gdr_chip **out, char *msg,
                         size_t n)
{
    size_t length = strlen(arch);

    for (const gdr_chip *c = gdr_chips; c->arch; c++)
        if (length >= 5 && !strncmp(c->arch, arch, length) &&
            (!c->arch[length] || !strcmp(c->arch + length, "a"))) {
            *out = c;
            return GDR_OK;
        }
    *out = NULL;
    return list_chips(arch, msg, n);
}

gdr_generator_device gdr_chip_traits(const gdr_chip *chip)
{
    return (gdr_generator_device){
        .kind = "cuda",
        .arch = chip->arch,
        .isa = chip->arch,
        .vector_bytes = 16,
        .l1_bytes = chip->smem_bytes,
        .l2_bytes = chip->l2_bytes,
        .smem_bytes = chip->block_smem_bytes,
        .sms = chip->sms,
    };
}

/* ---- occupancy ---- */

static int64_t round_up(int64_t x, int64_t unit)
{
    return (x + unit - 1) / unit * unit;
}

static int64_t warps_of(const gdr_block_needs *needs)
{
    return round_up(needs->threads, WARP) / WARP;
}

static int64_t by_warps(const gdr_chip *c, const gdr_block_needs *needs)
{
    return c->warps / warps_of(needs);
}

static int64_t by_blocks(const gdr_chip *c, const gdr_block_needs *needs)
{
    (void)needs;
    return c->blocks;
}

/* A warp's registers come from one partition. A launch is refused as if a block
 * took as many from each. */
static int64_t by_registers(const gdr_chip *c, const gdr_block_needs *needs)
{
    int64_t warps = warps_of(needs);
    int64_t of_warp = round_up((int64_t)needs->registers * WARP, REGISTER_UNIT);

    (void)c;
    if (needs->registers > MOST_REGISTERS ||
        of_warp * round_up(warps, PARTITIONS) > REGISTERS)
        return 0;
    if (of_warp == 0)
        return INT32_MAX;
    return REGISTERS / PARTITIONS / of_warp * PARTITIONS / warps;
}

static int64_t by_smem(const gdr_chip *c, const gdr_block_needs *needs)
{
    int64_t bytes = round_up(needs->smem_bytes + c->reserved_smem_bytes,
                             c->smem_unit_bytes);

    if (needs->smem_bytes > c->block_smem_bytes)
        return 0;
    return bytes ? c->smem_bytes / bytes : INT32_MAX;
}

static int64_t by_barriers(const gdr_chip *c, const gdr_block_needs *needs)
{
    return c->barriers && needs->barriers > 0 ? c->barriers / needs->barriers
                                              : INT32_MAX;
}

static const struct {
    const char *name;
    int64_t (*most)(const gdr_chip *c, const gdr_block_needs *needs);
} limits[] = {{"warps", by_warps},
              {"blocks", by_blocks},
              {"registers", by_registers},
              {"shared memory", by_smem},
              {"barriers", by_barriers}};

gdr_occupancy gdr_chip_occupancy(const gdr_chip *chip,
                                 const gdr_block_needs *needs)
{
    gdr_occupancy o = {INT32_MAX, 0, "threads"};
    int64_t warps = warps_of(needs);

    if (needs->threads < 1 || needs->threads > MOST_THREADS) {
        o.blocks = 0;
        return o;
    }
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        int64_t most = limits[i].most(chip, needs);
        if (most < o.blocks) {
            o.blocks = (int)most;
            o.limit = limits[i].name;
        }
    }
    o.warps = (double)(o.blocks * warps) / chip->warps;
    return o;
}
