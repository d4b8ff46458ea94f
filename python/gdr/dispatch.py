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
from .errors import ArgumentError, NoPlanError, NotFoundError, error
from .structs import (DIGEST_TEXT, MATCHES, SELECT_PIN, DeviceOptions, Extents,
                      Plan, PlanInfo, SelectOptions)

# gdr_plan_info: regret is negative and time_ns 0 where nobody measured.
PlanText = namedtuple("PlanText", "match kernel config problem reduction run "
                                  "time_ns regret workspace_bytes")


_MESSAGE = 512


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

    @property
    def digest(self):
        """64 hex digits of all that dispatch depends on: ranks with equal
        digests, devices and options find equal plans."""
        digest = ctypes.create_string_buffer(DIGEST_TEXT)
        with self.lock:
            self.check(self._lib.gdr_digest(self.pointer, digest))
        return digest.value.decode()

    def append_misses(self, path):
        """Appends what every set missed to a file that gdr-tune --from-misses
        tunes, and counts from 0 again."""
        message = ctypes.create_string_buffer(_MESSAGE)
        with self.lock:
            for device in self._devices.values():
                for plans in device.sets.values():
                    status = self._lib.gdr_misses_append(
                        plans.pointer, str(path).encode(), message, _MESSAGE)
                    if status:
                        raise error(status, message.value.decode())

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

    def select(self, problem, worst="ptx", pin=None):
        """The Set of a problem's static part, its code loaded. worst: the
        worst match that find may return, one of structs.MATCHES; $GDR_MATCH
        has the last word. pin: True or a reduction id: all plans have one, so
        that results do not change with the batch a sequence is in. NoPlanError
        has the gdr-tune command that mends it."""
        if worst not in MATCHES:
            raise ArgumentError(f"worst = {worst!r}: one of "
                                + ", ".join(MATCHES))
        key = (problem, worst, pin or None)
        with self.database.lock:
            found = self.sets.get(key)
            if found is None:
                found = self.sets[key] = Set(self, *key)
        return found


class Set:
    """All plans of one static problem on one device. Made by
    Device.select."""

    def __init__(self, device, problem, worst, pin):
        self._lib = device._lib
        self.pointer = ctypes.c_void_p()
        self.device = device
        self.static, self.problem = library.parse_problem(problem)
        options = SelectOptions(
            ctypes.sizeof(SelectOptions), MATCHES.index(worst),
            SELECT_PIN if pin else 0,
            pin.encode() if isinstance(pin, str) else None)
        status = self._lib.gdr_select(device.pointer, self.static, options,
                                      self.pointer)
        if status:
            self._lib.gdr_set_close(self.pointer)
            device.database.check(status)

    def preload(self):
        """Does what the first launches would: a card has the code, the cpu's
        pool its threads."""
        message = ctypes.create_string_buffer(_MESSAGE)
        with self.device.database.lock:
            status = self._lib.gdr_preload(self.pointer, message, _MESSAGE)
        if status:
            raise error(status, message.value.decode())

    @property
    def misses(self):
        """How many finds were not exact."""
        return self._lib.gdr_set_misses(self.pointer)

    def find(self, B, T, Hk, Hv):
        """(structs.Plan, PlanText) for one call's extents."""
        x, plan = Extents(B, T, Hk, Hv), Plan()
        status = self._lib.gdr_set_find(self.pointer, x, plan)
        if status == NoPlanError.status:
            call = f"{self.problem} / b{B}t{T}hk{Hk}hv{Hv}"
            raise NoPlanError(f"no plan that is good enough for {call}; run: "
                              f"gdr-tune --only '{call}'")
        if status:
            raise error(status, f"B = {B}, T = {T}, Hk = {Hk}, Hv = {Hv}: no "
                                "call may have these extents")
        info = PlanInfo(size=ctypes.sizeof(PlanInfo))
        status = self._lib.gdr_plan_describe(plan, x, info)
        if status:
            raise error(status, "gdr_plan_describe")
        return plan, PlanText(
            MATCHES[info.match], _text(info.kernel), _text(info.config),
            _text(info.problem), _text(info.reduction), _text(info.run),
            info.time_ns, info.regret, info.workspace_bytes)
