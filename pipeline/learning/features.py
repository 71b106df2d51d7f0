"""The frozen backbone, once over every image (ADR 0006); the result is kept with the run."""

import io
import logging
import time
from collections.abc import Callable, Mapping
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

Forward = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.floating]]
Report = Callable[[str, int, int], None]


def precision() -> str:
    """In which the frozen backbone is fastest here; what is trained keeps full precision."""
    return "mixed_float16" if has_gpu() else FULL


def extract(
    network: "keras.Model",
    strategy: Any,
    splits: Mapping[str, npt.NDArray[np.uint8]],
    *,
    batch_size: int = _MAX_CHUNK,
    report: Report = lambda what, done, of: None,
) -> list[npt.NDArray[np.floating]]:
    """The network's outputs for each split's images, with progress in the log.

    TensorFlow computes them on GPUs, `batch_size` images on each at a time; without GPUs OpenVINO does.
    Features are float32 [N, width]; outputs of more dimensions are float16, to halve their size.
    """
    if has_gpu() or strategy.num_replicas_in_sync > 1:
        forward, chunk = _on_devices(network, strategy), batch_size * strategy.num_replicas_in_sync
    else:
        forward, chunk = _on_cpu(network, min(_CPU_BATCH, batch_size)), min(_MAX_CHUNK, 2 * batch_size)
    kept_as = np.float32 if len(network.output_shape) == 2 else np.float16
    return [
        _extract(forward, images, what=name, chunk=chunk, kept_as=kept_as, report=report)
        for name, images in splits.items()
    ]


def _extract(
    forward: Forward, images: npt.NDArray[np.uint8], *, what: str, chunk: int, kept_as: type, report: Report
) -> npt.NDArray[np.floating]:
    found: list[npt.NDArray[np.floating]] = []
    started = reported = time.monotonic()
    for start in range(0, len(images), chunk):
        found.append(forward(images[start : start + chunk]).astype(kept_as))
        done, now = start + len(found[-1]), time.monotonic()
        if now - reported > _REPORT_SECONDS or done == len(images):
            reported = now
            rate = done / (now - started)
            log.info(
                "features of %s: %d/%d, %.0f/s, %.0f s left", what, done, len(images), rate, (len(images) - done) / rate
            )
            report(what, done, len(images))
    return np.concatenate(found)


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


def cached(
    objects: ObjectStore,
    uri: str,
    compute: Callable[[], list[npt.NDArray[np.floating]]],
    forget_erased: Callable[[str], None] = lambda uri: None,
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Training and validation features, from `uri` when an earlier try left them there; `forget_erased` deletes what
    is kept there when it is of photos that were erased meanwhile.
    """
    try:
        with np.load(io.BytesIO(objects.read(uri)), allow_pickle=False) as kept:
            log.info("features are there already: %s", uri)
            train, validation = kept["train"], kept["validation"]
    except KeyError:
        train, validation = compute()
        out = io.BytesIO()
        np.savez(out, train=train, validation=validation)
        objects.write(uri, out.getvalue())
    # Of an earlier try, too: it may have ended before it could.
    forget_erased(uri)
    return train, validation
