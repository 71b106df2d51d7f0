"""`python -m tests.two_devices N`: one whole training on N logical processors as devices; its numbers as JSON."""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from pipeline.domain.training import Hyperparameters
from pipeline.learning.trainer import KerasTrainer
from pipeline.ports import TrainingJob
from tests.fakes.data import FakeObjects
from tests.fakes.training import FakeExperiment
from tests.tiny_dataset import LABELS, tiny_dataset

ARTIFACT = "s3://models/run-1/"
PARAMETERS = Hyperparameters("EfficientNetLite0", epochs=3, batch_size=8, learning_rate=0.003, fine_tune_epochs=3)


def main(count: int) -> None:
    devices = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(devices[0], [tf.config.LogicalDeviceConfiguration()] * count)
    objects, epochs = FakeObjects(), []
    job = TrainingJob("run-1", tiny_dataset(objects, 24, 8), LABELS, PARAMETERS, f"{ARTIFACT}checkpoints/", ARTIFACT)
    names = tuple(f"CPU:{number}" for number in range(count)) if count > 1 else ()
    result = KerasTrainer(objects, formats=(), devices=names).train(job, epochs.append, FakeExperiment("1"))
    sys.stdout.write(
        json.dumps(
            {
                "replicas": count,
                "phases": [epoch.phase for epoch in epochs],
                "losses": [[epoch.loss, epoch.val_loss] for epoch in epochs],
                "result": [result.loss, result.val_loss, result.val_accuracy, result.f1_score],
                "fine_tuned": result.fine_tuned,
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
