"""The frozen backbone, once over every image (ADR 0006); the result is kept with the run."""

import io
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.learning.shards import Images
from pipeline.ports import ObjectStore

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

_CHUNK = 64
_CPU_BATCH = 8
_REPORT_SECONDS = 5.0

Forward = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def extract(backbone: "keras.Model", **splits: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
    """Float32 [N, width] of each split, with progress in the log; a GPU when there is one, else OpenVINO."""
    import tensorflow as tf

    forward = _on_gpu(backbone) if tf.config.list_physical_devices("GPU") else _on_cpu(backbone)
    return [_extract(forward, images, name) for name, images in splits.items()]


def _extract(forward: Forward, images: npt.NDArray[np.uint8], what: str) -> npt.NDArray[np.float32]:
    found: list[npt.NDArray[np.float32]] = []
    started = reported = time.monotonic()
    for start in range(0, len(images), _CHUNK):
        found.append(forward(images[start : start + _CHUNK]))
        done, now = start + len(found[-1]), time.monotonic()
        if now - reported > _REPORT_SECONDS or done == len(images):
            reported = now
            rate = done / (now - started)
            log.info(
                "features of %s: %d/%d, %.0f/s, %.0f s left", what, done, len(images), rate, (len(images) - done) / rate
            )
    return np.concatenate(found)


def _on_gpu(backbone: "keras.Model") -> Forward:
    traced = _traced(backbone)
    return lambda images: np.asarray(traced(images).numpy(), np.float32)


def _on_cpu(backbone: "keras.Model") -> Forward:
    """The same network in OpenVINO at full precision: twice TensorFlow's speed, and the engine that will serve."""
    import openvino as ov

    model = ov.convert_model(_traced(backbone).get_concrete_function())
    precise = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", precise))

    def forward(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        found = np.empty((len(images), backbone.output_shape[-1]), np.float32)

        def keep(request: ov.InferRequest, start: int) -> None:
            found[start : start + _CPU_BATCH] = request.get_output_tensor(0).data

        queue.set_callback(keep)
        for start in range(0, len(images), _CPU_BATCH):
            queue.start_async({0: images[start : start + _CPU_BATCH]}, start)
        queue.wait_all()
        return found

    return forward


def _traced(backbone: "keras.Model") -> Any:
    import tensorflow as tf

    size = backbone.input_shape[1:]
    signature = [tf.TensorSpec((None, *size), tf.uint8)]
    return tf.function(lambda batch: backbone(tf.cast(batch, tf.float32), training=False), input_signature=signature)


def cached(
    objects: ObjectStore, uri: str, backbone: "keras.Model", train: Images, validation: Images
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Features of both splits, from `uri` when an earlier try left them there."""
    try:
        with np.load(io.BytesIO(objects.read(uri)), allow_pickle=False) as kept:
            log.info("features are there already: %s", uri)
            return kept["train"], kept["validation"]
    except KeyError:
        found = extract(backbone, train=train.images, validation=validation.images)
    out = io.BytesIO()
    np.savez(out, train=found[0], validation=found[1])
    objects.write(uri, out.getvalue())
    return found[0], found[1]
