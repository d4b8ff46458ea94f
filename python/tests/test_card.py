"""A card that is not there: the fake driver of tests/fake, whose device memory
is the host's, serves what gdr-tune tuned for it. Skipped where gdr-tune has no
cuda device or no NVRTC."""

import os
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT

PROBLEM = "recurrent:final:kv:f32/f32:k16v16:g"

CALL = """
import ctypes, sys
import numpy as np
import gdr, oracle
from oracle import Inputs, close, read

class OnCard:
    def __init__(self, x):
        self.x = x
        self.__cuda_array_interface__ = dict(
            x.__array_interface__, data=(x.ctypes.data, False), version=3)
    def __dlpack_device__(self):
        return 2, 1

driver = ctypes.CDLL("libcuda.so.1")
def check(code):
    assert code == 0, code
context, stream = ctypes.c_void_p(), ctypes.c_void_p()
check(driver.cuInit(0))
check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 1))
check(driver.cuCtxPushCurrent_v2(context))
check(driver.cuStreamCreate(ctypes.byref(stream), 0))

x = Inputs(B=2, Hk=1, Hv=1, K=16, V=16)
state, out = x.state(2, 1, 16, 16), np.zeros_like(x.v)
S = read(state)
want = oracle.run(*x.read(), lambda b: S[b], lambda b, t, S: S)
layer = gdr.Recurrent(sys.argv[1], database=sys.argv[2], worst="sibling")
layer.preload("cuda:1")
before = driver.fake_cuda_count(b"launches")
for _ in range(2):
    np.copyto(state, S)
    layer(*map(OnCard, (x.q, x.k, x.v, x.g, x.beta)), state=OnCard(state),
          out=OnCard(out), stream=stream.value)
    check(driver.cuStreamSynchronize(stream))
    close(out, want, "f32")
assert driver.fake_cuda_count(b"launches") == before + 2
try:
    layer(*map(OnCard, (x.q, x.k, x.v)), x.g, state=OnCard(state),
          out=OnCard(out), stream=stream.value)
except gdr.ArgumentError as e:
    assert "different devices" in str(e) and "g on cpu" in str(e), e
else:
    raise AssertionError("tensors on two devices were taken")
print("served by", layer.plan(2, 1, 1, 1, "cuda:1").kernel)
"""


def run(*command):
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "FAKE_CUDA": "devices=2,clock=script:5",
             "LD_LIBRARY_PATH": os.pathsep.join(
                 [str(BUILD / "tests/fake"),
                  os.environ.get("LD_LIBRARY_PATH", "")]),
             "PYTHONPATH": f"{ROOT}/python:{ROOT}/python/tests"})


def test_arrays_on_a_card(tmp_path):
    if not (BUILD / "tests/fake/libcuda.so.1").exists():
        pytest.skip("the fake driver is not built: make tests")
    database = tmp_path / "card.db"
    tuned = run(BUILD / "gdr-tune", "--db", database, "--device", "cuda:1",
                "--templates", "tests/faults/card", "--effort", "quick",
                "--only", f"{PROBLEM} / b1t1hk1hv1", "--quiet")
    said = tuned.stdout + tuned.stderr
    for missing in ("NVRTC", "built without cuda.h"):
        if tuned.returncode == 2 and missing in said:
            pytest.skip(said.splitlines()[0])
    assert tuned.returncode == 0, said
    done = run(sys.executable, "-c", CALL, PROBLEM, str(database))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("served by cuda/")
