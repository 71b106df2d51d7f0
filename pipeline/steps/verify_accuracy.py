"""Candidate and champion on the same photos (specification, messages 20-26; design D3)."""

import json
from dataclasses import asdict, replace

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.checks import AccuracyMeasurement, Check, Prediction, negative_flips
from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused, ModelRefused
from pipeline.domain.leakage import leaks
from pipeline.domain.verification import refused_to_load
from pipeline.ports.bundles import Verification
from pipeline.steps.ask_models import Asked, fetched, predict
from pipeline.steps.contest import Contest


def verify_accuracy(verification: Verification, contest: Contest) -> tuple[Check, ...]:
    """Candidate and champion see the same original photos, each through a real model server.

    Every prediction is kept beside the artifact, so that the verdict can be checked later, and the photos that only
    the champion judges right, to look at. Cleared after the verdict, it measures nothing and gives the verdict's
    checks: the evidence stays. Raises `DatasetRefused` when training and evaluation overlap.
    """
    v, manifest = verification, contest.manifest
    if (blessing := v.blessings.of_run(contest.run_id)) is not None:
        return tuple(blessing.checks)
    if found := leaks(manifest.photos):
        raise DatasetRefused(f"what was trained on cannot be verified on: {'; '.join(found[:3])}")
    asked = fetched(manifest.natural, v.photos)
    try:
        with v.trials.serve(contest.model_type, contest.run_id, contest.candidate) as trial:
            ours = predict(trial, asked)
            corrections = predict(trial, fetched(manifest.of(Split.HELD_OUT_CORRECTIONS), v.photos))
    except ModelRefused as error:
        judged: tuple[Check, ...] = (refused_to_load(str(error), contest.champion_version),)
    else:
        measured = replace(_beside_champion(contest, ours, asked, v), corrections=corrections)
        _keep(measured, asked, contest, v)
        judged = v.policy.judge_accuracy(measured, manifest.labels, asked.by_task)
    v.checks.save(contest.run_id, "accuracy", judged)
    return judged


def _beside_champion(
    contest: Contest, ours: tuple[Prediction, ...], asked: Asked, verification: Verification
) -> AccuracyMeasurement:
    other, theirs, fault = contest.champion, None, ""
    if other is not None:
        try:
            with verification.trials.serve(contest.model_type, other.version, other.artifact) as trial:
                theirs = predict(trial, asked)
        except ModelRefused as error:
            fault = str(error)
    n = len(contest.manifest.of(Split.VALIDATION))
    return AccuracyMeasurement(
        champion_version=contest.champion_version,
        validation=ours[:n],
        holdout=ours[n:],
        champion_validation=theirs[:n] if theirs is not None else None,
        champion_holdout=theirs[n:] if theirs is not None else None,
        champion_fault=fault,
        trainer=_said_by_trainer(contest, verification),
    )


def _keep(measured: AccuracyMeasurement, asked: Asked, contest: Contest, verification: Verification) -> None:
    """Predictions, slices and the photos that became wrong, beside the artifact."""
    objects, folder, flipped = verification.objects, ArtifactFolder(contest.candidate.uri), _flipped(measured)
    objects.write(folder.predictions, _json(asdict(measured)), "application/json")
    sheet = [(row.task_id, body) for row, body in zip(asked.rows, asked.bodies, strict=True) if row.task_id in flipped]
    objects.write(folder.flips, verification.printer.contact_sheet(sheet), "image/png")
    slices = [asdict(one) for one in verification.policy.comparison.slices(measured, asked.by_task)]
    objects.write(folder.slices, _json(slices), "application/json")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _said_by_trainer(contest: Contest, verification: Verification) -> dict[str, str] | None:
    uri = ArtifactFolder(contest.candidate.uri).trainer_predictions
    if not verification.objects.exists(uri):
        return None
    said: dict[str, str] = json.loads(verification.objects.read(uri))
    return said


def _flipped(measured: AccuracyMeasurement) -> set[str]:
    theirs = (*(measured.champion_validation or ()), *(measured.champion_holdout or ()))
    return set(negative_flips((*measured.validation, *measured.holdout), theirs))
