"""PyTorch's tensors, and the op in torch.compile. Skipped without PyTorch."""

import numpy as np
import oracle
import pytest
from oracle import Inputs, close, read
from test_arrays import Pack

import gdr
import gdr.fla
import gdr.lmdeploy

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("generic")

K, V = 32, 16


def tensor(x):
    """The same memory as a tensor; bit patterns become bfloat16."""
    if x.dtype == np.uint16:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(x)


def case(io="bf16", dtype="bf16", B=3, T=2, **options):
    """A call of lmdeploy's with a ring, and what it must give."""
    x = Inputs(B=B, T=T, Hk=1, Hv=2, K=K, V=V, io=io, **options)
    pool = x.state(4, 3, 2, V, K, dtype=dtype)
    return x, pool, dict(
        q=tensor(x.q), k=tensor(x.k), v=tensor(x.v), g=tensor(x.g),
        beta=tensor(x.beta), initial_state=tensor(pool),
        state_indices=torch.tensor([2, -1, 0]),
        cache_seqlens=torch.tensor([4, 0, 2], dtype=torch.int32),
        output_final_state=True, transpose_state_layout=True)


def numpy_s(x, pool, arguments):
    """The same call on NumPy's arrays: (o, pool afterwards)."""
    pool = pool.copy()
    o, _ = gdr.lmdeploy.fused_recurrent_gated_delta_rule(
        x.q, x.k, x.v, x.g, x.beta, initial_state=pool,
        output_final_state=True, transpose_state_layout=True,
        state_indices=arguments["state_indices"].numpy(),
        cache_seqlens=arguments["cache_seqlens"].numpy())
    return o, pool


def bits(x):
    return (x.view(torch.int16).numpy().view(np.uint16)
            if x.dtype == torch.bfloat16 else x.numpy())


@pytest.mark.parametrize("io, dtype", [("f32", "f32"), ("bf16", "f32"),
                                       ("bf16", "bf16"), ("f16", "f16")])
def test_eager_is_numpy_bit_by_bit(io, dtype):
    x, pool, arguments = case(io, dtype)
    want, after = numpy_s(x, pool, arguments)
    o, final = gdr.lmdeploy.fused_recurrent_gated_delta_rule(**arguments)
    assert final is arguments["initial_state"]
    assert o.dtype == arguments["v"].dtype and o.is_contiguous()
    assert (bits(o) == want).all()
    assert (bits(final) == after).all()


def test_slices_of_a_packed_tensor():
    B, T, Hk, Hv = 2, 1, 2, 4
    x = Inputs(B=B, T=T, Hk=Hk, Hv=Hv, K=K, V=V)
    packed = torch.cat([tensor(y).reshape(B, T, -1)
                        for y in (x.q, x.k, x.v)], -1)
    q, k, v = packed.split([Hk * K, Hk * K, Hv * V], -1)
    state = tensor(x.state(B, Hv, V, K))
    S = np.swapaxes(read(state.numpy()), -1, -2)
    o = oracle.run(*x.read(), lambda b: S[b], lambda b, t, S: S)
    layer = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g")
    got = layer(q.unflatten(-1, (Hk, K)), k.unflatten(-1, (Hk, K)),
                v.unflatten(-1, (Hv, V)), tensor(x.g), tensor(x.beta),
                state=state)
    close(got.numpy(), o, "f32")


def test_uint16_and_dlpack_are_bf16():
    x, pool, arguments = case()
    want, after = numpy_s(x, pool, arguments)
    layer = gdr.Recurrent("recurrent:ring:vk:bf16/bf16:k32v16:g:round")
    o = torch.empty_like(arguments["v"])
    layer(*[Pack(arguments[n]) for n in ("q", "k", "v", "g", "beta")],
          state=Pack(arguments["initial_state"]), out=Pack(o),
          state_indices=arguments["state_indices"],
          cache_seqlens=arguments["cache_seqlens"])
    assert (bits(o) == want).all()
    assert (bits(arguments["initial_state"]) == after).all()


def test_the_op_is_registered_well():
    from gdr.torch_op import recurrent
    x, _, arguments = case("f32", "f32")
    torch.library.opcheck(recurrent, (
        "recurrent:ring:vk:f32/f32:k32v16:g:round", "scale=0.5",
        *[arguments[n] for n in ("q", "k", "v", "g", "beta")], None, None,
        None, None, arguments["initial_state"], arguments["state_indices"],
        arguments["cache_seqlens"], None, None))


@pytest.fixture(params=["eager", "aot_eager", "inductor"])
def backend(request):
    torch._dynamo.reset()
    return request.param


def test_compile_keeps_lmdeploy_s_door(backend):
    x, pool, arguments = case("f32", "f32")
    want, after = numpy_s(x, pool, arguments)

    def layer(q, initial_state, **rest):
        o, _ = gdr.lmdeploy.fused_recurrent_gated_delta_rule(
            q * 1, initial_state=initial_state, **rest)
        return o + 1, initial_state.sum()
    arguments.pop("output_final_state")
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    o, total = compiled(output_final_state=True, **arguments)
    np.testing.assert_allclose(o.numpy(), want + 1, rtol=1e-6)
    assert (arguments["initial_state"].numpy() == after).all()
    np.testing.assert_allclose(total.item(), after.sum(), rtol=1e-4)


def test_compile_keeps_fla_s_door(backend):
    x = Inputs(B=2, T=2, K=K, V=V)
    initial = x.state(2, 2, K, V)
    want, want_final = gdr.fla.fused_recurrent_gated_delta_rule(
        x.q, x.k, x.v, x.g, beta=x.beta, initial_state=initial,
        output_final_state=True, use_qk_l2norm_in_kernel=True)

    def layer(q, k, v, g, beta, initial):
        return gdr.fla.fused_recurrent_gated_delta_rule(
            q, k, v, g, beta=beta, initial_state=initial,
            output_final_state=True, use_qk_l2norm_in_kernel=True)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    o, final = compiled(*map(tensor, (x.q, x.k, x.v, x.g, x.beta, initial)))
    assert (o.numpy() == want).all() and (final.numpy() == want_final).all()


def test_compile_keeps_a_recurrent(backend, tuned):
    """One with a database of its own, and into the caller's output."""
    bound = gdr.Recurrent("recurrent:final:vk:f32/f32:k32v16:g",
                          database=gdr.Database(tuned), worst="exact",
                          scale=0.25)
    x = Inputs(B=2, K=K, V=V)
    state = x.state(2, 2, V, K)
    want = bound(x.q, x.k, x.v, x.g, x.beta, state=(after := state.copy()))
    out = torch.zeros_like(tensor(x.v))

    def layer(q, k, v, g, beta, state, out):
        return bound(q, k, v, g, beta, state=state, out=out) * 2
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    got = compiled(*map(tensor, (x.q, x.k, x.v, x.g, x.beta, state)), out)
    assert (got.numpy() == want * 2).all() and (out.numpy() == want).all()
    assert (state == after).all()


@pytest.mark.parametrize("door", ["lmdeploy", "fla"])
def test_one_graph_serves_every_batch_size(door):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    def lmdeploy(q, k, v, g, beta, state, slots):
        return gdr.lmdeploy.fused_recurrent_gated_delta_rule(
            q, k, v, g, beta, None, state, True, True, slots)

    def fla(q, k, v, g, beta, state, slots):
        return gdr.fla.fused_recurrent_gated_delta_rule(
            q, k, v, g, beta=beta, initial_state=state[slots],
            output_final_state=True)
    torch._dynamo.reset()
    layer = {"lmdeploy": lmdeploy, "fla": fla}[door]
    compiled = torch.compile(layer, fullgraph=True, dynamic=True,
                             backend=backend)
    for B in (4, 3, 7):  # none of the other extents
        x = Inputs(B=B, K=K, V=V)
        arguments = [*map(tensor, (x.q, x.k, x.v, x.g, x.beta,
                                   x.state(9, 2, K, V))),
                     torch.arange(B) + 1]
        want = layer(*[y.clone() for y in arguments])
        got = compiled(*arguments)
        assert all(torch.equal(a, b) for a, b in zip(got, want))
    assert len(graphs) == 1


def test_backward_raises_as_theirs_does():
    x = Inputs(K=K, V=V)
    q = tensor(x.q).requires_grad_()
    o, _ = gdr.fla.fused_recurrent_gated_delta_rule(
        q, tensor(x.k), tensor(x.v), tensor(x.g))
    with pytest.raises((RuntimeError, NotImplementedError)):
        o.sum().backward()
    with torch.no_grad():
        o, _ = gdr.fla.fused_recurrent_gated_delta_rule(
            q, tensor(x.k), tensor(x.v), tensor(x.g))
    assert not o.requires_grad


def test_sparse_and_meta_tensors_are_refused():
    _, _, arguments = case("f32", "f32")
    arguments["g"] = arguments["g"].to("meta")
    with pytest.raises(gdr.ArgumentError, match="g: is on device meta"):
        gdr.lmdeploy.fused_recurrent_gated_delta_rule(**arguments)
