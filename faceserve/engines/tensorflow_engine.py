"""TensorFlow SavedModel: the reference engine, and the way to GPUs."""

from pathlib import Path
from typing import Any

from faceserve.engines.base import Images, Output, demand_entry, demand_uint8
from faceserve.engines.tensorflow_ops import beyond_calculating


def precisions() -> tuple[str, ...]:
    return ("f32",)


def load(path: Path, threads: int, precision: str) -> "TensorFlowEngine":
    return TensorFlowEngine(path, threads)


class TensorFlowEngine:
    def __init__(self, path: Path, threads: int) -> None:
        import tensorflow as tf

        # TensorFlow is given the folder and reads the file of this name, so this must be the file that is checked.
        demand_entry(path, "saved_model.pb")
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError:
            # TensorFlow fixes its threads with the first model it loads: they stay as the setting was then.
            tf.get_logger().info("threads stay as they were")
        _demand_pure(path)
        self._tf: Any = tf
        self._model: Any = tf.saved_model.load(str(path.parent))
        self._serve: Any = self._model.signatures["serving_default"]
        demand_uint8(self._serve.structured_input_signature[1]["images"].dtype.as_numpy_dtype)

    def infer(self, images: Images) -> Output:
        found = self._serve(images=self._tf.constant(images))
        return Output(found["probabilities"].numpy(), found["features"].numpy())

    def prepare(self, sizes: list[int]) -> None:
        """Takes any size as it comes."""

    def close(self) -> None:
        self._serve = self._model = None


def _demand_pure(path: Path) -> None:
    """Raises `ValueError` for a SavedModel whose graph does more than calculate."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    if found := beyond_calculating(SavedModel.FromString(path.read_bytes())):
        raise ValueError(f"the graph does more than calculate: {', '.join(found)}")
