"""library.py - finds libgdr, checks its version, declares its functions.

Nothing is loaded before the first use, so that the package can be imported
where there is no libgdr.
"""

import ctypes
import os
import threading
from ctypes import (POINTER, c_char_p, c_int, c_size_t, c_uint64,
                    c_void_p)

from .errors import LibraryError, error
from .structs import (Args, DeviceOptions, Extents, Plan, PlanInfo, Problem,
                      SelectOptions, Static)

VERSION = "0.1.0"
SONAME = "libgdr.so.0"
VARIABLE = "GDR_LIBRARY"

_PROTOTYPES = {
    "gdr_version": (c_char_p, []),
    "gdr_problem_parse": (c_int, [c_char_p, POINTER(Problem), c_char_p,
                                  c_size_t]),
    "gdr_problem_format": (c_size_t, [POINTER(Problem), c_char_p, c_size_t]),
    "gdr_args_init": (None, [POINTER(Args), POINTER(Problem)]),
    "gdr_reference": (c_int, [POINTER(Static), POINTER(Args), c_char_p,
                              c_size_t]),
    "gdr_open": (c_int, [c_char_p, POINTER(c_void_p)]),
    "gdr_close": (None, [c_void_p]),
    "gdr_errmsg": (c_char_p, [c_void_p]),
    "gdr_device_open": (c_int, [c_void_p, c_char_p, POINTER(DeviceOptions),
                                POINTER(c_void_p)]),
    "gdr_device_close": (None, [c_void_p]),
    "gdr_device_fingerprint": (c_char_p, [c_void_p]),
    "gdr_select": (c_int, [c_void_p, POINTER(Static), POINTER(SelectOptions),
                           POINTER(c_void_p)]),
    "gdr_preload": (c_int, [c_void_p, c_char_p, c_size_t]),
    "gdr_set_misses": (c_uint64, [c_void_p]),
    "gdr_misses_append": (c_int, [c_void_p, c_char_p, c_char_p, c_size_t]),
    "gdr_digest": (c_int, [c_void_p, c_char_p]),
    "gdr_set_close": (None, [c_void_p]),
    "gdr_set_find": (c_int, [c_void_p, POINTER(Extents), POINTER(Plan)]),
    "gdr_plan_describe": (c_int, [POINTER(Plan), POINTER(Extents),
                                  POINTER(PlanInfo)]),
    "gdr_launch": (c_int, [POINTER(Plan), POINTER(Args), c_void_p, c_char_p,
                           c_size_t]),
}

_lock = threading.Lock()
_library = None


def candidates():
    """Where libgdr is looked for, best first: $GDR_LIBRARY alone if it is set;
    else beside the package, on the loader's path, in build/ of a checkout."""
    named = os.environ.get(VARIABLE)
    if named:
        return [named]
    here = os.path.dirname(os.path.abspath(__file__))
    checkout = os.path.dirname(os.path.dirname(here))
    return [os.path.join(here, SONAME), SONAME,
            os.path.join(checkout, "build", SONAME)]


def _open():
    reasons = []
    for path in candidates():
        if os.path.isabs(path) and not os.path.exists(path):
            reasons.append(f"{path}: no such file")
            continue
        try:
            return path, ctypes.CDLL(path)
        except OSError as e:
            reasons.append(str(e))
    raise LibraryError(
        "libgdr was not found; install it (make install, then ldconfig), or "
        f"set {VARIABLE} to the path of {SONAME}. Tried:\n  "
        + "\n  ".join(reasons))


def _check_version(path, library):
    try:
        version = library.gdr_version
    except AttributeError:
        raise LibraryError(f"{path}: not libgdr, it has no gdr_version"
                           ) from None
    version.restype = c_char_p
    found = version().decode()
    # Before 1.0 structs may change with the second number.
    if found.split(".")[:2] != VERSION.split(".")[:2]:
        raise LibraryError(
            f"{path}: is libgdr {found}, and this package is for {VERSION}; "
            "install both from the same release")


def _declare(path, library):
    for name, (result, arguments) in _PROTOTYPES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise LibraryError(f"{path}: has no {name}; it was built from "
                               "another revision than this package") from None
        function.restype = result
        function.argtypes = arguments


def load():
    """libgdr with its functions declared. LibraryError says where it was
    looked for."""
    global _library
    if _library is None:
        with _lock:
            if _library is None:
                path, library = _open()
                _check_version(path, library)
                _declare(path, library)
                _library = library
    return _library


def version():
    """The version of libgdr at run time, e.g. "0.1.0"."""
    return load().gdr_version().decode()


def parse_problem(text):
    """(structs.Static, its canonical text) of a problem's text; extents are
    left out. ParseError says where it is wrong."""
    problem = Problem()
    buffer = ctypes.create_string_buffer(512)
    status = load().gdr_problem_parse(text.encode(), problem, buffer, 512)
    if status:
        raise error(status, buffer.value.decode())
    problem.x = Extents()
    load().gdr_problem_format(problem, buffer, 512)
    return problem.s, buffer.value.decode()
