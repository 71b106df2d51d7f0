"""TensorFlow SavedModel: the reference engine, and the way to GPUs."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceserve.engines.base import Output, demand_uint8


def precisions() -> tuple[str, ...]:
    return ("f32",)


def load(path: Path, threads: int, precision: str) -> "TensorFlowEngine":
    return TensorFlowEngine(path, threads)


class TensorFlowEngine:
    def __init__(self, path: Path, threads: int) -> None:
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError:
            # TensorFlow fixes its threads with the first model it loads: they stay as the setting was then.
            tf.get_logger().info("threads stay as they were")
        self._tf: Any = tf
        self._model: Any = tf.saved_model.load(str(path.parent))
        self._serve: Any = self._model.signatures["serving_default"]
        demand_uint8(self._serve.structured_input_signature[1]["images"].dtype.as_numpy_dtype)

    def infer(self, images: npt.NDArray[np.uint8]) -> Output:
        found = self._serve(images=self._tf.constant(images))
        return Output(found["probabilities"].numpy(), found["features"].numpy())

    def prepare(self, sizes: list[int]) -> None:
        """Takes any size as it comes."""

    def leave_compiled(self) -> None:
        """Loads quickly enough."""

    def close(self) -> None:
        self._serve = self._model = None
