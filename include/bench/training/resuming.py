"""A training that is killed at a random moment and started again, compared with one that was left alone."""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from include.bench.measurement import Found, Say
from include.bench.serving.replicas import object_store
from include.bench.training.dataset import photos, write
from include.bench.training.one_run import PARAMETERS
from include.stack.layout import REPOSITORY
from pipeline.adapters.s3 import S3ObjectStore

_TRAIN, _VALIDATION = 48, 16
_RUNS = 10
_EPOCHS = PARAMETERS.epochs + PARAMETERS.fine_tune_epochs
# An epoch of the head takes milliseconds, one of the last block more, exporting seconds.
_DELAYS_SECONDS = (0.002, 0.02, 0.2, 2.0)
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Life:
    """What one process told: its first and last epoch (0: none), and the numbers of its result if it had one."""

    first: int
    last: int
    numbers: tuple[float, ...] | None


@dataclass(frozen=True)
class Kill:
    """A signal that is sent `delay_seconds` after the process told of `epochs` epochs."""

    signal: str
    epochs: int
    delay_seconds: float

    def send(self, process: "subprocess.Popen[str]") -> None:
        time.sleep(self.delay_seconds)
        process.send_signal(signal.Signals[self.signal])


def killed(say: Say) -> Found:
    """With SIGKILL, for which no process can prepare."""
    return _resuming("SIGKILL", say)


def terminated(say: Say) -> Found:
    """With SIGTERM, on which a training saves a checkpoint."""
    return _resuming("SIGTERM", say)


def _resuming(name: str, say: Say) -> Found:
    """Every run is ended once by the signal, at an epoch and a delay after it drawn by a fixed seed."""
    rng, lost, differences = random.Random(name), [], []
    with object_store(say) as stack:
        write(S3ObjectStore(endpoint=stack.s3_endpoint), photos(_TRAIN, 1), photos(_VALIDATION, 2))
        undisturbed = _result(lived(stack.s3_endpoint, "undisturbed"))
        for number in range(_RUNS):
            kill = Kill(name, rng.randrange(_EPOCHS), rng.uniform(0, rng.choice(_DELAYS_SECONDS)))
            first = lived(stack.s3_endpoint, f"run-{number}", kill)
            second = lived(stack.s3_endpoint, f"run-{number}")
            # Epochs that were told of and are done again are lost; a process that died while exporting repeats none.
            lost.append(max(0, first.last - second.first + 1) if second.first else 0)
            differences.append(max(abs(a - b) for a, b in zip(_result(second), undisturbed, strict=True)))
            say(f"{name} after epoch {first.last}: {lost[-1]} epochs again, result differs by {differences[-1]:g}")
    prefix = f"resume_{name.removeprefix('SIG').lower()}"
    figures = {
        f"{prefix}_runs": len(lost),
        f"{prefix}_lost_epochs_max": max(lost),
        f"{prefix}_result_difference_max": max(differences),
    }
    return Found(
        figures,
        f"EfficientNetLite0, {_TRAIN} photos, {PARAMETERS.epochs} epochs of the head and {PARAMETERS.fine_tune_epochs} "
        f"of the last block, checkpoints in S3 every {PARAMETERS.checkpoint_every_epochs}; each process gets {name} "
        "at a random moment. Difference: largest of accuracies, losses, F1, AUC, epochs and golden probabilities.",
    )


def _result(life: Life) -> tuple[float, ...]:
    assert life.numbers is not None, "a training that nobody ends comes to a result"
    return life.numbers


def lived(endpoint: str, run_id: str, kill: Kill | None = None) -> Life:
    """Run one training process, and end it if so told; `RuntimeError` when it ends of itself without a result."""
    command = [sys.executable, "-m", "include.bench.training.one_run", endpoint, run_id]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=REPOSITORY)
        try:
            life = _heard(process, kill)
            code = process.wait(_PATIENCE_SECONDS)
        finally:
            # Whoever stops listening leaves no training behind; of one that has ended nothing is left to kill.
            process.kill()
        if code and not kill:
            errors.seek(0)
            raise RuntimeError(f"training {run_id} ended with {code}: {errors.read()[-2000:]}")
    return life


def _heard(process: "subprocess.Popen[str]", kill: Kill | None) -> Life:
    """Listen until the process ends."""
    assert process.stdout is not None, "it is piped"
    epochs: list[int] = []
    numbers: tuple[float, ...] | None = None
    if kill and not kill.epochs:
        kill.send(process)
    for line in process.stdout:
        told = json.loads(line)
        epochs += [told["epoch"]] if "epoch" in told else []
        numbers = tuple(told["numbers"]) if "numbers" in told else numbers
        if kill and epochs and epochs[-1] == kill.epochs:
            kill.send(process)
    return Life(epochs[0] if epochs else 0, epochs[-1] if epochs else 0, numbers)
