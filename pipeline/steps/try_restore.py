"""Rebuild everything as it was a moment ago, and compare: a backup that was never restored cannot be trusted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.backups import Safeguard, lost
from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType
from pipeline.ports.backup_bundles import OfOneDatabase, Restoring
from pipeline.ports.backups import Rebuilt, Safeguards
from pipeline.ports.data import ObjectStore
from pipeline.steps.compare_models import faults_of_models
from pipeline.steps.restore_databases import marked, rebuilt

# A row's time is when its transaction began; a transaction that was open at the mark is only in the live tables.
_OPEN = timedelta(minutes=2)


@dataclass(frozen=True)
class Tried:
    """What the databases were rebuilt as, and how long that took."""

    at: datetime
    seconds: float
    rows: int
    versions: int


def try_restore(
    d: Restoring,
    live: OfOneDatabase,
    records_of: Callable[[Rebuilt], OfOneDatabase],
    objects: ObjectStore,
    safeguards: Safeguards,
) -> Tried:
    """Raises `GiveUp` with everything that is not as it has to be."""
    began = d.clock.now()
    mark = marked(d)
    with rebuilt(d, mark.at) as cluster:
        seconds = (d.clock.now() - began).total_seconds()
        restored = records_of(cluster)
        # Nothing is lost, nothing counts twice, and there is one truth: I1, I2 and I4. The others are about what runs.
        faults = [*_of_rows(live, restored, mark.at), *restored.tables.counted_twice()]
        faults += faults_of_models(live, restored, objects, mark.at - _OPEN)
        _demand_none(filter(None, [*faults, cluster.damage()]), mark.at)
        tried = Tried(mark.at, seconds, _rows(restored, mark.at), _versions(restored))
    safeguards.note(Safeguard.RESTORE_TEST, d.clock.now(), f"{mark.at.isoformat()} in {seconds:.0f} s")
    return tried


def _demand_none(faults: Iterable[str], at: datetime) -> None:
    if found := "; ".join(faults):
        raise GiveUp(f"restored as of {at.isoformat()}, and not as it was: {found}")


def _rows(restored: OfOneDatabase, at: datetime) -> int:
    return sum(one.rows for one in restored.tables.counted(at - _OPEN))


def _versions(restored: OfOneDatabase) -> int:
    return sum(len(restored.versions.all(model_type)) for model_type in ModelType)


def _of_rows(live: OfOneDatabase, restored: OfOneDatabase, at: datetime) -> Sequence[str]:
    return lost(live.tables.counted(at - _OPEN), restored.tables.counted(at - _OPEN))
