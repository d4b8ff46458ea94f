"""libgdr is found, and what is wrong with it is said."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

from gdr import library


def python(code, **env):
    """A fresh process; its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python"), **env})
    return done.returncode, done.stdout + done.stderr


def shared_object(tmp_path, source):
    cc = os.environ.get("CC", "cc").split()
    if not shutil.which(cc[-1]):
        pytest.skip("no C compiler")
    (tmp_path / "lib.c").write_text(source)
    path = tmp_path / "lib.so"
    subprocess.run([*cc, "-shared", "-fPIC", tmp_path / "lib.c", "-o", path],
                   check=True)
    return str(path)


def test_import_needs_no_library():
    code, said = python("import gdr, gdr.lmdeploy, gdr.fla; print(gdr.Error)",
                        GDR_LIBRARY="/nowhere/libgdr.so.0")
    assert code == 0, said


def test_a_missing_library_is_named_with_the_remedy():
    code, said = python("import gdr; gdr.version()",
                        GDR_LIBRARY="/nowhere/libgdr.so.0")
    assert code == 1
    assert "LibraryError" in said and "/nowhere/libgdr.so.0" in said
    assert "make install" in said and "GDR_LIBRARY" in said


def test_the_places_in_order(monkeypatch):
    monkeypatch.delenv("GDR_LIBRARY")
    beside, loader, checkout = library.candidates()
    assert beside == str(ROOT / "python/gdr/libgdr.so.0")
    assert loader == "libgdr.so.0"
    assert checkout == str(ROOT / "build/libgdr.so.0")


def test_another_version_is_refused(tmp_path):
    path = shared_object(
        tmp_path, 'const char *gdr_version(void) { return "9.9.9"; }')
    code, said = python("import gdr; gdr.version()", GDR_LIBRARY=path)
    assert code == 1
    assert f"{path}: is libgdr 9.9.9" in said and library.VERSION in said


def test_another_revision_is_refused(tmp_path):
    path = shared_object(
        tmp_path, "const char *gdr_version(void) { return \""
        + library.VERSION + '"; }')
    code, said = python("import gdr; gdr.version()", GDR_LIBRARY=path)
    assert code == 1 and "another revision" in said


def test_another_library_is_refused(tmp_path):
    path = shared_object(tmp_path, "int x;")
    code, said = python("import gdr; gdr.version()", GDR_LIBRARY=path)
    assert code == 1 and "not libgdr" in said
