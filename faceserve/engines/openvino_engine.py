"""OpenVINO, the default on CPUs."""

import queue
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from faceserve.engines.base import Output, demand_uint8


def precisions() -> tuple[str, ...]:
    return ("f32", "int8", "bf16") if _has_bf16() else ("f32", "int8")


def load(path: Path, threads: int, precision: str) -> "OpenVinoEngine":
    return OpenVinoEngine(path, threads, precision)


class OpenVinoEngine:
    """One network of fixed shape for each batch size: dynamic shapes are slower, and worked out anew on first use."""

    def __init__(self, path: Path, threads: int, precision: str = "f32") -> None:
        # Left alone, OpenVINO would choose bf16 on newer processors without saying so. What an int8 model leaves in
        # floating point is approximate anyway.
        floats = "bf16" if precision == "bf16" or (precision == "int8" and _has_bf16()) else "f32"
        self._options: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            # One stream a core answers a third more requests than all cores on each request in turn.
            "NUM_STREAMS": threads,
            "INFERENCE_PRECISION_HINT": floats,
        }
        self._path = path
        self._threads = threads
        self._precision = precision
        self._core = ov.Core()
        self._sizes: dict[int, _FixedBatch] = {}
        self.prepare([1])

    def prepare(self, sizes: "list[int]") -> None:
        for size in sizes:
            if size not in self._sizes:
                self._sizes[size] = _FixedBatch(self._network(size), self._threads)

    def leave_compiled(self) -> None:
        for size, batch in self._sizes.items():
            self._compiled_path(size).write_bytes(batch.exported())

    def infer(self, images: npt.NDArray[np.uint8]) -> Output:
        fitting = self._sizes.get(len(images))
        if fitting is not None:
            return fitting.infer(images)
        outputs = [self._sizes[1].infer(images[at : at + 1]) for at in range(len(images))]
        return Output(
            np.concatenate([output.probabilities for output in outputs]),
            np.concatenate([output.features for output in outputs]),
        )

    def close(self) -> None:
        self._sizes = {}

    def _network(self, size: int) -> Any:
        """Compiled here, or taken over from the process that tried this model out."""
        compiled = self._compiled_path(size)
        if compiled.exists():
            try:
                return self._core.import_model(ov.Tensor(np.memmap(compiled, np.uint8, "r")), "CPU", self._options)
            finally:
                # It takes as much disk as the model, and is made anew each time a model is tried out.
                compiled.unlink()
        model = self._core.read_model(str(self._path))
        demand_uint8(model.input("images").element_type.to_dtype())
        _, *shape = model.input("images").partial_shape
        model.reshape([size, *shape])
        return self._core.compile_model(model, "CPU", self._options)

    def _compiled_path(self, size: int) -> Path:
        return self._path.with_name(f"compiled-{self._precision}-{self._threads}-{size}.blob")


class _FixedBatch:
    def __init__(self, compiled: Any, streams: int) -> None:
        self._compiled = compiled
        # An infer request is not thread-safe and holds memory: one a stream, handed from caller to caller.
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())

    def infer(self, images: npt.NDArray[np.uint8]) -> Output:
        request = self._requests.get()
        try:
            request.infer({"images": images}, share_inputs=True)
            return Output(
                np.array(request.get_tensor("probabilities").data, np.float32),
                np.array(request.get_tensor("features").data, np.float32),
            )
        finally:
            self._requests.put(request)

    def exported(self) -> bytes:
        found = self._compiled.export_model()
        return found if isinstance(found, bytes) else bytes(found.getvalue())


def _has_bf16() -> bool:
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
