"""What steps did to live versions, in the words of those who ask: plain values that travel as JSON."""

from dataclasses import asdict
from typing import Any

from pipeline.domain.faces.live import LiveFaceRates, Rate
from pipeline.domain.live_accuracy import RollbackDecision
from pipeline.domain.serving import each_listed
from pipeline.domain.transitions import Entry
from pipeline.steps.change_champion import ChangedChampion
from pipeline.steps.faces.watch import WatchedFaces
from pipeline.steps.retire import Retired
from pipeline.steps.watch import Watched


def of_changed(changed: ChangedChampion) -> dict[str, Any]:
    swap = changed.swap
    return {
        "version": changed.change.version,
        "previous_version": changed.change.from_version,
        "deploy_seconds": round(swap.seconds, 3) if swap else 0.0,
        "swap_milliseconds_max": swap.swap_milliseconds_max if swap else None,
        "replicas": list(swap.replicas) if swap else [],
        "missing": list(each_listed(swap.missing)) if swap else [],
        "skipped": list(changed.skipped),
        "serves_now": changed.serves_now,
        "registry_is_behind": changed.registry_is_behind,
    }


def of_entry(entry: Entry) -> dict[str, Any]:
    act = entry.act
    return {
        "served_from": entry.at.isoformat(),
        "version": act.version,
        "before": act.before,
        "kind": str(act.kind),
        "actor": act.by.actor,
        "reason": act.by.reason,
        "request": act.by.request_id,
    }


def of_watched(watched: Watched) -> dict[str, Any]:
    reading, decision = watched.reading, watched.decision
    return {
        "version": reading.version,
        "state": str(reading.state),
        "confirmed": reading.confirmed,
        "accuracy": reading.accuracy,
        "interval": [reading.low, reading.high],
        "blind_confirmed": watched.blind.confirmed,
        "blind_accuracy": watched.blind.accuracy,
        **_of_decision(decision, watched.problem),
    }


def of_watched_faces(watched: WatchedFaces) -> dict[str, Any]:
    reading = watched.reading
    return {
        "version": reading.version,
        "state": str(reading.state),
        "wrongly_refused": _of_rate(reading.refused),
        "wrongly_accepted": _of_rate(reading.accepted),
        "unnamed": _of_rate(reading.unnamed),
        "misnamed": _of_rate(reading.misnamed),
        **_of_decision(watched.decision, watched.problem),
    }


def _of_decision(decision: RollbackDecision, problem: str | None) -> dict[str, Any]:
    return {"act": decision.act, "target": decision.target, "reason": decision.reason, "problem": problem}


def of_retired(done: Retired, *, dry_run: bool) -> dict[str, Any]:
    return {
        "selected": list(done.plan.archive),
        "archived": list(done.archived),
        "failed": dict(done.failed),
        "kept": dict(done.plan.kept),
        "dry_run": dry_run,
    }


def of_rates(rates: LiveFaceRates) -> dict[str, Any]:
    return {
        "version": rates.version,
        "wrongly_refused": _of_rate(rates.wrongly_refused),
        "wrongly_accepted": _of_rate(rates.wrongly_accepted),
        "unnamed": _of_rate(rates.unnamed),
        "misnamed": _of_rate(rates.misnamed),
    }


def _of_rate(rate: Rate) -> dict[str, Any]:
    counted = {"failed": rate.failed, "checks": rate.checks, "people": rate.people}
    return {"share": rate.share, **asdict(rate.interval), **counted}
