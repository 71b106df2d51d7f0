"""`python -m include.bench.training.one_run ENDPOINT RUN_ID`: one training as its process runs it, to be killed.

Images, checkpoints and artifact are in S3. A line of JSON an epoch, at the end one with the result.
"""

import io
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

from include.bench.training.dataset import job
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.bootstrap import end_on_sigterm
from pipeline.domain.errors import TrainingInterrupted
from pipeline.domain.training import Epoch, Hyperparameters
from pipeline.learning.trainer import KerasTrainer

PARAMETERS = Hyperparameters(
    backbone="EfficientNetLite0", epochs=150, patience=150, batch_size=16, learning_rate=0.001, fine_tune_epochs=10
)
INTERRUPTED = 75


class Quiet:
    """An experiment nobody looks at."""

    id = "bench"

    def log_parameters(self, parameters: dict[str, str]) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None: ...

    def log_file(self, name: str, body: bytes) -> None: ...

    def note(self, notes: dict[str, str]) -> None: ...


@click.command()
@click.argument("endpoint")
@click.argument("run_id")
def main(endpoint: str, run_id: str) -> None:
    end_on_sigterm()
    objects = S3ObjectStore(endpoint=endpoint)
    try:
        result = KerasTrainer(objects, formats=()).train(job(run_id, objects, PARAMETERS), _say_epoch, Quiet())
    except TrainingInterrupted:
        sys.exit(INTERRUPTED)
    with np.load(io.BytesIO(objects.read(f"{result.artifact_uri}golden.npz"))) as golden:
        answers = golden["probabilities"].ravel().tolist()
    numbers = [result.accuracy, result.val_accuracy, result.loss, result.val_loss, result.f1_score, result.auc]
    epochs = [result.epochs_completed, int(result.fine_tuned)]
    _say({"numbers": [*numbers, *epochs, *answers], "peak_memory_mb": result.peak_memory_mb})


def _say_epoch(epoch: Epoch) -> None:
    before = 0 if epoch.phase == "head" else PARAMETERS.epochs
    _say({"epoch": before + epoch.number})


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
