"""One child process for each version, beside engines in the server's own process (ADR 0010)."""

import multiprocessing
import queue
import statistics
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil

from faceserve.engines.base import available_cores, factory, precisions
from include.bench.artifacts import Folder, artifact
from include.bench.measurement import Figures, Found, Say, calls_per_second, seconds

_NETWORKS = ("small", "EfficientNetLite0")
_SHAPE = (1, 224, 224, 3)
_BYTES = int(np.prod(_SHAPE))
_CALLS, _SECONDS = 300, 5.0
_MB = 2**20

Images = npt.NDArray[np.uint8]


def child_process(say: Say) -> Found:
    """The milliseconds that a hop to another process adds to a request, and the memory one more process takes."""
    figures: Figures = {}
    for network in _NETWORKS:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            artifact(network, Folder(Path(folder)), "s3://bench/")
            here, there, own_mb = _here_and_there(Path(folder, "openvino", "model.xml"))
        say(f"{network}: p50 {here[0]:.2f} ms here, {there[0]:.2f} ms in a child that takes {own_mb:.0f} MB")
        name = network.lower()
        figures[f"child_process_{name}_added_ms"] = there[0] - here[0]
        figures[f"child_process_{name}_throughput_ratio"] = there[1] / here[1]
        figures[f"child_process_{name}_own_mb"] = round(own_mb)
    return Found(
        figures,
        f"One image a call. Added: median of {_CALLS} calls in a child (images by shared memory, answers by a pipe) "
        "minus those in this process. Ratio: calls a second of as many callers as cores.",
    )


def _here_and_there(path: Path) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Measured in this process, measured in a child, and the megabytes that only the child uses."""
    precision = precisions("openvino", "auto")[0]
    here = _measured(factory("openvino", available_cores())(path, precision).infer)
    child = _ChildEngine(path, precision, available_cores())
    try:
        return here, _measured(child.infer), child.own_mb()
    finally:
        child.close()


def _measured(infer: Callable[[Images], object]) -> tuple[float, float]:
    """Milliseconds of one call alone, and calls a second of as many callers as cores."""
    images = np.random.default_rng(1).integers(0, 256, _SHAPE, np.uint8)
    alone = [seconds(lambda: infer(images)) * 1000 for _ in range(_CALLS)]
    most = calls_per_second(lambda: infer(images), callers=available_cores(), at_least_seconds=_SECONDS)
    return statistics.median(alone), most


class _ChildEngine:
    """An engine in another process; each slot has shared memory for images and a pipe for answers."""

    def __init__(self, path: Path, precision: str, slots: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._free: queue.SimpleQueue[tuple[SharedMemory, Connection]] = queue.SimpleQueue()
        self._slots = []
        theirs = []
        for _ in range(slots):
            memory, (ours, other) = SharedMemory(create=True, size=_BYTES), context.Pipe()
            self._slots.append((memory, ours))
            theirs.append((memory.name, other))
        self._process = context.Process(target=_serve, args=(path, precision, theirs), daemon=True)
        self._process.start()
        for slot in self._slots:
            slot[1].recv_bytes()
            self._free.put(slot)

    def infer(self, images: Images) -> npt.NDArray[np.float32]:
        memory, connection = slot = self._free.get()
        np.ndarray(_SHAPE, np.uint8, memory.buf)[:] = images
        connection.send_bytes(b"!")
        found = np.frombuffer(connection.recv_bytes(), np.float32)
        self._free.put(slot)
        return found

    def own_mb(self) -> float:
        return float(psutil.Process(self._process.pid).memory_full_info().uss) / _MB

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        for memory, connection in self._slots:
            connection.close()
            memory.close()
            memory.unlink()


def _serve(path: Path, precision: str, slots: list[tuple[str, Connection]]) -> None:
    engine = factory("openvino", len(slots))(path, precision)

    def answer(name: str, connection: Connection) -> None:
        memory = SharedMemory(name)
        images: Images = np.ndarray(_SHAPE, np.uint8, memory.buf)
        connection.send_bytes(b"ready")
        while connection.recv_bytes():
            found = engine.infer(images)
            connection.send_bytes(np.concatenate([found.probabilities[0], found.features[0]]).tobytes())

    threads = [threading.Thread(target=answer, args=slot) for slot in slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
