"""The numbers of the base network, from the npm package `@vladmandic/face-api` 1.7.15 (MIT) that installing fetches.

dlib's ResNet-29 of faces, quantized by face-api.js: a list of tensors beside one file of their bytes.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SHA256 = "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589"
FOLDER = Path(sys.prefix) / "share" / "face-api-1.7.15"
BYTES, TENSORS = "face_recognition_model.bin", "face_recognition_model-weights_manifest.json"

Tensors = Mapping[str, npt.NDArray[np.float32]]


class WeightsRefused(ValueError):
    """They are not there, or are not those that were checked."""


def read_weights(folder: Path = FOLDER, sha256: str = SHA256) -> Tensors:
    """Float32 by name. Raises `WeightsRefused` unless the bytes are the ones with this hash."""
    try:
        body, listed = (folder / BYTES).read_bytes(), json.loads((folder / TENSORS).read_bytes())
    except OSError as error:
        raise WeightsRefused(f"no weights of the face network ({error}): `sh include/stack/install.sh`") from None
    if (found := hashlib.sha256(body).hexdigest()) != sha256:
        raise WeightsRefused(f"{folder / BYTES} has sha256 {found}, expected {sha256}")
    tensors, at = {}, 0
    for tensor in (one for group in listed for one in group["weights"]):
        values, at = _read(body, at, tensor)
        tensors[tensor["name"]] = values
    if at != len(body):
        raise WeightsRefused(f"{folder / TENSORS} lists {at} bytes of {len(body)}")
    return tensors


def _read(body: bytes, at: int, tensor: Mapping[str, Any]) -> tuple[npt.NDArray[np.float32], int]:
    """Its values, and where the next one begins; a quantized value is `min` plus so many times `scale`."""
    count, quantized = int(np.prod(tensor["shape"])), tensor.get("quantization")
    stored = np.frombuffer(body, np.uint8 if quantized else "<f4", count, at)
    values = stored.astype(np.float32)
    if quantized:
        values = values * np.float32(quantized["scale"]) + np.float32(quantized["min"])
    return values.reshape(tensor["shape"]), at + stored.nbytes
