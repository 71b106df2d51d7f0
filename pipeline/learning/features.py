"""The frozen backbone, once over every image (ADR 0006); the result is kept with the run."""

import hashlib
import io
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.learning.devices import has_gpu
from pipeline.ports.data import ObjectStore

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

FULL = "float32"
_MAX_CHUNK = 64
_CPU_BATCH = 8
_REPORT_SECONDS = 5.0
PART_IMAGES = 1024
"""A minute or less of work on a processor."""

Forward = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.floating]]
Report = Callable[[str, int, int], None]
Outputs = npt.NDArray[np.floating]
Kept = Callable[[str, Callable[[], Outputs]], Outputs]


def precision() -> str:
    """In which the frozen backbone is fastest here; what is trained keeps full precision."""
    return "mixed_float16" if has_gpu() else FULL


def computed_by(precision: str, weights_uri: str | None) -> str:
    """Changes with what decides the numbers beside the code: on another machine they are others."""
    by = precision if has_gpu() else f"{precision} openvino {version('openvino')}"
    return hashlib.sha256(f"{by} {weights_uri or ''}".encode()).hexdigest()[:8]


@dataclass(frozen=True)
class _Engine:
    """`forward` gets so many images at a time; its outputs are kept as `kept_as`."""

    forward: Forward
    chunk: int
    kept_as: type

    @classmethod
    def of(cls, network: "keras.Model", strategy: Any, batch_size: int) -> "_Engine":
        kept_as = np.float32 if len(network.output_shape) == 2 else np.float16
        if has_gpu() or strategy.num_replicas_in_sync > 1:
            return cls(_on_devices(network, strategy), batch_size * strategy.num_replicas_in_sync, kept_as)
        return cls(_on_cpu(network, min(_CPU_BATCH, batch_size)), min(_MAX_CHUNK, 2 * batch_size), kept_as)


def extract(
    build: "Callable[[], keras.Model]",
    strategy: Any,
    splits: Mapping[str, npt.NDArray[np.uint8]],
    *,
    batch_size: int = _MAX_CHUNK,
    kept: Kept = lambda name, compute: compute(),
    report: Report = lambda what, done, of: None,
) -> list[Outputs]:
    """Outputs of the network that `build` makes for each split's images, with progress in the log.

    TensorFlow computes them on GPUs, `batch_size` images on each at a time; without GPUs OpenVINO does.
    Features are float32 [N, width]; outputs of more dimensions are float16, to halve their size. `kept` is asked for
    each part of `PART_IMAGES` images; the network is made when the first one has to be computed.
    """
    engine = cache(lambda: _Engine.of(build(), strategy, batch_size))
    return [_of_split(engine, images, _Progress(name, len(images), report), kept) for name, images in splits.items()]


def _of_split(
    engine: Callable[[], _Engine], images: npt.NDArray[np.uint8], progress: "_Progress", kept: Kept
) -> Outputs:
    found: list[Outputs] = []
    for start in range(0, len(images), PART_IMAGES):
        part = images[start : start + PART_IMAGES]
        found.append(kept(f"{progress.what}-{start:08d}", partial(_computed, engine, part, progress)))
        progress.reached(start + len(part))
    return np.concatenate(found)


def _computed(engine: Callable[[], _Engine], images: npt.NDArray[np.uint8], progress: "_Progress") -> Outputs:
    e, before = engine(), progress.done
    found: list[Outputs] = []
    for start in range(0, len(images), e.chunk):
        found.append(e.forward(images[start : start + e.chunk]).astype(e.kept_as))
        progress.computed(before + start + len(found[-1]), len(found[-1]))
    return np.concatenate(found)


class _Progress:
    """Told every few seconds, and at the end; its pace is that of what was computed."""

    def __init__(self, what: str, of: int, report: Report) -> None:
        self.what, self.done = what, 0
        self._of, self._report, self._computed = of, report, 0
        self._began = self._told = time.monotonic()

    def computed(self, done: int, images: int) -> None:
        self._computed += images
        self.reached(done)

    def reached(self, done: int) -> None:
        if done == self.done:
            return
        self.done, now = done, time.monotonic()
        if now - self._told > _REPORT_SECONDS or done == self._of:
            self._told = now
            rate = self._computed / (now - self._began)
            left = f", {rate:.0f}/s, {(self._of - done) / rate:.0f} s left" if rate else ""
            log.info("features of %s: %d/%d%s", self.what, done, self._of, left)
            self._report(self.what, done, self._of)


def _on_devices(network: "keras.Model", strategy: Any) -> Forward:
    """By TensorFlow, with the images divided over the devices."""
    import tensorflow as tf

    def on_one(images: Any) -> Any:
        context = tf.distribute.get_replica_context()
        mine = images[context.replica_id_in_sync_group :: context.num_replicas_in_sync]
        return network(tf.cast(mine, tf.float32), training=False)

    shared = tf.function(lambda images: strategy.run(on_one, args=(images,)), reduce_retracing=True)

    def forward(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.floating]:
        found = np.empty((len(images), *network.output_shape[1:]), np.float32)
        parts = strategy.experimental_local_results(shared(images))
        for number, part in enumerate(parts):
            found[number :: len(parts)] = tf.cast(part, tf.float32).numpy()
        return found

    return forward


def _on_cpu(network: "keras.Model", batch: int) -> Forward:
    """The same network in OpenVINO at full precision: twice TensorFlow's speed, and the engine that will serve."""
    import openvino as ov

    model = ov.convert_model(_traced(network).get_concrete_function())
    precise = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", precise))

    def forward(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.floating]:
        found = np.empty((len(images), *network.output_shape[1:]), np.float32)

        def keep(request: ov.InferRequest, start: int) -> None:
            found[start : start + batch] = request.get_output_tensor(0).data

        queue.set_callback(keep)
        for start in range(0, len(images), batch):
            queue.start_async({0: images[start : start + batch]}, start)
        queue.wait_all()
        return found

    return forward


def _traced(network: "keras.Model") -> Any:
    import tensorflow as tf

    size = network.input_shape[1:]
    signature = [tf.TensorSpec((None, *size), tf.uint8)]
    return tf.function(lambda batch: network(tf.cast(batch, tf.float32), training=False), input_signature=signature)


@dataclass(frozen=True)
class KeptParts:
    """Parts under the folder `uri`, each kept as soon as it is computed, so that a try that is ended costs minutes.
    `forget_erased` deletes one if a photo of it was erased meanwhile.
    """

    objects: ObjectStore
    uri: str
    forget_erased: Callable[[str], None] = lambda uri: None

    def __call__(self, name: str, compute: Callable[[], Outputs]) -> Outputs:
        """Of an earlier try, or computed now."""
        uri = f"{self.uri}{name}.npy"
        try:
            part: Outputs = np.load(io.BytesIO(self.objects.read(uri)), allow_pickle=False)
            log.info("features are there already: %s", uri)
        except KeyError:
            part = compute()
            out = io.BytesIO()
            np.save(out, part, allow_pickle=False)
            self.objects.write(uri, out.getvalue())
        # Of an earlier try, too: it may have ended before it could.
        self.forget_erased(uri)
        return part
