"""What one family of steps works with, handed over together: its ports, and the values that settings choose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.domain.blessing import WhenInconclusive
from pipeline.domain.checks import LoadTest
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.quality import QualityPolicy
from pipeline.domain.reasons import ReasonList
from pipeline.domain.retraining import RetrainingPolicy
from pipeline.domain.selection import Recipe
from pipeline.domain.verification import VerificationPolicy
from pipeline.ports.clock import Clock
from pipeline.ports.data import (
    Augmenter,
    CorrectionSource,
    DataReporter,
    Datasets,
    DataValidator,
    Erasures,
    LabelReviewer,
    ObjectFolders,
    ObjectStore,
    PhotoInspector,
    PhotoStore,
    Withholdings,
)
from pipeline.ports.deployment import ModelRegistry, ModelVersions, ServingFleet, Transitions
from pipeline.ports.events import Backlogs, Confirmations, Decisions, EventPublisher, Outbox, RetrainingRuns
from pipeline.ports.face_watching import FaceLooks
from pipeline.ports.facts import Totals
from pipeline.ports.live import ArchiveStore, Evidence, LiveMetrics, LiveReadings
from pipeline.ports.overview import Sightings
from pipeline.ports.training import Experiments, Trainer, TrainingRuns
from pipeline.ports.troubles import Troubles
from pipeline.ports.verification import Blessings, Checks, ReportPrinter, TrialServer


@dataclass(frozen=True)
class Scheduling:
    """Whether a retraining starts, who holds the claim, and how it ended."""

    confirmations: Backlogs
    metrics: LiveMetrics
    decisions: Decisions
    runs: RetrainingRuns
    versions: ModelVersions
    blessings: Blessings
    transitions: Transitions
    outbox: Outbox
    publisher: EventPublisher
    clock: Clock
    policy: RetrainingPolicy


@dataclass(frozen=True)
class Records:
    """What earlier steps wrote down; datasets live under `dataset_prefix` (`s3://…/`)."""

    runs: TrainingRuns
    datasets: Datasets
    versions: ModelVersions
    transitions: Transitions
    objects: ObjectStore
    dataset_prefix: str


@dataclass(frozen=True)
class DataSources:
    """Where photos are chosen from; the choice is kept under `prefix` (`s3://…/`)."""

    source: CorrectionSource
    photos: PhotoStore
    inspector: PhotoInspector
    datasets: Datasets
    erasures: Erasures
    withholdings: Withholdings
    objects: ObjectFolders
    clock: Clock
    recipe: Recipe
    prefix: str


@dataclass(frozen=True)
class DataChecks:
    """What checks a frozen selection, and the policy it is checked by."""

    validator: DataValidator
    reviewer: LabelReviewer
    reporter: DataReporter
    datasets: Datasets
    erasures: Erasures
    photos: PhotoStore
    objects: ObjectFolders
    clock: Clock
    policy: QualityPolicy


@dataclass(frozen=True)
class Images:
    """What makes shards of images of a selection, and a dataset of the shards."""

    photos: PhotoStore
    augmenter: Augmenter
    reporter: DataReporter
    datasets: Datasets
    erasures: Erasures
    objects: ObjectFolders
    policy: QualityPolicy


@dataclass(frozen=True)
class Forgetting:
    """Everything that may hold a photo; datasets and models live under their prefixes (`s3://…/`)."""

    datasets: Datasets
    erasures: Erasures
    runs: TrainingRuns
    versions: ModelVersions
    experiments: Experiments
    augmenter: Augmenter
    photos: PhotoStore
    printer: ReportPrinter
    objects: ObjectFolders
    clock: Clock
    dataset_prefix: str
    model_prefix: str


@dataclass(frozen=True)
class Pruning:
    """Everything that grows with every retraining; datasets and models live under their prefixes (`s3://…/`)."""

    datasets: Datasets
    erasures: Erasures
    training_runs: TrainingRuns
    runs: RetrainingRuns
    versions: ModelVersions
    blessings: Blessings
    transitions: Transitions
    readings: LiveReadings
    decisions: Decisions
    face_looks: FaceLooks
    outbox: Outbox
    experiments: Experiments
    objects: ObjectFolders
    clock: Clock
    dataset_prefix: str
    model_prefix: str


@dataclass(frozen=True)
class Training:
    """What trains, and what is known of it afterwards; artifacts go under `model_prefix` (`s3://…/`)."""

    trainer: Trainer
    experiments: Experiments
    runs: TrainingRuns
    datasets: Datasets
    erasures: Erasures
    objects: ObjectFolders
    outbox: Outbox
    clock: Clock
    labels: tuple[str, ...]
    model_prefix: str
    reasons: ReasonList = ReasonList()


@dataclass(frozen=True)
class Verification:
    """What measures a candidate beside the champion, and what judges it; `code` says which code made the model."""

    photos: PhotoStore
    erasures: Erasures
    trials: TrialServer
    checks: Checks
    blessings: Blessings
    objects: ObjectStore
    printer: ReportPrinter
    experiments: Experiments
    clock: Clock
    labels: tuple[str, ...]
    policy: VerificationPolicy
    load_test: LoadTest
    when_inconclusive: WhenInconclusive
    code: Mapping[str, str]


@dataclass(frozen=True)
class Registration:
    """Where an accepted model gets its number; `tags` go to the registry people look at."""

    versions: ModelVersions
    transitions: Transitions
    runs: TrainingRuns
    blessings: Blessings
    registry: ModelRegistry
    objects: ObjectStore
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Deployment:
    """What it takes to change which version serves."""

    versions: ModelVersions
    blessings: Blessings
    transitions: Transitions
    fleet: ServingFleet
    registry: ModelRegistry
    outbox: Outbox
    clock: Clock


@dataclass(frozen=True)
class Monitoring:
    """What it takes to see how well the champion does."""

    transitions: Transitions
    metrics: LiveMetrics
    readings: LiveReadings
    outbox: Outbox
    clock: Clock
    trial_hours: float = 48.0
    """An older canary was forgotten: its deadline and the time for its approval are over."""


@dataclass(frozen=True)
class Recognition:
    """What it takes to see that two confirmations are about one photo."""

    evidence: Evidence
    photos: PhotoStore
    inspector: PhotoInspector


@dataclass(frozen=True)
class Overseeing:
    """What people look at: all of it from one moment, and read-only."""

    transitions: Transitions
    confirmations: Confirmations
    runs: RetrainingRuns
    troubles: Troubles
    sightings: Sightings
    metrics: LiveMetrics
    face_looks: FaceLooks
    face_confirmations: Backlogs
    fleet: ServingFleet
    clock: Clock


@dataclass(frozen=True)
class Proving:
    """Everything that says what a version is, and what it did."""

    records: Records
    blessings: Blessings
    objects: ObjectFolders


@dataclass(frozen=True)
class Keeping:
    """What it takes to move versions' files to the archive and back."""

    versions: ModelVersions
    transitions: Transitions
    fleet: ServingFleet
    runs: RetrainingRuns
    objects: ObjectFolders
    archive: ArchiveStore
    clock: Clock
    # None where models are not signed.
    sign: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True)
class Watching:
    """What becomes metrics, read at one moment; at most the newest `shown` versions."""

    versions: ModelVersions
    training_runs: TrainingRuns
    blessings: Blessings
    transitions: Transitions
    confirmations: Confirmations
    runs: RetrainingRuns
    troubles: Troubles
    totals: Totals
    live: LiveAccuracyPolicy
    retraining: RetrainingPolicy
    seconds_between_looks: float
    shown: int
