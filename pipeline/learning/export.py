"""From trained parts to an artifact that a server can check: SavedModel, OpenVINO, golden predictions, manifest."""

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from include.contract.manifest import MANIFEST, ArtifactManifest, Golden, sha256
from include.contract.preprocessing import INPUT_PIXELS
from pipeline.domain.errors import TrainingFailed
from pipeline.ports import ObjectStore

if TYPE_CHECKING:
    import keras

_GOLDEN_FILE = "golden.npz"
_PARITY_TOLERANCE = 0.01
_OPENVINO, _SAVED_MODEL = "openvino/model.xml", "savedmodel/saved_model.pb"


@dataclass(frozen=True)
class Identity:
    """Whose model this is."""

    model_type: str
    backbone: str
    labels: tuple[str, ...]
    run_id: str
    dataset_id: str


def export(
    backbone: "keras.Model",
    head: "keras.Model",
    identity: Identity,
    golden_images: npt.NDArray[np.uint8],
    *,
    objects: ObjectStore,
    uri: str,
) -> str:
    """Write the artifact under `uri`, its manifest last; the manifest's sha256.

    Raises `TrainingFailed` when the OpenVINO model answers otherwise than Keras.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = _save(backbone, head, golden_images, folder)
        _check_parity(folder / _OPENVINO, golden_images, expected["probabilities"])
        golden = io.BytesIO()
        np.savez_compressed(golden, images=golden_images, probabilities=expected["probabilities"])
        (folder / _GOLDEN_FILE).write_bytes(golden.getvalue())
        files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    manifest = ArtifactManifest(
        model_type=identity.model_type,
        backbone=identity.backbone,
        labels=identity.labels,
        input_pixels=INPUT_PIXELS,
        feature_width=int(expected["features"].shape[1]),
        engines={"openvino": _OPENVINO, "tensorflow": _SAVED_MODEL},
        files={path: sha256(body) for path, body in files.items()},
        golden=Golden(_GOLDEN_FILE),
        run_id=identity.run_id,
        dataset_id=identity.dataset_id,
    )
    for path, body in files.items():
        objects.write(f"{uri}{path}", body)
    body = manifest.to_json()
    objects.write(f"{uri}{MANIFEST}", body, "application/json")
    return sha256(body)


def _save(
    backbone: "keras.Model", head: "keras.Model", images: npt.NDArray[np.uint8], folder: Path
) -> dict[str, npt.NDArray[np.float32]]:
    """Both formats on disk; what the exported function says about `images`."""
    import openvino as ov
    import tensorflow as tf

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = backbone, head

        @tf.function(input_signature=[tf.TensorSpec((None, INPUT_PIXELS, INPUT_PIXELS, 3), tf.uint8, name="images")])
        def serve(self, images: Any) -> dict[str, Any]:
            features = self.backbone(tf.cast(images, tf.float32), training=False)
            return {"probabilities": self.head(features, training=False), "features": features}

    served = Served()
    tf.saved_model.save(served, str(folder / "savedmodel"), signatures=served.serve)
    (folder / _OPENVINO).parent.mkdir()
    ov.save_model(
        ov.convert_model(served.serve.get_concrete_function()), str(folder / _OPENVINO), compress_to_fp16=False
    )
    return {name: value.numpy() for name, value in served.serve(tf.constant(images)).items()}


def _check_parity(path: Path, images: npt.NDArray[np.uint8], expected: npt.NDArray[np.float32]) -> None:
    import openvino as ov

    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({"images": images})["probabilities"]
    worst = float(np.abs(found - expected).max())
    if not worst <= _PARITY_TOLERANCE or (found.argmax(1) != expected.argmax(1)).any():
        raise TrainingFailed("error", f"the OpenVINO model differs from Keras by {worst:.3g}")
