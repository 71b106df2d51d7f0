"""Arrays of an artifact's `.npz` file, read so that no file can harm its reader."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceserve.errors import BadArtifact

Array = npt.NDArray[Any]
# The compressions that NumPy writes; others could unpack a few bytes to gigabytes.
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def read_arrays(path: Path, names: Sequence[str], most_bytes: int) -> list[Array]:
    """The arrays of these names, together no larger than `most_bytes` when unpacked. Raises `BadArtifact`."""
    try:
        with zipfile.ZipFile(path) as file:
            members = [file.getinfo(f"{name}.npy") for name in names]
            if any(member.compress_type not in _PACKED for member in members):
                raise ValueError("it is packed in a way that NumPy does not")
            if sum(member.file_size for member in members) > most_bytes:
                raise ValueError(f"it has more than {most_bytes >> 20} MB when unpacked")
            return [_array(file, member) for member in members]
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the bytes is wrong with the artifact
        raise BadArtifact(f"{path.name} cannot be read: {type(error).__name__} {str(error)[:200]}") from None


def _array(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    with file.open(member) as body:
        found: Array = np.lib.format.read_array(body, allow_pickle=False)
    return found
