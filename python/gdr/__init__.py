"""gdr - libgdr from Python: the fastest known kernel for each call of the gated
delta rule, on the arrays of PyTorch, CuPy, NumPy, or anybody who speaks DLPack.

    layer = gdr.Recurrent("recurrent:final:vk:bf16/f32:k128v128:l2norm:g")
    o = layer(q, k, v, g, beta, state=pool, state_indices=slots)

Doors with other libraries' signatures: gdr.lmdeploy, gdr.fla. See
docs/python.md, and include/gdr.h for what the arguments mean.
"""

from .config import configure
from .dispatch import Database
from .errors import (ArgumentError, BusyError, CompileError, Error, FileError,
                     FormatError, FullError, InternalError, LaunchError,
                     LibraryError, LoadError, NewerError, NoDeviceError,
                     NoPlanError, NotFoundError, OutOfMemoryError, ParseError,
                     ReadOnlyError, TemplateError, UnsafeError,
                     UnsupportedError)
from .library import VERSION as __version__
from .library import version
from .recurrent import Recurrent

__all__ = [
    "ArgumentError", "BusyError", "CompileError", "Database", "Error",
    "FileError", "FormatError", "FullError", "InternalError", "LaunchError",
    "LibraryError", "LoadError", "NewerError", "NoDeviceError", "NoPlanError",
    "NotFoundError", "OutOfMemoryError", "ParseError", "ReadOnlyError",
    "Recurrent", "TemplateError", "UnsafeError", "UnsupportedError",
    "__version__", "configure", "version",
]
