"""Write the verdict on a face model for programs and people, and make the event about it."""

import math
from dataclasses import asdict
from typing import Any

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.blessing import Blessing
from pipeline.domain.checks import plain_json
from pipeline.domain.faces.gate import FaceMeasurement, refusals
from pipeline.domain.faces.identities import Side
from pipeline.domain.outgoing_events import ModelVerificationFailedEvent, ModelVerificationHeldEvent, OutgoingEvent
from pipeline.ports.face_report import FaceReport, SliceFigures
from pipeline.steps.faces.learn import Candidate

_ADVICE = "more people, or photos of each on different days; the reasons name the bars"


def page_of(blessing: Blessing) -> str:
    """Where the verdict lies as people read it, beside the one for programs."""
    return ArtifactFolder(f"{blessing.report_uri.rpartition('/')[0]}/").report_page


def page_report(blessing: Blessing, candidate: Candidate, found: FaceMeasurement) -> FaceReport:
    head, dataset = candidate.head, candidate.dataset
    people = {str(side): dataset.people(side) for side in Side}
    beside = found.champion.scores if found.champion else None
    listed = head.identification
    return FaceReport(blessing, head.threshold, head.way, people, _slices(found), found.scores, beside, listed)


def _slices(found: FaceMeasurement) -> list[SliceFigures]:
    figures = []
    for name, people in found.slices.items():
        rate = refusals(found.candidate, people)
        share = math.nan if rate.share is None else rate.share
        figures.append(SliceFigures(name, len(people), share, rate.interval.low, rate.interval.high))
    return figures


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
        "identification": candidate.head.identification,
        "sought": _sought(found),
        "head": candidate.head.way,
        "people": {side: dataset.people(side) for side in Side},
        "photos": {side: len(dataset.photos[side]) for side in Side},
        "set_aside": len(dataset.set_aside),
        "pairs_of_one_person": sum(errors.pairs),
        "of_them_accepted": sum(errors.accepted),
        "false_accepts": sum(errors.false_accepts.values()),
        "dimensions": found.spread.dimensions,
        "gallery": asdict(found.gallery),
        "slices": [asdict(one) for one in _slices(found)],
        "det": [asdict(point) for point in found.scores.det()] if found.scores else [],
        "scores": asdict(found.scores) if found.scores else None,
        "decided_at": blessing.decided_at.isoformat(),
    }
    return plain_json(said, indent=1).encode()


def _sought(found: FaceMeasurement) -> dict[str, Any] | None:
    if found.sought is None:
        return None
    one = found.sought
    return {"others": one.others, "threshold": one.threshold, "fpir": one.fpir.share, "tpir": one.tpir.share}


def event_of(blessing: Blessing) -> OutgoingEvent | None:
    """The event; None for a verdict that accepts."""
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
