"""frameworks.py - what PyTorch, CuPy and NumPy each do in their own way:
describe an array, make a new one beside it, name the current stream.

None of them is imported here: an array's framework is there already. An array
of anybody else is served through the interfaces of arrays.py, but nothing can
be made beside it, so the caller gives the outputs.
"""

from . import arrays
from .arrays import Array
from .errors import ArgumentError

_NAMES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16",
          "i32": "int32", "i64": "int64"}


class Interface:
    """Arrays with one of the three interfaces and no framework."""

    name = "an unknown library"

    def describe(self, x, stream=None):
        """The arrays.Array of x; stream: the one that will read it."""
        return arrays.describe(x, stream)

    def dtype_of(self, x):
        """The dtype's short name, as in arrays.BYTES."""
        return self.describe(x).dtype

    def device_of(self, x):
        """Equal for arrays on the same device."""
        return self.describe(x).device

    def is_contiguous(self, x):
        return arrays.is_contiguous(self.describe(x))

    def probe(self, tensors):
        """(addresses, signature) of a list of arrays and None: the signature
        is equal for two lists that differ in their addresses alone; None has
        no address. AttributeError where a tensor is not this framework's."""
        raise AttributeError

    def pointer(self, x):
        return arrays.describe(x).pointer

    def output(self, v):
        """A new contiguous array of v's shape and dtype."""
        raise ArgumentError(
            f"out: nothing can be allocated beside a {type(v).__name__}; "
            "give the output array")

    def is_compiling(self):
        """Whether a compiler is looking, which has to see an op."""
        return False

    def wants_op(self, tensors):
        """That, or a gradient would be asked for: backward has to raise."""
        return False

    def empty(self, shape, dtype, like):
        """A new array beside another one. zeros, copy, tolist: as NumPy's."""
        return self.output(like)

    def stream(self, x):
        """The stream that the array's interface names, else the default."""
        interface = getattr(x, "__cuda_array_interface__", None)
        stream = interface.get("stream") if interface else None
        # 1 and 2 are cudaStreamLegacy and cudaStreamPerThread by their own
        # values, as the interface numbers them.
        return stream or 0


class NumPy(Interface):
    """NumPy's arrays, and what CuPy's share with them."""

    name = "numpy"

    def __init__(self, module):
        self.module = module
        self.names = {}  # of dtypes, as they are met

    def is_contiguous(self, x):
        return x.flags.c_contiguous

    def device_of(self, x):
        return "cpu"

    def dtype_of(self, x):
        name = self.names.get(x.dtype)
        if name is None:
            name = self.names[x.dtype] = self.describe(x).dtype
        return name

    def probe(self, tensors):
        pointers, signature = [], [self]
        for x in tensors:
            if x is None:
                signature.append(None)
                continue
            interface = x.__array_interface__
            pointers.append(interface["data"][0])
            signature += (x.shape, x.strides, x.dtype, interface["data"][1])
        return pointers, signature

    def pointer(self, x):
        return x.__array_interface__["data"][0]

    def output(self, v):
        return self.module.empty(v.shape, v.dtype)

    def dtype(self, dtype, like):
        """The framework's dtype: bf16 is what `like` has for it."""
        if dtype != "bf16":
            return getattr(self.module, _NAMES[dtype])
        if arrays.BYTES.get(self.describe(like).dtype) == 2:
            return like.dtype
        try:
            import ml_dtypes
        except ImportError:
            return self.module.uint16
        return self.module.dtype(ml_dtypes.bfloat16)

    def empty(self, shape, dtype, like):
        return self.module.empty(shape, self.dtype(dtype, like))

    def zeros(self, shape, dtype, like):
        return self.module.zeros(shape, self.dtype(dtype, like))

    def copy(self, x, dtype=None):
        """A contiguous copy, in another dtype if asked."""
        if dtype is None or self.describe(x).dtype == dtype:
            return self.module.array(x, order="C", copy=True)
        if self.describe(x).dtype == "bf16" and x.dtype.kind == "u":
            return (x.astype(self.module.uint32) << 16).view(
                self.module.float32).astype(self.dtype(dtype, x))
        return x.astype(self.dtype(dtype, x))

    def tolist(self, x):
        return x.tolist()

    def stream(self, x):
        return 0


class CuPy(NumPy):
    """CuPy's arrays: NumPy's functions, on a card."""

    name = "cupy"

    def describe(self, x, stream=None):
        # The array knows its card, so the driver need not be asked.
        return arrays._from_interface(x, x.__cuda_array_interface__,
                                      f"cuda:{x.device.id}")

    def device_of(self, x):
        return x.device.id

    def probe(self, tensors):
        pointers, signature = [], [self]
        for x in tensors:
            if x is None:
                signature.append(None)
                continue
            pointers.append(x.data.ptr)
            signature += (x.shape, x.strides, x.dtype, x.device.id)
        return pointers, signature

    def pointer(self, x):
        return x.data.ptr

    def output(self, v):
        with v.device:
            return self.module.empty(v.shape, v.dtype)

    def empty(self, shape, dtype, like):
        with like.device:
            return self.module.empty(shape, self.dtype(dtype, like))

    def zeros(self, shape, dtype, like):
        with like.device:
            return self.module.zeros(shape, self.dtype(dtype, like))

    def stream(self, x):
        return self.module.cuda.get_current_stream(x.device.id).ptr


class Torch(Interface):
    """PyTorch's tensors, on a CPU or a card."""

    name = "torch"

    def __init__(self, module):
        self.module = module
        self.dtypes = {short: getattr(module, name)
                       for short, name in _NAMES.items()}
        self.names = {t: short for short, t in self.dtypes.items()}
        if hasattr(module, "uint16"):
            self.names[module.uint16] = "bf16"
        # What the compilers of PyTorch use: no object is made.
        self.raw_stream = getattr(module._C, "_cuda_getCurrentRawStream",
                                  None)

    def is_compiling(self):
        return self.module.compiler.is_compiling()

    def wants_op(self, tensors):
        if self.is_compiling():
            return True
        return self.module.is_grad_enabled() and any(
            [getattr(x, "requires_grad", False) for x in tensors])

    def describe(self, x, stream=None):
        if x.layout is not self.module.strided:
            raise ArgumentError(f"is a tensor of layout {x.layout}; only "
                                "strided tensors have an address")
        if x.device.type not in ("cpu", "cuda"):
            raise ArgumentError(f"is on device {x.device}; libgdr runs on cpu "
                                "and cuda")
        device = "cpu" if x.device.type == "cpu" else f"cuda:{x.get_device()}"
        return Array(x.data_ptr(), tuple(x.shape), tuple(x.stride()),
                     self.dtype_of(x), device, True, x)

    def dtype_of(self, x):
        return self.names.get(x.dtype, str(x.dtype))

    def device_of(self, x):
        return x.device

    def is_contiguous(self, x):
        return x.is_contiguous()

    def probe(self, tensors):
        pointers, signature = [], [self]
        for x in tensors:
            if x is None:
                signature.append(None)
                continue
            pointers.append(x.data_ptr())
            signature += (x.shape, x.stride(), x.dtype, x.get_device())
        return pointers, signature

    def pointer(self, x):
        return x.data_ptr()

    def output(self, v):
        return v.new_empty(v.shape)

    def empty(self, shape, dtype, like):
        return like.new_empty(shape, dtype=self._dtype(dtype, like))

    def zeros(self, shape, dtype, like):
        return like.new_zeros(shape, dtype=self._dtype(dtype, like))

    def _dtype(self, dtype, like):
        # A bf16 tensor may be a uint16 view: what is made beside it is, too.
        if self.names.get(like.dtype) == dtype:
            return like.dtype
        return self.dtypes[dtype]

    def copy(self, x, dtype=None):
        wanted = self.dtypes[dtype] if dtype else x.dtype
        return x.detach().to(wanted, copy=True,
                             memory_format=self.module.contiguous_format)

    def tolist(self, x):
        return x.tolist()

    def stream(self, x):
        if not x.is_cuda:
            return 0
        if self.raw_stream:
            return self.raw_stream(x.get_device())
        return self.module.cuda.current_stream(x.device).cuda_stream


_INTERFACE = Interface()
_ARRAYS = {("torch", "Tensor"), ("numpy", "ndarray"), ("cupy", "ndarray")}
_frameworks = {}  # by module name
_by_type = {}


def _make(name):
    """A framework one of whose arrays was seen, so that it is imported. A
    statement each: torch.compile follows those, but not sys.modules, which
    may change under its eyes."""
    if name == "torch":
        import torch
        return Torch(torch)
    if name == "numpy":
        import numpy
        return NumPy(numpy)
    import cupy
    return CuPy(cupy)


def _find(kind):
    for base in kind.__mro__:
        name = base.__module__.partition(".")[0]
        if (name, base.__name__) in _ARRAYS:
            if name not in _frameworks:
                _frameworks[name] = _make(name)
            return _frameworks[name]
    return _INTERFACE


def of(x):
    """The framework of an array."""
    kind = type(x)
    framework = _by_type.get(kind)
    if framework is None:
        framework = _by_type[kind] = _find(kind)
    return framework
