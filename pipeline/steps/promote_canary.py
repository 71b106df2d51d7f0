"""Serve the canary on trial to everybody: a change of champion to a version every replica has at hand."""

from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Deployment
from pipeline.steps.change_champion import ChangedChampion, promote_everywhere


def promote_canary(d: Deployment, model_type: ModelType, version: str, by: By) -> ChangedChampion:
    """Raises `CanaryEnded` unless `version` is on trial; the trial goes on when `promote_everywhere` raises."""
    return promote_everywhere(d, model_type, lambda ledger: ledger.promote_canary(version, by, d.clock.now()))
