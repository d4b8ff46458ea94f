-- schema.sql - the tables of a gdr database, version 3.
--
-- The comments are the documentation: those inside a table stay in the file,
-- so that `sqlite3 gdr.db .schema` shows them. The view `winner` is for people.
--
-- A database that libgdr reads needs device, variant, build, step, image,
-- choice and fallback; run, trial, compiled, quarantine and pruned say how the
-- choices came about.
-- Whatever the C code assumes of a row is a CHECK here; a reader checks it
-- again, since a file can come from anywhere.
--
-- A newer version of this text needs a migration in store_version.c that takes
-- the version before it to the very same columns: new ones come last.

PRAGMA application_id = 1734636148; -- "gdrt"

CREATE TABLE device (
    -- A CPU or a card that was tuned. Equal fingerprints: plans are exact.
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE CHECK (fingerprint <> ''),
    kind TEXT NOT NULL CHECK (kind <> ''), -- "cpu", "cuda"
    arch TEXT NOT NULL CHECK (arch <> ''), -- "x86-64", "sm_90"
    isa  TEXT NOT NULL, -- sorted, '+' between: "avx2+fma"
    name TEXT NOT NULL  -- for people
) STRICT;

CREATE TABLE run (
    -- One run of gdr-tune: who made the results, with what, and how.
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device (id),
    version  TEXT NOT NULL, -- of gdr-tune
    compiler TEXT NOT NULL, -- with its flags
    protocol TEXT NOT NULL, -- how time was measured: "cold-state/1"
    command  TEXT NOT NULL, -- the command line
    host     TEXT NOT NULL, -- kernel, governor, memory, limits
    effort   TEXT NOT NULL, -- quick, measure, exhaustive
    seed  INTEGER NOT NULL,
    began TEXT NOT NULL,    -- UTC, ISO 8601
    ended TEXT,             -- NULL: still running, or killed
    outcome TEXT,           -- how it ended: done, interrupted, ...
    CHECK ((ended IS NULL) = (outcome IS NULL))
) STRICT;

CREATE TABLE variant (
    -- One generated source: a kernel with all its tunables fixed.
    hash TEXT PRIMARY KEY   -- SHA-256 of the source
        CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
    statics TEXT NOT NULL   -- the static half of a problem
        CHECK (statics <> '' AND instr(statics, ' / ') = 0),
    kernel TEXT NOT NULL CHECK (kernel <> ''), -- "cpu/recurrent"
    config TEXT NOT NULL,    -- "rows=4 tile_v=32 width=16"
    reduction TEXT NOT NULL, -- equal: bitwise equal results
    abi INTEGER NOT NULL CHECK (abi >= 0) -- of the parameter struct
) STRICT, WITHOUT ROWID;

CREATE TABLE trial (
    -- One attempt at one variant; a later attempt replaces it. The problem is
    -- the static text for the correctness gate, the full text for a timing.
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id),
    device INTEGER NOT NULL REFERENCES device (id),
    problem TEXT NOT NULL CHECK (problem <> ''),
    variant TEXT NOT NULL REFERENCES variant (hash),
    stamp TEXT NOT NULL CHECK (stamp <> ''), -- other: tune again
    outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'pruned', 'compile',
        'launch', 'wrong', 'race', 'timeout', 'crash')),
    stage INTEGER NOT NULL DEFAULT 0 -- 0 screened, 1 halved, 2 finalist
        CHECK (stage BETWEEN 0 AND 2),
    error_o REAL CHECK (error_o >= 0), -- worst error / its bound, of o
    error_s REAL CHECK (error_s >= 0), -- and of S; NULL: not checked
    time_ns REAL CHECK (time_ns > 0 AND time_ns < 1e18), -- median
    spread REAL CHECK (spread >= 0), -- relative half-width of its CI
    rounds INTEGER NOT NULL DEFAULT 0 CHECK (rounds >= 0),
    samples BLOB CHECK (length(samples) % 8 = 0), -- float64, little-endian, ns
    note TEXT, -- why it failed, and the command that repeats it
    -- Of a card, from the compiler's figures; NULL: unknown.
    occupancy REAL CHECK (occupancy BETWEEN 0 AND 1), -- warps / most of an SM
    in_flight INTEGER CHECK (in_flight >= 0), -- bytes asked for, of an SM
    eager_ns REAL CHECK (eager_ns > 0 AND eager_ns < 1e18), -- time_ns is of
        -- launches in a graph, this of launches one by one; NULL: not taken
    UNIQUE (device, problem, variant, stamp),
    -- A gate that passed has compared o; nothing passes above its bound (a NaN
    -- is stored as infinity).
    CHECK (outcome <> 'ok' OR instr(problem, ' / ') > 0
           OR error_o IS NOT NULL),
    CHECK (outcome <> 'ok' OR (coalesce(error_o, 0) <= 1
           AND coalesce(error_s, 0) <= 1)),
    -- A timing that passed has a time.
    CHECK (outcome <> 'ok' OR instr(problem, ' / ') = 0
           OR time_ns IS NOT NULL)
) STRICT;

CREATE TABLE compiled (
    -- What the compiler of a device said of a step of a variant.
    device INTEGER NOT NULL REFERENCES device (id),
    variant TEXT NOT NULL REFERENCES variant (hash),
    stamp TEXT NOT NULL CHECK (stamp <> ''),
    n INTEGER NOT NULL CHECK (n BETWEEN 0 AND 7), -- the step
    registers INTEGER CHECK (registers >= 0),     -- of a thread; NULL: a cpu,
    spill_bytes INTEGER CHECK (spill_bytes >= 0), -- which has none of these
    stack_bytes INTEGER CHECK (stack_bytes >= 0),
    smem_static INTEGER CHECK (smem_static >= 0), -- bytes of a block
    smem_dynamic INTEGER CHECK (smem_dynamic >= 0),
    barriers INTEGER CHECK (barriers >= 0),       -- named ones, 0 included
    min_driver INTEGER CHECK (min_driver >= 0),   -- 12080: CUDA 12.8
    log TEXT NOT NULL, -- its words, '' when it had none
    PRIMARY KEY (device, variant, stamp, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    -- Code that crashed, hung or poisoned a device, and is not loaded there
    -- again: for no problem, by no later run but one with --fresh.
    device INTEGER NOT NULL REFERENCES device (id),
    image TEXT NOT NULL -- SHA-256 of the code, or of those of all steps
        CHECK (length(image) = 64 AND image NOT GLOB '*[^0-9a-f]*'),
    outcome TEXT NOT NULL CHECK (outcome IN ('crash', 'timeout')),
    note TEXT NOT NULL, -- what it did, and the command that repeats it
    run INTEGER NOT NULL REFERENCES run (id),
    since TEXT NOT NULL, -- UTC, ISO 8601
    PRIMARY KEY (device, image)
) STRICT, WITHOUT ROWID;

CREATE TABLE pruned (
    -- Variants that were never made, counted by reason.
    run INTEGER NOT NULL REFERENCES run (id),
    statics TEXT NOT NULL CHECK (statics <> ''),
    kernel TEXT NOT NULL CHECK (kernel <> ''),
    reason TEXT NOT NULL CHECK (reason <> ''),
    count INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (run, statics, kernel, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE image (
    -- Compiled code, kept for winners, defaults and finalists alone.
    hash TEXT PRIMARY KEY -- SHA-256 of the code; readers verify it
        CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
    code BLOB NOT NULL CHECK (length(code) > 0)
) STRICT;

CREATE TABLE build (
    -- A variant compiled under one stamp: what a choice can name.
    variant TEXT NOT NULL REFERENCES variant (hash),
    stamp TEXT NOT NULL CHECK (stamp <> ''),
    PRIMARY KEY (variant, stamp)
) STRICT, WITHOUT ROWID;

CREATE TABLE step (
    -- A launch of a build: its code, and its sizes as terms over the extents,
    -- e.g. "b*hv*ceil(v/32)", "min(b*hv*4, sms*8)".
    variant TEXT NOT NULL,
    stamp TEXT NOT NULL,
    n INTEGER NOT NULL CHECK (n BETWEEN 0 AND 7), -- order of launch
    entry TEXT NOT NULL CHECK (entry <> ''),      -- symbol
    grid_x TEXT NOT NULL CHECK (grid_x <> ''),
    grid_y TEXT NOT NULL CHECK (grid_y <> ''),
    grid_z TEXT NOT NULL CHECK (grid_z <> ''),
    block TEXT NOT NULL CHECK (block <> ''),
    smem TEXT NOT NULL CHECK (smem <> ''),
    workspace TEXT NOT NULL CHECK (workspace <> ''),
    isa TEXT NOT NULL, -- what the code needs of a device
    image TEXT NOT NULL REFERENCES image (hash),
    pdl TEXT NOT NULL DEFAULT '0' CHECK (pdl <> ''), -- a term: 1 for a launch
        -- that may begin before the kernel ahead of it ends
    PRIMARY KEY (variant, stamp, n),
    FOREIGN KEY (variant, stamp) REFERENCES build (variant, stamp)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX step_image ON step (image);

CREATE TABLE choice (
    -- The decision for one problem on one device; the newest replaces.
    device INTEGER NOT NULL REFERENCES device (id),
    problem TEXT NOT NULL CHECK (instr(problem, ' / ') > 0),
    run INTEGER NOT NULL REFERENCES run (id),
    stamp TEXT NOT NULL CHECK (stamp <> ''), -- of the space chosen from
    variant TEXT NOT NULL,                   -- the winner
    variant_stamp TEXT NOT NULL,
    fallback TEXT NOT NULL, -- the default, which may be the winner
    fallback_stamp TEXT NOT NULL,
    time_ns REAL NOT NULL CHECK (time_ns > 0 AND time_ns < 1e18),
    spread REAL NOT NULL CHECK (spread >= 0),
    gain REAL NOT NULL CHECK (gain >= 1), -- default's time / winner's
    gain_lo REAL NOT NULL CHECK (gain_lo > 0),
    gain_hi REAL NOT NULL CHECK (gain_hi >= gain_lo),
    noise REAL NOT NULL CHECK (noise >= 0), -- the default against itself
    bytes REAL NOT NULL CHECK (bytes >= 0), -- compulsory traffic of a call
    roofline_bytes_per_s REAL NOT NULL      -- of the same run
        CHECK (roofline_bytes_per_s >= 0),
    chosen TEXT NOT NULL, -- UTC, ISO 8601
    regret REAL NOT NULL DEFAULT 0 CHECK (regret >= 0), -- slower by this than
        -- the winner was: 0.03 is 3 %; only bundles choose so
    PRIMARY KEY (device, problem),
    FOREIGN KEY (variant, variant_stamp) REFERENCES build (variant, stamp),
    FOREIGN KEY (fallback, fallback_stamp) REFERENCES build (variant, stamp)
) STRICT, WITHOUT ROWID;

CREATE TABLE fallback (
    -- The default for untuned extents of a static problem, up to a size.
    device INTEGER NOT NULL REFERENCES device (id),
    statics TEXT NOT NULL
        CHECK (statics <> '' AND instr(statics, ' / ') = 0),
    max_work INTEGER NOT NULL CHECK (max_work > 0), -- B * T * Hv
    variant TEXT NOT NULL,
    variant_stamp TEXT NOT NULL,
    PRIMARY KEY (device, statics, max_work),
    FOREIGN KEY (variant, variant_stamp) REFERENCES build (variant, stamp)
) STRICT, WITHOUT ROWID;

CREATE TABLE signature (
    -- Who vouches for what libgdr reads of this file: Ed25519 by the key over
    -- "gdr 1 " and the digest that gdr_digest gives. Only bundles have any.
    key TEXT PRIMARY KEY -- public, hex
        CHECK (length(key) = 64 AND key NOT GLOB '*[^0-9a-f]*'),
    signature TEXT NOT NULL -- hex
        CHECK (length(signature) = 128 AND signature NOT GLOB '*[^0-9a-f]*')
) STRICT, WITHOUT ROWID;

CREATE VIEW winner AS
    -- For people: one line per choice.
    SELECT c.problem, d.name AS device, v.kernel, v.config,
        round(c.time_ns / 1000, 3) AS time_us,
        round(c.gain, 3) AS gain,
        round(c.bytes / c.time_ns, 2) AS gb_per_s,
        round(100 * (c.bytes / c.time_ns * 1e9)
            / nullif(c.roofline_bytes_per_s, 0), 1) AS roofline_percent,
        c.variant = c.fallback AS is_default, c.chosen, c.run
    FROM choice c
    JOIN device d ON d.id = c.device
    JOIN variant v ON v.hash = c.variant
    ORDER BY d.name, c.problem;

PRAGMA user_version = 3;
