"""The calls of docs/engines.md, as vLLM and SGLang would make them."""

import numpy as np
import oracle
import pytest
from oracle import Inputs, close, read, store

import gdr

pytestmark = pytest.mark.usefixtures("generic")

HK, HV, K, V = 2, 4, 32, 16


def rows(x, B):
    """[1, B T, H, ..] -> [B, T, H, ..]"""
    return x.reshape(B, -1, *x.shape[2:])


def packed(x):
    """[B, T, H, ..] as the engines have it, all tokens behind each other."""
    return x.reshape(1, -1, *x.shape[2:])


def kv(S):
    return np.swapaxes(S, -1, -2)


def test_vllm_decode():
    """One token, state_indices [B], 0 the null block."""
    B = 3
    x = Inputs(B=B, Hk=HK, Hv=HV, K=K, V=V, io="bf16")
    pool = x.state(5, HV, V, K)
    before, slots = pool.copy(), np.array([4, 0, 2], "i4")
    want = kv(read(pool)).copy()

    def save(b, t, S):
        want[slots[b]] = S
        return S
    o = oracle.run(*x.read(), lambda b: want[slots[b]].copy()
                   if slots[b] >= 1 else None, save, l2norm=True)
    layer = gdr.Recurrent("recurrent:indexed:vk:bf16/f32:k32v16:l2norm:g",
                          index_min=1)
    got = layer(*[rows(packed(y), B) for y in (x.q, x.k, x.v, x.g, x.beta)],
                state=pool, state_indices=slots)
    close(got, o, "bf16")
    close(kv(pool), want, "f32")
    assert (pool[0] == before[0]).all() and (got[1] == 0).all()


@pytest.mark.parametrize("fused", [False, True])
def test_vllm_drafted_tokens(fused):
    B, T = 2, 3
    x = Inputs(B=B, T=T, Hk=HK, Hv=HV, K=K, V=V, io="bf16")
    pool = x.state(7, HV, V, K)
    slots = np.array([[1, 2, 3], [6, 5, 4]], "i4")
    accepted = np.array([3, 1], "i4")
    start = kv(read(pool))[slots[[0, 1], accepted - 1]].copy()
    want = kv(read(pool)).copy()
    g, beta, gate = *x.read()[3:], dict(g=x.g, beta=x.beta)
    if fused:
        a, b = (store(x.rng.uniform(-2, 2, (B, T, HV)), "bf16")
                for _ in range(2))
        A_log, dt_bias = (x.rng.uniform(-1, 1, HV).astype("f4")
                          for _ in range(2))
        g, beta = oracle.fused_gate(read(a), read(b), A_log, dt_bias)
        gate = dict(a=a, b=b, A_log=A_log, dt_bias=dt_bias)

    def save(b, t, S):
        want[slots[b, t]] = S
        return S
    o = oracle.run(*x.read()[:3], g, beta, lambda b: start[b], save,
                   l2norm=True)
    layer = gdr.Recurrent("recurrent:indexed:vk:bf16/f32:k32v16:l2norm:"
                          + ("fused" if fused else "g"), index_min=1)
    got = layer(*[rows(packed(y), B) for y in (x.q, x.k, x.v)], state=pool,
                state_indices=slots, accepted=accepted, **gate)
    close(got, o, "bf16")
    close(kv(pool), want, "f32")


def sglang(B, T):
    """mixed_qkv's slices, a, b, A_log, dt_bias, and what they are."""
    x = Inputs(B=B, T=T, Hk=HK, Hv=HV, K=K, V=V, io="bf16")
    mixed = np.concatenate([y.reshape(B, T, -1) for y in (x.q, x.k, x.v)], -1)
    q, k, v = np.split(mixed, [HK * K, 2 * HK * K], -1)
    qkv = (q.reshape(B, T, HK, K), k.reshape(B, T, HK, K),
           v.reshape(B, T, HV, V))
    a, b = (store(x.rng.uniform(-2, 2, (B, T, HV)), "bf16") for _ in range(2))
    A_log, dt_bias = (x.rng.uniform(-1, 1, HV).astype("f4") for _ in range(2))
    gate = dict(a=a, b=b, A_log=A_log, dt_bias=dt_bias)
    return x, qkv, gate, oracle.fused_gate(read(a), read(b), A_log, dt_bias)


def test_sglang_decode():
    B = 3
    x, qkv, gate, (g, beta) = sglang(B, 1)
    pool = x.state(4, HV, V, K)
    slots = np.array([2, -1, 1], "i4")
    want = kv(read(pool)).copy()

    def save(b, t, S):
        want[slots[b]] = S
        return S
    o = oracle.run(*x.read()[:3], g, beta, lambda b: want[slots[b]].copy()
                   if slots[b] >= 0 else None, save, l2norm=True)
    layer = gdr.Recurrent("recurrent:final:vk:bf16/f32:k32v16:l2norm:fused")
    got = layer(*qkv, state=pool, state_indices=slots, **gate)
    close(got, o, "bf16")
    close(kv(pool), want, "f32")


@pytest.mark.parametrize("by_slot", [False, True])
def test_sglang_target_verify(by_slot):
    B, T = 2, 3
    x, qkv, gate, (g, beta) = sglang(B, T)
    pool = x.state(4, HV, V, K)
    before, slots = pool.copy(), np.array([3, 1], "i4")
    buffer = np.zeros((4, T, HV, V, K), "f4")
    want = np.zeros((4, T, HV, K, V))

    def save(b, t, S):
        want[slots[b] if by_slot else b, t] = S
        return S
    o = oracle.run(*x.read()[:3], g, beta,
                   lambda b: kv(read(before[slots[b]])), save, l2norm=True)
    layer = gdr.Recurrent(
        "recurrent:snapshots:vk:bf16/f32:k32v16:l2norm:fused",
        update_state=False, snapshot_by_slot=by_slot)
    got = layer(*qkv, state=pool, state_indices=slots, snapshots=buffer,
                **gate)
    close(got, o, "bf16")
    close(kv(buffer), want, "f32")
    assert (pool == before).all()
