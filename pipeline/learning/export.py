"""From trained parts to an artifact that a server can check: SavedModel, OpenVINO, golden predictions, manifest."""

import io
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from include.contract.manifest import MANIFEST, REASONS, ArtifactManifest, Golden, sha256
from include.contract.preprocessing import INPUT_PIXELS
from include.contract.signature import SIGNATURE, sign
from pipeline.domain.errors import TrainingFailed
from pipeline.learning import golden
from pipeline.learning.formats import lost_accuracy, onnx_probabilities, probabilities, quantize, to_onnx
from pipeline.learning.reasons import ReasonHead
from pipeline.learning.shards import Images
from pipeline.ports.data import ObjectStore

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

_GOLDEN_FILE = "golden.npz"
_PARITY_TOLERANCE = 0.01
# What reduced precision may add to that distance: a label that hangs on less may turn, which verification sees.
_BF16_TOLERANCE = 0.06
_INT8_SLACK = 2.0
_MAX_LOST_ACCURACY = 0.005
_OPENVINO, _SAVED_MODEL = "openvino/model.xml", "savedmodel/saved_model.pb"
_INT8, _ONNX = "openvino-int8/model.xml", "onnx/model.onnx"


@dataclass(frozen=True)
class Trained:
    """The network's parts; `reasons` say what a correction may be about, and change no verdict."""

    backbone: "keras.Model"
    head: "keras.Model"
    reasons: ReasonHead | None = None


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
    """int8 is calibrated on `calibration` (training images) and kept only if it is as accurate on `validation`. All
    images are uint8 [N, 224, 224, 3]."""

    calibration: npt.NDArray[np.uint8]
    validation: Images


@dataclass(frozen=True)
class Destination:
    """Where an artifact goes, its addresses beginning with `uri`; signed when there is a private key."""

    objects: ObjectStore
    uri: str
    signing_key: Path | None = None


@dataclass(frozen=True)
class _Asked:
    """Golden images, and the trained model's answers: those of a server must be the same."""

    images: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]


@dataclass
class _Copies:
    """Entry files of the model by the engine that runs it, as far as they were made."""

    engines: dict[str, str]
    tolerances: dict[str, float]
    notes: dict[str, float]


def export(
    model: Trained,
    identity: Identity,
    samples: Samples,
    to: Destination,
    *,
    formats: Sequence[str] = ("int8", "onnx"),
) -> str:
    """Write the artifact, its manifest last. Returns the manifest's sha256.

    SavedModel and OpenVINO are always in it, `formats` adds others.
    Raises `TrainingFailed` when another engine answers otherwise than Keras; an int8 copy that loses more than half a
    percentage point is left out.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, served = Path(name), _served(model.backbone, model.head)
        asked, width = _save(served, folder)
        copies = _copies(served, asked, samples, formats, folder)
        kept = io.BytesIO()
        np.savez_compressed(kept, images=asked.images, probabilities=asked.probabilities)
        (folder / _GOLDEN_FILE).write_bytes(kept.getvalue())
        if model.reasons:
            (folder / REASONS).write_bytes(model.reasons.to_bytes())
        files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    manifest = ArtifactManifest(
        model_type=identity.model_type,
        backbone=identity.backbone,
        labels=identity.labels,
        input_pixels=INPUT_PIXELS,
        feature_width=width,
        engines=copies.engines,
        files={path: sha256(body) for path, body in files.items()},
        golden=Golden(_GOLDEN_FILE, tolerances=copies.tolerances),
        run_id=identity.run_id,
        dataset_id=identity.dataset_id,
        extra={**golden.NOTE, **copies.notes},
    )
    return write_artifact(files, manifest.to_json(), to)


def _copies(served: Any, asked: _Asked, samples: Samples, formats: Sequence[str], folder: Path) -> _Copies:
    """Each copy is made in `folder`, and answers as Keras does."""
    found = _Copies({"openvino": _OPENVINO, "tensorflow": _SAVED_MODEL}, {"bf16": _BF16_TOLERANCE}, {})
    _check_parity("OpenVINO", probabilities(folder / _OPENVINO, asked.images), asked)
    if "onnx" in formats:
        to_onnx(served.serve, folder / _ONNX)
        _check_parity("ONNX", onnx_probabilities(folder / _ONNX, asked.images), asked)
        found.engines["onnxruntime"] = _ONNX
    if "int8" in formats:
        quantize(folder / _OPENVINO, folder / _INT8, samples.calibration)
        lost = lost_accuracy(folder / _INT8, folder / _OPENVINO, samples.validation)
        found.notes["int8_lost_accuracy"] = round(lost, 4)
        if lost <= _MAX_LOST_ACCURACY:
            found.engines["openvino-int8"] = _INT8
            found.tolerances["int8"] = _int8_tolerance(folder / _INT8, asked)
        else:
            log.warning("no int8 copy: its accuracy would be %.1f percentage points lower", lost * 100)
            shutil.rmtree((folder / _INT8).parent)
    return found


def write_artifact(files: Mapping[str, bytes], manifest: bytes, to: Destination) -> str:
    """Signature and manifest come last. The manifest's sha256."""
    for path, body in files.items():
        to.objects.write(f"{to.uri}{path}", body)
    if to.signing_key is not None:
        to.objects.write(f"{to.uri}{SIGNATURE}", sign(manifest, to.signing_key), "application/json")
    to.objects.write(f"{to.uri}{MANIFEST}", manifest, "application/json")
    return sha256(manifest)


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


def _save(served: Any, folder: Path) -> tuple[_Asked, int]:
    """SavedModel and OpenVINO on disk; golden images with what the exported function says about them, and how many
    features it gives.
    """
    import openvino as ov
    import tensorflow as tf

    tf.saved_model.save(served, str(folder / "savedmodel"), signatures=served.serve)
    (folder / _OPENVINO).parent.mkdir()
    ov.save_model(
        ov.convert_model(served.serve.get_concrete_function()), str(folder / _OPENVINO), compress_to_fp16=False
    )
    images = golden.candidates()
    answers = {name: value.numpy() for name, value in served.serve(tf.constant(images)).items()}
    chosen = golden.most_telling(answers["probabilities"])
    return _Asked(images[chosen], answers["probabilities"][chosen]), int(answers["features"].shape[1])


def _check_parity(engine: str, found: npt.NDArray[np.float32], asked: _Asked) -> None:
    worst = float(np.abs(found - asked.probabilities).max())
    if not worst <= _PARITY_TOLERANCE or (found.argmax(1) != asked.probabilities.argmax(1)).any():
        raise TrainingFailed("error", f"the {engine} model differs from Keras by {worst:.3g}")


def _int8_tolerance(path: Path, asked: _Asked) -> float:
    """The distance seen here, with some slack: other processors round differently."""
    worst = float(np.abs(probabilities(path, asked.images) - asked.probabilities).max())
    return round(max(_BF16_TOLERANCE, _INT8_SLACK * worst), 4)
