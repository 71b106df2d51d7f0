"""Whether enough of the checks that people confirmed at doors can be used: the same rule as for tasks."""

from collections.abc import Collection, Mapping

from pipeline.domain.dataset import Quarantined
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.quality import demand_needed, too_many

_ADVICE = "mend their photos in S3 or the right to read them, or raise RETRAIN_MAX_UNUSABLE_SHARE"


def demand_usable(faults: Mapping[str, str], max_share: float) -> None:
    """`faults` by check, empty where its photo can be used. Raises `DatasetRefused` when too many cannot be."""
    aside = _aside(faults)
    if len(aside) > max_share * len(faults):
        raise DatasetRefused(too_many(aside, len(faults), "confirmed checks cannot be used", max_share, _ADVICE))


def demand_new(needed: Collection[str], used: Collection[str], faults: Mapping[str, str]) -> None:
    """Raises `DatasetRefused` when people confirmed something, and none of it is used."""
    if needed:
        aside = [row for row in _aside(faults) if row.task_id in needed]
        demand_needed(needed, used, aside, "confirmed checks")


def _aside(faults: Mapping[str, str]) -> list[Quarantined]:
    return [Quarantined(check_id, "", fault) for check_id, fault in faults.items() if fault]
