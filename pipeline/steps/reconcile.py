"""Make fleet, `model_versions` and registry say what the transition log says (invariant I4; ADR 0004, 0016)."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from pipeline.domain.errors import ModelRefused, ServiceUnavailable
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Deployment
from pipeline.steps.change_champion import mirror_registry, note_mirrored
from pipeline.steps.settle import Warm, complete, settle, warm, warmed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reconciled:
    """What was wrong and is mended, and in `missing` what is not yet."""

    champion: str | None
    """By the log."""
    repaired: tuple[str, ...] = ()
    """Replicas that served another version."""
    rows: tuple[str, ...] = ()
    """Versions whose row of `model_versions` said something else."""
    registered: tuple[str, ...] = ()
    """Versions that the registry lacked."""
    strays: tuple[str, ...] = ()
    """Replicas that tried a version which is not on trial."""
    settled: tuple[str, ...] = ()
    """Acts that were left open."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Replicas that still serve something else, with the reason: run it again when they are back."""


def reconcile(d: Deployment, model_type: ModelType) -> Reconciled:
    """Mends what it can while replicas answer. Raises what the registry raised; run it again later."""
    ledger, found = _mended(d, model_type)
    if ledger.champion is None:
        return found
    registered = _register_again(d, ledger)
    ledger = mirror_registry(d, model_type)
    found = replace(found, champion=ledger.champion, registered=registered)
    return _mend_again(d, ledger, found) if ledger.registry_is_behind else found


def _mend_again(d: Deployment, mirrored: Ledger, found: Reconciled) -> Reconciled:
    """A replica that started while the registry was behind may have been told another version just after we looked:
    the log says that all is well only when every replica was seen to serve the champion since.
    """
    ledger, again = _mended(d, mirrored.model_type)
    if not again.missing:
        ledger = note_mirrored(d, mirrored)
    repaired = tuple(dict.fromkeys((*found.repaired, *again.repaired)))
    return replace(found, champion=ledger.champion, repaired=repaired, missing=again.missing)


def _mended(d: Deployment, model_type: ModelType) -> tuple[Ledger, Reconciled]:
    """The ledger afterwards, and what was wrong."""
    with d.transitions.preparing(model_type):
        loaded = _warm(d, d.transitions.ledger(model_type))
        with d.transitions.exclusive(model_type):
            return _mend(d, d.transitions.ledger(model_type), loaded)


def _warm(d: Deployment, ledger: Ledger) -> Warm:
    """Loading takes time, and no rollback may have to wait for it: everything is loaded here, before the lock."""
    loaded = dict(warm(d, ledger.model_type))
    if ledger.champion is not None and ledger.champion not in loaded:
        _, astray = _elsewhere(d, ledger)
        loaded[ledger.champion] = warmed(d, ledger.model_type, ledger.champion, astray) if astray else ()
    return loaded


def _mend(d: Deployment, before: Ledger, loaded: Warm) -> tuple[Ledger, Reconciled]:
    ledger = settle(d, before, loaded)
    strays = _stop_strays(d, ledger)
    settled = tuple(act.id for act in before.unsettled if not ledger.is_open(act))
    if ledger.champion is None:
        return ledger, Reconciled(None, strays=strays, settled=settled)
    rows = tuple(d.transitions.project(ledger.model_type))
    repaired, missing = _repair_replicas(d, ledger, loaded.get(ledger.champion, ()))
    if ledger.incomplete is not None and not missing:
        ledger = complete(d, ledger)
    return ledger, Reconciled(ledger.champion, repaired, rows, (), strays, settled, missing)


def _elsewhere(d: Deployment, ledger: Ledger) -> tuple[dict[str, str], list[str]]:
    """Replicas that do not answer, with the reason, and those that serve something else than the champion."""
    seen = d.fleet.serving(ledger.model_type)
    away = {one.replica: one.fault for one in seen if one.fault}
    return away, [one.replica for one in seen if not one.fault and one.version != ledger.champion]


def _repair_replicas(d: Deployment, ledger: Ledger, loaded: Collection[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Replicas that were brought back, and those that could not be, with the reason."""
    assert ledger.champion is not None
    missing, astray = _elsewhere(d, ledger)
    missing |= {one: f"could not load {ledger.champion}, or not in time" for one in astray if one not in loaded}
    warm_ones = [replica for replica in astray if replica in loaded]
    if not warm_ones:
        return (), missing
    try:
        swap = d.fleet.put_back(ledger.model_type, ledger.champion, warm_ones)
    except (ServiceUnavailable, ModelRefused) as error:
        # Everything else is mended all the same.
        return (), missing | dict.fromkeys(warm_ones, str(error))
    return tuple(replica for replica in warm_ones if replica not in swap.missing), missing | dict(swap.missing)


def _stop_strays(d: Deployment, ledger: Ledger) -> tuple[str, ...]:
    """Replicas that try what is not on trial by the log.

    One that still tries what is champion by now has it loaded as that alone, and is about to be put back to it.
    """
    may_be_tried = {ledger.champion, ledger.trial.version if ledger.trial else None}
    strays = [seen for seen in d.fleet.canaries(ledger.model_type) if seen.running and seen.version not in may_be_tried]
    for version in {seen.version for seen in strays if seen.version}:
        try:
            d.fleet.abort_canary(ledger.model_type, version, "by the log it is not on trial")
        except (ServiceUnavailable, ModelRefused) as error:
            log.warning("%s was taken off where replicas answer: %s", version, error)
    return tuple(seen.replica for seen in strays)


def _register_again(d: Deployment, ledger: Ledger) -> tuple[str, ...]:
    named = [version for version in (ledger.previous, ledger.champion) if version is not None]
    missing = d.registry.missing([d.versions.get(ledger.model_type, version) for version in named])
    for version in missing:
        d.registry.register(version, None)
    return tuple(version.version for version in missing)
