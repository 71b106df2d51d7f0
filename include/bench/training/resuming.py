"""A training process killed at a random moment, started again, compared with one that nobody touched."""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from include.bench.measurement import Say
from include.bench.serving.replicas import object_store
from include.bench.training.dataset import photos, write
from include.bench.training.one_run import PARAMETERS
from pipeline.adapters.s3 import S3ObjectStore

_TRAIN, _VALIDATION = 48, 16
_RUNS = 10
_EPOCHS = PARAMETERS.epochs + PARAMETERS.fine_tune_epochs
# From within an epoch of the head, which takes milliseconds, to one of the last block, and to exporting.
_DELAYS_SECONDS = (0.002, 0.02, 0.2, 2.0)
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Life:
    """One process's: first and last epoch it told of (0: none), and its result's numbers when it came to one."""

    first: int
    last: int
    numbers: tuple[float, ...] | None


def resuming(how: Literal["KILL", "TERM"], say: Say) -> tuple[dict[str, float], str]:
    """Every run is ended once by the signal, at an epoch and a delay after it drawn by a fixed seed."""
    rng = random.Random(how)
    lost: list[int] = []
    differences: list[float] = []
    with object_store() as stack:
        write(S3ObjectStore(endpoint=stack.s3_endpoint), photos(_TRAIN, 1), photos(_VALIDATION, 2))
        undisturbed = lived(stack.s3_endpoint, "undisturbed").numbers
        assert undisturbed is not None, "a training that nobody touches comes to a result"
        for number in range(_RUNS):
            moment = rng.randrange(_EPOCHS), rng.uniform(0, rng.choice(_DELAYS_SECONDS))
            first = lived(stack.s3_endpoint, f"run-{number}", kill=(f"SIG{how}", *moment))
            second = lived(stack.s3_endpoint, f"run-{number}")
            assert second.numbers is not None, "a training that goes on comes to a result"
            # What was told of and is done again is lost; a life that ended in exporting has no epoch to do again.
            lost.append(max(0, first.last - second.first + 1) if second.first else 0)
            apart = max(abs(a - b) for a, b in zip(second.numbers, undisturbed, strict=True))
            differences.append(apart)
            say(f"SIG{how} after epoch {first.last}: {lost[-1]} epochs again, result differs by {apart:g}")
    name = how.lower()
    return {
        f"resume_{name}_runs": len(lost),
        f"resume_{name}_lost_epochs_max": max(lost),
        f"resume_{name}_result_difference_max": max(differences),
    }, (
        f"EfficientNetLite0, {_TRAIN} photos, {PARAMETERS.epochs} epochs of the head and {PARAMETERS.fine_tune_epochs} "
        f"of the last block, checkpoints in S3 every {PARAMETERS.checkpoint_every_epochs}; each process gets SIG{how} "
        "at a random moment. Difference: largest of accuracies, losses, F1, AUC, epochs and golden probabilities."
    )


def lived(endpoint: str, run_id: str, kill: tuple[str, int, float] | None = None) -> Life:
    """Run one training process; `kill` is the signal it gets, so many seconds after it told of so many epochs."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "include.bench.training.one_run", endpoint, run_id],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=Path(__file__).resolve().parents[3],
        )
        assert process.stdout is not None, "it is piped"
        epochs: list[int] = []
        numbers: tuple[float, ...] | None = None
        if kill and not kill[1]:
            _end(process, kill)
        for line in process.stdout:
            told = json.loads(line)
            epochs += [told["epoch"]] if "epoch" in told else []
            numbers = tuple(told["numbers"]) if "numbers" in told else numbers
            if kill and epochs and epochs[-1] == kill[1]:
                _end(process, kill)
        code = process.wait(_PATIENCE_SECONDS)
        if code and not kill:
            errors.seek(0)
            raise RuntimeError(f"training {run_id} ended with {code}: {errors.read()[-2000:]}")
    return Life(epochs[0] if epochs else 0, epochs[-1] if epochs else 0, numbers)


def _end(process: "subprocess.Popen[str]", kill: tuple[str, int, float]) -> None:
    name, _, delay = kill
    time.sleep(delay)
    process.send_signal(signal.Signals[name])
