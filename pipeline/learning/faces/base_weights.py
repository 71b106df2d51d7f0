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
TENSORS_SHA256 = "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b"
FOLDER = Path(sys.prefix) / "share" / "face-api-1.7.15"
BYTES, TENSORS = "face_recognition_model.bin", "face_recognition_model-weights_manifest.json"

Tensors = Mapping[str, npt.NDArray[np.float32]]


class WeightsRefused(ValueError):
    """They are not there, or are not those that were checked."""


def read_weights(folder: Path = FOLDER, sha256: str = SHA256, tensors_sha256: str = TENSORS_SHA256) -> Tensors:
    """Float32 by name. Raises `WeightsRefused` unless both files are the ones with these hashes: another list of the
    same bytes is another network.
    """
    body, listed = _checked(folder / BYTES, sha256), json.loads(_checked(folder / TENSORS, tensors_sha256))
    tensors, at = {}, 0
    for tensor in (one for group in listed for one in group["weights"]):
        values, at = _read(body, at, tensor)
        tensors[tensor["name"]] = values
    if at != len(body):
        raise WeightsRefused(f"{folder / TENSORS} lists {at} bytes of {len(body)}")
    return tensors


def _checked(path: Path, sha256: str) -> bytes:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise WeightsRefused(f"no weights of the face network ({error}): `sh include/stack/install.sh`") from None
    if (found := hashlib.sha256(body).hexdigest()) != sha256:
        raise WeightsRefused(f"{path} has sha256 {found}, expected {sha256}")
    return body


def _read(body: bytes, at: int, tensor: Mapping[str, Any]) -> tuple[npt.NDArray[np.float32], int]:
    """Its values, and where the next one begins; a quantized value is `min` plus so many times `scale`."""
    count, quantized = int(np.prod(tensor["shape"])), tensor.get("quantization")
    stored = np.frombuffer(body, np.uint8 if quantized else "<f4", count, at)
    values = stored.astype(np.float32)
    if quantized:
        values = values * np.float32(quantized["scale"]) + np.float32(quantized["min"])
    return values.reshape(tensor["shape"]), at + stored.nbytes
