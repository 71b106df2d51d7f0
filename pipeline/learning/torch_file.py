"""Reads tensors from a legacy PyTorch file without PyTorch, through an unpickler that allows nothing else.

Format: three pickles (magic number, protocol, system), the object, the list of storage keys, and for each key an int64
count followed by the numbers themselves.
"""

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {"FloatStorage": np.float32, "LongStorage": np.int64}


class UnsafeFile(ValueError):
    """The file asks for something that is no tensor."""


@dataclass(frozen=True)
class _Tensor:
    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path) -> Mapping[str, npt.NDArray[Any]]:
    """Name to array, as the file's state dictionary has them. Raises `UnsafeFile`."""
    with path.open("rb") as file:
        if _Unpickler(file).load() != _MAGIC:
            raise UnsafeFile(f"{path.name} is no legacy PyTorch file")
        _Unpickler(file).load()
        _Unpickler(file).load()
        unpickler = _Unpickler(file)
        state = unpickler.load()
        keys = _Unpickler(file).load()
        storages = {key: _read_storage(file, unpickler.dtypes[key]) for key in keys}
    return {name: _array(tensor, storages) for name, tensor in state.items() if isinstance(tensor, _Tensor)}


class _Unpickler(pickle.Unpickler):
    """Finds three names and nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, type[np.generic]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, shape, strides)
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise UnsafeFile(f"{module}.{name} is not allowed in a weights file")

    def persistent_load(self, pid: Any) -> str:
        kind, dtype, key, *_ = pid
        if kind != "storage":
            raise UnsafeFile(f"{kind!r} is not allowed in a weights file")
        self.dtypes[key] = dtype
        return str(key)


def _read_storage(file: BinaryIO, dtype: type[np.generic]) -> npt.NDArray[Any]:
    count = int(np.frombuffer(file.read(8), np.int64)[0])
    body = file.read(count * np.dtype(dtype).itemsize)
    return np.frombuffer(body, dtype)


def _array(tensor: _Tensor, storages: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    flat = storages[tensor.storage][tensor.offset :]
    strides = [stride * flat.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides).copy()
