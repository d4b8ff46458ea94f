"""Databases, devices, plans: what serves a call, and what is said if nothing
does."""

import gc
import os

import numpy as np
import oracle
import pytest
from conftest import TUNED
from oracle import Inputs, close, read

import gdr


def run(layer):
    """One call of TUNED, checked."""
    x = Inputs(B=2, K=32, V=16)
    state = x.state(2, 2, 16, 32)
    S = np.swapaxes(read(state), -1, -2)
    o = oracle.run(*x.read(), lambda b: S[b], lambda b, t, S: S)
    close(layer(x.q, x.k, x.v, x.g, x.beta, state=state), o, "f32")


def test_a_tuned_plan_serves(tuned):
    layer = gdr.Recurrent(TUNED, database=gdr.Database(tuned))
    run(layer)
    plan = layer.plan(2, 1, 1, 2)
    assert plan.match == "exact" and plan.kernel == "cpu/recurrent"
    assert plan.problem == f"{TUNED} / b2t1hk1hv2" and plan.time_ns > 0
    assert layer.plan(64, 1, 1, 2).match != "exact"


def test_without_a_database_the_generic_kernel_serves():
    layer = gdr.Recurrent(TUNED, database=gdr.Database(), worst="generic")
    run(layer)
    assert layer.plan(2, 1, 1, 2).match == "generic"


def test_no_plan_says_which_command_makes_one():
    layer = gdr.Recurrent(TUNED, database=gdr.Database(), worst="default")
    with pytest.raises(gdr.NoPlanError) as e:
        run(layer)
    assert "gdr-tune" in str(e.value) and TUNED in str(e.value)
    assert os.environ["GDR_DB"] in str(e.value)  # why there is none


def test_another_problem_than_the_tuned_one(tuned):
    with pytest.raises(gdr.NoPlanError, match=str(tuned)):
        gdr.Database(tuned).device("cpu").select(
            "recurrent:final:vk:f32/f32:k64v16:g", worst="sibling")


def test_a_path_must_exist(tmp_path):
    with pytest.raises(gdr.NotFoundError, match="missing.db"):
        gdr.Database(tmp_path / "missing.db")


def test_what_is_no_database(tmp_path):
    (tmp_path / "text.db").write_text("not SQLite " * 100)
    with pytest.raises(gdr.Error, match="text.db"):
        gdr.Database(tmp_path / "text.db")


def test_devices():
    database = gdr.Database()
    assert database.device("cpu") is database.device("cpu")
    assert database.device("cpu").fingerprint.startswith("cpu:")
    with pytest.raises(gdr.NoDeviceError, match="toaster"):
        database.device("toaster")


def test_handles_keep_each_other(tuned):
    """A set outlives the last name of its database."""
    plans = gdr.Database(tuned).device("cpu").select(TUNED)
    gc.collect()
    assert plans.find(2, 1, 1, 2)[1].match == "exact"


def test_extents_that_no_call_may_have(tuned):
    plans = gdr.Database(tuned).device("cpu").select(TUNED)
    with pytest.raises(gdr.ArgumentError, match="Hk = 2, Hv = 3"):
        plans.find(1, 1, 2, 3)


def test_configure(tuned):
    gdr.configure(database=tuned, worst="sibling", threads=1)
    try:
        layer = gdr.Recurrent(TUNED)
        layer.preload("cpu")
        run(layer)
        # a pool of one thread is another device than that which was tuned
        assert layer.plan(2, 1, 1, 2).match in ("exact", "sibling")
        with pytest.raises(gdr.ArgumentError, match="worst = 'best'"):
            gdr.configure(worst="best")
    finally:
        gdr.configure(database=gdr.Database(), worst="default", threads=0)


def test_a_forked_child_computes(tuned):
    layer = gdr.Recurrent(TUNED, database=gdr.Database(tuned))
    run(layer)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run(layer)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
