"""The structs and constants in Python are those of gdr.h: a compiler says."""

import ctypes
import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT

from gdr import errors, library, structs

HEADER = (ROOT / "include/gdr.h").read_text()

FLAGS = ("HEAD_MOD", "ALPHA", "NEG_EIGVAL", "INDEX64", "GATE_IO", "BETA_IO",
         "UPDATE_STATE", "SNAPSHOT_BY_SLOT", "SNAPSHOT_F32")
ENUMS = {"gdr_op": structs.OPS, "gdr_contract": structs.CONTRACTS,
         "gdr_layout": structs.LAYOUTS, "gdr_dtype": structs.DTYPES,
         "gdr_gate": structs.GATES, "gdr_match": structs.MATCHES}


def compiled(tmp_path, prints):
    """What a C program that prints these expressions says, as integers."""
    cc = os.environ.get("CC", "cc").split()
    if not shutil.which(cc[-1]):
        pytest.skip("no C compiler")
    source = tmp_path / "layout.c"
    source.write_text(
        '#include "gdr.h"\n#include <stdio.h>\n'
        "#define SIZE(t, f) sizeof(((t *)0)->f)\nint main(void)\n{\n"
        + "".join(f'    printf("%ld\\n", (long)({e}));\n' for e in prints)
        + "    return 0;\n}\n")
    program = tmp_path / "layout"
    subprocess.run([*cc, "-I", ROOT / "include", source, "-o", program],
                   check=True)
    out = subprocess.run([program], check=True, capture_output=True, text=True)
    return [int(line) for line in out.stdout.split()]


def test_layout(tmp_path):
    want, prints = {}, []
    for name, struct in structs.STRUCTS.items():
        want[f"sizeof({name})"] = ctypes.sizeof(struct)
        for field, kind in struct._fields_:
            want[f"offsetof({name}, {field})"] = getattr(struct, field).offset
            want[f"SIZE({name}, {field})"] = ctypes.sizeof(kind)
    prints = list(want)
    got = dict(zip(prints, compiled(tmp_path, prints)))
    assert got == want


def test_every_struct_of_the_header_is_there():
    # gdr_tensor and the like; what has no size and no fields is opaque
    named = set(re.findall(r"typedef struct (gdr_\w+) \{", HEADER))
    assert named == set(structs.STRUCTS)


def test_constants(tmp_path):
    want = {f"GDR_{name}": getattr(structs, name) for name in FLAGS}
    want["GDR_PROBLEM_TEXT"] = structs.PROBLEM_TEXT
    want["GDR_DIGEST_TEXT"] = structs.DIGEST_TEXT
    want["GDR_SELECT_PIN"] = structs.SELECT_PIN
    want.update({name: i + 1 for i, (name, _) in enumerate(errors.STATUSES)})
    got = dict(zip(want, compiled(tmp_path, list(want))))
    assert got == want


def enumerators(name):
    body = re.search(r"typedef enum " + name + r" \{(.*?)\}", HEADER, re.S)
    text = re.sub(r"/\*.*?\*/", "", body.group(1), flags=re.S)
    return re.findall(r"GDR_\w+", text)


@pytest.mark.parametrize("name", ENUMS)
def test_enums_have_the_header_s_names_in_its_order(name):
    words = ENUMS[name]
    found = enumerators(name)
    assert len(found) == len(words)
    for word, enumerator in zip(words, found):
        last = enumerator.split("_")[-1].lower()
        assert word == last or (word == "fused" and last == "fused")


def test_every_status_has_a_class():
    assert enumerators("gdr_status")[1:] == [n for n, _ in errors.STATUSES]
    assert len({c for _, c in errors.STATUSES}) == len(errors.STATUSES)


def test_every_flag_of_the_header_is_there():
    assert set(re.findall(r"GDR_(\w+) = 1 << \d", HEADER)) == {
        *FLAGS, "SELECT_PIN"}
    block = re.search(r"Run-time flags of gdr_args.flags.*?enum \{(.*?)\};",
                      HEADER, re.S).group(1)
    assert re.findall(r"GDR_(\w+) = 1 <<", block) == list(FLAGS)


def test_versions_are_one():
    project = (ROOT / "python/pyproject.toml").read_text()
    header = re.search(r'GDR_VERSION "(.*)"', HEADER).group(1)
    assert library.VERSION == header
    assert f'version = "{header}"' in project
    assert library.version() == header


# What the package has no use for: it has words of its own for the first two,
# and a launch checks its arguments.
UNUSED = {"gdr_strerror", "gdr_match_name", "gdr_problem_compare",
          "gdr_problem_check", "gdr_args_check"}


def test_every_function_of_the_header_is_declared():
    named = set(re.findall(r"GDR_API [^;(]*?\b(gdr_\w+)\(", HEADER))
    assert named == set(library._PROTOTYPES) | UNUSED
