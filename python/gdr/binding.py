"""binding.py - the tensors of one call, checked and written into gdr_args.

Shapes, dtypes and devices are checked here, since libgdr sees addresses and
strides alone; what it checks itself (null, misaligned or overlapping memory,
rings that are too short) is left to it.
"""

import ctypes

from . import library
from .arrays import is_contiguous
from .errors import ArgumentError
from .structs import (ALPHA, BETA_IO, CONTRACTS, DTYPES, GATE_IO, GATES,
                      HEAD_MOD, INDEX64, LAYOUTS, NEG_EIGVAL, SNAPSHOT_BY_SLOT,
                      SNAPSHOT_F32, UPDATE_STATE, Args, Extents, Problem)

# The tensors of a call in the order of Recurrent.__call__.
NAMES = ("q", "k", "v", "g", "beta", "a", "b", "A_log", "dt_bias", "state",
         "state_indices", "cache_seqlens", "accepted", "snapshots", "o")

# Where their addresses stand in gdr_args, in 8-byte words.
WORDS = tuple(getattr(Args, name).offset // 8 for name in NAMES)


class Binding:
    """Fills gdr_args of a static problem from Arrays by name."""

    def __init__(self, static, options, arrays):
        self.s = static
        self.options = options
        self.arrays = arrays
        self.io = DTYPES[static.io]
        self.contract = CONTRACTS[static.contract]
        self.fused = GATES[static.gate] == "fused"
        self.args = Args()

    def fill(self):
        """structs.Args; ArgumentError names the argument."""
        self._extents()
        problem = Problem(self.s, self.x)
        library.load().gdr_args_init(self.args, problem)
        self.args.flags = self._flags()
        if self.options["scale"] is not None:
            self.args.scale = self.options["scale"]
        self._inputs()
        self._gates()
        self._output()
        self._state()
        self._indices()
        self._snapshots()
        self._unused()
        self._devices()
        return self.args

    # ---- what the rules below share ----

    def _need(self, name):
        array = self.arrays.get(name)
        if array is None:
            raise ArgumentError(f"{name} is None: this problem needs it")
        return array

    def _shape(self, name, shape, words):
        array = self._need(name)
        if array.shape != tuple(shape):
            raise ArgumentError(
                f"{name}: shape {list(array.shape)}, must be "
                f"{words} = {list(shape)}")
        return array

    def _dtype(self, name, *allowed):
        array = self.arrays[name]
        if array.dtype not in allowed:
            raise ArgumentError(f"{name}: dtype {array.dtype}, must be "
                                + " or ".join(allowed))
        return array.dtype

    def _strides(self, name, head_dims):
        """The strides of the leading dims; the last head_dims dims must be
        contiguous among themselves."""
        array = self.arrays[name]
        cut = len(array.shape) - head_dims
        step = 1
        for n, stride in zip(array.shape[:cut - 1:-1],
                             array.strides[:cut - 1:-1]):
            if n > 1 and stride != step:
                raise ArgumentError(
                    f"{name}: strides {list(array.strides)}; the last "
                    + ("dim" if head_dims == 1 else f"{head_dims} dims")
                    + " must be contiguous")
            step *= n
        return array.strides[:cut]

    def _writable(self, name):
        if not self.arrays[name].writable:
            raise ArgumentError(f"{name}: is read-only, and is written")

    # ---- the arguments ----

    def _extents(self):
        q, v = self._need("q"), self._need("v")
        if len(q.shape) != 4:
            raise ArgumentError(f"q: shape {list(q.shape)}, must be "
                                "[B, T, Hk, K]")
        if len(v.shape) != 4:
            raise ArgumentError(f"v: shape {list(v.shape)}, must be "
                                "[B, T, Hv, V]")
        self.x = Extents(*q.shape[:3], v.shape[2])

    def _flags(self):
        o = self.options
        flags = UPDATE_STATE * (self.contract == "snapshots"
                                and o["update_state"])
        for name, flag in (("alpha", ALPHA), ("neg_eigval", NEG_EIGVAL),
                           ("head_mod", HEAD_MOD),
                           ("snapshot_by_slot", SNAPSHOT_BY_SLOT)):
            flags |= flag * bool(o[name])
        return flags

    def _inputs(self):
        B, T, Hk, Hv = self.x.B, self.x.T, self.x.Hk, self.x.Hv
        K, V = self.s.K, self.s.V
        for name, shape, words in (("q", (B, T, Hk, K), "[B, T, Hk, K]"),
                                   ("k", (B, T, Hk, K), "[B, T, Hk, K]"),
                                   ("v", (B, T, Hv, V), "[B, T, Hv, V]")):
            self._shape(name, shape, words)
            self._dtype(name, self.io)
            self._set(name, self._strides(name, 1))

    def _set(self, name, strides):
        tensor = getattr(self.args, name)
        tensor.data = self.arrays[name].pointer
        tensor.stride_b, tensor.stride_t, tensor.stride_h = strides

    def _gates(self):
        B, T, Hv = self.x.B, self.x.T, self.x.Hv
        names = ("a", "b") if self.fused else ("g", "beta")
        for name, flag in zip(names, (GATE_IO, BETA_IO)):
            if self.arrays.get(name) is None and not self.fused:
                continue
            self._shape(name, (B, T, Hv), "[B, T, Hv]")
            dtype = self._dtype(name, *dict.fromkeys(("f32", self.io)))
            self.args.flags |= flag * (dtype != "f32")
            self._set(name, self.arrays[name].strides)
        for name in ("A_log", "dt_bias") if self.fused else ():
            self._vector(name, Hv, "Hv", "f32")

    def _vector(self, name, n, words, *dtypes):
        array = self._shape(name, (n,), f"[{words}]")
        dtype = self._dtype(name, *dtypes)
        if not is_contiguous(array):
            raise ArgumentError(f"{name}: must be contiguous")
        setattr(self.args, name, array.pointer)
        return dtype

    def _output(self):
        o = self.arrays.get("o")
        if o is None:
            return  # contiguous, as gdr_args_init says
        v = self.arrays["v"]
        self._shape("o", v.shape, "[B, T, Hv, V]")
        self._dtype("o", self.io)
        self._writable("o")
        self._set("o", self._strides("o", 1))

    def _head(self):
        vk = LAYOUTS[self.s.layout] == "vk"
        K, V = self.s.K, self.s.V
        return ((V, K), "V, K") if vk else ((K, V), "K, V")

    def _state(self):
        state, ring = self._need("state"), self.contract == "ring"
        dims, words = self._head()
        lead = state.shape[:2] if ring else state.shape[:1]
        self._shape("state", (*lead, self.x.Hv, *dims),
                    f"[N, {'R, ' if ring else ''}Hv, {words}]")
        self._dtype("state", DTYPES[self.s.state])
        strides = self._strides("state", 2)
        if self.contract != "snapshots" or self.options["update_state"]:
            self._writable("state")
        a = self.args
        a.state, a.n_slots = state.pointer, state.shape[0]
        a.state_stride_slot, a.state_stride_head = strides[0], strides[-1]
        if ring:
            a.ring, a.state_stride_ring = state.shape[1], strides[1]

    def _indices(self):
        B, T = self.x.B, self.x.T
        self.args.index_min = self.options["index_min"]
        indices = self.arrays.get("state_indices")
        if indices is not None and self.contract == "indexed":
            self._index_rows(indices, B, T)
        elif indices is not None:
            dtype = self._vector("state_indices", B, "B", "i32", "i64")
            self.args.flags |= INDEX64 * (dtype == "i64")
        if self.contract == "ring":
            self._vector("cache_seqlens", B, "B", "i32")
        if self.contract == "indexed" and self.arrays.get("accepted"):
            self._vector("accepted", B, "B", "i32")

    def _index_rows(self, indices, B, T):
        """[B, T] or wider; [B] where T is 1."""
        if len(indices.shape) == 1 and T == 1:
            self._shape("state_indices", (B,), "[B]")
            stride = indices.strides[0]
        else:
            width = max(T, indices.shape[-1]) if indices.shape else T
            self._shape("state_indices", (B, width), "[B, T or more]")
            stride = self._strides("state_indices", 1)[0]
        dtype = self._dtype("state_indices", "i32", "i64")
        self.args.flags |= INDEX64 * (dtype == "i64")
        self.args.state_indices = indices.pointer
        self.args.indices_stride_b = stride

    def _snapshots(self):
        if self.contract != "snapshots":
            return
        snapshots = self._need("snapshots")
        dims, words = self._head()
        steps = max(self.x.T, *snapshots.shape[1:2])
        self._shape("snapshots",
                    (*snapshots.shape[:1], steps, self.x.Hv, *dims),
                    f"[n, T or more, Hv, {words}]")
        state = DTYPES[self.s.state]
        dtype = self._dtype("snapshots", *dict.fromkeys((state, "f32")))
        self._writable("snapshots")
        a = self.args
        a.flags |= SNAPSHOT_F32 * (dtype != state)
        a.snapshots, a.n_snapshots = snapshots.pointer, snapshots.shape[0]
        (a.snapshot_stride_n, a.snapshot_stride_t,
         a.snapshot_stride_head) = self._strides("snapshots", 2)

    def _unused(self):
        """A tensor that this problem would silently not look at."""
        used = {"q", "k", "v", "o", "state", "state_indices"}
        used |= ({"a", "b", "A_log", "dt_bias"} if self.fused
                 else {"g", "beta"})
        used |= {"ring": {"cache_seqlens"}, "indexed": {"accepted"},
                 "snapshots": {"snapshots"}}.get(self.contract, set())
        for name, array in self.arrays.items():
            if array is not None and name not in used:
                raise ArgumentError(
                    f"{name}: is not for a problem with the contract "
                    f"'{self.contract}' and the gate "
                    f"'{GATES[self.s.gate]}'")

    def _devices(self):
        devices = {a.device: name for name, a in self.arrays.items()
                   if a is not None and a.pointer}
        if len(devices) > 1:
            raise ArgumentError("tensors on different devices: " + ", ".join(
                f"{name} on {device}" for device, name in devices.items()))


def words_of(args):
    """gdr_args as 8-byte words, to write addresses into."""
    n = ctypes.sizeof(Args) // 8
    return (ctypes.c_uint64 * n).from_buffer(args)


