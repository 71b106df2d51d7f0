"""A weights file is data: whatever else it asks for is refused before it happens."""

import os
import pickle

import numpy as np
import pytest

from pipeline.learning.torch_file import UnsafeFile, read_tensors

MAGIC = 0x1950A86A20F9469CFC6C
# What torch.save writes for {"w": tensor}, as opcodes: a float storage "0" of four numbers, seen as 2×2.
STATE = (
    b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04NtQK\x00(K\x02K\x02t(%s)\x89ccollections\nOrderedDict\n)RtRs."
)
ROWS, COLUMNS = b"K\x02K\x01t", b"K\x01K\x02t"


class RunsCode:
    def __init__(self, marker):
        self.command = f"touch {marker}"

    def __reduce__(self):
        return os.system, (self.command,)


def _file(path, *pickles):
    path.write_bytes(b"".join(p if isinstance(p, bytes) else pickle.dumps(p, protocol=2) for p in pickles))
    return path


def _state(strides):
    return STATE.replace(b"(%s)", b"(" + strides)


@pytest.mark.parametrize(("strides", "expected"), [(ROWS, [[1, 2], [3, 4]]), (COLUMNS, [[1, 3], [2, 4]])])
def test_tensors_are_read_as_they_were_saved(tmp_path, strides, expected):
    numbers = np.int64(4).tobytes() + np.array([1, 2, 3, 4], np.float32).tobytes()
    tensors = read_tensors(_file(tmp_path / "w.pth", MAGIC, 1001, {}, _state(strides), ["0"], numbers))
    assert tensors["w"].tolist() == expected


@pytest.mark.parametrize("place", range(5))
def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path, place):
    marker = tmp_path / "ran"
    pickles = [MAGIC, 1001, {}, {}, []]
    pickles[place] = RunsCode(marker)
    with pytest.raises(UnsafeFile, match=r"\.system is not allowed"):
        read_tensors(_file(tmp_path / "w.pth", *pickles))
    assert not marker.exists()


@pytest.mark.parametrize("name", ["builtins\neval", "numpy\nload", "torch._utils\n_rebuild_parameter", "torch\nload"])
def test_only_tensors_may_be_named(tmp_path, name):
    with pytest.raises(UnsafeFile, match="not allowed"):
        read_tensors(_file(tmp_path / "w.pth", MAGIC, 1001, {}, b"\x80\x02c" + name.encode() + b"\n."))


def test_a_reference_to_anything_but_numbers_is_refused(tmp_path):
    module = b"\x80\x02(X\x06\x00\x00\x00moduleX\x01\x00\x00\x00aX\x01\x00\x00\x00btQ."
    with pytest.raises(UnsafeFile, match="'module' is not allowed"):
        read_tensors(_file(tmp_path / "w.pth", MAGIC, 1001, {}, module))


def test_a_pickle_of_something_else_is_no_weights_file(tmp_path):
    with pytest.raises(UnsafeFile, match=r"w\.pth is no legacy PyTorch file"):
        read_tensors(_file(tmp_path / "w.pth", {"w": 1}))
