"""gdr.fla: the arguments, shapes, defaults and errors of FLA 0.6, against the
oracle."""

import inspect

import numpy as np
import oracle
import pytest
from oracle import Inputs, close, read, store

import gdr
from gdr.fla import fused_recurrent_gated_delta_rule as door
from gdr.fla import fused_recurrent_gdn

pytestmark = pytest.mark.usefixtures("generic")

K, V = 32, 16


def kv(x, v_first):
    return np.swapaxes(x, -1, -2) if v_first else x


def expect(x, initial, N=None, **options):
    """(o, final states [N, Hv, K, V]) for initial [N, Hv, K, V]."""
    final = initial.copy()

    def save(b, t, S):
        final[b] = S
        return S
    g = options.pop("g", x.read()[3])
    beta = options.pop("beta", x.read()[4])
    o = oracle.run(*x.read()[:3], g, beta, lambda b: initial[b], save,
                   **options)
    return o, final


def test_signature():
    parameters = inspect.signature(door).parameters
    assert list(parameters) == [
        "q", "k", "v", "g", "gk", "gv", "beta", "scale", "initial_state",
        "output_final_state", "use_qk_l2norm_in_kernel", "use_gate_in_kernel",
        "A_log", "dt_bias", "use_beta_sigmoid_in_kernel", "allow_neg_eigval",
        "state_v_first", "cu_seqlens", "kwargs"]
    assert [p.default for p in parameters.values()][3:18] == [
        None] * 6 + [False] * 3 + [None] * 2 + [False] * 3 + [None]
    assert fused_recurrent_gdn is door


@pytest.mark.parametrize("v_first", [False, True])
@pytest.mark.parametrize("io", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("l2norm", [False, True])
def test_from_an_initial_state(v_first, io, l2norm):
    x = Inputs(B=2, T=3, Hk=2, Hv=4, K=K, V=V, io=io)
    initial = x.state(2, 4, *((V, K) if v_first else (K, V)))
    before = initial.copy()
    o, want = expect(x, kv(read(initial), v_first), l2norm=l2norm)
    got, final = door(x.q, x.k, x.v, x.g, beta=x.beta, initial_state=initial,
                      output_final_state=True, state_v_first=v_first,
                      use_qk_l2norm_in_kernel=l2norm)
    close(got, o, io, "o")
    close(kv(final, v_first), want, "f32", "final state")
    assert final.dtype == np.float32 and (initial == before).all()


def test_defaults():
    """From zeros, no decay, beta 1, scale K^-0.5, no final state."""
    x = Inputs(B=2, T=3, K=K, V=V)
    o, _ = expect(x, np.zeros((2, 2, K, V)), g=None, beta=None)
    got, final = door(x.q, x.k, x.v)
    assert final is None
    close(got, o, "f32")


def test_a_state_in_bf16_becomes_float32():
    x = Inputs(B=1, K=K, V=V, io="bf16")
    initial = x.state(1, 2, K, V, dtype="bf16")
    o, want = expect(x, read(initial))
    got, final = door(x.q, x.k, x.v, x.g, beta=x.beta, initial_state=initial,
                      output_final_state=True)
    close(got, o, "bf16")
    close(final, want, "f32")


@pytest.mark.parametrize("neg_eigval", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_gate_in_kernel(neg_eigval, bias):
    x = Inputs(B=2, T=2, K=K, V=V)
    a, b = (x.rng.uniform(-3, 3, (2, 2, 2)).astype("f4") for _ in range(2))
    A_log = x.rng.uniform(-1, 1, 2).astype("f4")
    dt_bias = store(x.rng.uniform(-1, 1, 2), "bf16") if bias else None
    g, beta = oracle.fused_gate(a, b, A_log, read(dt_bias) if bias else 0,
                                neg_eigval)
    o, want = expect(x, np.zeros((2, 2, K, V)), g=g, beta=beta)
    got, final = door(x.q, x.k, x.v, a, beta=b, use_gate_in_kernel=True,
                      use_beta_sigmoid_in_kernel=True, A_log=A_log,
                      dt_bias=dt_bias, allow_neg_eigval=neg_eigval,
                      output_final_state=True)
    close(got, o, "f32")
    close(final, want, "f32")


@pytest.mark.parametrize("lengths", [
    [1, 1, 1], [4], [2, 2, 5], [3, 0, 1, 1, 0], [1, 2, 3]])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_sequences_behind_each_other(lengths, index):
    N, total = len(lengths), sum(lengths)
    x = Inputs(B=1, T=total, Hk=1, Hv=2, K=K, V=V)
    initial = x.state(N, 2, K, V)
    cu = np.cumsum([0, *lengths]).astype(index)
    parts = [np.zeros((1, 0, 2, V))]
    want = read(initial)
    for n in range(N):
        def save(b, t, S):
            want[n] = S
            return S
        tokens = slice(cu[n], cu[n + 1])
        parts.append(oracle.run(*(y[:, tokens] for y in x.read()),
                                lambda b: want[n].copy(), save))
    got, final = door(x.q, x.k, x.v, x.g, beta=x.beta, initial_state=initial,
                      output_final_state=True, cu_seqlens=cu)
    assert got.shape == x.v.shape
    close(got, np.concatenate(parts, 1), "f32")
    close(final, want, "f32")


def call(**changes):
    x = Inputs(B=1, T=4, K=K, V=V)
    return door(**{**dict(q=x.q, k=x.k, v=x.v, g=x.g, beta=x.beta),
                   **changes})


GATE = np.zeros((1, 4, 2), "f4")


# FLA raises ValueError for each of these.
@pytest.mark.parametrize("changes, says", [
    (dict(cu_seqlens=np.array([0, 4]), q=np.zeros((2, 4, 1, K), "f4")),
     "batch size 2, must be 1"),
    (dict(cu_seqlens=np.array([0, 4]),
          initial_state=np.zeros((2, 2, K, V), "f4")), "of 2 sequences"),
    (dict(use_gate_in_kernel=True), "needs A_log"),
    (dict(use_gate_in_kernel=True, A_log=np.zeros(2, "f4"), g=None),
     "needs g"),
    (dict(allow_neg_eigval=True), "allow_neg_eigval needs"),
    (dict(state_v_first=True, transpose_state_layout=True), "one argument"),
])
def test_value_errors(changes, says):
    with pytest.raises(ValueError, match=says):
        call(**changes)


@pytest.mark.parametrize("cu", [[0, 3], [1, 4], [0, 3, 2, 4]])
def test_lengths_that_do_not_add_up(cu):
    with pytest.raises(ValueError, match="cu_seqlens: must rise from 0 to"):
        call(cu_seqlens=np.array(cu))


@pytest.mark.parametrize("changes, says", [
    (dict(gk=np.zeros((1, 4, 2, K), "f4")), "gk: not served"),
    (dict(gv=np.zeros((1, 4, 2, V), "f4")), "gv: not served"),
    (dict(beta=np.zeros((1, 4, 2, V), "f4")), "beta of shape"),
    (dict(use_beta_sigmoid_in_kernel=True),
     "use_beta_sigmoid_in_kernel=True alone"),
    (dict(use_gate_in_kernel=True, A_log=np.zeros(2, "f4")),
     "use_gate_in_kernel=True alone"),
    (dict(q=np.zeros((1, 4, 1, K))), "q of dtype <f8"),
    (dict(head_first=True), "head_first: not served"),
])
def test_what_is_not_served_is_named(changes, says):
    with pytest.raises(gdr.UnsupportedError, match=says):
        call(**changes)


def test_the_older_name_of_state_v_first():
    with pytest.warns(DeprecationWarning, match="state_v_first"):
        _, final = call(transpose_state_layout=True, output_final_state=True)
    assert final.shape == (1, 2, V, K)
