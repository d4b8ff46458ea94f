"""dispatch.py - the handles of libgdr: Database, Device, Set, Plan.

Each is made from the one before it, kept by it, and keeps it alive: a database
closes all that was made from it, in the reverse order, when nothing uses any
of it any more. One lock per database orders the calls that gdr.h wants
ordered; find and launch take none.
"""

import ctypes
import sys
import threading
from collections import namedtuple

from . import library
from .errors import ArgumentError, NotFoundError, error
from .structs import MATCHES, DeviceOptions, Extents, Plan, PlanInfo

PlanText = namedtuple("PlanText", "match kernel config problem reduction "
                                  "time_ns workspace_bytes")


def _text(value):
    return value.decode() if value else ""


class Database:
    """A tuned database, read once. path None: $GDR_DB, the user's, the
    system's. Where there is none of these the database is empty, which only
    the generic kernel of a cpu does not mind; a path that is given must
    exist."""

    def __init__(self, path=None):
        self._lib = library.load()
        self.pointer = ctypes.c_void_p()
        self.lock = threading.Lock()
        self._devices = {}
        self.missing = ""  # why it is empty
        name = None if path is None else str(path).encode()
        status = self._lib.gdr_open(name, self.pointer)
        if status == NotFoundError.status and path is None:
            self.missing = self.errmsg()
        elif status:
            raise error(status, self.errmsg())

    def __del__(self):
        # At the end of a process the driver may have gone before us.
        if sys.is_finalizing() or not getattr(self, "pointer", None):
            return
        for device in self._devices.values():
            for made in device.sets.values():
                self._lib.gdr_set_close(made.pointer)
            self._lib.gdr_device_close(device.pointer)
        self._lib.gdr_close(self.pointer)

    def errmsg(self):
        """The message of the last failure on this database."""
        return _text(self._lib.gdr_errmsg(self.pointer))

    def check(self, status):
        """Raises what a status other than GDR_OK means."""
        if status:
            message = self.errmsg()
            if self.missing and self.missing not in message:
                message = f"{message} ({self.missing})"
            raise error(status, message)

    def device(self, name="auto", threads=0):
        """The Device of a name: "cpu", "cuda:N", "auto". The same object for
        the same name and threads. threads: of the cpu's pool; 0: what cgroups
        and affinity allow."""
        with self.lock:
            device = self._devices.get((name, threads))
            if device is None:
                device = Device(self, name, threads)
                self._devices[name, threads] = device
        return device


class Device:
    """A CPU or a card. Made by Database.device."""

    def __init__(self, database, name, threads):
        self._lib = database._lib
        self.pointer = ctypes.c_void_p()
        self.database = database
        self.name = name
        self.sets = {}
        options = DeviceOptions(size=ctypes.sizeof(DeviceOptions),
                                threads=threads)
        database.check(self._lib.gdr_device_open(
            database.pointer, name.encode(), options, self.pointer))

    @property
    def fingerprint(self):
        """e.g. "cpu:x86-64:avx2+fma:cores=2:..." """
        return _text(self._lib.gdr_device_fingerprint(self.pointer))

    def select(self, problem, worst="default"):
        """The Set of a problem's static part, its code loaded. worst: the
        worst match that find may return, one of structs.MATCHES. NoPlanError
        has the gdr-tune command that mends it."""
        if worst not in MATCHES:
            raise ArgumentError(f"worst = {worst!r}: one of "
                                + ", ".join(MATCHES))
        key = (problem, worst)
        with self.database.lock:
            found = self.sets.get(key)
            if found is None:
                found = self.sets[key] = Set(self, problem, worst)
        return found


class Set:
    """All plans of one static problem on one device. Made by
    Device.select."""

    def __init__(self, device, problem, worst):
        self._lib = device._lib
        self.pointer = ctypes.c_void_p()
        self.device = device
        self.static, self.problem = library.parse_problem(problem)
        status = self._lib.gdr_select(device.pointer, self.static,
                                      MATCHES.index(worst), self.pointer)
        if status:
            self._lib.gdr_set_close(self.pointer)
            device.database.check(status)

    def find(self, B, T, Hk, Hv):
        """(structs.Plan, PlanText) for one call's extents."""
        x, plan = Extents(B, T, Hk, Hv), Plan()
        status = self._lib.gdr_set_find(self.pointer, x, plan)
        if status:
            raise error(status, f"no plan for B = {B}, T = {T}, Hk = {Hk}, "
                                f"Hv = {Hv}")
        info = PlanInfo(size=ctypes.sizeof(PlanInfo))
        status = self._lib.gdr_plan_describe(plan, x, info)
        if status:
            raise error(status, "gdr_plan_describe")
        return plan, PlanText(
            MATCHES[info.match], _text(info.kernel), _text(info.config),
            _text(info.problem), _text(info.reduction), info.time_ns,
            info.workspace_bytes)
