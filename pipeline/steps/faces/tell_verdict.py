"""The verdict on a face model, for programs and for whoever hears of refusals."""

import json
from dataclasses import asdict
from typing import Any

from pipeline.domain.blessing import Blessing
from pipeline.domain.faces.gate import FaceMeasurement
from pipeline.domain.faces.identities import Side
from pipeline.domain.model_events import ModelVerificationFailedEvent, ModelVerificationHeldEvent, OutgoingEvent
from pipeline.steps.faces.learn import Candidate

_ADVICE = "more people, or photos of each on different days; the reasons name the bars"


def report_of(blessing: Blessing, candidate: Candidate, found: FaceMeasurement) -> bytes:
    """JSON: figures, intervals, and how many people they rest on. Nobody is named in it."""
    errors, dataset = found.candidate, candidate.dataset
    said = {
        "run_id": blessing.run_id,
        "dataset_id": dataset.dataset_id,
        "verdict": blessing.verdict,
        "accepted": blessing.accepted,
        "held": blessing.held,
        "reasons": blessing.reasons,
        "champion": blessing.champion_version,
        "checks": [asdict(check) for check in blessing.checks],
        "threshold": candidate.head.threshold,
        "head": candidate.head.way,
        "people": {side: dataset.people(side) for side in Side},
        "photos": {side: len(dataset.photos[side]) for side in Side},
        "set_aside": len(dataset.set_aside),
        "pairs_of_one_person": sum(errors.pairs),
        "of_them_accepted": sum(errors.accepted),
        "false_accepts": sum(errors.false_accepts.values()),
        "dimensions": found.spread.dimensions,
        "gallery": asdict(found.gallery),
        "decided_at": blessing.decided_at.isoformat(),
    }
    return json.dumps(said, ensure_ascii=False, indent=1).encode()


def event_of(blessing: Blessing) -> OutgoingEvent | None:
    """None for a verdict that accepts."""
    if blessing.accepted:
        return None
    run, said = blessing.run_id, _said(blessing)
    if blessing.held:
        held = f"verification-held:{run}"
        return ModelVerificationHeldEvent(id=held, held_at=blessing.decided_at, **said).outgoing()
    failed = f"verification-failed:{run}"
    return ModelVerificationFailedEvent(id=failed, failed_at=blessing.decided_at, advice=_ADVICE, **said).outgoing()


def _said(blessing: Blessing) -> dict[str, Any]:
    return {
        "run_id": blessing.run_id,
        "model_type": blessing.model_type,
        "reasons": blessing.reasons,
        "report": blessing.report_uri,
    }
