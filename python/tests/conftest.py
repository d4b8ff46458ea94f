"""What the tests share: libgdr of this checkout, no database of the user's,
and one that gdr-tune makes in a few seconds."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")

sys.path[:0] = [str(ROOT / "python"), str(ROOT / "python/tests")]
os.environ.setdefault("GDR_LIBRARY", str(BUILD / "libgdr.so.0"))
os.environ.pop("GDR_MATCH", None)
os.environ["GDR_DB"] = str(ROOT / "python/tests/none.db")  # there is none

# What the tuned database holds: little to compile, quick to check.
TUNED = "recurrent:final:vk:f32/f32:k32v16:g"


@pytest.fixture(scope="session")
def tuned(tmp_path_factory):
    """The path of a database with one tuned problem, TUNED at b2t1hk1hv2."""
    path = tmp_path_factory.mktemp("db") / "tuned.db"
    done = subprocess.run(
        [BUILD / "gdr-tune", "--device", "cpu", "--db", path, "--effort",
         "quick", "--quiet", "--only", f"{TUNED} / b2t1hk1hv2"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return path


@pytest.fixture
def generic():
    """Every call is served, by the generic kernel where nothing is tuned."""
    import gdr
    gdr.configure(database=gdr.Database(), worst="generic")
    yield
    gdr.configure(database=gdr.Database(), worst="ptx")
