"""recurrent.py - the op `recurrent`, bound once and called often.

A call compares its tensors' shapes, strides and dtypes with the call before.
Where they are the same, only addresses change: they are written into the same
gdr_args, and the same plan is launched. Otherwise everything is checked, the
plan is found anew, and the result is remembered.
"""

import ctypes
import itertools
import os
import threading
import weakref

from . import frameworks, library
from .binding import NAMES, WORDS, Binding, words_of
from .config import settings
from .dispatch import Database
from .errors import ArgumentError, error

_MESSAGE = 512
_O = WORDS[NAMES.index("o")]

# name -> default; all of them are part of what a Recurrent is bound to.
OPTIONS = {"scale": None, "index_min": 0, "head_mod": False, "alpha": False,
           "neg_eigval": False, "update_state": True,
           "snapshot_by_slot": False}


# Those that torch_op cannot make again from their problem and options.
_instances = weakref.WeakValueDictionary()
_numbers = itertools.count()
_equal = {}  # (problem, spelled, generation) -> Recurrent


def spell(options):
    """Options as text, those with a default left out: "scale=0.5
    index_min=1". A graph of torch.compile holds it."""
    return " ".join([f"{name}={float(value) if name == 'scale' else int(value)}"
                     for name, value in options.items()
                     if value != OPTIONS[name]])


def equal(problem, spelled):
    """The Recurrent of a problem and spelled options, made once for what
    gdr.configure said last."""
    key = (problem, spelled, settings.generation)
    found = _equal.get(key)
    if found is None:
        items = dict(item.split("=") for item in spelled.split())
        if "instance" in items:
            return _instances[int(items["instance"])]
        found = _equal[key] = Recurrent(problem, **{
            name: float(text) if name == "scale" else int(text)
            for name, text in items.items()})
    return found


class _Bound:
    """One set of shapes, ready to launch. Not shared between threads."""

    def __init__(self, key, args, given, found):
        self.key = key
        self.args = args
        self.words = words_of(args)
        self.at = [at for name, at in zip(NAMES, WORDS) if name in given]
        self.plan, self.text = found
        self.message = ctypes.create_string_buffer(_MESSAGE)


class _Local(threading.local):
    """What a thread called last, and before that."""

    last = None

    def __init__(self):
        self.bound = {}


class Recurrent:
    """The op `recurrent` of one static problem.

    problem: its text, e.g. "recurrent:final:vk:bf16/f32:k128v128:l2norm:g".
    scale: multiplies q; None: K^-0.5. index_min: the smallest valid state
    index, 1 where 0 is a null block. head_mod: value head hv reads key head
    hv % Hk, not hv // (Hv / Hk). alpha: g holds the decay exp(g).
    neg_eigval: the fused gate's beta is 2 sigmoid(b). update_state,
    snapshot_by_slot: for the contract `snapshots`, see gdr.h.

    worst: the worst match that may serve, "exact" to "generic". database: a
    Database, or the path of one. Both default to what gdr.configure says. pin:
    True or a reduction id: results do not change with the batch. The device
    is that of the tensors; its plans are selected at the first call, or by
    preload.

    May be called from any number of threads.
    """

    def __init__(self, problem, *, worst=None, database=None, pin=None,
                 **options):
        unknown = set(options) - set(OPTIONS)
        if unknown:
            raise TypeError(f"unknown option {sorted(unknown)[0]!r}; there "
                            "are " + ", ".join(OPTIONS))
        self.static, self.problem = library.parse_problem(problem)
        self.options = {**OPTIONS, **options}
        self.worst = worst
        self.pin = pin
        self.database = (Database(database)
                         if isinstance(database, (str, os.PathLike))
                         else database)
        self._local = _Local()
        # How torch_op finds an equal Recurrent, or this very one.
        self.spelled = spell(self.options)
        if worst is not None or database is not None or pin:
            number = next(_numbers)
            self.spelled += f" instance={number}"
            _instances[number] = self
        self._launch = library.load().gdr_launch

    def __call__(self, q, k, v, g=None, beta=None, *, state, out=None, a=None,
                 b=None, A_log=None, dt_bias=None, state_indices=None,
                 cache_seqlens=None, accepted=None, snapshots=None,
                 stream=None):
        """o [B, T, Hv, V]: out if given, else a new contiguous array of v's
        framework.

        q, k [B, T, Hk, K], v [B, T, Hv, V] in the io dtype, any strides but
        the last. g, beta, or for the fused gate a, b: [B, T, Hv], float32 or
        the io dtype; without g the decay is 1, without beta it is 1. A_log,
        dt_bias [Hv] float32. state [N, Hv, V, K] or, for the layout kv,
        [N, Hv, K, V]; ring: [N, R, Hv, ..]; it is updated in place.
        state_indices [B] int32 or int64, indexed: [B, T]; None: slot b.
        cache_seqlens [B] int32: ring only. accepted [B] int32: indexed only.
        snapshots [n, T or more, Hv, ..]: snapshots only.

        stream: a CUstream as an integer; None: the current stream of q's
        framework. On a cpu the call returns when the work is done.
        ArgumentError names a tensor that does not fit, and nothing is
        launched.
        """
        framework = frameworks.of(q)
        if framework.is_compiling():
            from .torch_op import recurrent
            o = recurrent(self.problem, self.spelled, q, k, v, g, beta, a, b,
                          A_log, dt_bias, state, state_indices, cache_seqlens,
                          accepted, snapshots)
            return o if out is None else out.copy_(o)
        tensors = (q, k, v, g, beta, a, b, A_log, dt_bias, state,
                   state_indices, cache_seqlens, accepted, snapshots, out)
        try:
            pointers, key = framework.probe(tensors)
            described = None
        except AttributeError:
            described = self._describe(tensors, stream)
            pointers = [x.pointer for x in described if x is not None]
            key = [None if x is None else x.signature for x in described]
        local = self._local
        bound = local.last
        if bound is None or bound.key != key:
            bound = self._find(local, key, described
                               or self._describe(tensors, stream))
        words = bound.words
        for at, pointer in zip(bound.at, pointers):
            words[at] = pointer
        if out is None:
            out = framework.output(v)
            words[_O] = framework.pointer(out)
        if stream is None:
            stream = framework.stream(q)
        if bound.text.workspace_bytes:
            workspace = self._workspace(bound, framework, v)
        status = self._launch(bound.plan, bound.args, stream, bound.message,
                              _MESSAGE)
        if status:
            raise error(status, bound.message.value.decode())
        return out

    # ---- the first call with some shapes ----

    def _describe(self, tensors, stream):
        described = []
        for name, x in zip(NAMES, tensors):
            try:
                described.append(None if x is None else
                                 frameworks.of(x).describe(x, stream))
            except ArgumentError as e:
                raise ArgumentError(f"{name}: {e}") from None
        return described

    def _find(self, local, key, described):
        """Remembered, or checked and found; becomes the thread's last."""
        known = tuple(key)
        bound = local.bound.get(known)
        if bound is None:
            bound = self._bind(key, {name: x for name, x in
                                     zip(NAMES, described) if x is not None})
            if len(local.bound) >= 64:
                local.bound.clear()
            local.bound[known] = bound
        local.last = bound
        return bound

    def _bind(self, key, arrays):
        args = Binding(self.static, self.options, arrays).fill()
        x = args.x
        plans = self._set(arrays["q"].device)
        return _Bound(key, args, arrays, plans.find(x.B, x.T, x.Hk, x.Hv))

    def _set(self, device):
        return settings.set_for(self.problem, device, self.worst,
                                self.database, self.pin)

    def _workspace(self, bound, framework, like):
        """New for each call, so that no two streams share one; 256-byte
        aligned."""
        n = bound.text.workspace_bytes
        memory = framework.empty((n // 4 + 64,), "f32", like)
        at = framework.pointer(memory)
        bound.args.workspace = (at + 255) & ~255
        bound.args.workspace_bytes = n
        return memory

    # ---- beside the calls ----

    def reference(self, q, k, v, g=None, beta=None, *, state, out=None,
                  **tensors):
        """A call's o and states by gdr_reference: in float64, token by token,
        slow. For arrays on the host; the arguments are a call's."""
        given = dict(q=q, k=k, v=v, g=g, beta=beta, state=state, o=out,
                     **tensors)
        unknown = set(given) - set(NAMES)
        if unknown:
            raise TypeError(f"no tensor {sorted(unknown)[0]!r}")
        arrays = dict(zip(NAMES, self._describe(
            [given.get(name) for name in NAMES], None)))
        args = Binding(self.static, self.options, arrays).fill()
        if arrays["q"].device != "cpu":
            raise ArgumentError(f"q: on {arrays['q'].device}; the reference "
                                "runs on the host")
        if out is None:
            framework = frameworks.of(v)
            out = framework.output(v)
            args.o.data = framework.pointer(out)
        message = ctypes.create_string_buffer(_MESSAGE)
        status = library.load().gdr_reference(self.static, args, message,
                                              _MESSAGE)
        if status:
            raise error(status, message.value.decode())
        return out

    def plan(self, B, T, Hk, Hv, device="cpu"):
        """dispatch.PlanText of a call's extents: which kernel, how good a
        match, how long it took where it was tuned."""
        return self._set(device).find(B, T, Hk, Hv)[1]

    def preload(self, device):
        """Selects the plans for a device ("cpu", "cuda:0") and loads their
        code, so that no call does: before a graph is captured, and where the
        first request shall be as fast as the next."""
        self._set(device).preload()
