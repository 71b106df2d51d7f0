"""`python -m tests.two_devices`: one whole training on one device, one on two logical ones; their numbers as JSON."""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from pipeline.domain.training import Epoch, Hyperparameters
from pipeline.learning import backbones
from pipeline.learning.trainer import KerasTrainer
from pipeline.ports.training import TrainingJob
from tests.fakes.data import FakeObjects
from tests.fakes.training import FakeExperiment
from tests.tiny_dataset import LABELS, tiny_dataset

ARTIFACT = "s3://models/run-1/"
PARAMETERS = Hyperparameters("small", epochs=3, batch_size=8, learning_rate=0.01, fine_tune_epochs=3)


def small_network() -> keras.Model:
    """Quick to build; a last block that can be trained."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Conv2D(8, 8, strides=16, activation="relu", name="first")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(16, 3, strides=2, activation="relu")(x))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def trained(*devices: str) -> dict[str, object]:
    objects, epochs = FakeObjects(), list[Epoch]()
    job = TrainingJob("run-1", tiny_dataset(objects, 24, 8), LABELS, PARAMETERS, f"{ARTIFACT}checkpoints/", ARTIFACT)
    result = KerasTrainer(objects, formats=(), devices=devices).train(job, epochs.append, FakeExperiment("1"))
    return {
        "phases": [epoch.phase for epoch in epochs],
        "losses": [[epoch.loss, epoch.val_loss] for epoch in epochs],
        "result": [result.loss, result.val_loss, result.val_accuracy, result.f1_score],
        "fine_tuned": result.fine_tuned,
    }


if __name__ == "__main__":
    backbones.BUILDERS = {"small": backbones.Backbone(lambda objects, uri: small_network(), border="first")}
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    sys.stdout.write(json.dumps([trained(), trained("CPU:0", "CPU:1")]) + "\n")
