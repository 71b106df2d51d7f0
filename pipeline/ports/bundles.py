"""The ports that go together, one bundle a family of steps."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.ports.clock import Clock
from pipeline.ports.data import ObjectFolders, ObjectStore
from pipeline.ports.deployment import ModelRegistry, ModelVersions, ServingFleet, Transitions
from pipeline.ports.events import Outbox, RetrainingRuns
from pipeline.ports.live import ArchiveStore, LiveMetrics, LiveReadings
from pipeline.ports.training import TrainingRuns
from pipeline.ports.verification import Blessings


@dataclass(frozen=True)
class Registration:
    """Where an accepted model gets its number; `tags` go to the registry people look at."""

    versions: ModelVersions
    blessings: Blessings
    registry: ModelRegistry
    objects: ObjectStore
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Forcing:
    """What a forced promotion needs besides: what was trained, and where it gets its number."""

    runs: TrainingRuns
    registration: Registration


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
    clock: Clock


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
