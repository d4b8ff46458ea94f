"""lmdeploy.py - lmdeploy's door: fused_recurrent_gated_delta_rule of
lmdeploy.pytorch.kernels.cuda.gated_delta_rule, on libgdr."""

from . import doors, frameworks
from .doors import fail


def fused_recurrent_gated_delta_rule(
        q, k, v, g=None, beta=None, scale=None, initial_state=None,
        output_final_state=False, use_qk_l2norm_in_kernel=False,
        state_indices=None, cache_seqlens=None, transpose_state_layout=False):
    """(o, final_state) with lmdeploy's arguments, defaults and assertions.

    q, k [B, T, H, K] and v [B, T, HV, V] in float32, bfloat16 or float16, any
    strides but the last; K a multiple of 32. g [B, T, HV]: log decay, None:
    no decay. beta [B, T, HV], None: 1; both contiguous, in float32 or q's
    dtype. scale: None: K^-0.5.

    initial_state, required: [N, HV, K, V] or [N, R, HV, K, V], the last two
    the other way round with transpose_state_layout; slots may be padded, a
    head's matrix is contiguous. state_indices [B], int32 or int64: the slot
    of each sequence; one outside 0..N-1 is padding, whose o is 0 and which
    touches no state. None: slot b, and then N = B.

    cache_seqlens None: reads and writes slot [n, 0]. cache_seqlens [B] int32:
    reads [n, c % R] and writes [n, (c + 1 + t) % R] after each token t; R >= T.

    output_final_state True: updates initial_state in place and returns it.
    False: returns None, and initial_state stays as it is: the call works on a
    copy of all of it.

    o [B, T, HV, V] is new and contiguous. AssertionError where lmdeploy
    asserts, UnsupportedError for what libgdr does not serve.
    """
    K, V = k.shape[-1], v.shape[-1]
    if K % 32:
        fail(f"K = {K}: must be a multiple of 32")
    _check_gates(g, beta)
    _check_indices(q, initial_state, state_indices, cache_seqlens)
    if initial_state is None:
        fail("initial_state is None: it is required")
    _check_state(q, initial_state, state_indices, K, V, transpose_state_layout)

    io = doors.dtype_of("q", q, doors.STATES)
    state_dtype = doors.dtype_of("initial_state", initial_state,
                                 doors.STATES[io])
    state = initial_state
    if not output_final_state:
        state = frameworks.of(state).copy(state)
    ring = cache_seqlens is not None
    fields = ("ring" if ring else "final", bool(transpose_state_layout), io,
              state_dtype, K, V, bool(use_qk_l2norm_in_kernel), "g")
    o = doors.run(fields, q, k, v, g, beta, state=_slots(state, ring),
                  state_indices=state_indices, cache_seqlens=cache_seqlens,
                  scale=scale)
    return o, initial_state if output_final_state else None


def _slots(state, ring):
    """The pool as the contract has it: [N, R, ..] for a ring, else [N, ..]."""
    if ring:
        return state if len(state.shape) == 5 else state[:, None]
    return state[:, 0] if len(state.shape) == 5 else state


def _contiguous(name, x):
    if not frameworks.of(x).is_contiguous(x):
        fail(f"{name}: must be contiguous")


def _check_gates(g, beta):
    if g is not None:
        _contiguous("g", g)
    if beta is not None:
        _contiguous("beta", beta)


def _sequences(name, x, B):
    """x is [B]."""
    _contiguous(name, x)
    if len(x.shape) != 1 or x.shape[0] != B:
        fail(f"{name}: shape {list(x.shape)}, must be [B] = [{B}]")


def _check_indices(q, initial_state, state_indices, cache_seqlens):
    B = q.shape[0]
    if state_indices is not None:
        if initial_state is None:
            fail("state_indices need an initial_state")
        _sequences("state_indices", state_indices, B)
    if cache_seqlens is not None:
        _sequences("cache_seqlens", cache_seqlens, B)
        framework = frameworks.of(cache_seqlens)
        if framework.dtype_of(cache_seqlens) != "i32":
            fail("cache_seqlens: must be int32")
        if (framework.device_of(cache_seqlens)
                != frameworks.of(q).device_of(q)):
            fail("cache_seqlens: must be on q's device")


def _check_state(q, state, state_indices, K, V, transposed):
    dims = (V, K) if transposed else (K, V)
    if tuple(state.shape[-2:]) != dims:
        fail(f"initial_state: ends in {list(state.shape[-2:])}, must end in "
             f"{list(dims)} with transpose_state_layout={transposed}")
    if len(state.shape) not in (4, 5):
        fail(f"initial_state: {len(state.shape)} dims, must be 4 or 5")
    if state_indices is None and state.shape[0] != q.shape[0]:
        fail(f"initial_state: {state.shape[0]} slots; without state_indices "
             f"there must be B = {q.shape[0]}")
