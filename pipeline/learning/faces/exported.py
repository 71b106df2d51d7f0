"""Network and head as one graph, in the file that a server loads, and what a manifest says of them."""

import io
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from include.contract.manifest import PORTRAIT_BOUNDS, Golden
from include.contract.portrait import PORTRAIT
from include.contract.preprocessing import INPUT_PIXELS
from pipeline.domain.errors import TrainingFailed
from pipeline.learning import golden
from pipeline.learning.faces.head import Array
from pipeline.learning.faces.learner import head_of

# It tells people apart and nothing else: whatever it is shown, it says the one label it has.
LABELS = ("얼굴",)
_FOLDER, _MODEL, _GOLDEN = "openvino", "model.xml", "golden.npz"
_KEPT_IMAGES = 16
# What a cosine may differ by from one engine or precision to the next: thresholds are worth three digits.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """Files by their path in the artifact, and fields of its manifest."""

    files: Mapping[str, bytes]
    fields: Mapping[str, Any]


def exported(base: Any, head: bytes) -> Exported:
    """OpenVINO's format alone. Raises `TrainingFailed` when it answers otherwise than the network that was learned."""
    import openvino as ov
    import tensorflow as tf

    matrix = head_of(head).matrix
    served, images = _served(base, matrix), golden.candidates()[:_KEPT_IMAGES]
    features = served.serve(tf.constant(images))["features"].numpy()
    with tempfile.TemporaryDirectory() as name:
        model = Path(name, _MODEL)
        ov.save_model(ov.convert_model(served.serve.get_concrete_function()), str(model), compress_to_fp16=False)
        _demand_parity(model, images, features)
        files = {f"{_FOLDER}/{path.name}": path.read_bytes() for path in sorted(model.parent.iterdir())}
    kept = io.BytesIO()
    np.savez_compressed(kept, images=images, probabilities=np.ones((len(images), len(LABELS))), features=features)
    fields = {
        "labels": LABELS,
        "input_pixels": INPUT_PIXELS,
        "feature_width": matrix.shape[1],
        "engines": {_FOLDER: f"{_FOLDER}/{_MODEL}"},
        "golden": Golden(_GOLDEN, tolerance=_TOLERANCE),
        "extra": {**golden.NOTE, PORTRAIT_BOUNDS: asdict(PORTRAIT)},
    }
    return Exported({**files, _GOLDEN: kept.getvalue()}, fields)


def _served(base: Any, matrix: Array) -> Any:
    """One function from pixels to embeddings; of the two outputs that servers ask for the first one says nothing."""
    import tensorflow as tf

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.head = base, tf.constant(matrix)

        @tf.function(input_signature=[tf.TensorSpec((None, INPUT_PIXELS, INPUT_PIXELS, 3), tf.uint8, name="images")])
        def serve(self, images: Any) -> dict[str, Any]:
            features = self.base(tf.cast(images, tf.float32), training=False) @ self.head
            # Not a constant: its number of rows is that of the images.
            return {"probabilities": tf.ones_like(features[:, : len(LABELS)]), "features": features}

    return Served()


def _demand_parity(model: Path, images: npt.NDArray[np.uint8], expected: Array) -> None:
    import openvino as ov

    compiled = ov.Core().compile_model(str(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = np.array(compiled({"images": images})["features"])
    cosines = (found * expected).sum(1) / (np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1))
    if not (cosines >= 1 - _TOLERANCE).all():
        raise TrainingFailed("error", f"the OpenVINO model turns embeddings to a cosine of {cosines.min():.6f}")
