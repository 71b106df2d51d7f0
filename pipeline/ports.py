"""What the steps need from the outside world; adapters and fakes implement these, steps see nothing else."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.domain.blessing import Blessing, Override
from pipeline.domain.checks import Check, PerformanceMeasurement, Prediction
from pipeline.domain.comparison import Slice
from pipeline.domain.dataset import Augmentation, ConfirmedTask, Dataset, Fingerprint, Manifest, Photo, Split
from pipeline.domain.events import OutgoingEvent, TaskConfirmedEvent
from pipeline.domain.leakage import HeldOut
from pipeline.domain.lineage import Appearance, Erased
from pipeline.domain.live_accuracy import Observation, Reading, Tally
from pipeline.domain.models import Artifact, FailedChange, ModelType, ModelVersion, Transition
from pipeline.domain.quality import Measured
from pipeline.domain.retraining import Backlog, RetrainingDecision
from pipeline.domain.rollout import CanarySeen
from pipeline.domain.training import Attempt, Epoch, Hyperparameters, TrainingResult


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

    def waiting(self) -> int:
        """How many, without touching them."""

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

    def untold(self) -> Sequence[OutgoingEvent]:
        """Events that nobody was told of yet, oldest first."""

    def mark_told(self, event_id: str) -> None: ...


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

    def running(self, model_type: ModelType) -> str | None:
        """The run that holds the claim."""

    def end(self, run_id: str, *, at: datetime, outcome: str) -> None:
        """Release the claim: `deployed`, `refused`, `failed` or `not due`; again changes nothing."""


# Data -----------------------------------------------------------------------------------------------------------------


class CorrectionSource(Protocol):
    """Read-only view of the Helper database (DD-03); nothing returns more rows than its `limit`."""

    def corrections(self, *, since: datetime | None, limit: int) -> Sequence[ConfirmedTask]:
        """The specification's query: corrected tasks confirmed after `since`, newest first."""

    def earlier_corrections(self, *, until: datetime, limit: int) -> Sequence[ConfirmedTask]:
        """Corrected tasks confirmed at `until` or before, spread over that time by a hash of their id."""

    def confirmed(self, *, limit: int) -> Sequence[ConfirmedTask]:
        """The most recent confirmed tasks, corrected or not, newest first."""

    def history(self, *, limit: int) -> Sequence[ConfirmedTask]:
        """Confirmed tasks, corrected or not, spread over all time by a hash of their id: mostly the same each time."""

    def tasks(self, task_ids: Sequence[str]) -> Sequence[ConfirmedTask]:
        """Those of the named tasks that are confirmed."""


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


class ObjectFolders(ObjectStore, Protocol):
    """Objects that are also listed, deleted and shown to people."""

    def list(self, prefix: str) -> Sequence[str]:
        """URIs that begin with `prefix`, sorted."""

    def delete(self, uri: str) -> None:
        """Gone; deleting what is not there changes nothing."""

    def link(self, uri: str) -> str:
        """An http address a browser can open for some days, without credentials of its own."""


class Datasets(Protocol):
    """Rows about datasets, the permanent sides of photo clusters, and the append-only holdout."""

    def begin(self, run_id: str, model_type: ModelType) -> str:
        """Reserve `DS-<year>-<nnn>` for this run; the same run gets the same id again."""

    def freeze(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        """Record that the manifest is in the object store, in one transaction with its per-photo lineage, the sides of
        its new clusters, and the holdout photos that are new: they make the next version of the holdout.

        Frozen already, nothing changes.
        """

    def frozen_sha256(self, dataset_id: str) -> str | None:
        """Hash of the frozen manifest, None before `freeze`."""

    def clusters(self) -> Mapping[int, Split]:
        """The perceptual hash that founded each cluster, oldest first, and the side it stands on for ever."""

    def holdout(self, model_type: ModelType) -> Sequence[HeldOut]:
        """Every photo that was ever held out, newest first; none of them may be trained on."""

    def holdout_uses(self, model_type: ModelType, task_ids: Sequence[str]) -> int:
        """Verdicts that the oldest of these holdout members took part in."""

    def complete(self, dataset: Dataset) -> None:
        """Record the dataset's counts and hash; again with the same values changes nothing."""

    def get(self, dataset_id: str) -> Dataset:
        """Raises `GiveUp` when the dataset is unknown or not complete."""

    def previous(self, dataset_id: str) -> Dataset | None:
        """The last complete dataset of the same model type before this one."""

    def frozen(self) -> Sequence[tuple[str, ModelType, str]]:
        """Id, model type and run of every dataset whose manifest is frozen, oldest first."""

    def appearances(self, *, task_id: str | None = None, dataset_id: str | None = None) -> Sequence[Appearance]:
        """Where a task's photo was used, or what a dataset consists of; ordered by dataset, then task."""


class Erasures(Protocol):
    """Photos that may be used no more (privacy)."""

    def record(self, erased: Erased) -> None:
        """From now on no selection takes the task or the same bytes again. Recorded already, nothing changes."""

    def all(self) -> Sequence[Erased]: ...

    def replace_manifest(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        """The frozen manifest's hash after a photo was taken out of it."""

    def anonymise(self, task_id: str) -> Mapping[str, int]:
        """Remove address and hash of the photo from every table; table names with the rows that changed."""


@dataclass(frozen=True)
class Validation:
    """What the data checks found: `failures` stop the run, `warnings` are for the report.

    `pages` are the data docs: relative path to content, `index.html` among them.
    """

    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    pages: Mapping[str, bytes]


class DataValidator(Protocol):
    def check(self, manifest: Manifest, measured: Sequence[Measured], *, now: datetime) -> Validation:
        """Every row against its schema, and every figure of the whole against its bounds."""


@dataclass(frozen=True)
class Suspect:
    """A label that the other photos contradict: `confidence` 0-1 in the label given, from models that never saw it."""

    task_id: str
    label: str
    suggested: str
    confidence: float


class LabelReviewer(Protocol):
    def suspects(self, manifest: Manifest, descriptors: Mapping[str, bytes]) -> Sequence[Suspect]:
        """Likely label errors, the likeliest first; half of such flags are usually right. For people, never dropped."""


class DataReporter(Protocol):
    def page(
        self, manifest: Manifest, found: Validation, suspects: Sequence[Suspect], photos: Mapping[str, bytes]
    ) -> bytes:
        """One self-contained HTML page; `photos` are bytes of photos by task id, shown small beside their row."""


class Augmenter(Protocol):
    """Turns photos into training images, and packs images into shards."""

    def shard(
        self, photos: Iterable[tuple[Photo, bytes]], *, augmentation: Augmentation, labels: Sequence[str]
    ) -> bytes:
        """One shard: each photo resized, `copies` images in all (the original and augmented ones); deterministic.

        Photos are taken one at a time, so that as many may come as like.
        """

    def without(self, shard: bytes, task_id: str) -> bytes | None:
        """The shard without any image of this task; None when it has none."""

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
    demand_unseen: Callable[[Iterable[str]], None] = lambda task_ids: None
    """Called with the task ids of the images that were read; raises `DatasetRefused` if any was held out."""
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

    def set_aside(self, model_type: ModelType, run_id: str) -> None:
        """Keep what was logged of a run under another name: it starts anew."""

    def link(self, model_type: ModelType, run_id: str) -> str:
        """Where a person finds the retraining with its attempts."""

    def replace_file(self, experiment_id: str, name: str, body: bytes) -> None:
        """Put `body` in the place of a file that an attempt attached."""

    def attach(self, experiment_run_id: str, files: Mapping[str, bytes], metrics: Mapping[str, float]) -> str:
        """Add files and metrics to a run that ended; where a person sees the first file, empty for a deleted run."""


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


@dataclass(frozen=True)
class VerificationReport:
    """Everything a person needs to understand a verdict.

    `flipped` are the candidate's answers on photos that the champion judges right and the candidate wrong; `flips` is
    a PNG of them, None when nothing was measured.
    """

    blessing: Blessing
    result: TrainingResult
    dataset: Dataset
    slices: Sequence[Slice]
    flipped: Sequence[Prediction]
    flips: bytes | None


class ReportPrinter(Protocol):
    def contact_sheet(self, photos: Sequence[tuple[str, bytes]]) -> bytes:
        """PNG of photos, each with its name."""

    def html(self, report: VerificationReport) -> bytes:
        """One page that needs no other file."""


class Checks(Protocol):
    def save(self, run_id: str, part: str, checks: Sequence[Check]) -> None:
        """Keep the checks of one part (`accuracy`, `performance`); again replaces them until a blessing exists."""

    def of(self, run_id: str) -> Sequence[Check]: ...


class Blessings(Protocol):
    def grant(self, blessing: Blessing, event: OutgoingEvent | None) -> None:
        """Insert verdict and event in one transaction; a second verdict on one run changes nothing."""

    def of_run(self, run_id: str) -> Blessing | None:
        """The verdict on a run, with the override beside it."""

    def override(self, override: Override) -> None:
        """Keep a person's word beside the verdict; one a run, the first stands."""


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

    def facts(self, model_type: ModelType) -> Sequence[Transition]:
        """Confirmed transitions and the notes between them, in the order they came true."""

    def latest_failure(self, model_type: ModelType) -> FailedChange | None:
        """The latest attempt to change the champion, if it failed and none has succeeded since."""

    def note(self, note: Transition, event: OutgoingEvent | None = None) -> None:
        """Append a note, project its status and add `event` to the outbox; the same id again changes nothing."""

    def request(self, transition: Transition) -> None:
        """Append the intent. Raises `StaleTransition` unless `expected_current` is the champion, and `PromotionFrozen`
        for anything but a rollback while promotions are frozen.
        """

    def confirm(self, transition: Transition, event: OutgoingEvent) -> None:
        """Append the confirmation, project `model_versions.status` and add `event` to the outbox, in one transaction.

        Raises `StaleTransition` when another transition was confirmed since; the same one again changes nothing.
        """

    def fail(self, transition: Transition, reason: str) -> None:
        """Append that the intent came to nothing."""

    def project(self, model_type: ModelType) -> Sequence[str]:
        """Make `model_versions` say what the log says; the versions whose row was wrong."""

    def exclusive(self, model_type: ModelType) -> AbstractContextManager[None]:
        """One deployment or rollback of a model type at a time; waits for the other."""


class ModelRegistry(Protocol):
    """The registry people look at; a projection, never the truth."""

    def register(
        self, version: ModelVersion, experiment_run_id: str | None, tags: Mapping[str, str] | None = None
    ) -> None:
        """Create the model version with `tags` and the alias `candidate`; again changes tags alone."""

    def missing(self, versions: Sequence[ModelVersion]) -> Sequence[ModelVersion]:
        """Those the registry does not know, whoever removed them."""

    def mirror(self, model_type: ModelType, *, champion: str, previous: str | None) -> None:
        """Make the aliases `champion` and `previous` say what the transition log says; neither is a candidate."""


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

    def start_canary(self, model_type: ModelType, version: str, artifact: Artifact, percent: float) -> None:
        """Prepare on all, then give `version` its share on all; a replica that was away meanwhile gets it again.

        Raises `ModelRefused` or `ServiceUnavailable` with no canary anywhere.
        """

    def canaries(self, model_type: ModelType) -> Sequence[CanarySeen]:
        """What each replica says of the canary running, or of how the last one ended."""

    def abort_canary(self, model_type: ModelType, version: str, reason: str) -> None:
        """Take `version` out of the requests everywhere; a replica where it is not on trial is left alone.

        Raises `ServiceUnavailable` when a replica could not be asked; the others have stopped.
        """


# After it is live -----------------------------------------------------------------------------------------------------


class LiveMetrics(Protocol):
    """Confirmations joined to the version that gave the verdict: the event's, else the one that served then."""

    def tally(self, model_type: ModelType, version: str, *, since: datetime, until: datetime) -> Tally:
        """All confirmations in `(since, until]` of one version."""

    def newest(self, model_type: ModelType, version: str, count: int, *, since: datetime, until: datetime) -> Tally:
        """The newest `count` of those."""

    def blind(self, model_type: ModelType, version: str, *, since: datetime, until: datetime) -> Tally:
        """Those whose reviewer did not see the verdict."""

    def by_version(self, model_type: ModelType, *, since: datetime, until: datetime) -> Mapping[str, Tally]: ...


@dataclass(frozen=True)
class Episode:
    """From the alert to the recovery, or to another champion."""

    id: str
    version: str


class LiveReadings(Protocol):
    """What the monitor saw, and which alert is open."""

    def record(
        self,
        model_type: ModelType,
        reading: Reading,
        seen: Observation,
        *,
        versions: Mapping[str, Tally],
        decision: str,
        at: datetime,
    ) -> None: ...

    def open_episode(self, model_type: ModelType) -> Episode | None: ...

    def begin_episode(self, model_type: ModelType, episode: Episode, event: OutgoingEvent, *, at: datetime) -> None:
        """Keep it with its event, in one transaction; again changes nothing."""

    def end_episode(self, episode: Episode, ended_by: str, event: OutgoingEvent | None, *, at: datetime) -> None: ...


class ArchiveStore(Protocol):
    """Cold storage of model files, by `s3://bucket/key`."""

    def keep(self, uri: str, body: bytes) -> None:
        """Write, read back, compare, and only then hand over to Glacier. Raises `ServiceUnavailable`."""

    def fetch(self, uri: str) -> bytes:
        """Raises `ArchiveDamaged` when there is none, `StillFrozen` when it has to be thawed first."""
