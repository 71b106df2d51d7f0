"""From trained parts to an artifact that a server can check: SavedModel, OpenVINO, golden predictions, manifest."""

import io
import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from include.contract.manifest import MANIFEST, ArtifactManifest, Golden, sha256
from include.contract.preprocessing import INPUT_PIXELS
from include.contract.signature import SIGNATURE, sign
from pipeline.domain.errors import TrainingFailed
from pipeline.learning.formats import lost_accuracy, onnx_probabilities, probabilities, quantize, to_onnx
from pipeline.learning.shards import Images
from pipeline.ports.data import ObjectStore

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

_GOLDEN_FILE = "golden.npz"
_PARITY_TOLERANCE = 0.01
# What reduced precision may add to that distance; the most likely label must stay the same.
_BF16_TOLERANCE = 0.06
_INT8_SLACK = 2.0
_MAX_LOST_ACCURACY = 0.005
_OPENVINO, _SAVED_MODEL = "openvino/model.xml", "savedmodel/saved_model.pb"
_INT8, _ONNX = "openvino-int8/model.xml", "onnx/model.onnx"


@dataclass(frozen=True)
class Identity:
    """What the model is of: type, network, labels, run and dataset."""

    model_type: str
    backbone: str
    labels: tuple[str, ...]
    run_id: str
    dataset_id: str


@dataclass(frozen=True)
class Samples:
    """`golden` are the images a server must answer as the trainer did; int8 is calibrated on `calibration` (training
    images) and kept only if it is as accurate on `validation`. All images are uint8 [N, 224, 224, 3]."""

    golden: npt.NDArray[np.uint8]
    calibration: npt.NDArray[np.uint8]
    validation: Images


def export(
    backbone: "keras.Model",
    head: "keras.Model",
    identity: Identity,
    samples: Samples,
    *,
    objects: ObjectStore,
    uri: str,
    formats: Sequence[str] = ("int8", "onnx"),
    signing_key: Path | None = None,
) -> str:
    """Write the artifact under `uri`, its manifest last. Returns the manifest's sha256.

    SavedModel and OpenVINO are always in it, `formats` adds others; `signing_key` is a private key.
    Raises `TrainingFailed` when another engine answers otherwise than Keras; an int8 copy that loses more than half a
    percentage point is left out.
    """
    engines, tolerances, notes = {"openvino": _OPENVINO, "tensorflow": _SAVED_MODEL}, {"bf16": _BF16_TOLERANCE}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = _served(backbone, head)
        expected = _save(served, samples.golden, folder)
        _check_parity("OpenVINO", probabilities(folder / _OPENVINO, samples.golden), expected["probabilities"])
        if "onnx" in formats:
            to_onnx(served.serve, folder / _ONNX)
            _check_parity("ONNX", onnx_probabilities(folder / _ONNX, samples.golden), expected["probabilities"])
            engines["onnxruntime"] = _ONNX
        if "int8" in formats:
            quantize(folder / _OPENVINO, folder / _INT8, samples.calibration)
            lost = lost_accuracy(folder / _INT8, folder / _OPENVINO, samples.validation)
            notes["int8_lost_accuracy"] = round(lost, 4)
            if lost <= _MAX_LOST_ACCURACY:
                engines["openvino-int8"] = _INT8
                tolerances["int8"] = _int8_tolerance(folder / _INT8, samples.golden, expected["probabilities"])
            else:
                log.warning("no int8 copy: its accuracy would be %.1f percentage points lower", lost * 100)
                shutil.rmtree((folder / _INT8).parent)
        golden = io.BytesIO()
        np.savez_compressed(golden, images=samples.golden, probabilities=expected["probabilities"])
        (folder / _GOLDEN_FILE).write_bytes(golden.getvalue())
        files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    manifest = ArtifactManifest(
        model_type=identity.model_type,
        backbone=identity.backbone,
        labels=identity.labels,
        input_pixels=INPUT_PIXELS,
        feature_width=int(expected["features"].shape[1]),
        engines=engines,
        files={path: sha256(body) for path, body in files.items()},
        golden=Golden(_GOLDEN_FILE, tolerances=tolerances),
        run_id=identity.run_id,
        dataset_id=identity.dataset_id,
        extra=notes,
    )
    for path, body in files.items():
        objects.write(f"{uri}{path}", body)
    body = manifest.to_json()
    if signing_key is not None:
        objects.write(f"{uri}{SIGNATURE}", sign(body, signing_key), "application/json")
    objects.write(f"{uri}{MANIFEST}", body, "application/json")
    return sha256(body)


def _served(backbone: "keras.Model", head: "keras.Model") -> Any:
    """One function from pixels to probabilities and features."""
    import tensorflow as tf

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = backbone, head

        @tf.function(input_signature=[tf.TensorSpec((None, INPUT_PIXELS, INPUT_PIXELS, 3), tf.uint8, name="images")])
        def serve(self, images: Any) -> dict[str, Any]:
            features = self.backbone(tf.cast(images, tf.float32), training=False)
            return {"probabilities": self.head(features, training=False), "features": features}

    return Served()


def _save(served: Any, images: npt.NDArray[np.uint8], folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """SavedModel and OpenVINO on disk; what the exported function says about `images`."""
    import openvino as ov
    import tensorflow as tf

    tf.saved_model.save(served, str(folder / "savedmodel"), signatures=served.serve)
    (folder / _OPENVINO).parent.mkdir()
    ov.save_model(
        ov.convert_model(served.serve.get_concrete_function()), str(folder / _OPENVINO), compress_to_fp16=False
    )
    return {name: value.numpy() for name, value in served.serve(tf.constant(images)).items()}


def _check_parity(engine: str, found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> None:
    worst = float(np.abs(found - expected).max())
    if not worst <= _PARITY_TOLERANCE or (found.argmax(1) != expected.argmax(1)).any():
        raise TrainingFailed("error", f"the {engine} model differs from Keras by {worst:.3g}")


def _int8_tolerance(path: Path, images: npt.NDArray[np.uint8], expected: npt.NDArray[np.float32]) -> float:
    """The distance seen here, with some slack: other processors round differently."""
    worst = float(np.abs(probabilities(path, images) - expected).max())
    return round(max(_BF16_TOLERANCE, _INT8_SLACK * worst), 4)
