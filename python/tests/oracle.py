"""oracle.py - the gated delta rule in float64, from its definition alone.

Shares nothing with libgdr: written token by token in NumPy. Arrays are float64
except where a dtype is named; "bf16" arrays are uint16 bit patterns.
"""

import numpy as np


def to_bf16(x):
    """Rounded to nearest, ties to even; as bit patterns."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def store(x, dtype):
    """An array as memory of a dtype has it."""
    if dtype == "bf16":
        return to_bf16(x)
    return np.asarray(x, {"f32": np.float32, "f16": np.float16}[dtype])


def read(x):
    """Its value in float64."""
    return (from_bf16(x) if x.dtype == np.uint16 else x).astype(np.float64)


def normalise(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-6)


def softplus(x):
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def fused_gate(a, b, A_log, dt_bias, double=False):
    """(g, beta) of the projections a, b [B, T, Hv]."""
    return (-np.exp(A_log) * softplus(a + dt_bias),
            sigmoid(b) * (2 if double else 1))


def token(S, q, k, v, g, beta):
    """(S, o) after one token; S [Hv, K, V], q, k [Hv, K], v [Hv, V]."""
    S = np.exp(g)[:, None, None] * S
    d = beta[:, None] * (v - np.einsum("hk,hkv->hv", k, S))
    S = S + np.einsum("hk,hv->hkv", k, d)
    return S, np.einsum("hk,hkv->hv", q, S)


def run(q, k, v, g, beta, load, save, scale=None, l2norm=False,
        head_mod=False):
    """o [B, T, Hv, V]. load(b) -> S [Hv, K, V], or None: a sequence without a
    state. save(b, t, S) -> the S that the next token starts from."""
    B, T, Hk, K = q.shape
    Hv, V = v.shape[2:]
    head = [hv % Hk if head_mod else hv // (Hv // Hk) for hv in range(Hv)]
    if l2norm:
        q, k = normalise(q), normalise(k)
    q = q * (K ** -0.5 if scale is None else scale)
    g = np.zeros((B, T, Hv)) if g is None else g
    beta = np.ones((B, T, Hv)) if beta is None else beta
    o = np.zeros((B, T, Hv, V))
    for b in range(B):
        S = load(b)
        if S is None:
            continue
        for t in range(T):
            S, o[b, t] = token(S, q[b, t, head], k[b, t, head], v[b, t],
                               g[b, t], beta[b, t])
            S = save(b, t, S)
    return o


def close(got, want, dtype, what=""):
    """Equal to float32 arithmetic's error and the dtype's rounding."""
    got = read(got) if got.dtype != np.float64 else got
    ulp = {"f32": 2.0 ** -23, "f16": 2.0 ** -10, "bf16": 2.0 ** -7}[dtype]
    bound = ulp * np.abs(want) + 2e-6 * (1 + np.abs(want).max(initial=0))
    wrong = ~(np.abs(got - want) <= bound)
    assert not wrong.any(), (
        f"{what}: {wrong.sum()} of {wrong.size} differ, first at "
        f"{np.argwhere(wrong)[0]}: {got[wrong][0]} is not {want[wrong][0]}")


class Inputs:
    """Random q, k, v, g, beta of a call, as memory has them."""

    def __init__(self, B=2, T=1, Hk=1, Hv=2, K=32, V=16, io="f32", seed=0):
        rng = np.random.default_rng(seed)

        def draw(*shape):
            return store(rng.uniform(-1, 1, shape), io)

        self.rng, self.io = rng, io
        self.q, self.k = draw(B, T, Hk, K), draw(B, T, Hk, K)
        self.v = draw(B, T, Hv, V)
        self.g = store(-rng.uniform(0, 1, (B, T, Hv)), "f32")
        self.beta = store(rng.uniform(0, 1, (B, T, Hv)), "f32")

    def state(self, *shape, dtype="f32"):
        return store(self.rng.uniform(-1, 1, shape), dtype)

    def read(self):
        return [read(x) for x in (self.q, self.k, self.v, self.g, self.beta)]
