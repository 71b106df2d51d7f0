"""What every inference engine offers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Output:
    """`probabilities` float32 [N, labels], `features` float32 [N, width]."""

    probabilities: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]


class InferenceEngine(Protocol):
    """A loaded model; safe to call from several threads at once."""

    def infer(self, images: npt.NDArray[np.uint8]) -> Output:
        """`images` uint8 RGB [N, H, W, 3]."""

    def close(self) -> None:
        """Release what the model holds; no call may follow."""


EngineFactory = Callable[[Path], InferenceEngine]


def factory(name: str, threads: int) -> EngineFactory:
    """Loads a model file with the named engine; its library is imported only then."""
    if name == "openvino":
        from faceserve.engines.openvino_engine import OpenVinoEngine

        return lambda path: OpenVinoEngine(path, threads)
    if name == "tensorflow":
        from faceserve.engines.tensorflow_engine import TensorFlowEngine

        return lambda path: TensorFlowEngine(path, threads)
    raise ValueError(f"unknown engine {name!r}")
