"""Arrays of anybody, described without a copy."""

import numpy as np
import pytest

import gdr
from gdr import arrays, frameworks


class Pack:
    """Only DLPack, as an array of a library that we do not know."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, stream=None):
        return self.x.__dlpack__()

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


class OnCard:
    """__cuda_array_interface__ alone; the address is made up."""

    def __init__(self, **interface):
        self.__cuda_array_interface__ = {
            "shape": (2, 3), "typestr": "<f4", "data": (0x7000, False),
            "version": 3, **interface}


@pytest.mark.parametrize("wrap", [lambda x: x, Pack])
@pytest.mark.parametrize("dtype, name", [
    ("f4", "f32"), ("f2", "f16"), ("u2", "bf16"), ("i4", "i32"),
    ("i8", "i64")])
def test_dtypes(wrap, dtype, name):
    x = np.zeros((2, 3), dtype)
    got = arrays.describe(wrap(x))
    assert (got.shape, got.strides, got.dtype, got.device) == (
        (2, 3), (3, 1), name, "cpu")
    assert got.pointer == x.ctypes.data


@pytest.mark.parametrize("wrap", [lambda x: x, Pack])
def test_a_slice_is_described_where_it_lies(wrap):
    packed = np.zeros((4, 6, 8), np.float32)
    x = packed[1:, ::2, 3:]
    got = arrays.describe(wrap(x))
    assert got.shape == (3, 3, 5)
    assert got.strides == (48, 16, 1)
    assert got.pointer == packed.ctypes.data + 4 * (48 + 3)
    assert not arrays.is_contiguous(got)


def test_ml_dtypes_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.zeros((2, 3), ml_dtypes.bfloat16)
    assert arrays.describe(x).dtype == "bf16"
    made = frameworks.of(x).empty((2,), "bf16", x)
    assert made.dtype == x.dtype


def test_read_only_is_seen():
    x = np.zeros(3, np.float32)
    x.flags.writeable = False
    assert not arrays.describe(x).writable


def test_other_dtypes_keep_their_name():
    assert arrays.describe(np.zeros(2)).dtype == "<f8"
    assert "big-endian" in arrays.describe(np.zeros(2, ">f4")).dtype


def test_strides_that_split_elements():
    x = np.zeros(8, [("pad", "u1"), ("x", "<f4")])["x"]
    with pytest.raises(gdr.ArgumentError, match="no multiples"):
        arrays.describe(x)


def test_what_is_no_array():
    with pytest.raises(gdr.ArgumentError, match="is a list, which has neither"):
        arrays.describe([1, 2])


def test_a_card_s_array(monkeypatch):
    monkeypatch.setattr(arrays, "_card_of", lambda x, pointer: 3)
    got = arrays.describe(OnCard(strides=(32, 4)))
    assert (got.pointer, got.shape, got.strides, got.dtype, got.device) == (
        0x7000, (2, 3), (8, 1), "f32", "cuda:3")
    assert arrays.describe(OnCard(strides=None)).strides == (3, 1)


def test_a_card_s_array_names_its_stream():
    framework = frameworks.of(OnCard())
    assert framework.stream(OnCard(stream=7)) == 7
    assert framework.stream(OnCard(stream=None)) == 0


def test_an_address_that_no_card_knows():
    with pytest.raises(gdr.ArgumentError, match="0x7000 is on no card"):
        arrays.describe(OnCard())


def test_frameworks_are_told_apart():
    assert frameworks.of(np.zeros(1)).name == "numpy"

    class Mine(np.ndarray):
        pass
    assert frameworks.of(np.zeros(1).view(Mine)).name == "numpy"
    assert frameworks.of(Pack(np.zeros(1))).name == "an unknown library"
