"""PyTorch's and CuPy's arrays on a real card: streams, graphs, torch.compile.
Skipped without PyTorch or without a card; gdr-tune needs NVRTC."""

import concurrent.futures
import subprocess

import pytest
from conftest import BUILD

import gdr
import gdr.fla
import gdr.lmdeploy

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no card", allow_module_level=True)

FINAL = "recurrent:final:vk:bf16/f32:k64v64:l2norm:g"
RING = "recurrent:ring:vk:bf16/bf16:k64v64:g:round"
HK, HV, K, V = 2, 4, 64, 64


@pytest.fixture(scope="module", autouse=True)
def card(tmp_path_factory):
    """Everything here is served by what is tuned on this card."""
    path = tmp_path_factory.mktemp("db") / "card.db"
    for problem in (f"{FINAL} / b4t1hk2hv4", f"{RING} / b4t2hk2hv4"):
        done = subprocess.run(
            [BUILD / "gdr-tune", "--device", "0", "--db", path, "--effort",
             "quick", "--quiet", "--only", problem],
            capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    gdr.configure(database=path, worst="sibling")
    yield path
    gdr.configure(database=gdr.Database(), worst="ptx")


def case(B=4, T=1, dtype=torch.float32, ring=None):
    """q, k, v as slices of a packed tensor, and a pool with padding."""
    generator = torch.Generator().manual_seed(B + T)

    def draw(*shape):
        return torch.rand(*shape, generator=generator) * 2 - 1
    packed = draw(B, T, 2 * HK * K + HV * V).bfloat16()
    q, k, v = packed.split([HK * K, HK * K, HV * V], -1)
    lead = (7,) if ring is None else (7, ring)
    arguments = dict(
        q=q.unflatten(-1, (HK, K)), k=k.unflatten(-1, (HK, K)),
        v=v.unflatten(-1, (HV, V)), g=-draw(B, T, HV).abs(),
        beta=draw(B, T, HV).abs(),
        initial_state=draw(*lead, HV, V, K).to(dtype),
        state_indices=torch.tensor([3, -1, 0, 6][:B]),
        output_final_state=True, transpose_state_layout=True)
    if ring is None:
        arguments["use_qk_l2norm_in_kernel"] = True
    else:
        arguments["cache_seqlens"] = torch.arange(B, dtype=torch.int32)
    return arguments


def to(arguments, device):
    return {n: x.to(device, copy=True) if torch.is_tensor(x) else x
            for n, x in arguments.items()}


def expected(arguments):
    """(o, state) of the generic kernel on the cpu."""
    options = arguments.get("cache_seqlens")
    layer = gdr.Recurrent(FINAL if options is None else RING,
                          database=gdr.Database(), worst="generic")
    a = to(arguments, "cpu")
    o = layer(a["q"], a["k"], a["v"], a["g"], a["beta"],
              state=a["initial_state"], state_indices=a["state_indices"],
              cache_seqlens=options)
    return o, a["initial_state"]


def same(got, want):
    o, state = (x.float().cpu() for x in got)
    torch.testing.assert_close(o, want[0].float(), atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(state, want[1].float(), atol=2e-2, rtol=1e-2)


CASES = [dict(), dict(T=2, dtype=torch.bfloat16, ring=3)]


@pytest.mark.parametrize("options", CASES)
def test_the_door_on_a_card(options):
    arguments = case(**options)
    on_card = to(arguments, "cuda")
    got = gdr.lmdeploy.fused_recurrent_gated_delta_rule(**on_card)
    assert got[1] is on_card["initial_state"] and got[0].is_cuda
    same(got, expected(arguments))


def test_on_the_current_stream():
    """Behind a long kernel of a side stream that fills the state."""
    arguments = case()
    on_card = to(arguments, "cuda")
    state = on_card["initial_state"].clone()
    on_card["initial_state"].zero_()
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        on_card["initial_state"].copy_(state)
        got = gdr.lmdeploy.fused_recurrent_gated_delta_rule(**on_card)
    stream.synchronize()
    same(got, expected(arguments))


def test_in_a_graph():
    arguments = case()
    on_card = to(arguments, "cuda")
    before = on_card["initial_state"].clone()
    gdr.Recurrent(FINAL).preload("cuda:0")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        o, _ = gdr.lmdeploy.fused_recurrent_gated_delta_rule(**on_card)
    for _ in range(2):
        on_card["initial_state"].copy_(before)
        graph.replay()
        torch.cuda.synchronize()
        same((o, on_card["initial_state"]), expected(arguments))


def test_compiled():
    arguments = case()
    on_card = to(arguments, "cuda")
    torch._dynamo.reset()

    def layer(q, **rest):
        o, _ = gdr.lmdeploy.fused_recurrent_gated_delta_rule(q, **rest)
        return o * 1.0
    o = torch.compile(layer, fullgraph=True)(**on_card)
    same((o, on_card["initial_state"]), expected(arguments))


def test_fla_s_door():
    a = to(case(), "cuda")
    initial = torch.rand(4, HV, V, K, device="cuda")
    o, final = gdr.fla.fused_recurrent_gated_delta_rule(
        a["q"], a["k"], a["v"], a["g"], beta=a["beta"], initial_state=initial,
        output_final_state=True, use_qk_l2norm_in_kernel=True,
        state_v_first=True, cu_seqlens=None)
    want = dict(a, initial_state=initial, state_indices=torch.arange(4))
    same((o, final), expected(want))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one card")
def test_two_cards_at_once():
    """A thread for each, launching in turns; whichever card is current."""
    arguments = case()
    want = expected(arguments)

    def work(device):
        for turn in range(50):
            on_card = to(arguments, device)
            stream = torch.cuda.Stream(device)
            with torch.cuda.device(turn % 2):
                stream.wait_stream(torch.cuda.current_stream(device))
                with torch.cuda.stream(stream):
                    got = gdr.lmdeploy.fused_recurrent_gated_delta_rule(
                        **on_card)
                stream.synchronize()
                assert torch.cuda.current_device() == turn % 2
            assert got[0].device == on_card["q"].device
            same(got, want)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, f"cuda:{i}") for i in range(2)]:
            done.result()


def test_cupy():
    cupy = pytest.importorskip("cupy")
    arguments = case()
    a = {n: cupy.from_dlpack(x) for n, x in to(arguments, "cuda").items()
         if n in ("g", "beta", "initial_state", "state_indices")}
    # CuPy has no bf16 of its own: bit patterns
    a.update({n: cupy.asarray(arguments[n].contiguous().view(torch.int16)
                              .numpy()).view(cupy.uint16)
              for n in ("q", "k", "v")})
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    with stream:
        o = gdr.Recurrent(FINAL)(
            a["q"], a["k"], a["v"], a["g"], a["beta"],
            state=a["initial_state"], state_indices=a["state_indices"])
    stream.synchronize()
    assert o.dtype == cupy.uint16
    got = torch.from_numpy(cupy.asnumpy(o).view("i2")).view(torch.bfloat16)
    same((got, torch.from_dlpack(a["initial_state"])), expected(arguments))


def test_tensors_on_two_devices_are_refused():
    a = to(case(), "cuda")
    a["g"] = a["g"].cpu()
    with pytest.raises(gdr.ArgumentError, match="different devices"):
        gdr.lmdeploy.fused_recurrent_gated_delta_rule(**a)
