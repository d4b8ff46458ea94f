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


def test_no_plan_for_some_extents(tuned):
    layer = gdr.Recurrent(TUNED, database=tuned, worst="exact")
    run(layer)
    with pytest.raises(gdr.NoPlanError, match="gdr-tune --only '.*b5t1hk1hv"):
        layer.plan(5, 1, 1, 2)


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


def test_what_a_plan_tells(tuned):
    plan = gdr.Recurrent(TUNED, database=tuned).plan(2, 1, 1, 2)
    assert plan.run.startswith(f"gdr-tune {gdr.__version__}, ")
    assert plan.reduction and plan.regret == 0 and plan.workspace_bytes == 0
    generic = gdr.Recurrent(TUNED, database=gdr.Database(), worst="generic")
    plan = generic.plan(2, 1, 1, 2)
    assert plan.run == "" and plan.regret < 0 and plan.time_ns == 0


def test_a_pinned_reduction(tuned):
    free = gdr.Recurrent(TUNED, database=tuned)
    pinned = gdr.Recurrent(TUNED, database=free.database, pin=True)
    run(pinned)
    reduction = pinned.plan(2, 1, 1, 2).reduction
    assert pinned.plan(512, 4, 4, 8).reduction == reduction
    run(gdr.Recurrent(TUNED, database=free.database, pin=reduction))
    with pytest.raises(gdr.NoPlanError, match="'no such id'") as e:
        run(gdr.Recurrent(TUNED, database=free.database, pin="no such id"))
    assert reduction in str(e.value)


def test_misses(tuned, tmp_path):
    database, path = gdr.Database(tuned), tmp_path / "misses.txt"
    plans = database.device("cpu").select(TUNED)
    assert plans.misses == 0
    plans.find(2, 1, 1, 2)
    plans.find(3, 1, 1, 2)
    plans.find(3, 1, 1, 2)
    assert plans.misses == 2
    database.append_misses(path)
    assert path.read_text() == f"2 {TUNED} / b3t1hk1hv2\n"
    assert plans.misses == 0
    with pytest.raises(gdr.FileError, match="nowhere"):
        plans.find(3, 1, 1, 2)
        database.append_misses(tmp_path / "nowhere/misses.txt")


def test_digest(tuned, tmp_path):
    digest = gdr.Database(tuned).digest
    assert len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    copy = tmp_path / "copy.db"
    copy.write_bytes(tuned.read_bytes())
    copy.chmod(0o600)
    assert gdr.Database(copy).digest == digest
    assert gdr.Database().digest != digest


def test_the_environment_has_the_last_word(tuned, monkeypatch):
    monkeypatch.setenv("GDR_MATCH", "generic")
    layer = gdr.Recurrent(TUNED, database=gdr.Database(), worst="exact")
    run(layer)
    assert layer.plan(2, 1, 1, 2).match == "generic"
    monkeypatch.setenv("GDR_MATCH", "best")
    with pytest.raises(gdr.ArgumentError, match="GDR_MATCH is 'best'"):
        run(gdr.Recurrent(TUNED, database=gdr.Database()))


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
        gdr.configure(database=gdr.Database(), worst="ptx", threads=0)


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
