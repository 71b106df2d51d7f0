"""Where TensorFlow computes: on every GPU there is, as one."""

from collections.abc import Sequence
from typing import Any

from pipeline.domain.errors import GiveUp


def demand_gpus(count: int) -> None:
    """Raises `GiveUp` when TensorFlow sees fewer: somebody pays for what would stand idle beside the training."""
    if not count:
        return
    import tensorflow as tf

    found = len(tf.config.list_physical_devices("GPU"))
    if found < count:
        built = "" if tf.test.is_built_with_cuda() else "; this TensorFlow is built without CUDA"
        raise GiveUp(
            f"this training was given {count} GPUs and finds {found}{built}: it needs the CUDA variant of the training "
            "image and NVIDIA's driver and device plugin on the node, or RETRAIN_TRAINING_POD_GPUS=0"
        )


def strategy(devices: Sequence[str] = ()) -> Any:
    """A `tf.distribute.Strategy` over `devices` (as TensorFlow names them); when none are given, over all GPUs."""
    import tensorflow as tf

    chosen = tuple(devices) or tuple(device.name for device in tf.config.list_logical_devices("GPU"))
    return tf.distribute.MirroredStrategy(chosen) if len(chosen) > 1 else tf.distribute.get_strategy()


def has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
