"""What the steps of backups work with, handed over together."""

from dataclasses import dataclass

from pipeline.domain.backups import BackupPolicy
from pipeline.ports.backups import (
    BackupArchive,
    ClusterBuilder,
    DatabaseCluster,
    GrowingTables,
    LogReceiver,
    Safeguards,
)
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import ModelVersions, Transitions


@dataclass(frozen=True)
class BackingUp:
    """What copies the databases, keeps the copies, and says when that last succeeded."""

    cluster: DatabaseCluster
    archive: BackupArchive
    safeguards: Safeguards
    clock: Clock
    policy: BackupPolicy


@dataclass(frozen=True)
class ReceivingLog:
    """What brings the log to where the copies are."""

    receiver: LogReceiver
    archive: BackupArchive
    safeguards: Safeguards
    clock: Clock


@dataclass(frozen=True)
class Restoring:
    """What rebuilds the databases as they were."""

    cluster: DatabaseCluster
    archive: BackupArchive
    builder: ClusterBuilder
    clock: Clock
    policy: BackupPolicy


@dataclass(frozen=True)
class OfOneDatabase:
    """What the records of one database say, the live one's or a rebuilt one's."""

    tables: GrowingTables
    transitions: Transitions
    versions: ModelVersions
