"""gdr.Recurrent on NumPy's arrays against the oracle, every contract."""

import threading

import numpy as np
import oracle
import pytest
from oracle import Inputs, close, read, store
from test_arrays import Pack

import gdr

pytestmark = pytest.mark.usefixtures("generic")

K, V = 32, 16


def head(S, layout):
    """[.., K, V] as the layout keeps it, and back."""
    return np.swapaxes(S, -1, -2) if layout == "vk" else S


def state_of(x, layout, *lead, dtype="f32"):
    dims = (V, K) if layout == "vk" else (K, V)
    return x.state(*lead, *dims, dtype=dtype)


@pytest.mark.parametrize("layout", ["vk", "kv"])
@pytest.mark.parametrize("io, dtype", [
    ("f32", "f32"), ("bf16", "f32"), ("bf16", "bf16"), ("f16", "f32"),
    ("f16", "f16")])
@pytest.mark.parametrize("l2norm", [False, True])
def test_final(layout, io, dtype, l2norm):
    x = Inputs(B=3, T=2, Hk=2, Hv=4, K=K, V=V, io=io)
    state = state_of(x, layout, 3, 4, dtype=dtype)
    want = head(read(state), layout).copy()

    def save(b, t, S):
        want[b] = S
        return S
    o = oracle.run(*x.read(), lambda b: want[b].copy(), save, l2norm=l2norm)
    layer = gdr.Recurrent(f"recurrent:final:{layout}:{io}/{dtype}:k{K}v{V}"
                          + (":l2norm" if l2norm else "") + ":g")
    got = layer(x.q, x.k, x.v, x.g, x.beta, state=state)
    assert got.dtype == x.v.dtype and got.shape == x.v.shape
    close(got, o, io, "o")
    close(head(state, layout), want, dtype, "state")


def test_without_gates_and_with_a_scale():
    x = Inputs(B=2, T=3)
    state = x.state(2, 2, V, K)
    S = read(state)
    o = oracle.run(*x.read()[:3], None, None,
                   lambda b: head(S[b], "vk"), lambda b, t, S: S, scale=0.5)
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g", scale=0.5)
    close(layer(x.q, x.k, x.v, state=state), o, "f32")


def test_head_mod():
    x = Inputs(B=1, Hk=2, Hv=4)
    state = x.state(1, 4, V, K)
    S = read(state)
    want = [oracle.run(*x.read(), lambda b: head(S[b], "vk"),
                       lambda b, t, S: S, head_mod=mod)
            for mod in (False, True)]
    assert abs(want[0] - want[1]).max() > 1e-3
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g",
                          head_mod=True)
    close(layer(x.q, x.k, x.v, x.g, x.beta, state=state), want[1], "f32")


def test_alpha():
    x = Inputs()
    state = x.state(2, 2, V, K)
    again = state.copy()
    log = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g")
    linear = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g", alpha=True)
    o = log(x.q, x.k, x.v, x.g, x.beta, state=state)
    close(linear(x.q, x.k, x.v, np.exp(x.g), x.beta, state=again), read(o),
          "f32")


@pytest.mark.parametrize("neg_eigval", [False, True])
@pytest.mark.parametrize("gates", ["f32", "bf16"])
def test_fused_gate(neg_eigval, gates):
    x = Inputs(B=2, T=2, io="bf16")
    a, b = (store(x.rng.uniform(-3, 3, (2, 2, 2)), gates) for _ in range(2))
    A_log, dt_bias = (x.rng.uniform(-1, 1, 2).astype("f4") for _ in range(2))
    state = x.state(2, 2, V, K)
    S0 = read(state)
    g, beta = oracle.fused_gate(read(a), read(b), A_log, dt_bias, neg_eigval)
    o = oracle.run(*x.read()[:3], g, beta, lambda n: head(S0[n], "vk"),
                   lambda n, t, S: S)
    layer = gdr.Recurrent("recurrent:final:vk:bf16/f32:k32v16:fused",
                          neg_eigval=neg_eigval)
    close(layer(x.q, x.k, x.v, a=a, b=b, A_log=A_log, dt_bias=dt_bias,
                state=state), o, "bf16")


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_padding_slots(index):
    """-1, an index past the pool, and one below index_min: o is 0, no state
    is touched."""
    x = Inputs(B=4)
    pool = x.state(6, 2, V, K)
    before, slots = pool.copy(), np.array([4, -1, 6, 0], index)
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g", index_min=1)
    o = layer(x.q, x.k, x.v, x.g, x.beta, state=pool, state_indices=slots)
    want = oracle.run(*x.read(),
                      lambda b: head(read(before[4]), "vk") if b == 0 else None,
                      lambda b, t, S: S)
    close(o, want, "f32")
    assert (o[1:] == 0).all() and (o[0] != 0).any()
    assert (pool[[0, 1, 2, 3, 5]] == before[[0, 1, 2, 3, 5]]).all()
    assert (pool[4] != before[4]).any()


def test_packed_projections_and_a_padded_pool():
    """q, k, v as slices of one tensor, slots with room between them."""
    B, T, Hk, Hv = 2, 3, 2, 4
    x = Inputs(B=B, T=T, Hk=Hk, Hv=Hv)
    packed = np.concatenate([x.q.reshape(B, T, -1), x.k.reshape(B, T, -1),
                             x.v.reshape(B, T, -1)], -1)
    q = packed[..., :Hk * K].reshape(B, T, Hk, K)
    k = packed[..., Hk * K:2 * Hk * K].reshape(B, T, Hk, K)
    v = packed[..., 2 * Hk * K:].reshape(B, T, Hv, V)
    assert not v.flags.c_contiguous and v.base is not None
    room = x.state(5, 2, Hv, V, K)
    pool, before = room[:, 0], room.copy()
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g")
    o = layer(q, k, v, x.g, x.beta, state=pool,
              state_indices=np.array([3, 1], "i4"))
    want = oracle.run(*x.read(),
                      lambda b: head(read(before[[3, 1][b], 0]), "vk"),
                      lambda b, t, S: S)
    close(o, want, "f32")
    assert (room[:, 1] == before[:, 1]).all()


def test_ring():
    B, T, R = 3, 2, 3
    x = Inputs(B=B, T=T, io="bf16")
    pool = x.state(4, R, 2, V, K, dtype="bf16")
    slots, seqlens = np.array([2, -1, 0], "i4"), np.array([7, 1, 2], "i4")
    want = head(read(pool), "vk").copy()

    def save(b, t, S):
        stored = oracle.from_bf16(oracle.to_bf16(S)).astype(np.float64)
        want[slots[b], (seqlens[b] + 1 + t) % R] = stored
        return stored

    def load(b):
        return want[slots[b], seqlens[b] % R].copy() if slots[b] >= 0 else None
    o = oracle.run(*x.read(), load, save)
    layer = gdr.Recurrent("recurrent:ring:vk:bf16/bf16:k32v16:g:round")
    got = layer(x.q, x.k, x.v, x.g, x.beta, state=pool, state_indices=slots,
                cache_seqlens=seqlens)
    close(got, o, "bf16")
    # A state that was rounded the other way once differs by an ulp after.
    assert abs(head(read(pool), "vk") - want).max() < 2e-2


def test_indexed():
    B, T = 2, 3
    x = Inputs(B=B, T=T)
    pool = x.state(9, 2, V, K)
    rows = np.array([[1, 2, 3, 0], [6, 5, 4, 0]], "i4")  # wider than T
    accepted = np.array([2, 1], "i4")
    want = head(read(pool), "vk").copy()
    start = [want[2].copy(), want[6].copy()]

    def save(b, t, S):
        want[rows[b, t]] = S
        return S
    o = oracle.run(*x.read(), lambda b: start[b], save)
    layer = gdr.Recurrent("recurrent:indexed:vk:f32/f32:k32v16:g",
                          index_min=1)
    got = layer(x.q, x.k, x.v, x.g, x.beta, state=pool, state_indices=rows,
                accepted=accepted)
    close(got, o, "f32")
    close(head(pool, "vk"), want, "f32")


@pytest.mark.parametrize("update", [False, True])
def test_snapshots(update):
    B, T = 2, 2
    x = Inputs(B=B, T=T)
    state = x.state(B, 2, V, K)
    before = state.copy()
    wide = np.zeros((B, T + 1, 2, V, K), "f4")  # room for one more token
    want = np.zeros((B, T, 2, K, V))

    def save(b, t, S):
        want[b, t] = S
        return S
    oracle.run(*x.read(), lambda b: head(read(before[b]), "vk"), save)
    layer = gdr.Recurrent("recurrent:snapshots:vk:f32/f32:k32v16:g",
                          update_state=update)
    layer(x.q, x.k, x.v, x.g, x.beta, state=state, snapshots=wide)
    snapshots = wide[:, :T]
    assert (wide[:, T] == 0).all()
    close(head(snapshots, "vk"), want, "f32")
    assert (state == (snapshots[:, -1] if update else before)).all()


def test_dlpack_alone():
    x = Inputs()
    state = x.state(2, 2, V, K)
    other, out = state.copy(), np.zeros_like(x.v)
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g")
    want = layer(x.q, x.k, x.v, x.g, x.beta, state=state)
    for _ in range(2):
        np.copyto(state, other)
        layer(*map(Pack, (x.q, x.k, x.v, x.g, x.beta)), state=Pack(state),
              out=Pack(out))
        assert (out == want).all()
    with pytest.raises(gdr.ArgumentError, match="out: nothing can be alloc"):
        layer(*map(Pack, (x.q, x.k, x.v, x.g, x.beta)), state=Pack(state))


def test_only_addresses_change():
    """The second call with equal shapes is bound already, and right."""
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g")
    outs = []
    for _ in range(2):
        x = Inputs()  # equal data elsewhere
        state = x.state(2, 2, V, K)
        outs.append(layer(x.q, x.k, x.v, x.g, x.beta, state=state))
        bound = layer._local.last
    assert (outs[0] == outs[1]).all() and outs[0] is not outs[1]
    assert list(layer._local.bound.values()) == [bound]
    x = Inputs(B=3)
    layer(x.q, x.k, x.v, x.g, x.beta, state=x.state(3, 2, V, K))
    assert len(layer._local.bound) == 2


def test_an_output_of_the_caller_s():
    x = Inputs(B=2, T=3)
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g")
    state = x.state(2, 2, V, K)
    want = layer(x.q, x.k, x.v, x.g, x.beta, state=state.copy())
    wide = np.zeros((2, 3, 4, V), "f4")
    out = wide[:, :, 1:3]
    got = layer(x.q, x.k, x.v, x.g, x.beta, state=state, out=out)
    assert got is out and (out == want).all()
    assert (wide[:, :, [0, 3]] == 0).all()


def test_the_reference():
    x = Inputs(B=2, T=3, io="bf16")
    state = x.state(2, 2, V, K)
    again = state.copy()
    layer = gdr.Recurrent("recurrent:final:vk:bf16/f32:k32v16:l2norm:g")
    want = layer.reference(x.q, x.k, x.v, x.g, x.beta, state=state)
    got = layer(x.q, x.k, x.v, x.g, x.beta, state=again)
    close(got, read(want), "bf16")
    close(again, read(state), "f32")
    with pytest.raises(gdr.ArgumentError, match="cache_seqlens: is not for"):
        layer.reference(x.q, x.k, x.v, state=state,
                        cache_seqlens=np.zeros(2, "i4"))
    with pytest.raises(TypeError, match="no tensor 'seqlens'"):
        layer.reference(x.q, x.k, x.v, state=state, seqlens=None)


def test_nothing_to_do():
    x = Inputs(B=0)
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g")
    o = layer(x.q, x.k, x.v, x.g, x.beta, state=x.state(4, 2, V, K))
    assert o.shape == (0, 1, 2, V)


def test_many_threads():
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g")
    inputs = [Inputs(B=n + 1, seed=n) for n in range(4)]
    states = [x.state(n + 1, 2, V, K) for n, x in enumerate(inputs)]
    wants = [layer(x.q, x.k, x.v, x.g, x.beta, state=s.copy())
             for x, s in zip(inputs, states)]
    wrong = []

    def work(n):
        x = inputs[n]
        for _ in range(50):
            o = layer(x.q, x.k, x.v, x.g, x.beta, state=states[n].copy())
            if not (o == wants[n]).all():
                wrong.append(n)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def call(**changes):
    """A call that is right but for the changes."""
    x = Inputs(B=2, T=2)
    tensors = dict(q=x.q, k=x.k, v=x.v, g=x.g, beta=x.beta,
                   state=x.state(2, 2, V, K))
    tensors.update({n: f(tensors.get(n)) for n, f in changes.items()})
    gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g")(**tensors)


def read_only(x):
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("changes, says", [
    ({"q": lambda q: q[0]}, r"q: shape \[2, 1, 32\], must be \[B, T, Hk, K\]"),
    ({"q": lambda q: q[..., :24]}, r"q: shape .*= \[2, 2, 1, 32\]"),
    ({"k": lambda k: k[:1]}, r"k: shape \[1, 2, 1, 32\]"),
    ({"v": lambda v: v[:, :1]}, r"v: shape \[2, 1, 2, 16\]"),
    ({"g": lambda g: g[..., :1]}, r"g: shape \[2, 2, 1\]"),
    ({"k": lambda k: k.astype("f2")}, "k: dtype f16, must be f32"),
    ({"g": lambda g: g.astype("f2")}, "g: dtype f16, must be f32"),
    ({"state": lambda s: s.swapaxes(-1, -2)}, r"state: shape .*Hv, V, K"),
    ({"state": lambda s: s[:, :1]}, "state: shape"),
    ({"state": lambda s: s.astype("f2")}, "state: dtype f16"),
    ({"state": read_only}, "state: is read-only"),
    ({"state": lambda s: s[:1]}, "n_slots = 1"),
    ({"state": lambda s: np.broadcast_to(s[:1], s.shape).view()},
     "state: is read-only|stride_slot"),
    ({"state": lambda s: None}, "state is None"),
    ({"v": lambda v: np.asfortranarray(v)}, "v: strides .* last dim must be"),
    ({"state_indices": lambda _: np.zeros(3, "i4")}, r"state_indices: shape"),
    ({"state_indices": lambda _: np.zeros(2, "f4")}, "i32 or i64"),
    ({"state_indices": lambda _: np.zeros(4, "i4")[::2]},
     "state_indices: must be contiguous"),
    ({"cache_seqlens": lambda _: np.zeros(2, "i4")},
     "cache_seqlens: is not for a problem with the contract 'final'"),
    ({"a": lambda _: np.zeros((2, 2, 2), "f4")}, "a: is not for a problem"),
    ({"out": lambda _: np.zeros((2, 2, 2, V), "f2")}, "o: dtype f16"),
    ({"out": lambda _: np.zeros((1, 2, 2, V), "f4")}, "o: shape"),
    ({"out": lambda _: read_only(np.zeros((2, 2, 2, V), "f4"))},
     "o: is read-only"),
    ({"beta": lambda b: b.tolist()}, "beta: is a list"),
])
def test_what_does_not_fit_is_named(changes, says):
    with pytest.raises(gdr.ArgumentError, match=says):
        call(**changes)


def test_the_call_above_is_right_without_changes():
    call()


def test_libgdr_s_own_message():
    x = Inputs(B=2, T=3)
    layer = gdr.Recurrent("recurrent:ring:vk:f32/f32:k32v16:g:round")
    with pytest.raises(gdr.ArgumentError, match="ring = 2: must be at least"):
        layer(x.q, x.k, x.v, state=x.state(2, 2, 2, V, K),
              cache_seqlens=np.zeros(2, "i4"))


def test_problems_and_options_are_checked():
    with pytest.raises(gdr.ParseError, match="byte"):
        gdr.Recurrent("recurrent:final:vk:f32")
    with pytest.raises(TypeError, match="unknown option 'scales'"):
        gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g", scales=1)
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g / b2t1hk1hv2")
    assert layer.problem == "recurrent:final:vk:f32/f32:k32v16:g"
