"""Checkpoints of one attempt: weights, optimizer, epoch and history of each phase; not for other data or code."""

import hashlib
import io
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.domain.errors import CheckpointRefused
from pipeline.domain.training import Epoch
from pipeline.learning.fitting import Course, Progress
from pipeline.learning.network import Arrays
from pipeline.ports.data import ObjectStore
from pipeline.ports.training import TrainingJob

log = logging.getLogger(__name__)

# The sources that decide what the weights become; the package's other files may change during a training.
_CODE = (
    "backbones",
    "efficientnet_lite0",
    "features",
    "fine_tuning",
    "fitting",
    "frozen",
    "learner",
    "learning",
    "network",
    "shards",
)
_LIBRARIES = ("tensorflow", "keras", "numpy")


@cache
def code_version() -> str:
    """Changes with the code and the libraries that a training's numbers come from."""
    folder = Path(__file__).parent
    sources = b"\0".join((folder / f"{name}.py").read_bytes() for name in _CODE)
    # As they say themselves: on processors TensorFlow is installed under another name.
    libraries = " ".join(f"{name} {import_module(name).__version__}" for name in _LIBRARIES)
    return hashlib.sha256(sources + libraries.encode()).hexdigest()[:16]


class Checkpoints:
    """One object in the store, replaced as a whole: when killed while writing, the one before is still there."""

    def __init__(self, objects: ObjectStore, job: TrainingJob) -> None:
        self._objects = objects
        self._uri = f"{job.checkpoint_uri}checkpoint.npz"
        self._job = job
        self._phases: dict[str, Progress] = {}
        self._owner = {
            "dataset": f"{job.dataset.id} ({job.dataset.sha256})",
            "code version": code_version(),
            "hyperparameters": asdict(job.hyperparameters),
        }

    def open(self) -> None:
        """Go on from what an earlier try left. Raises `CheckpointRefused` when that was another training."""
        if self._job.fresh:
            # Written at once: a training killed before its first checkpoint must not go on from the old one later.
            self._write()
        try:
            body = self._objects.read(self._uri)
        except KeyError:
            return
        owner, phases = _unpacked(body)
        for name in ("dataset", "code version"):
            if owner[name] != self._owner[name]:
                raise CheckpointRefused(
                    f"the checkpoint {self._uri} is of another {name} ({owner[name]}, now {self._owner[name]}): "
                    "train with --fresh to start anew, or under another run id"
                )
        if owner["hyperparameters"] != self._owner["hyperparameters"]:
            log.info("checkpoint %s has other hyperparameters: training starts anew", self._uri)
            return
        self._phases = phases
        for name, progress in phases.items():
            log.info("checkpoint %s: %s goes on after epoch %d", self._uri, name, progress.epoch)

    def course(self, phase: str, on_epoch: Callable[[Epoch], None]) -> Course:
        """From the phase's last checkpoint on."""
        progress = self._phases.get(phase, Progress())
        return Course(progress, lambda reached: self.keep(phase, reached), on_epoch)

    def keep(self, phase: str, progress: Progress) -> None:
        self._phases = {**self._phases, phase: progress}
        self._write()

    def _write(self) -> None:
        self._objects.write(self._uri, _packed(self._owner, self._phases))


def _packed(owner: dict[str, Any], phases: dict[str, Progress]) -> bytes:
    arrays: dict[str, Any] = {}
    notes: dict[str, Any] = {"owner": owner, "phases": {}}
    for name, progress in phases.items():
        for kind, values in (("best", progress.best), ("state", progress.state)):
            arrays |= {f"{name}/{kind}/{index}": value for index, value in enumerate(values)}
        # Not `asdict`, which would copy the arrays.
        notes["phases"][name] = {
            "epoch": progress.epoch,
            "best_epoch": progress.best_epoch,
            "best_val_loss": progress.best_val_loss,
            "history": progress.history,
        }
    arrays["notes"] = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()


def _unpacked(body: bytes) -> tuple[dict[str, Any], dict[str, Progress]]:
    with np.load(io.BytesIO(body), allow_pickle=False) as kept:
        notes = json.loads(kept["notes"].tobytes())

        def arrays(name: str, kind: str) -> Arrays:
            prefix = f"{name}/{kind}/"
            count = sum(key.startswith(prefix) for key in kept.files)
            return [kept[f"{prefix}{index}"] for index in range(count)]

        phases = {
            name: Progress(
                **{**fields, "history": tuple(fields["history"])},
                best=arrays(name, "best"),
                state=arrays(name, "state"),
            )
            for name, fields in notes["phases"].items()
        }
    return notes["owner"], phases
