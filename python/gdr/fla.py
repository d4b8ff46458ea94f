"""fla.py - the door of flash-linear-attention: fused_recurrent_gated_delta_rule
of fla.ops.gated_delta_rule (0.6), on libgdr."""

import warnings

from . import doors, frameworks
from .doors import refuse


def fused_recurrent_gated_delta_rule(
        q, k, v, g=None, gk=None, gv=None, beta=None, scale=None,
        initial_state=None, output_final_state=False,
        use_qk_l2norm_in_kernel=False, use_gate_in_kernel=False, A_log=None,
        dt_bias=None, use_beta_sigmoid_in_kernel=False,
        allow_neg_eigval=False, state_v_first=False, cu_seqlens=None,
        **kwargs):
    """(o, final_state) with the arguments, defaults and errors of FLA.

    q, k [B, T, H, K] and v [B, T, HV, V] in float32, bfloat16 or float16; K a
    multiple of 8. g [B, T, HV]: log decay, None: no decay. beta [B, T, HV],
    None: 1. Both in float32 or q's dtype. scale: None: K^-0.5.

    initial_state [N, HV, K, V], with state_v_first [N, HV, V, K]; None: zeros.
    It is not written. final_state is new, float32, of that shape; None unless
    output_final_state.

    use_gate_in_kernel with use_beta_sigmoid_in_kernel: g and beta are logits;
    the decay is -exp(A_log) softplus(g + dt_bias), beta is sigmoid(beta),
    doubled with allow_neg_eigval. A_log, dt_bias [HV].

    cu_seqlens [N + 1]: B is 1 and the sequences follow each other along T. It
    is read on the host, which on a card waits for the stream and cannot be
    captured; each run of sequences of one length is one launch.

    UnsupportedError for gk, gv, a beta for each value column, and only one of
    use_gate_in_kernel and use_beta_sigmoid_in_kernel. There is no backward:
    it raises, as FLA's does.
    """
    state_v_first = _renamed(state_v_first, kwargs)
    _check_lengths(q, initial_state, cu_seqlens)
    fused = _check_gate(v, g, gk, gv, beta, use_gate_in_kernel, A_log,
                        use_beta_sigmoid_in_kernel, allow_neg_eigval)
    io = doors.dtype_of("q", q, doors.STATES)
    N = q.shape[0] if cu_seqlens is None else cu_seqlens.shape[0] - 1
    state = _final_state(q, v, initial_state, N, state_v_first)
    fields = ("final", bool(state_v_first), io, "f32", k.shape[-1],
              v.shape[-1], bool(use_qk_l2norm_in_kernel),
              "fused" if fused else "g")
    call = _Call(fields, fused, scale, allow_neg_eigval, A_log, dt_bias, v)
    if cu_seqlens is None:
        o = call(q, k, v, g, beta, state)
    else:
        o = _packed(call, q, k, v, g, beta, state, cu_seqlens)
    return o, state if output_final_state else None


fused_recurrent_gdn = fused_recurrent_gated_delta_rule


class _Call:
    """The op with what all sequences share."""

    def __init__(self, fields, fused, scale, neg_eigval, A_log, dt_bias, v):
        self.fields = fields
        self.fused = fused
        self.options = {"scale": scale, "neg_eigval": bool(neg_eigval)}
        self.A_log = self.dt_bias = None
        if fused:
            framework = frameworks.of(v)
            self.A_log = _float32(A_log)
            self.dt_bias = (framework.zeros((v.shape[2],), "f32", v)
                            if dt_bias is None else _float32(dt_bias))

    def __call__(self, q, k, v, g, beta, state, out=None):
        if self.fused:
            return doors.run(self.fields, q, k, v, a=g, b=beta,
                             A_log=self.A_log, dt_bias=self.dt_bias,
                             state=state, out=out, **self.options)
        return doors.run(self.fields, q, k, v, g, beta, state=state, out=out,
                         **self.options)


def _float32(x):
    framework = frameworks.of(x)
    if framework.dtype_of(x) == "f32" and framework.is_contiguous(x):
        return x
    return framework.copy(x, "f32")


def _renamed(state_v_first, kwargs):
    """FLA's older name of state_v_first; it ignores any other keyword, which
    here is an error."""
    if "transpose_state_layout" in kwargs:
        if state_v_first:
            raise ValueError("state_v_first and transpose_state_layout are "
                             "one argument: give the first alone")
        warnings.warn("transpose_state_layout is now called state_v_first",
                      DeprecationWarning, stacklevel=3)
        state_v_first = kwargs.pop("transpose_state_layout")
    for name in kwargs:
        refuse(name, "no such argument")
    return state_v_first


def _check_lengths(q, initial_state, cu_seqlens):
    if cu_seqlens is None:
        return
    if q.shape[0] != 1:
        raise ValueError(f"q: batch size {q.shape[0]}, must be 1 with "
                         "cu_seqlens: put the sequences behind each other")
    N = cu_seqlens.shape[0] - 1
    if initial_state is not None and initial_state.shape[0] != N:
        raise ValueError(f"initial_state: of {initial_state.shape[0]} "
                         f"sequences, and cu_seqlens has {N}")


def _check_gate(v, g, gk, gv, beta, use_gate, A_log, use_sigmoid, neg_eigval):
    """Whether the gate is computed inside."""
    if use_gate and A_log is None:
        raise ValueError("use_gate_in_kernel needs A_log")
    if use_gate and g is None:
        raise ValueError("use_gate_in_kernel needs g")
    if neg_eigval and not use_sigmoid:
        raise ValueError("allow_neg_eigval needs use_beta_sigmoid_in_kernel")
    if gk is not None:
        refuse("gk", "the decay is one number for each head; use g")
    if gv is not None:
        refuse("gv", "the decay is one number for each head; use g")
    if beta is not None and len(beta.shape) == len(v.shape):
        refuse("beta of shape [B, T, HV, V]", "it is one number for each head")
    if bool(use_gate) != bool(use_sigmoid):
        name = ("use_gate_in_kernel" if use_gate else
                "use_beta_sigmoid_in_kernel")
        refuse(f"{name}=True alone", "use_gate_in_kernel and "
               "use_beta_sigmoid_in_kernel go together")
    if use_gate and beta is None:
        refuse("beta=None with use_beta_sigmoid_in_kernel", "give its logits")
    return bool(use_gate)


def _final_state(q, v, initial_state, N, v_first):
    """Where the state is updated: a float32 copy of the initial one."""
    K, V = q.shape[-1], v.shape[-1]
    shape = (N, v.shape[2], V, K) if v_first else (N, v.shape[2], K, V)
    if initial_state is None:
        return frameworks.of(q).zeros(shape, "f32", q)
    if tuple(initial_state.shape) != shape:
        raise ValueError(f"initial_state: shape {list(initial_state.shape)}, "
                         f"must be {list(shape)} with "
                         f"state_v_first={bool(v_first)}")
    return frameworks.of(initial_state).copy(initial_state, "f32")


def _runs(lengths):
    """(first sequence, sequences, tokens of each) for runs of one length."""
    first = 0
    for n in range(1, len(lengths) + 1):
        if n == len(lengths) or lengths[n] != lengths[first]:
            yield first, n - first, lengths[first]
            first = n


def _packed(call, q, k, v, g, beta, state, cu_seqlens):
    """o of sequences that follow each other along T, [1, total, HV, V]."""
    starts = frameworks.of(cu_seqlens).tolist(cu_seqlens)
    total = q.shape[1]
    lengths = [b - a for a, b in zip(starts, starts[1:])]
    if starts[0] != 0 or starts[-1] != total or min(lengths, default=0) < 0:
        raise ValueError(f"cu_seqlens: must rise from 0 to the {total} tokens "
                         f"of q, and is {starts}")
    framework = frameworks.of(v)
    o = framework.empty(tuple(v.shape), framework.dtype_of(v), v)
    for first, n, T in _runs(lengths):
        if T == 0:
            continue
        tokens = slice(starts[first], starts[first] + n * T)
        rows = [None if x is None else _rows(x, tokens, n, T)
                for x in (q, k, v, g, beta)]
        call(*rows, state[first:first + n], out=_rows(o, tokens, n, T))
    return o


def _rows(x, tokens, n, T):
    """[1, total, ..] cut to [n, T, ..]: a view where the tokens are evenly
    spaced, as they are in a slice of a packed tensor."""
    return x[0, tokens].reshape(n, T, *x.shape[2:])
