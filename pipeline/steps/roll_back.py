"""Bring an earlier version back, wherever a replica answers (specification §3.3; design D19).

An emergency waits for nobody: not for a promotion that is being prepared, not for a replica that is gone, not for the
registry. What is missing is finished by `reconcile`, and the log says so until then.
"""

import logging

from pipeline.domain.errors import GiveUp, RegistryBehind, TryAgain
from pipeline.domain.ledger import Ledger, RollbackRequest
from pipeline.domain.models import ModelType
from pipeline.domain.serving import outcome
from pipeline.domain.transitions import By, ChampionChange, Entry, Phase
from pipeline.ports.bundles import Deployment
from pipeline.ports.deployment import Swap
from pipeline.steps.change_champion import ChangedChampion, finished
from pipeline.steps.settle import close, confirm, overtaken, tell_registry_behind

log = logging.getLogger(__name__)


def roll_back(d: Deployment, model_type: ModelType, asked: RollbackRequest, by: By) -> ChangedChampion:
    """Serve an earlier version again; `swap.missing` says which replicas are not back yet.

    Raises `UnknownVersion` with a sentence when there is nothing to go back to, `StaleTransition` when the champion
    changed after it was asked for, or what the fleet raised when not one replica came back: another try may succeed, so
    that whoever gives up tells it (`announce_failed_rollback`).
    """
    with d.transitions.exclusive(model_type):
        ledger = d.transitions.ledger(model_type)
        seen, news = overtaken(d, ledger, by)
        change = ledger.followed_by(*seen).roll_back(asked, by, d.clock.now())
        swap = None
        if not ledger.done(change.id):
            ledger.followed_by(*seen).demand_one_meaning(asked)
            # An earlier try may have left the same intent; what it decided is decided anew.
            ledger = d.transitions.append(ledger, *seen, Entry(Phase.REQUESTED, change, change.at), events=news)
            swap = _bring_back(d, ledger, change)
    try:
        return finished(d, change, swap)
    except RegistryBehind as error:
        # The right version serves: an emergency depends on nothing else, and the log says what is left to do.
        log.warning("the registry is behind, reconcile brings it up to date: %s", error.why)
        tell_registry_behind(d, change, str(error.why))
        return ChangedChampion(change, swap, change.version, tuple(d.fleet.skipped()), registry_is_behind=True)


def _bring_back(d: Deployment, ledger: Ledger, change: ChampionChange) -> Swap:
    target = d.versions.get(change.model_type, change.version)
    try:
        swap = d.fleet.bring_back(change.model_type, change.version, target.artifact)
    except (GiveUp, TryAgain) as error:
        close(d, change, _ended(d, change), str(error))
        raise
    confirm(d, ledger, change, swap.missing)
    return swap


def _ended(d: Deployment, change: ChampionChange) -> Phase:
    """How the try ended. Nobody confirmed that it served, so at best its outcome is unknown."""
    phase = outcome(change.version, d.fleet.serving(change.model_type))
    return Phase.FAILED if phase is Phase.FAILED else Phase.UNCONFIRMED
