"""What a page about the models is told: plain values that travel as JSON; times are ISO 8601 with their zone."""

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.blessing import Blessing, load_objections
from pipeline.domain.faces.looks import FaceLook
from pipeline.domain.faces.watching import FaceWatchPolicy, Which
from pipeline.domain.history import History
from pipeline.domain.ledger import Ledger
from pipeline.domain.live_accuracy import LiveAccuracyPolicy, Period, Tally
from pipeline.domain.overview import Judged, Overview, Page, Sighting, Voice, destinations
from pipeline.domain.retraining import RetrainingPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.domain.serving import Serving
from pipeline.domain.transitions import ChampionChange, Entry, Kind, Transition
from pipeline.domain.withholding import Withheld
from pipeline.ports.data import ObjectFolders
from pipeline.ports.events import DeadLetter
from pipeline.steps.oversee_canary import TrialSeen

_MOST_DESTINATIONS = 50
# Of hundreds of looks only what a chart needs.
_DRAWN = ("at", "version", "state", "accuracy", "low", "high", "blind_confirmed", "blind_agreed")
_NOTES = frozenset({Kind.CANARY_START, Kind.CANARY_ABORT, Kind.FREEZE_CLEARED})


def of_overview(o: Overview, retraining: RetrainingPolicy, live: LiveAccuracyPolicy) -> dict[str, Any]:
    ledger = o.ledger
    return {
        "at": o.at.isoformat(),
        "model_type": str(ledger.model_type),
        # Whoever asks for a change names it: what was asked about an older history is another request.
        "position": ledger.position,
        "champion": _champion(ledger),
        "previous": ledger.previous,
        "destinations": [
            {"version": d.version, "until": _iso(d.until), "why_not": d.why_not}
            for d in destinations(ledger, most=_MOST_DESTINATIONS)
        ],
        "freeze": {**_act(ledger.freeze), "id": ledger.freeze.id} if ledger.freeze else None,
        "trial": {**_act(ledger.trial), "since": _iso(ledger.trial_since)} if ledger.trial else None,
        "open": [_act(act) for act in ledger.unsettled],
        "missing": ledger.incomplete.detail if ledger.incomplete else None,
        "registry_is_behind": ledger.registry_is_behind,
        "failed_rollback": _entry(ledger.failed_rollback) if ledger.failed_rollback else None,
        "seen": of_sighting(o.seen) if o.seen else None,
        "bars": {"alert": live.alert_accuracy, "rollback": live.rollback_accuracy},
        "retraining": _retraining(o, retraining),
        "unpublished": {"events": o.unpublished.events, "since": _iso(o.unpublished.since)},
        "troubles": [str(trouble) for trouble in o.troubles],
        "withheld": [_of_withheld(one) for one in o.withheld],
    }


def of_face_rates(seen: FaceLook | None, policy: FaceWatchPolicy) -> dict[str, Any]:
    bars = {"refused": asdict(policy.bars(Which.REFUSED)), "accepted": asdict(policy.bars(Which.ACCEPTED))}
    return {"bars": bars, "min_people": policy.min_people, "seen": of_face_look(seen) if seen else None}


def of_face_look(look: FaceLook) -> dict[str, Any]:
    rates = {name: {**asdict(rate), "share": rate.share} for name, rate in look.rates.items()}
    return {**asdict(look), **rates, "at": look.at.isoformat(), "state": str(look.state)}


def _of_withheld(one: Withheld) -> dict[str, Any]:
    told = {"id": one.id, "scope": str(one.scope), "name": one.name, "corrections": one.corrections}
    return {**told, "at": one.at.isoformat(), "actor": one.actor, "reason": one.reason}


def of_voices(found: Sequence[Voice]) -> list[dict[str, Any]]:
    return [{"scope": str(one.scope), "name": one.name, "corrections": one.corrections} for one in found]


def _champion(ledger: Ledger) -> dict[str, Any] | None:
    if not ledger.reigns:
        return None
    return {**_act(ledger.changes[-1]), "since": _iso(ledger.reigns[-1].since)}


def _retraining(o: Overview, policy: RetrainingPolicy) -> dict[str, Any]:
    trained = o.backlog.last_trained_at
    return {
        "corrections": o.backlog.corrections,
        "since_last_try": o.backlog.since_last_try,
        "needed": policy.min_corrections,
        # None where that number is never reached: nothing is urgent for that type.
        "urgent": policy.urgent_corrections if policy.urgent_corrections < sys.maxsize else None,
        "people": o.backlog.people,
        "needed_people": getattr(policy, "min_people", None),
        # Rounded down: seven days are over when they are.
        "days": math.floor((o.at - trained) / timedelta(days=1) * 10) / 10 if trained else None,
        "min_days": policy.min_days,
        "cheap": str(policy.cheap),
        "answers": [{**asdict(answer), "at": answer.at.isoformat()} for answer in o.answers],
        "running": {"run_id": o.claim.run_id, "since": _iso(o.claim.since)} if o.claim else None,
    }


def of_sighting(seen: Sighting) -> dict[str, Any]:
    return {**asdict(seen), "at": seen.at.isoformat(), "state": str(seen.state)}


def of_looks(found: Sequence[Sighting]) -> list[dict[str, Any]]:
    return [{name: told[name] for name in _DRAWN} for told in map(of_sighting, found)]


def of_sightings(looks: list[dict[str, Any]], history: History, period: Period) -> dict[str, Any]:
    """The looks, and what happened to the models meanwhile."""
    marks = (
        e for e in history.facts if e.at > period.since and (isinstance(e.act, ChampionChange) or e.act.kind in _NOTES)
    )
    return {
        "since": period.since.isoformat(),
        "until": period.until.isoformat(),
        "looks": looks,
        "marks": [_entry(entry) for entry in marks],
    }


def of_page(page: Page, ledger: Ledger, objects: ObjectFolders) -> dict[str, Any]:
    return {"judged": [_of_judged(one, ledger, objects) for one in page.judged], "more": page.more}


def _of_judged(one: Judged, ledger: Ledger, objects: ObjectFolders) -> dict[str, Any]:
    version, blessing, result = one.version, one.blessing, one.result
    # Models that are made in another way have no training result; their report lies beside their verdict for programs.
    uri = result.artifact_uri if result else f"{blessing.report_uri.rpartition('/')[0]}/" if blessing else ""
    return {
        "run_id": one.run_id,
        "at": one.at.isoformat(),
        "version": version.version if version else None,
        "status": str(version.status) if version else None,
        "served": version is not None and any(reign.version == version.version for reign in ledger.reigns),
        "dataset_id": version.dataset_id if version else result.dataset_id if result else None,
        "accuracy": blessing.accuracy if blessing else version.accuracy if version else None,
        "f1_score": result.f1_score if result else None,
        "auc": result.auc if result else None,
        "confusion": result.confusion if result else None,
        "labels": [figures.label for figures in result.per_class] if result else [],
        "verdict": _verdict(blessing) if blessing else None,
        "report": objects.link(ArtifactFolder(uri).report_page) if blessing and uri else None,
    }


def _verdict(blessing: Blessing) -> dict[str, Any]:
    override = blessing.override
    return {
        "verdict": str(blessing.verdict),
        "may_go_live": blessing.approved,
        "held": blessing.waits,
        "refused": blessing.refused,
        "champion": blessing.champion_version,
        "reasons": [*blessing.reasons],
        "doubts": [*blessing.doubts],
        "advice": blessing.advice,
        "not_even_by_force": [*load_objections(blessing.checks)],
        "override": {"kind": str(override.kind), "actor": override.actor, "reason": override.reason}
        if override
        else None,
    }


def of_replicas(serving: Sequence[Serving], skipped: Sequence[str]) -> dict[str, Any]:
    replicas = [{"replica": s.replica, "version": s.version, "fault": s.fault} for s in serving]
    return {"replicas": replicas, "skipped": list(skipped)}


def of_trial(seen: TrialSeen, policy: CanaryPolicy) -> dict[str, Any]:
    replicas = [
        {"replica": r.replica, "running": r.tries(seen.trial.version), "requests": r.requests, "errors": r.errors}
        | {"reason": r.reason, "fault": r.fault}
        for r in seen.seen
    ]
    return {
        **_act(seen.trial),
        "since": seen.since.isoformat(),
        "percent": policy.percent,
        "needed": policy.min_confirmations,
        "canary": _of_tally(seen.canary),
        "stable": _of_tally(seen.stable),
        "decision": seen.verdict.decision,
        "why": seen.verdict.reason,
        "replicas": replicas,
    }


def of_letters(found: Sequence[DeadLetter]) -> list[dict[str, Any]]:
    return [{"id": one.id, "reason": one.reason, "bytes": len(one.body)} for one in found]


def _of_tally(tally: Tally) -> dict[str, Any]:
    return {"confirmed": tally.confirmed, "agreed": tally.agreed}


def _entry(entry: Entry) -> dict[str, Any]:
    return {**_act(entry.act), "at": entry.at.isoformat(), "detail": entry.detail}


def _act(act: Transition) -> dict[str, Any]:
    by = {"actor": act.by.actor, "reason": act.by.reason}
    return {"kind": str(act.kind), "version": act.version, "before": act.before, **by}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
