"""gdr.lmdeploy: lmdeploy's arguments, shapes, defaults, in-place behaviour and
assertions, against the oracle."""

import inspect

import numpy as np
import oracle
import pytest
from oracle import Inputs, close, read

import gdr
from gdr.lmdeploy import fused_recurrent_gated_delta_rule as door

pytestmark = pytest.mark.usefixtures("generic")

K, V = 32, 16


def dims(transposed):
    return (V, K) if transposed else (K, V)


def kv(x, transposed):
    return np.swapaxes(x, -1, -2) if transposed else x


def test_signature():
    parameters = inspect.signature(door).parameters
    assert list(parameters) == [
        "q", "k", "v", "g", "beta", "scale", "initial_state",
        "output_final_state", "use_qk_l2norm_in_kernel", "state_indices",
        "cache_seqlens", "transpose_state_layout"]
    assert [p.default for p in parameters.values()] == [
        inspect.Parameter.empty] * 3 + [None] * 4 + [False] * 2 + [
        None] * 2 + [False]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("io, dtype", [("f32", "f32"), ("bf16", "f32"),
                                       ("bf16", "bf16"), ("f16", "f16")])
@pytest.mark.parametrize("l2norm", [False, True])
@pytest.mark.parametrize("rank", [4, 5])
def test_pool(transposed, io, dtype, l2norm, rank):
    """Slots by index, with padding; of a rank-5 pool state 0 alone."""
    x = Inputs(B=3, T=2, Hk=1, Hv=2, K=K, V=V, io=io)
    lead = (5, 2) if rank == 4 else (5, 3, 2)
    pool = x.state(*lead, *dims(transposed), dtype=dtype)
    before, slots = pool.copy(), np.array([3, -1, 0], np.int64)
    want = kv(read(pool), transposed).copy()
    at = want if rank == 4 else want[:, 0]

    def save(b, t, S):
        at[slots[b]] = S
        return S
    o = oracle.run(*x.read(),
                   lambda b: at[slots[b]].copy() if slots[b] >= 0 else None,
                   save, l2norm=l2norm)
    got, final = door(x.q, x.k, x.v, x.g, x.beta, initial_state=pool,
                      output_final_state=True, use_qk_l2norm_in_kernel=l2norm,
                      state_indices=slots, transpose_state_layout=transposed)
    assert final is pool and got.dtype == x.v.dtype
    close(got, o, io, "o")
    close(kv(pool, transposed), want, dtype, "state")
    assert (got[1] == 0).all()
    assert (pool[[1, 2, 4]] == before[[1, 2, 4]]).all()
    if rank == 5:
        assert (pool[:, 1:] == before[:, 1:]).all()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("io, dtype", [("f32", "f32"), ("bf16", "bf16")])
def test_ring(transposed, io, dtype):
    B, T, R = 3, 3, 4
    x = Inputs(B=B, T=T, Hk=1, Hv=2, K=K, V=V, io=io)
    pool = x.state(4, R, 2, *dims(transposed), dtype=dtype)
    slots, seqlens = np.array([2, 7, 0], "i8"), np.array([9, 0, 2], "i4")
    want = kv(read(pool), transposed).copy()
    start = {b: want[slots[b], seqlens[b] % R].copy() for b in (0, 2)}

    def save(b, t, S):
        S = oracle.read(oracle.store(S, dtype))
        want[slots[b], (seqlens[b] + 1 + t) % R] = S
        return S
    o = oracle.run(*x.read(), start.get, save)
    got, final = door(x.q, x.k, x.v, x.g, x.beta, initial_state=pool,
                      output_final_state=True, state_indices=slots,
                      cache_seqlens=seqlens, transpose_state_layout=transposed)
    assert final is pool
    close(got, o, io, "o")
    if dtype == "f32":
        close(kv(pool, transposed), want, dtype, "state")
    else:
        assert abs(kv(read(pool), transposed) - want).max() < 2e-2


def test_ring_of_rank_4_is_of_one():
    x = Inputs(B=2, Hv=2, K=K, V=V)
    pool = x.state(2, 2, K, V)
    S = read(pool)
    o = oracle.run(*x.read(), lambda b: S[b], lambda b, t, S: S)
    got, final = door(x.q, x.k, x.v, x.g, x.beta, initial_state=pool,
                      output_final_state=True,
                      cache_seqlens=np.array([5, 0], "i4"))
    assert final is pool
    close(got, o, "f32")
    assert abs(pool - S).max() > 1e-3


@pytest.mark.parametrize("seqlens", [None, np.zeros(2, "i4")])
def test_without_a_final_state_nothing_is_written(seqlens):
    x = Inputs(B=2, T=1, Hv=2, K=K, V=V)
    pool = x.state(2, 2, K, V)
    before = pool.copy()
    o, final = door(x.q, x.k, x.v, x.g, x.beta, initial_state=pool,
                    cache_seqlens=seqlens)
    assert final is None and (pool == before).all()
    again, _ = door(x.q, x.k, x.v, x.g, x.beta, initial_state=pool,
                    cache_seqlens=seqlens, output_final_state=True)
    assert (o == again).all() and not (pool == before).all()


def test_defaults():
    """No decay, beta 1, scale K^-0.5."""
    x = Inputs(B=1, T=2, Hv=2, K=K, V=V)
    pool = x.state(1, 2, K, V)
    S = read(pool)
    o = oracle.run(*x.read()[:3], None, None, lambda b: S[b],
                   lambda b, t, S: S)
    close(door(x.q, x.k, x.v, initial_state=pool)[0], o, "f32")
    o = oracle.run(*x.read()[:3], None, None, lambda b: S[b],
                   lambda b, t, S: S, scale=2)
    close(door(x.q, x.k, x.v, None, None, 2, pool)[0], o, "f32")


def call(K=K, **changes):
    x = Inputs(B=2, T=1, Hv=2, K=K, V=V)
    arguments = dict(q=x.q, k=x.k, v=x.v, g=x.g, beta=x.beta,
                     initial_state=x.state(2, 2, K, V),
                     output_final_state=True)
    arguments.update(changes)
    return door(**arguments)


# lmdeploy asserts each of these.
@pytest.mark.parametrize("changes, says", [
    (dict(K=40), "K = 40: must be a multiple of 32"),
    (dict(g=np.zeros((2, 1, 4), "f4")[..., ::2]), "g: must be contiguous"),
    (dict(beta=np.zeros((2, 1, 4), "f4")[..., ::2]), "beta: must be contig"),
    (dict(initial_state=None), "initial_state is None"),
    (dict(initial_state=None, state_indices=np.zeros(2, "i8")),
     "state_indices need an initial_state"),
    (dict(state_indices=np.zeros(4, "i8")[::2]),
     "state_indices: must be contiguous"),
    (dict(state_indices=np.zeros(3, "i8")), "state_indices: shape"),
    (dict(cache_seqlens=np.zeros(4, "i4")[::2]),
     "cache_seqlens: must be contiguous"),
    (dict(cache_seqlens=np.zeros(3, "i4")), "cache_seqlens: shape"),
    (dict(cache_seqlens=np.zeros(2, "i8")), "cache_seqlens: must be int32"),
    (dict(transpose_state_layout=True), r"must end in \[16, 32\]"),
])
def test_assertions(changes, says):
    with pytest.raises(AssertionError, match=says):
        call(**changes)


def test_more_slots_than_sequences_need_indices():
    with pytest.raises(AssertionError, match="there must be B = 2"):
        call(initial_state=np.zeros((3, 2, K, V), "f4"))


@pytest.mark.parametrize("changes, says", [
    (dict(initial_state=np.zeros((2, 2, K, V), "f2")),
     "initial_state of dtype f16"),
    (dict(q=np.zeros((2, 1, 1, K))), "q of dtype <f8"),
])
def test_what_is_not_served_is_named(changes, says):
    with pytest.raises(gdr.UnsupportedError, match=says):
        call(**changes)


def test_a_ring_that_is_too_short():
    x = Inputs(B=2, T=3, Hv=2, K=K, V=V)
    with pytest.raises(gdr.ArgumentError, match="ring = 2"):
        door(x.q, x.k, x.v, initial_state=x.state(2, 2, 2, K, V),
             output_final_state=True, cache_seqlens=np.zeros(2, "i4"))
