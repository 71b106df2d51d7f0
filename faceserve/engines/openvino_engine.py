"""OpenVINO, the default on CPUs."""

import queue
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from faceserve.engines.base import Images, Output, demand_entry, demand_uint8
from faceserve.machine.priority import each_aside


def precisions() -> tuple[str, ...]:
    return ("f32", "int8", "bf16") if _has_bf16() else ("f32", "int8")


def load(path: Path, threads: int, precision: str) -> "OpenVinoEngine":
    return OpenVinoEngine(path, threads, precision)


class OpenVinoEngine:
    """A network of fixed shape for each batch size and core.

    The shapes are fixed because dynamic ones are slower and are worked out again on first use. There is one network for
    each core, not one with a stream for each core, because then the caller's own thread does the work; the threads that
    loaded the network keep the lowest priority, and are not needed again. It is as fast, and takes the memory of its
    packed weights once for each core.
    """

    def __init__(self, path: Path, threads: int, precision: str = "f32") -> None:
        demand_entry(path, "*.xml")
        # Left alone, OpenVINO would choose bf16 on newer processors without saying so. What an int8 model leaves in
        # floating point is approximate anyway.
        floats = "bf16" if precision == "bf16" or (precision == "int8" and _has_bf16()) else "f32"
        self._options: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            # Pinned, all of them would share the first core.
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": floats,
        }
        self._path = path
        self._threads = threads
        self._core = ov.Core()
        self._sizes: dict[int, queue.SimpleQueue[Any]] = {}
        self.prepare([1])

    def prepare(self, sizes: "list[int]") -> None:
        for size in sizes:
            if size not in self._sizes:
                self._sizes[size] = self._networks(size)

    def infer(self, images: Images) -> Output:
        fitting = self._sizes.get(len(images))
        if fitting is not None:
            return _inferred(fitting, images)
        outputs = [_inferred(self._sizes[1], images[at : at + 1]) for at in range(len(images))]
        return Output(
            np.concatenate([output.probabilities for output in outputs]),
            np.concatenate([output.features for output in outputs]),
        )

    def close(self) -> None:
        self._sizes = {}

    def _networks(self, size: int) -> "queue.SimpleQueue[Any]":
        """One infer request a core."""
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for one in each_aside([lambda: self._network(size)] * self._threads):
            requests.put(one)
        return requests

    def _network(self, size: int) -> Any:
        """An infer request, which holds all that it needs."""
        model = self._core.read_model(str(self._path))
        demand_uint8(model.input("images").element_type.to_dtype())
        _, *shape = model.input("images").partial_shape
        model.reshape([size, *shape])
        return self._core.compile_model(model, "CPU", self._options).create_infer_request()


def _inferred(free: "queue.SimpleQueue[Any]", images: Images) -> Output:
    """An infer request is not thread-safe: it is handed from caller to caller."""
    request = free.get()
    try:
        request.infer({"images": images}, share_inputs=True)
        return Output(
            np.array(request.get_tensor("probabilities").data, np.float32),
            np.array(request.get_tensor("features").data, np.float32),
        )
    finally:
        free.put(request)


def _has_bf16() -> bool:
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
