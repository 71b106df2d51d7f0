"""How the champion changes: intent, two-phase swap, read back, confirmation, projections (ADR 0004, 0016)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.domain.errors import GiveUp, RegistryBehind, StaleTransition, TryAgain, Unconfirmed
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.serving import elsewhere, listed, outcome
from pipeline.domain.transitions import ROLLBACKS, ChampionChange, Entry, Kind, Phase
from pipeline.ports.bundles import Deployment
from pipeline.ports.deployment import Prepared, Swap
from pipeline.steps.settle import abandon, close, confirm, demand_settled, warm

log = logging.getLogger(__name__)

_Decide = Callable[[Ledger], ChampionChange]
_Ready = Callable[[ModelVersion], None]


@dataclass(frozen=True)
class ChangedChampion:
    """What happened: `swap` is None when an earlier try of the same request had done it all.

    `serves_now` differs from the change's version when something else went live since. While `registry_is_behind`,
    whoever comes next (the monitor, `reconcile`) finishes it.
    """

    change: ChampionChange
    swap: Swap | None
    serves_now: str
    skipped: tuple[str, ...] = ()
    registry_is_behind: bool = False


def promote_everywhere(
    d: Deployment, model_type: ModelType, decide: _Decide, ready: _Ready = lambda target: None
) -> ChangedChampion:
    """Make live what `decide` allows, on every replica in rotation or on none; `ready` does what the version needs
    between the intent and its loading, and may wait for others.

    Raises what `decide` refuses, what the fleet refuses (the champion then keeps serving), `StaleTransition` when a
    rollback overtook it, or `Unconfirmed` when nobody could be asked what serves.
    """
    with d.transitions.preparing(model_type):
        change, done = _intend(d, model_type, decide)
        swap = None if done else _deploy(d, change, decide, ready)
    return finished(d, change, swap)


def finished(d: Deployment, change: ChampionChange, swap: Swap | None) -> ChangedChampion:
    """After the log says so, the registry does. Raises `RegistryBehind` when it cannot be told; until it was, the log
    holds that it is behind.
    """
    try:
        return _finished(d, change, swap)
    except (GiveUp, TryAgain) as error:
        raise RegistryBehind(change.model_type, change.version, error) from error


def _finished(d: Deployment, change: ChampionChange, swap: Swap | None) -> ChangedChampion:
    ledger = mirror_registry(d, change.model_type)
    assert ledger.champion is not None
    lost = d.registry.missing([d.versions.get(ledger.model_type, ledger.champion)])
    # After an earlier try the registry was behind for a while, and a replica that started then was told another
    # version.
    if not lost and (swap is not None or not elsewhere(ledger.champion, d.fleet.serving(ledger.model_type))):
        ledger = note_mirrored(d, ledger)
    skipped = tuple(d.fleet.skipped())
    return ChangedChampion(change, swap, ledger.reigns[-1].version, skipped, ledger.registry_is_behind)


def mirror_registry(d: Deployment, model_type: ModelType) -> Ledger:
    """Makes the aliases follow the log; returns the ledger they follow. No lock is held while a slow registry answers:
    whoever finds that the log went on meanwhile writes again, so that the log has the last word.
    """
    while True:
        ledger = d.transitions.ledger(model_type)
        champion, since = ledger.reigns[-1].version, ledger.reigns[-1].since
        if (change := ledger.changes[-1]).kind is Kind.FORCED:
            said = {"forced_by": change.by.actor, "forced_because": change.by.reason}
            d.registry.register(d.versions.get(model_type, champion), None, said)
        d.registry.mirror(model_type, champion=champion, previous=ledger.previous, since=since)
        after = d.transitions.ledger(model_type)
        if (after.reigns[-1], after.previous) == (ledger.reigns[-1], ledger.previous):
            return after


def note_mirrored(d: Deployment, mirrored: Ledger) -> Ledger:
    """Note in the log that the registry names the champion of `mirrored`, unless another change has come since."""
    with d.transitions.exclusive(mirrored.model_type):
        ledger = d.transitions.ledger(mirrored.model_type)
        if ledger.reigns[-1] != mirrored.reigns[-1] or not ledger.registry_is_behind:
            return ledger
        return d.transitions.append(ledger, Entry(Phase.MIRRORED, ledger.changes[-1], d.clock.now()))


def _intend(d: Deployment, model_type: ModelType, decide: _Decide) -> tuple[ChampionChange, bool]:
    """Returns the change, with its intent appended to the log, and whether the same request did it before. Whatever is
    appended is appended inside `exclusive`: a rollback at this moment finds the log as it read it.
    """
    loaded = warm(d, model_type)
    with d.transitions.exclusive(model_type):
        ledger = demand_settled(d, model_type, loaded)
        change = decide(ledger)
        done = ledger.done(change.id) is not None
        if not done:
            d.transitions.append(ledger, Entry(Phase.REQUESTED, change, change.at))
    return change, done


def _deploy(d: Deployment, change: ChampionChange, decide: _Decide, ready: _Ready) -> Swap | None:
    try:
        target = d.versions.get(change.model_type, change.version)
        ready(target)
        prepared = d.fleet.prepare(change.model_type, change.version, target.artifact)
    except (GiveUp, TryAgain) as error:
        abandon(d, change, str(error))
        raise
    with d.transitions.exclusive(change.model_type):
        ledger = _demand_still_allowed(d, change, decide)
        return _activate(d, ledger, change, prepared)


def _demand_still_allowed(d: Deployment, change: ChampionChange, decide: _Decide) -> Ledger:
    """While it was prepared, another change may have overtaken it, its trial may have been aborted, or promotions
    frozen.
    """
    ledger = d.transitions.ledger(change.model_type)
    try:
        if not ledger.is_open(change):
            raise StaleTransition(f"{change.version} was overtaken while it was prepared: {ledger.champion} serves now")
        if back := [act.version for act in ledger.unsettled if act.kind in ROLLBACKS]:
            raise StaleTransition(
                f"while {change.version} was prepared, a rollback to {back[0]} began and is unconfirmed"
            )
        decide(ledger)
    except GiveUp as error:
        close(d, change, Phase.FAILED, str(error))
        d.fleet.discard(change.model_type, change.version)
        raise
    return ledger


def _activate(d: Deployment, ledger: Ledger, change: ChampionChange, prepared: Prepared) -> Swap | None:
    failure: GiveUp | TryAgain | None = None
    swap: Swap | None = None
    try:
        swap = d.fleet.activate(change.model_type, prepared)
    except (GiveUp, TryAgain) as error:
        failure = error
    seen = d.fleet.serving(change.model_type)
    phase = outcome(change.version, seen)
    if phase is not Phase.SERVED:
        failure = failure or Unconfirmed(
            f"{change.version} was activated, but {listed(elsewhere(change.version, seen))}: nobody knows what serves"
        )
        close(d, change, phase, str(failure))
        raise failure
    confirm(d, ledger, change, {})
    return swap
