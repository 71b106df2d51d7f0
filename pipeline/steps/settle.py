"""Find out what became of acts that were begun and never ended: whoever finds one settles it (ADR 0016)."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from pipeline.domain.errors import ModelRefused, ServiceUnavailable, StaleTransition, TryAgain, Unconfirmed
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import CanaryAbortedEvent, OutgoingEvent, RollbackIncompleteEvent
from pipeline.domain.serving import Serving, elsewhere, listed, outcome
from pipeline.domain.transitions import (
    ROLLBACKS,
    By,
    CanaryAbort,
    CanaryStart,
    ChampionChange,
    Entry,
    Kind,
    Phase,
    Transition,
)
from pipeline.ports.bundles import Deployment
from pipeline.steps.tell_change import told

log = logging.getLogger(__name__)

# For each version the replicas that have it loaded.
Warm = Mapping[str, Collection[str]]

# Promotions of what verification accepted. A forced one is a person's own responsibility, and is not undone.
_PROMOTIONS = frozenset({Kind.PROMOTE, Kind.CANARY_PROMOTE})
_MAX_DETAIL_CHARACTERS = 2000
_NOWHERE = "no replica serves it"


def warm(d: Deployment, model_type: ModelType) -> Warm:
    """Load what `settle` may have to bring back, for which no emergency must wait: call it before `exclusive`."""
    ledger = d.transitions.ledger(model_type)
    changes = _rollbacks_first(ledger)
    seen = d.fleet.serving(model_type) if changes else ()
    wanted = {_brought_back(ledger, act) for act in changes if _is_half_done(ledger, act, seen)}
    answering = [one.replica for one in seen if not one.fault]
    return {version: warmed(d, model_type, version, answering) for version in sorted(wanted)}


def warmed(d: Deployment, model_type: ModelType, version: str, replicas: Collection[str]) -> Collection[str]:
    """The replicas, among `replicas`, that have `version` loaded now."""
    return d.fleet.warm(model_type, version, d.versions.get(model_type, version).artifact, replicas)


def demand_settled(d: Deployment, model_type: ModelType, warm: Warm) -> Ledger:
    """The ledger with nothing open about what serves. Raises `Unconfirmed` while replicas that could tell are away.
    Call it as `settle`.
    """
    ledger = settle(d, d.transitions.ledger(model_type), warm)
    for act in ledger.unsettled:
        missing = elsewhere(act.version, d.fleet.serving(model_type))
        if ledger.champion is None:
            missing |= dict.fromkeys(d.fleet.skipped(), "is out of rotation")
        raise Unconfirmed(
            f"nobody knows yet what came of {act.version}, asked for by {act.by.actor} ({act.by.reason}): "
            f"{listed(missing)}"
        )
    return ledger


def settle(d: Deployment, ledger: Ledger, warm: Warm) -> Ledger:
    """As far as replicas answer, each open intent is seen to have come true, or undone. Call it inside `exclusive`,
    and while nobody else prepares a deployment. Nothing is loaded here: what is not warm anywhere stays open.
    """
    changes = _rollbacks_first(ledger)
    for act in (*changes, *(act for act in ledger.unsettled if act not in changes)):
        if ledger.is_open(act):
            ledger = _settled(d, ledger, act, warm)
    return ledger


def overtaken(d: Deployment, ledger: Ledger, by: By) -> tuple[list[Entry], list[OutgoingEvent]]:
    """What an emergency decides on besides `ledger`, and appends with its own intent: a change that any replica serves
    did happen, and one that was tried and none serves did not. Waits for nothing and nobody, and changes nothing when
    the emergency is refused.

    Who asks has seen an unconfirmed promotion serve and wants it gone, so it counts from when it was asked for. An
    unconfirmed rollback they want finished: that is news, so that a second `previous` does not go forth again. What
    the same request began it only repeats.
    """
    entries: list[Entry] = []
    events: list[OutgoingEvent] = []
    changes = _rollbacks_first(ledger)
    if any(act.kind in ROLLBACKS and act.by.request_id == by.request_id for act in changes):
        return entries, events
    news = any(act.kind in ROLLBACKS for act in changes)
    # Replicas are asked once: one that hangs costs an emergency seconds.
    seen = d.fleet.serving(ledger.model_type) if changes else ()
    for act in changes:
        missing = elsewhere(act.version, seen)
        if act in ledger.doubtful and outcome(act.version, seen) is Phase.FAILED:
            entries.append(Entry(Phase.FAILED, act, d.clock.now(), _NOWHERE))
        elif ledger.followed_by(*entries).is_open(act) and len(missing) < len(seen):
            at = d.clock.now() if news else act.at
            ended, said = _ended_trials(ledger.followed_by(*entries), d.clock.now())
            entries += [*ended, *_served(act, at, missing)]
            events += [*said, *told(d, act, at, missing)]
    return entries, events


def take_back(d: Deployment, ledger: Ledger, version: str, warm: Warm) -> Ledger:
    """Undo a promotion of an aborted canary that some replica serves already, as far as replicas answer."""
    for act in _rollbacks_first(ledger):
        unwanted = act.version == version and _unwanted(ledger, act)
        if unwanted and any(one.serves(version) for one in d.fleet.serving(ledger.model_type)):
            ledger = _settled(d, ledger, act, warm)
    return ledger


def _rollbacks_first(ledger: Ledger) -> list[ChampionChange]:
    """Open changes of champion: what came of an emergency is settled before what it was meant to end."""
    changes = [act for act in ledger.unsettled if isinstance(act, ChampionChange)]
    return sorted(changes, key=lambda act: act.kind not in ROLLBACKS)


def _unwanted(ledger: Ledger, change: ChampionChange) -> bool:
    """Whether somebody aborted the canary before its promotion was confirmed."""
    return change.kind in _PROMOTIONS and ledger.aborted(change.version) is not None


def confirm(d: Deployment, ledger: Ledger, change: ChampionChange, missing: Mapping[str, str]) -> Ledger:
    """Append that `change` serves, and where it does not yet, with the events that tell it."""
    at = d.clock.now()
    ended, said = _ended_trials(ledger, at)
    events = [*said, *told(d, change, at, missing)]
    return d.transitions.append(ledger, *ended, *_served(change, at, missing), events=events)


def _ended_trials(ledger: Ledger, at: datetime) -> tuple[list[Entry], list[OutgoingEvent]]:
    """Trials whose abort is still open: the new champion ends them."""
    aborts = [act for act in ledger.unsettled if isinstance(act, CanaryAbort)]
    return [Entry(Phase.NOTED, abort, at) for abort in aborts], [_trial_ended(abort, at) for abort in aborts]


def _served(change: ChampionChange, at: datetime, missing: Mapping[str, str]) -> list[Entry]:
    incomplete = Entry(Phase.INCOMPLETE, change, at, listed(missing)[:_MAX_DETAIL_CHARACTERS])
    return [Entry(Phase.SERVED, change, at), *([incomplete] if missing else [])]


def complete(d: Deployment, ledger: Ledger) -> Ledger:
    """Append that the last replica has come: a promotion is deployed only now."""
    assert ledger.incomplete is not None and isinstance(ledger.incomplete.act, ChampionChange)
    change, at = ledger.incomplete.act, d.clock.now()
    events = [] if change.kind in ROLLBACKS else told(d, change, at, {})
    return d.transitions.append(ledger, Entry(Phase.COMPLETED, change, at), events=events)


def tell_registry_behind(d: Deployment, change: ChampionChange, why: str) -> None:
    """Page people: a replica that starts now may serve what the rollback `change` took down. The log says so anyway."""
    event = RollbackIncompleteEvent(
        id=f"registry-behind:{change.id}",
        model_type=change.model_type,
        model_version=change.version,
        missing=(f"a replica that starts with an empty disk, because the registry does not name it yet: {why}",),
        at=d.clock.now(),
    )
    with suppress(TryAgain):
        d.outbox.add(event.outgoing())


def abandon(d: Deployment, act: Transition, why: str) -> None:
    """As `close`, for an act that failed while it was prepared, outside `exclusive`."""
    try:
        with d.transitions.exclusive(act.model_type):
            close(d, act, Phase.FAILED, why)
    except TryAgain as error:
        log.warning("%s stays open in the log: %s", act.id, error)


def close(d: Deployment, act: Transition, phase: Phase, why: str) -> None:
    """Append how a try ended; call it inside `exclusive`. The cause is on its way to the caller already: what cannot be
    kept now stays open, and whoever comes next settles it.
    """
    with suppress(StaleTransition):
        try:
            ledger = d.transitions.ledger(act.model_type)
            if ledger.is_open(act):
                d.transitions.append(ledger, Entry(phase, act, d.clock.now(), why[:_MAX_DETAIL_CHARACTERS]))
        except TryAgain as error:
            log.warning("%s stays open in the log: %s", act.id, error)


def end_trial(d: Deployment, ledger: Ledger, abort: CanaryAbort) -> Ledger:
    """Raises `ServiceUnavailable` while a replica may still try it; the intent stays open then."""
    d.fleet.abort_canary(abort.model_type, abort.version, abort.by.reason)
    at = d.clock.now()
    return d.transitions.append(ledger, Entry(Phase.NOTED, abort, at), events=[_trial_ended(abort, at)])


def _trial_ended(abort: CanaryAbort, at: datetime) -> OutgoingEvent:
    return CanaryAbortedEvent(
        id=f"aborted:{abort.trial_id}",
        model_type=abort.model_type,
        model_version=abort.version,
        reason=abort.by.reason,
        at=at,
    ).outgoing()


def _settled(d: Deployment, ledger: Ledger, act: Transition, warm: Warm) -> Ledger:
    try:
        if isinstance(act, ChampionChange):
            return _settled_change(d, ledger, act, warm)
        if isinstance(act, CanaryAbort):
            return end_trial(d, ledger, act)
        if isinstance(act, CanaryStart):
            d.fleet.abort_canary(act.model_type, act.version, "its start was never confirmed")
            return _failed(d, ledger, act, "its start was never confirmed: it was taken off everywhere")
    except (ServiceUnavailable, ModelRefused) as error:
        log.warning("%s stays open: %s", act.id, error)
    return ledger


def _settled_change(d: Deployment, ledger: Ledger, change: ChampionChange, warm: Warm) -> Ledger:
    seen = d.fleet.serving(change.model_type)
    phase = outcome(change.version, seen)
    if _is_half_done(ledger, change, seen):
        version = _brought_back(ledger, change)
        missing = _put_back(d, change, version, seen, warm.get(version, ()))
        if change.kind in ROLLBACKS:
            return confirm(d, ledger, change, missing)
        phase = Phase.UNCONFIRMED if missing else (Phase.SERVED if version == change.version else Phase.FAILED)
    if phase is Phase.SERVED:
        return confirm(d, ledger, change, {})
    # A replica out of rotation may serve the very first model; there is no earlier version to bring it back to.
    if phase is Phase.FAILED and (ledger.champion is not None or not d.fleet.skipped()):
        return _failed(d, ledger, change, _NOWHERE)
    return ledger


def _is_half_done(ledger: Ledger, change: ChampionChange, seen: Sequence[Serving]) -> bool:
    """Whether replicas have to be brought to one version."""
    somewhere, unwanted = any(one.serves(change.version) for one in seen), _unwanted(ledger, change)
    return somewhere and (outcome(change.version, seen) is Phase.UNCONFIRMED or unwanted)


def _brought_back(ledger: Ledger, change: ChampionChange) -> str:
    """Half a rollback is finished, half a promotion is undone; the first model ever has nothing to go back to."""
    forward = change.kind in ROLLBACKS or ledger.champion is None
    version = change.version if forward else ledger.champion
    assert version is not None
    return version


def _put_back(
    d: Deployment, change: ChampionChange, version: str, seen: Sequence[Serving], loaded: Collection[str]
) -> dict[str, str]:
    """Replicas that could not be brought to it, with the reason. Raises what `put_back` raises."""
    at_hand = [one.replica for one in seen if one.serves(version) or one.replica in loaded]
    cold = {one.replica: one.fault or f"has not loaded {version} yet" for one in seen if one.replica not in at_hand}
    if not at_hand:
        raise ServiceUnavailable("faceserve", listed(cold))
    return cold | dict(d.fleet.put_back(change.model_type, version, at_hand).missing)


def _failed(d: Deployment, ledger: Ledger, act: Transition, why: str) -> Ledger:
    return d.transitions.append(ledger, Entry(Phase.FAILED, act, d.clock.now(), why))
