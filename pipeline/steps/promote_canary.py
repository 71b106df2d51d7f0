"""Serve the canary on trial to everybody: a change of champion to a version every replica has at hand."""

from pipeline.domain.errors import CanaryDidHarm, ServiceUnavailable
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType
from pipeline.domain.rollout import silent, thrown_out
from pipeline.domain.transitions import By, ChampionChange, TrialOf
from pipeline.ports.bundles import Deployment
from pipeline.steps.abort_canary import abort_canary
from pipeline.steps.change_champion import ChangedChampion, promote_everywhere


def promote_canary(d: Deployment, model_type: ModelType, version: str, by: By) -> ChangedChampion:
    """Raises `CanaryEnded` unless `version` is on trial since this request began it, and `CanaryDidHarm` when a replica
    threw it out, which ends the trial. It goes on when `promote_everywhere` raises, or with `ServiceUnavailable` when
    one cannot be asked.
    """
    try:
        return promote_everywhere(d, model_type, lambda ledger: _allowed(d, ledger, version, by))
    except CanaryDidHarm as harm:
        abort_canary(d, model_type, TrialOf(version, by.request_id), By("the replicas", str(harm), by.request_id))
        raise


def _allowed(d: Deployment, ledger: Ledger, version: str, by: By) -> ChampionChange:
    """When a person had to allow it, the verdict may be a day old, and nobody has asked the replicas since."""
    change = ledger.promote_canary(version, by, d.clock.now())
    if ledger.done(change.id) is not None:
        return change
    seen = d.fleet.canaries(ledger.model_type)
    if harm := thrown_out(version, seen):
        raise CanaryDidHarm(f"{harm.replica} threw {version} out: {harm.reason}")
    if away := silent(seen):
        raise ServiceUnavailable("faceserve", f"{away}: it may have thrown {version} out, so nobody else gets it yet")
    return change
