"""The trainer, the experiment tracker, and what was tried."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.domain.dataset import Dataset
from pipeline.domain.models import ModelType
from pipeline.domain.reasons import KnownReasons
from pipeline.domain.training import Attempt, Epoch, Hyperparameters, TrainingResult


@dataclass(frozen=True)
class TrainingJob:
    """What the trainer works on; checkpoints and artifact are keyed by run. `fresh` ignores an earlier checkpoint."""

    run_id: str
    dataset: Dataset
    labels: tuple[str, ...]
    hyperparameters: Hyperparameters
    checkpoint_uri: str
    artifact_uri: str
    demand_unseen: Callable[[Iterable[str]], None] = lambda task_ids: None
    """Called with the task ids of the images that were read; raises `DatasetRefused` if any was held out."""
    fresh: bool = False
    reasons: KnownReasons = KnownReasons()
    forget_erased: Callable[[str], None] = lambda uri: None
    """Called with the address of what was just kept of single photos; deletes it if one of them is erased by now."""


class Trainer(Protocol):
    def train(self, job: TrainingJob, on_epoch: Callable[[Epoch], None], experiment: "Experiment") -> TrainingResult:
        """One attempt. Raises `TrainingFailed` with its cause; resumes from the run's checkpoint when there is one.

        Raises `CheckpointRefused` when the checkpoint is of another dataset or of other code.
        """


class Experiment(Protocol):
    """One open run in the experiment tracker."""

    id: str

    def log_parameters(self, parameters: dict[str, str]) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None: ...

    def log_file(self, name: str, body: bytes) -> None:
        """Attach a picture, report or other small file under `name`."""

    def note(self, notes: dict[str, str]) -> None:
        """Short remarks for people; a remark of the same name is replaced."""


class Experiments(Protocol):
    def attempt(self, model_type: ModelType, run_id: str, number: int) -> AbstractContextManager[Experiment]:
        """Open (or reopen) the run of this attempt, under the one of the retraining; an exception marks it failed.

        Memory, processor and network are measured while it is open. Raises `ExperimentDeleted`, also `link` and
        `set_aside` do; every call on a run `ExperimentRunDeleted`, `ServiceRefused` or `ServiceUnavailable`. What is
        raised while it is open comes out as it is, whether the tracker could be told or not.
        """

    def set_aside(self, model_type: ModelType, run_id: str) -> None:
        """Keep what was logged of a run under another name, because the run starts anew."""

    def begun_before(self, model_type: ModelType, moment: datetime) -> Sequence[str]:
        """Run ids of retrainings of which the tracker shows nothing that began later than that."""

    def delete(self, model_type: ModelType, run_id: str) -> int:
        """What the tracker shows of a retraining, attempts that failed or were set aside too; how many of its runs.

        Until the tracker's bin is emptied a person can bring them back.
        """

    def link(self, model_type: ModelType, run_id: str) -> str:
        """Address at which a person finds the retraining with its attempts."""

    def replace_file(self, model_type: ModelType, run_id: str, name: str, body: bytes) -> Sequence[str]:
        """Put `body` in the place of the file `name` of every attempt of a retraining, those that failed, were set
        aside or deleted by a person too; the ids of the tracker's runs that had one.
        """

    def attach(self, experiment_run_id: str, files: Mapping[str, bytes], metrics: Mapping[str, float]) -> str:
        """Add files and metrics to a run that ended; where a person sees the first file, empty for a deleted run."""


class TrainingRuns(Protocol):
    """What was tried and what came of it; readable by later steps."""

    def exclusive(self, run_id: str) -> AbstractContextManager[None]:
        """One process per run at a time; ends with the process. Raises `RunBusy` while another one trains the run."""

    def record(self, run_id: str, dataset_id: str, attempt: Attempt) -> None:
        """Insert, or replace what was known of the attempt with this number."""

    def attempts(self, run_id: str) -> Sequence[Attempt]:
        """Oldest first."""

    def on(self, dataset_id: str) -> Sequence[str]:
        """Runs that were trained on the dataset, or tried to, in the order in which they began."""

    def forget(self, run_id: str) -> None:
        """Remove the attempts of a run that starts anew; what they were tried on stays known to `on`, because pictures
        of it stay in the tracker.
        """

    def succeed(self, result: TrainingResult) -> None: ...

    def result(self, run_id: str) -> TrainingResult | None: ...
