"""The frozen backbone, once over every image (ADR 0006); the result is kept with the run."""

import io
import logging
import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.learning.shards import Images
from pipeline.ports import ObjectStore

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

_BATCH = 64
_REPORT_SECONDS = 5.0


def extract(backbone: "keras.Model", images: npt.NDArray[np.uint8], what: str) -> npt.NDArray[np.float32]:
    """Float32 [N, width], with progress in the log."""
    import tensorflow as tf

    forward = tf.function(lambda batch: backbone(batch, training=False), reduce_retracing=True)
    found: list[npt.NDArray[np.float32]] = []
    started = reported = time.monotonic()
    for start in range(0, len(images), _BATCH):
        found.append(forward(tf.cast(images[start : start + _BATCH], tf.float32)).numpy())
        done, now = start + len(found[-1]), time.monotonic()
        if now - reported > _REPORT_SECONDS or done == len(images):
            reported = now
            rate = done / (now - started)
            log.info(
                "features of %s: %d/%d, %.0f/s, %.0f s left", what, done, len(images), rate, (len(images) - done) / rate
            )
    return np.concatenate(found) if found else np.zeros((0, backbone.output_shape[-1]), np.float32)


def cached(
    objects: ObjectStore, uri: str, backbone: "keras.Model", train: Images, validation: Images
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Features of both splits, from `uri` when an earlier try left them there."""
    try:
        with np.load(io.BytesIO(objects.read(uri)), allow_pickle=False) as kept:
            log.info("features are there already: %s", uri)
            return kept["train"], kept["validation"]
    except KeyError:
        found = extract(backbone, train.images, "train"), extract(backbone, validation.images, "validation")
    out = io.BytesIO()
    np.savez(out, train=found[0], validation=found[1])
    objects.write(uri, out.getvalue())
    return found
