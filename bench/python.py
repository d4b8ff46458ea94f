"""python.py - what a call from Python costs the host, beside gdr_launch called
through ctypes with everything prepared. The problem is as small as there is
(one head, K = V = 8), the kernel the generic one, so that little but the way
there is timed.

Each repeat times a batch of calls of every kind, in turns; the figure is the
median over the repeats, with the best and the worst. PyTorch's rows are
printed where it is installed.
"""

import ctypes
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))
if len(sys.argv) > 1:
    os.environ["GDR_LIBRARY"] = str(
        pathlib.Path(sys.argv[1]).resolve() / "libgdr.so.0")
os.environ["GDR_DB"] = os.devnull + ".none"  # the generic kernel, everywhere

import numpy as np  # noqa: E402

import gdr  # noqa: E402
import gdr.lmdeploy  # noqa: E402
from gdr import library  # noqa: E402

PROBLEM = "recurrent:final:vk:f32/f32:k8v8:g"
BATCH, REPEATS = 2000, 31


def arrays():
    """q, k, v, g, beta, state of one sequence, token and head."""
    ones = np.ones((1, 1, 1, 8), np.float32)
    gate = np.full((1, 1, 1), 0.5, np.float32)
    return [ones, ones * 0.3, ones * 0.1, -gate, gate,
            np.zeros((1, 1, 8, 8), np.float32)]


def prepared(q, k, v, g, beta, state):
    """gdr_launch with nothing left to do but the call."""
    lib = library.load()
    layer = gdr.Recurrent(PROBLEM)
    o = layer(q, k, v, g, beta, state=state)
    bound = layer._local.last  # gdr_args as a call left them
    plan, args = ctypes.byref(bound.plan), ctypes.byref(bound.args)
    keep = (q, k, v, g, beta, state, o)

    def call():
        lib.gdr_launch(plan, args, None, None, 0)
    call.keep = keep, bound
    return call


def ways(tensors, name):
    """(label, call) for each way to make the same call."""
    q, k, v, g, beta, state = tensors
    layer = gdr.Recurrent(PROBLEM)
    out = layer(q, k, v, g, beta, state=state)
    # The door wants K to be a multiple of 32; it is the way there that counts.
    wide = [x.repeat(4, -1) if name == "numpy" else
            x.repeat_interleave(4, -1) for x in (q, k)]
    pool = (state.repeat(4, -1) if name == "numpy" else
            state.repeat_interleave(4, -1))

    def door():
        gdr.lmdeploy.fused_recurrent_gated_delta_rule(
            wide[0], wide[1], v, g, beta, initial_state=pool,
            output_final_state=True, transpose_state_layout=True)
    return [
        (f"Recurrent, {name}, out given",
         lambda: layer(q, k, v, g, beta, state=state, out=out)),
        (f"Recurrent, {name}, out new",
         lambda: layer(q, k, v, g, beta, state=state)),
        (f"gdr.lmdeploy, {name}", door),
    ]


def torch_ways():
    try:
        import torch
    except ImportError:
        print("no PyTorch: its rows are left out")
        return []
    tensors = [torch.from_numpy(x) for x in arrays()]
    found = ways(tensors, "torch")
    from gdr.torch_op import recurrent
    q, k, v, g, beta, state = tensors

    def custom_op():
        recurrent(PROBLEM, "", q, k, v, g, beta, None, None, None, None,
                  state, None, None, None, None)
    return [*found, ("gdr::recurrent, the custom op", custom_op)]


def time_us(call):
    start = time.perf_counter()
    for _ in range(BATCH):
        call()
    return (time.perf_counter() - start) / BATCH * 1e6


def main():
    gdr.configure(worst="generic")
    rows = [("gdr_launch through ctypes", prepared(*arrays())),
            *ways(arrays(), "numpy"), *torch_ways()]
    times = {label: [] for label, _ in rows}
    for _ in range(REPEATS):
        for label, call in rows:
            times[label].append(time_us(call))
    plain = statistics.median(times[rows[0][0]])
    for label, samples in times.items():
        t = statistics.median(samples)
        print(f"{label:34} {t:6.2f} us a call ({min(samples):.2f} .. "
              f"{max(samples):.2f}), {t - plain:5.2f} us beside the plain one")


if __name__ == "__main__":
    main()
