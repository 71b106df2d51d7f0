"""ONNX Runtime: the same model wherever OpenVINO does not run."""

from pathlib import Path
from typing import Any

from faceserve.engines.base import Images, Output, demand_entry, demand_uint8
from faceserve.machine.priority import aside

_OUTPUTS = ["probabilities", "features"]


def precisions() -> tuple[str, ...]:
    return ("f32",)


def load(path: Path, threads: int, precision: str) -> "OnnxRuntimeEngine":
    return OnnxRuntimeEngine(path)


class OnnxRuntimeEngine:
    """One core for each call: several calls side by side answer more requests than one call on all cores."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        demand_entry(path, "*.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session: Any = aside(
            lambda: onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        )
        demand_uint8(self._session.get_inputs()[0].type.removeprefix("tensor(").removesuffix(")"))

    def infer(self, images: Images) -> Output:
        probabilities, features = self._session.run(_OUTPUTS, {"images": images})
        return Output(probabilities, features)

    def prepare(self, sizes: list[int]) -> None:
        """Takes any size as it comes."""

    def close(self) -> None:
        self._session = None
