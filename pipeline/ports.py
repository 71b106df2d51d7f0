"""What the steps need from the outside world; adapters and fakes implement these, steps see nothing else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.domain.dataset import ConfirmedTask, Dataset, Fingerprint, Manifest, Photo
from pipeline.domain.events import OutgoingEvent, TaskConfirmedEvent
from pipeline.domain.models import Artifact, ModelType, ModelVersion, Transition
from pipeline.domain.retraining import Backlog, RetrainingDecision
from pipeline.domain.training import Attempt, Epoch, Hyperparameters, TrainingResult
from pipeline.domain.verification import Blessing, Check, PerformanceMeasurement


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, zone-aware UTC."""


# Events ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One broker message as received; `tag` acknowledges it on the channel it came from."""

    body: bytes
    message_id: str | None
    tag: int
    redelivered: bool = False


class EventQueue(Protocol):
    """The queue of `TaskConfirmedEvent`s. Nothing leaves it before `acknowledge`."""

    def depth(self) -> int:
        """Messages ready, without touching them. Raises `ServiceUnavailable`."""

    def batches(self, *, max_messages: int, batch_size: int) -> Iterator[Sequence[Message]]:
        """Batches until the queue is empty or `max_messages` came; unacknowledged ones return on close."""

    def dead_letter(self, message: Message, reason: str) -> None:
        """Publish `message` with `reason` to the dead-letter queue and wait for the broker's confirmation."""

    def acknowledge(self, batch: Sequence[Message]) -> None:
        """Only after the batch's effects are committed."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that could not be used; `id` is short and made of its content."""

    id: str
    message_id: str | None
    reason: str
    body: bytes


class DeadLetters(Protocol):
    """What could not be used, waiting for a person. All raise `ServiceUnavailable`."""

    def all(self) -> Sequence[DeadLetter]:
        """Oldest first; they stay where they are."""

    def requeue(self, letter_id: str) -> DeadLetter:
        """Back to the queue of confirmations, with its message id. Raises `GiveUp` for an unknown id."""

    def discard(self, letter_id: str) -> DeadLetter:
        """Gone for ever. Raises `GiveUp` for an unknown id."""


class EventPublisher(Protocol):
    def publish(self, event: OutgoingEvent) -> None:
        """Publish persistently with publisher confirms. Raises `ServiceUnavailable`."""


class Outbox(Protocol):
    """Events committed with their cause, waiting to be published (design D9)."""

    def pending(self) -> Sequence[OutgoingEvent]: ...

    def add(self, event: OutgoingEvent) -> None:
        """Add once: the same event id again changes nothing."""

    def mark_published(self, event_id: str) -> None: ...


@dataclass(frozen=True)
class Stored:
    """How many of a batch were new; the others were known already."""

    new: int
    duplicates: int


class Confirmations(Protocol):
    """Every confirmation that ever arrived, once."""

    def store(self, events: Sequence[TaskConfirmedEvent]) -> Stored:
        """Insert in one transaction; keys already present count as duplicates. Raises `ServiceUnavailable`."""

    def backlog(self, model_type: ModelType) -> Backlog: ...


class Decisions(Protocol):
    """Every evaluation of the retraining policy (design D15)."""

    def record(self, model_type: ModelType, decision: RetrainingDecision, *, at: datetime, asked_by: str) -> str:
        """Returns the decision's id; the id names the run that a due decision triggers."""


class RetrainingRuns(Protocol):
    """At most one retraining of a model type at a time, whoever started it."""

    def begin(self, run_id: str, model_type: ModelType, *, at: datetime, lease_hours: float) -> bool:
        """Claim the model type; True also for the run that holds the claim already, False while another one does.

        A claim older than `lease_hours` belongs to a run that died and may be taken over.
        """

    def holds(self, run_id: str) -> bool:
        """Whether this run holds a claim that has not ended."""

    def end(self, run_id: str, *, at: datetime, outcome: str) -> None:
        """Release the claim: `deployed`, `refused`, `failed` or `not due`; again changes nothing."""


# Data -----------------------------------------------------------------------------------------------------------------


class CorrectionSource(Protocol):
    """Read-only view of the Helper database (DD-03)."""

    def corrections(self, *, since: datetime | None, limit: int) -> Sequence[ConfirmedTask]:
        """The specification's query: corrected tasks confirmed after `since`, newest first."""

    def confirmed(self, *, limit: int) -> Sequence[ConfirmedTask]:
        """The most recent confirmed tasks, corrected or not, newest first."""


class PhotoStore(Protocol):
    def read(self, url: str) -> bytes:
        """Raises `PhotoMissing`, `PhotoRefused` (address or size not allowed) or `ServiceUnavailable`."""


class PhotoInspector(Protocol):
    def fingerprint(self, photo: bytes) -> Fingerprint:
        """Never raises for bad bytes: the fault is in the result."""


class ObjectStore(Protocol):
    """S3 objects by `s3://bucket/key`."""

    def read(self, uri: str) -> bytes:
        """Raises `KeyError` when there is none, `ServiceUnavailable` when S3 is."""

    def write(self, uri: str, body: bytes, content_type: str = "application/octet-stream") -> None: ...

    def exists(self, uri: str) -> bool: ...


class Datasets(Protocol):
    """Rows about datasets, and the permanent founders of photo clusters."""

    def begin(self, run_id: str, model_type: ModelType) -> str:
        """Reserve `DS-<year>-<nnn>` for this run; the same run gets the same id again."""

    def freeze(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        """Record that the manifest is in the object store, with its counts and cluster founders."""

    def frozen_sha256(self, dataset_id: str) -> str | None:
        """Hash of the frozen manifest, None before `freeze`."""

    def cluster_founders(self) -> Sequence[int]:
        """Perceptual hashes that founded a cluster, oldest first."""

    def complete(self, dataset: Dataset, photos: Sequence[Photo]) -> None:
        """Insert the dataset's counts and its per-photo lineage; again with the same values changes nothing."""

    def get(self, dataset_id: str) -> Dataset:
        """Raises `GiveUp` when the dataset is unknown or not complete."""


@dataclass(frozen=True)
class Validation:
    """What the data checks found: `failures` stop the run, `warnings` are for the report."""

    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    html: bytes


class DataValidator(Protocol):
    def check(self, manifest: Manifest) -> Validation: ...


class Augmenter(Protocol):
    """Turns photos into training images, and packs images into shards."""

    def shard(self, photos: Sequence[tuple[Photo, bytes]], *, copies: int, seed: int, labels: Sequence[str]) -> bytes:
        """One shard: each photo resized, `copies` images in all (the original and augmented ones); deterministic."""

    def contact_sheet(self, shards: Sequence[bytes], labels: Sequence[str]) -> bytes:
        """PNG of sample images, one row a label."""


# Training -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingJob:
    """What the trainer works on; checkpoints and artifact are keyed by run. `fresh` ignores an earlier checkpoint."""

    run_id: str
    dataset: Dataset
    labels: tuple[str, ...]
    hyperparameters: Hyperparameters
    checkpoint_uri: str
    artifact_uri: str
    fresh: bool = False


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
        """Short remarks for people; again replaces them."""


class Experiments(Protocol):
    def attempt(self, model_type: ModelType, run_id: str, number: int) -> AbstractContextManager[Experiment]:
        """Open (or reopen) the run of this attempt, under the one of the retraining; an exception marks it failed.

        Memory, processor and network are measured while it is open.
        """

    def link(self, model_type: ModelType, run_id: str) -> str:
        """Where a person finds the retraining with its attempts."""


class TrainingRuns(Protocol):
    """What was tried and what came of it; readable by later steps."""

    def exclusive(self, run_id: str) -> AbstractContextManager[None]:
        """One process a run; ends with the process. Raises `RunBusy` while another one is at it."""

    def record(self, run_id: str, dataset_id: str, attempt: Attempt) -> None:
        """Insert, or replace what was known of the attempt with this number."""

    def attempts(self, run_id: str) -> Sequence[Attempt]:
        """Oldest first."""

    def forget(self, run_id: str) -> None:
        """Remove the attempts of a run that starts anew."""

    def succeed(self, result: TrainingResult) -> None: ...

    def result(self, run_id: str) -> TrainingResult | None: ...


# Verification ---------------------------------------------------------------------------------------------------------


class Trial(Protocol):
    """A private model server with one model loaded, answering over gRPC."""

    def classify(self, photos: Sequence[bytes]) -> Sequence[str]:
        """One label a photo."""

    def measure(self, photos: Sequence[bytes], *, requests: int, concurrency: int) -> PerformanceMeasurement: ...


class TrialServer(Protocol):
    def serve(self, model_type: ModelType, version: str, artifact: Artifact) -> AbstractContextManager[Trial]:
        """Raises `ModelRefused` when the server will not load the model."""


class Checks(Protocol):
    def save(self, run_id: str, part: str, checks: Sequence[Check]) -> None:
        """Keep the checks of one part (`accuracy`, `performance`); again replaces them until a blessing exists."""

    def of(self, run_id: str) -> Sequence[Check]: ...


class Blessings(Protocol):
    def grant(self, blessing: Blessing, event: OutgoingEvent | None) -> None:
        """Insert verdict and event in one transaction; a second verdict on one run changes nothing."""

    def of_run(self, run_id: str) -> Blessing | None: ...


# Registry and deployment ----------------------------------------------------------------------------------------------


class ModelVersions(Protocol):
    """Rows of `model_versions`."""

    def register(self, version: ModelVersion) -> ModelVersion:
        """Insert; a run that registered before gets its existing row."""

    def get(self, model_type: ModelType, version: str) -> ModelVersion:
        """Raises `UnknownVersion`."""

    def of_run(self, run_id: str) -> ModelVersion | None: ...

    def latest(self, model_type: ModelType) -> ModelVersion | None:
        """The highest version ever registered."""

    def all(self, model_type: ModelType) -> Sequence[ModelVersion]:
        """Newest first."""


class Transitions(Protocol):
    """Append-only truth about which version serves (design D13)."""

    def served(self, model_type: ModelType) -> Sequence[Transition]:
        """Transitions confirmed served, oldest first."""

    def request(self, transition: Transition) -> None:
        """Append the intent. Raises `StaleTransition` unless `expected_current` is the champion."""

    def confirm(self, transition: Transition, event: OutgoingEvent) -> None:
        """Append the confirmation, project `model_versions.status` and add `event` to the outbox, in one transaction.

        Raises `StaleTransition` when another transition was confirmed since; the same one again changes nothing.
        """

    def fail(self, transition: Transition, reason: str) -> None:
        """Append that the intent came to nothing."""

    def exclusive(self, model_type: ModelType) -> AbstractContextManager[None]:
        """One deployment or rollback of a model type at a time; waits for the other."""


class ModelRegistry(Protocol):
    """The registry people look at; a projection, never the truth."""

    def register(self, version: ModelVersion, experiment_run_id: str | None) -> None:
        """Create the model version and the alias `candidate`; again changes nothing."""

    def mirror(self, model_type: ModelType, *, champion: str, previous: str | None) -> None:
        """Make the aliases `champion` and `previous` say what the transition log says."""


@dataclass(frozen=True)
class Serving:
    """What one replica says it serves."""

    replica: str
    version: str | None
    previous: str | None
    epoch: int


@dataclass(frozen=True)
class Swap:
    """Outcome of a fleet-wide change; `swap_milliseconds_max` is the slowest replica's reference exchange."""

    replicas: tuple[Serving, ...]
    swap_milliseconds_max: float
    prepare_seconds: float
    activate_seconds: float


class ServingFleet(Protocol):
    """Every replica of the model server."""

    def swap(self, model_type: ModelType, version: str, artifact: Artifact) -> Swap:
        """Two phases: prepare on all, then activate on all (design D6).

        Raises `ModelRefused` or `ServiceUnavailable`; nobody switches unless everybody prepared, and a replica that
        fails to activate sends the others back to what they served.
        """

    def serving(self, model_type: ModelType) -> Sequence[Serving]: ...
