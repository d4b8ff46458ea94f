"""arrays.py - where an array's elements lie, whoever made the array.

An Array is what libgdr wants to know of a tensor: address, shape, strides in
elements, dtype, device. It is read from ``__cuda_array_interface__``,
``__array_interface__`` or DLPack, in this order; nothing is copied, and the
array itself is kept alive by ``owner``.

bf16 is ml_dtypes.bfloat16, a DLPack bfloat, or any 16-bit unsigned integer: a
uint16 array is taken as bf16 bit patterns.
"""

import ctypes
from ctypes import (POINTER, c_char_p, c_int, c_int32, c_int64, c_uint8,
                    c_uint16, c_uint64, c_void_p)

from .errors import ArgumentError

BYTES = {"f32": 4, "bf16": 2, "f16": 2, "i32": 4, "i64": 8}

_TYPESTR = {"f4": "f32", "f2": "f16", "u2": "bf16", "i4": "i32", "i8": "i64"}


class Array:
    """shape and strides are tuples of ints, strides in elements. dtype is one
    of BYTES, or the maker's name for another one. device is "cpu" or
    "cuda:N"."""

    __slots__ = ("pointer", "shape", "strides", "dtype", "device", "writable",
                 "owner")

    def __init__(self, pointer, shape, strides, dtype, device, writable,
                 owner):
        self.pointer = pointer
        self.shape = shape
        self.strides = strides
        self.dtype = dtype
        self.device = device
        self.writable = writable
        self.owner = owner

    @property
    def signature(self):
        """Equal for arrays that differ in their address alone."""
        return (self.shape, self.strides, self.dtype, self.device,
                self.writable)


def contiguous_strides(shape):
    """Of a C-contiguous array, in elements."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def is_contiguous(array):
    """Whether the elements are C-contiguous; dims of extent 1 do not count."""
    return all(n <= 1 or s == c for n, s, c in
               zip(array.shape, array.strides,
                   contiguous_strides(array.shape)))


# ---- the array interfaces ----

def _dtype_of(x, typestr):
    # The interfaces have no code for bf16: ml_dtypes says "<V2".
    if typestr[1:] == "V2" and "bfloat16" in str(getattr(x, "dtype", "")):
        return "bf16"
    if typestr[0] == ">":
        return f"{typestr}, which is big-endian"
    return _TYPESTR.get(typestr[1:], typestr)


def _from_interface(x, interface, device):
    shape = tuple(interface["shape"])
    typestr = interface["typestr"]
    pointer, readonly = interface["data"]
    itemsize = int(typestr[2:])
    strides = interface.get("strides")
    if strides is None:
        strides = contiguous_strides(shape)
    elif any(s % itemsize for s in strides):
        raise ArgumentError(f"strides {strides} in bytes are no multiples of "
                            f"the {itemsize}-byte elements")
    else:
        strides = tuple(s // itemsize for s in strides)
    return Array(pointer, shape, strides, _dtype_of(x, typestr), device,
                 not readonly, x)


def _card_of(x, pointer):
    """The ordinal of the card that owns an address: the interface does not
    tell, but DLPack or the driver does. The address is not dereferenced."""
    if hasattr(x, "__dlpack_device__"):
        return x.__dlpack_device__()[1]
    ordinal = c_int(0)
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        failed = driver.cuPointerGetAttribute(
            ctypes.byref(ordinal), 9, c_uint64(pointer))
    except (OSError, AttributeError):
        failed = 1
    if failed and pointer:
        raise ArgumentError(
            f"address 0x{pointer:x} is on no card that the NVIDIA driver "
            "knows, and __cuda_array_interface__ says that it is on one")
    return ordinal.value


# ---- DLPack ----

class _Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("device_type", c_int32),
                ("device_id", c_int32), ("ndim", c_int32), ("code", c_uint8),
                ("bits", c_uint8), ("lanes", c_uint16),
                ("shape", POINTER(c_int64)), ("strides", POINTER(c_int64)),
                ("byte_offset", c_uint64)]


_CPU, _CUDA, _CUDA_HOST, _CUDA_MANAGED = 1, 2, 3, 13
_DLPACK = {(2, 32): "f32", (2, 16): "f16", (4, 16): "bf16", (1, 16): "bf16",
           (0, 32): "i32", (0, 64): "i64"}

_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, c_char_p]


def _from_dlpack(x, stream):
    kind, ordinal = x.__dlpack_device__()
    if kind == _CUDA and stream is None:
        stream = 1  # the default stream, as DLPack numbers it
    capsule = x.__dlpack__(stream=stream if kind == _CUDA else None)
    # Never renamed, so the capsule's own destructor frees what it holds.
    t = _Tensor.from_address(_capsule_pointer(capsule, b"dltensor"))
    if kind in (_CPU, _CUDA_HOST):
        device = "cpu"
    elif kind in (_CUDA, _CUDA_MANAGED):
        device = f"cuda:{ordinal}"
    else:
        raise ArgumentError(f"a DLPack tensor of device type {int(kind)} is "
                            "neither on a CPU nor on an NVIDIA card")
    shape = tuple(t.shape[i] for i in range(t.ndim))
    strides = (tuple(t.strides[i] for i in range(t.ndim)) if t.strides
               else contiguous_strides(shape))
    dtype = _DLPACK.get((t.code, t.bits)) if t.lanes == 1 else None
    return Array((t.data or 0) + t.byte_offset, shape, strides,
                 dtype or f"DLPack code {t.code} with {t.bits} bits", device,
                 True, (x, capsule))


def describe(x, stream=None):
    """The Array of x. stream: the CUDA stream that will read it, for DLPack.
    ArgumentError if x offers none of the three."""
    if isinstance(x, Array):
        return x
    interface = getattr(x, "__cuda_array_interface__", None)
    if interface is not None:
        return _from_interface(x, interface,
                               f"cuda:{_card_of(x, interface['data'][0])}")
    interface = getattr(x, "__array_interface__", None)
    if interface is not None:
        return _from_interface(x, interface, "cpu")
    if hasattr(x, "__dlpack__"):
        return _from_dlpack(x, stream)
    raise ArgumentError(
        f"is a {type(x).__name__}, which has neither DLPack nor "
        "__cuda_array_interface__ nor __array_interface__")
