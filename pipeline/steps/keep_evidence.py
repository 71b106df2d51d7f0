"""What a verdict on accuracy rests on, beside the artifact; `kept_evidence` reads it."""

import json
from dataclasses import asdict

from pipeline.domain.checks import AccuracyMeasurement, by_reason, negative_flips
from pipeline.ports.bundles import Verification
from pipeline.steps.contest import Contest
from pipeline.steps.flip_sheet import keep_flips


def keep_evidence(measured: AccuracyMeasurement, contest: Contest, v: Verification) -> None:
    """Predictions, slices, reasons and the photos that became wrong."""
    folder = contest.folder
    v.objects.write(folder.predictions, _json(asdict(measured)), "application/json")
    keep_flips(v, folder, contest.manifest, _flipped(measured))
    slices = [asdict(one) for one in v.policy.comparison.slices(measured, contest.by_task)]
    v.objects.write(folder.slices, _json(slices), "application/json")
    said = (*measured.validation, *measured.holdout, *measured.corrections)
    reasons = by_reason(said, {photo.task_id: photo.reasons for photo in contest.manifest.photos})
    v.objects.write(folder.by_reason, _json([asdict(one) for one in reasons]), "application/json")


def said_by_trainer(contest: Contest, v: Verification) -> dict[str, str] | None:
    """The trainer's own answers, None when it left none."""
    uri = contest.folder.trainer_predictions
    if not v.objects.exists(uri):
        return None
    said: dict[str, str] = json.loads(v.objects.read(uri))
    return said


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _flipped(measured: AccuracyMeasurement) -> set[str]:
    theirs = (*(measured.champion_validation or ()), *(measured.champion_holdout or ()))
    return set(negative_flips((*measured.validation, *measured.holdout), theirs))
