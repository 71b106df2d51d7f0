"""A tiny real model as an artifact: brightness decides, so that tests know the answer."""

import functools
import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from faceserve.errors import TooLarge
from include.contract.manifest import MANIFEST, REASONS, ArtifactManifest, Golden

LABELS = ("양호", "불량")
PIXELS = 224


def tiny_artifact(
    *, sharpness: float = 8.0, turn: int = 0, labels: tuple[str, ...] = LABELS, run_id: str = "run-1", **changes: Any
) -> dict[str, bytes]:
    """Files of an artifact whose model says 불량 for dark photos; `sharpness` makes versions differ.

    `turn` shifts the three features, so that embeddings of two versions do not compare.

    `changes` replace fields of the manifest; `golden_shift` spoils the golden predictions by that much, `golden_turn`
    the golden embeddings, as `turn` shifts those of the model; `served` is another model to put into the artifact, and
    `beside` are more files, by path.
    """
    shift, golden_turn = changes.pop("golden_shift", 0.0), changes.pop("golden_turn", 0)
    images, probabilities, features = _said(sharpness, turn)
    golden = io.BytesIO()
    features = np.roll(features, -golden_turn, 1)
    np.savez(golden, images=images, probabilities=probabilities + np.float32(shift), features=features)
    with tempfile.TemporaryDirectory() as folder:
        ov.save_model(changes.pop("served", network(sharpness, turn)), f"{folder}/model.xml", compress_to_fp16=False)
        files = {f"openvino/{p.name}": p.read_bytes() for p in Path(folder).iterdir()}
    files |= {"golden.npz": golden.getvalue(), **changes.pop("beside", {})}
    fields: dict[str, Any] = {
        "model_type": "LAUNDRY",
        "backbone": "Tiny",
        "labels": labels,
        "input_pixels": PIXELS,
        "feature_width": 3,
        "engines": {"openvino": "openvino/model.xml"},
        "files": {path: hashlib.sha256(body).hexdigest() for path, body in files.items()},
        "golden": Golden("golden.npz"),
        "run_id": run_id,
        "dataset_id": "DS-2026-001",
        **changes,
    }
    return {**files, MANIFEST: ArtifactManifest(**fields).to_json()}


@functools.cache
def _said(sharpness: float, turn: int) -> tuple[npt.NDArray[Any], ...]:
    """Images, and what the network says of them: probabilities and features."""
    # Of three colours: of grey ones all features are the same, and no turn would show.
    colours = [(level, level * 3 // 4, level // 2) for level in (10, 90, 160, 240)]
    images = np.stack([np.full((PIXELS, PIXELS, 3), colour, np.uint8) for colour in colours])
    said = ov.Core().compile_model(network(sharpness, turn), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)
    return images, np.array(said["probabilities"]), np.array(said["features"])


def manifest_sha256(files: Mapping[str, bytes]) -> str:
    return hashlib.sha256(files[MANIFEST]).hexdigest()


def stain_or_mud() -> dict[str, bytes]:
    """A file beside the network, by which red photos have a stain and green ones are muddy."""
    out = io.BytesIO()
    weights = np.array([[9, 0], [0, 9], [0, 0]], np.float32)
    np.savez(out, names=np.array(("얼룩", "흙")), weights=weights, bias=np.full(2, -5, np.float32))
    return {REASONS: out.getvalue()}


def coloured_photo(red: int, green: int, blue: int) -> bytes:
    """A PNG of one colour."""
    ok, encoded = cv2.imencode(".png", np.full((64, 64, 3), (blue, green, red), np.uint8))
    assert ok
    return bytes(encoded.tobytes())


def grey_photo(level: int, width: int = 320, height: int = 240) -> bytes:
    """A JPEG of one shade of grey, 0 black to 255 white."""
    ok, encoded = cv2.imencode(".jpg", np.full((height, width, 3), level, np.uint8))
    assert ok
    return bytes(encoded.tobytes())


class FolderSource:
    """Objects in memory, by URI."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, uri: str, files: Mapping[str, bytes]) -> str:
        self.objects |= {f"{uri}{path}": body for path, body in files.items()}
        return manifest_sha256(files)

    def read(self, uri: str, at_most_bytes: int = 1 << 30) -> bytes:
        if uri not in self.objects:
            raise FileNotFoundError(uri)
        if len(self.objects[uri]) > at_most_bytes:
            raise TooLarge(f"{uri} has {len(self.objects[uri])} bytes, over the limit of {at_most_bytes}")
        return self.objects[uri]

    def chunks(self, uri: str, at_most_bytes: float = float("inf")) -> Iterator[bytes]:
        # Who stands in for a store gives objects in one way.
        yield self.read(uri, int(at_most_bytes)) if at_most_bytes < float("inf") else self.read(uri)

    def write(self, uri: str, body: bytes) -> None:
        self.objects[uri] = body

    def marks(self, prefix: str) -> dict[str, str]:
        found = sorted(dict(self.objects).items())
        return {uri: hashlib.md5(body).hexdigest() for uri, body in found if uri.startswith(prefix)}

    def names(self, prefix: str, after: str) -> list[str]:
        return sorted(uri for uri in list(self.objects) if uri.startswith(prefix) and uri > after)

    def delete(self, uri: str) -> None:
        self.objects.pop(uri, None)


def network(
    sharpness: float = 8.0,
    turn: int = 0,
    *,
    pixels: int = PIXELS,
    datatype: Any = np.uint8,
    detour: Callable[[Any], Any] = lambda features: features,
) -> ov.Model:
    """`detour` is led through on the way from the three features to the answer."""
    images = ops.parameter([-1, pixels, pixels, 3], datatype, name="images")
    means = ops.reduce_mean(ops.convert(images, "f32"), np.array([1, 2]), keep_dims=False)
    order = np.roll(np.arange(3), turn)
    features = detour(ops.gather(ops.divide(means, np.float32(255)), order, np.int64(1)))
    bright = ops.reduce_mean(features, np.array([1]), keep_dims=True)
    logits = ops.multiply(ops.subtract(bright, np.float32(0.5)), np.array([[sharpness, -sharpness]], np.float32))
    probabilities = ops.softmax(logits, 1)
    model = ov.Model([ops.result(probabilities), ops.result(features)], [images], "tiny")
    model.inputs[0].get_tensor().set_names({"images"})
    for output, name in zip(model.outputs, ("probabilities", "features"), strict=True):
        output.get_tensor().set_names({name})
    return model
