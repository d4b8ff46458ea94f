"""structs.py - the structs and constants of gdr.h.

The tests compile a program that prints the same sizes, offsets and values from
the header, so that neither side can drift.
"""

import ctypes
from ctypes import (c_char_p, c_double, c_float, c_int, c_int32, c_int64,
                    c_size_t, c_uint32, c_void_p)

# Enums, in the order of gdr.h; the index is the value.
OPS = ("recurrent",)
CONTRACTS = ("final", "ring", "indexed", "snapshots")
LAYOUTS = ("vk", "kv")
DTYPES = ("f32", "bf16", "f16")
GATES = ("g", "fused")
MATCHES = ("exact", "near", "edge", "sibling", "default", "ptx", "generic")

# gdr_args.flags
HEAD_MOD = 1 << 0
ALPHA = 1 << 1
NEG_EIGVAL = 1 << 2
INDEX64 = 1 << 3
GATE_IO = 1 << 4
BETA_IO = 1 << 5
UPDATE_STATE = 1 << 6
SNAPSHOT_BY_SLOT = 1 << 7
SNAPSHOT_F32 = 1 << 8

# gdr_select_options.flags
SELECT_PIN = 1 << 0

PROBLEM_TEXT = 160
DIGEST_TEXT = 65


class Static(ctypes.Structure):
    """gdr_static: the part of a problem that is compiled into a kernel."""

    _fields_ = [
        ("size", c_size_t), ("op", c_int), ("contract", c_int),
        ("layout", c_int), ("io", c_int), ("state", c_int), ("K", c_int32),
        ("V", c_int32), ("gate", c_int), ("l2norm", c_int32),
        ("round_between_tokens", c_int32),
    ]


class Extents(ctypes.Structure):
    """gdr_extents: the part that may change with every call."""

    _fields_ = [("B", c_int64), ("T", c_int64), ("Hk", c_int64),
                ("Hv", c_int64)]


class Problem(ctypes.Structure):
    """gdr_problem"""

    _fields_ = [("s", Static), ("x", Extents)]


class Tensor(ctypes.Structure):
    """gdr_tensor: strides in elements, the last dim contiguous."""

    _fields_ = [("data", c_void_p), ("stride_b", c_int64),
                ("stride_t", c_int64), ("stride_h", c_int64)]


class Args(ctypes.Structure):
    """gdr_args: one call."""

    _fields_ = [
        ("size", c_size_t), ("x", Extents), ("flags", c_uint32),
        ("scale", c_float),
        ("q", Tensor), ("k", Tensor), ("v", Tensor), ("o", Tensor),
        ("g", Tensor), ("beta", Tensor), ("a", Tensor), ("b", Tensor),
        ("A_log", c_void_p), ("dt_bias", c_void_p),
        ("state", c_void_p), ("state_stride_slot", c_int64),
        ("state_stride_ring", c_int64), ("state_stride_head", c_int64),
        ("n_slots", c_int64), ("ring", c_int64),
        ("state_indices", c_void_p), ("indices_stride_b", c_int64),
        ("index_min", c_int64), ("cache_seqlens", c_void_p),
        ("accepted", c_void_p),
        ("snapshots", c_void_p), ("snapshot_stride_n", c_int64),
        ("snapshot_stride_t", c_int64), ("snapshot_stride_head", c_int64),
        ("n_snapshots", c_int64),
        ("workspace", c_void_p), ("workspace_bytes", c_size_t),
    ]


class DeviceOptions(ctypes.Structure):
    """gdr_device_options; parallel_for stays NULL here, since a Python
    callback would take the interpreter's lock for every block."""

    _fields_ = [("size", c_size_t), ("threads", c_int32),
                ("parallel_for", c_void_p), ("user", c_void_p)]


class SelectOptions(ctypes.Structure):
    """gdr_select_options"""

    _fields_ = [("size", c_size_t), ("worst", c_int), ("flags", c_uint32),
                ("reduction", c_char_p)]


class Plan(ctypes.Structure):
    """gdr_plan"""

    _fields_ = [("recipe", c_void_p), ("match", c_int), ("index", c_uint32)]


class PlanInfo(ctypes.Structure):
    """gdr_plan_info"""

    _fields_ = [
        ("size", c_size_t), ("match", c_int), ("kernel", c_char_p),
        ("config", c_char_p), ("problem", c_char_p), ("reduction", c_char_p),
        ("run", c_char_p), ("time_ns", c_double), ("regret", c_double),
        ("workspace_bytes", c_size_t),
    ]


# The structs by their names in gdr.h, for the test.
STRUCTS = {
    "gdr_static": Static, "gdr_extents": Extents, "gdr_problem": Problem,
    "gdr_tensor": Tensor, "gdr_args": Args,
    "gdr_device_options": DeviceOptions,
    "gdr_select_options": SelectOptions, "gdr_plan": Plan,
    "gdr_plan_info": PlanInfo,
}
