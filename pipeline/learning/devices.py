"""Where TensorFlow computes: on every GPU there is, as one."""

from collections.abc import Sequence
from typing import Any


def strategy(devices: Sequence[str] = ()) -> Any:
    """A `tf.distribute.Strategy` over `devices` (as TensorFlow names them); when none are given, over all GPUs."""
    import tensorflow as tf

    chosen = tuple(devices) or tuple(device.name for device in tf.config.list_logical_devices("GPU"))
    return tf.distribute.MirroredStrategy(chosen) if len(chosen) > 1 else tf.distribute.get_strategy()


def has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
