"""Measure a candidate and judge it, in two parts that run side by side (specification, messages 20-26; design D3)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.checks import AccuracyMeasurement, Check, Prediction, negative_flips
from pipeline.domain.dataset import Manifest, Photo, Split
from pipeline.domain.errors import DatasetRefused, ModelRefused
from pipeline.domain.leakage import leaks
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.domain.verification import refused_to_load
from pipeline.ports.bundles import Records, Verification
from pipeline.ports.data import ObjectStore, PhotoStore
from pipeline.ports.verification import Trial
from pipeline.steps.downloads import several_at_once
from pipeline.steps.look_up import champion, manifest_of, trained

_PERFORMANCE_PHOTOS = 32


@dataclass(frozen=True)
class Contest:
    """Who is compared on what: `champion` None for the first model."""

    run_id: str
    model_type: ModelType
    candidate: Artifact
    champion: ModelVersion | None
    manifest: Manifest


def contest_of(records: Records, run_id: str) -> Contest:
    """The run's candidate beside the champion of this moment."""
    result, dataset = trained(records, run_id)
    model_type = ModelType(dataset.model_type)
    return Contest(
        run_id=run_id,
        model_type=model_type,
        candidate=Artifact(result.artifact_uri, result.manifest_sha256),
        champion=champion(model_type, records.transitions, records.versions),
        manifest=manifest_of(records, dataset.id),
    )


@dataclass(frozen=True)
class _Asked:
    """Photos both models are asked about, each with its bytes."""

    rows: Sequence[Photo]
    bodies: Sequence[bytes]


def verify_accuracy(verification: Verification, contest: Contest) -> tuple[Check, ...]:
    """Candidate and champion see the same original photos, each through a real model server.

    Every prediction is kept beside the artifact, so that the verdict can be checked later, and the photos that only
    the champion judges right, to look at. Raises `DatasetRefused` when training and evaluation overlap.
    """
    v, manifest = verification, contest.manifest
    if found := leaks(manifest.photos):
        raise DatasetRefused(f"what was trained on cannot be verified on: {'; '.join(found[:3])}")
    asked = _read(manifest.natural, v.photos)
    try:
        with v.trials.serve(contest.model_type, contest.run_id, contest.candidate) as trial:
            ours = _predict(trial, asked)
            corrections = _predict(trial, _read(manifest.of(Split.HELD_OUT_CORRECTIONS), v.photos))
    except ModelRefused as error:
        judged: tuple[Check, ...] = (refused_to_load(str(error)),)
    else:
        measured = replace(_beside_champion(contest, ours, asked, v), corrections=corrections)
        _keep(measured, asked, contest.candidate, v)
        judged = v.policy.judge_accuracy(measured, manifest.labels, _by_task(asked))
    v.checks.save(contest.run_id, "accuracy", judged)
    return judged


def verify_performance(verification: Verification, contest: Contest) -> tuple[Check, ...]:
    """The candidate alone in a private server, asked again and again with real photos."""
    v = verification
    asked = _read(contest.manifest.of(Split.VALIDATION)[:_PERFORMANCE_PHOTOS], v.photos)
    if not asked.bodies:
        raise DatasetRefused(f"{contest.manifest.dataset_id} has no validation photos to ask the model about")
    try:
        with v.trials.serve(contest.model_type, contest.run_id, contest.candidate) as trial:
            measured = trial.measure(asked.bodies, requests=v.load_test.requests, concurrency=v.load_test.concurrency)
    except ModelRefused as error:
        judged: tuple[Check, ...] = (refused_to_load(str(error)),)
    else:
        judged = v.policy.judge_performance(measured)
    v.checks.save(contest.run_id, "performance", judged)
    return judged


def _beside_champion(
    contest: Contest, ours: tuple[Prediction, ...], asked: _Asked, verification: Verification
) -> AccuracyMeasurement:
    other, theirs, fault = contest.champion, None, ""
    if other is not None:
        try:
            with verification.trials.serve(contest.model_type, other.version, other.artifact) as trial:
                theirs = _predict(trial, asked)
        except ModelRefused as error:
            fault = str(error)
    n = len(contest.manifest.of(Split.VALIDATION))
    return AccuracyMeasurement(
        champion_version=other.version if other else None,
        validation=ours[:n],
        holdout=ours[n:],
        champion_validation=theirs[:n] if theirs is not None else None,
        champion_holdout=theirs[n:] if theirs is not None else None,
        champion_fault=fault,
        trainer=_said_by_trainer(contest.candidate, verification.objects),
    )


def _keep(measured: AccuracyMeasurement, asked: _Asked, candidate: Artifact, verification: Verification) -> None:
    """Predictions, slices and the photos that became wrong, beside the artifact."""
    objects, folder, flipped = verification.objects, ArtifactFolder(candidate.uri), _flipped(measured)
    objects.write(folder.predictions, _json(asdict(measured)), "application/json")
    sheet = [(row.task_id, body) for row, body in zip(asked.rows, asked.bodies, strict=True) if row.task_id in flipped]
    objects.write(folder.flips, verification.printer.contact_sheet(sheet), "image/png")
    slices = [asdict(one) for one in verification.policy.comparison.slices(measured, _by_task(asked))]
    objects.write(folder.slices, _json(slices), "application/json")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _by_task(asked: _Asked) -> dict[str, Photo]:
    return {row.task_id: row for row in asked.rows}


def _said_by_trainer(candidate: Artifact, objects: ObjectStore) -> dict[str, str] | None:
    uri = ArtifactFolder(candidate.uri).trainer_predictions
    if not objects.exists(uri):
        return None
    said: dict[str, str] = json.loads(objects.read(uri))
    return said


def _flipped(measured: AccuracyMeasurement) -> set[str]:
    theirs = (*(measured.champion_validation or ()), *(measured.champion_holdout or ()))
    return set(negative_flips((*measured.validation, *measured.holdout), theirs))


def _read(rows: Sequence[Photo], photos: PhotoStore) -> _Asked:
    return _Asked(rows, list(several_at_once(lambda row: photos.read(row.photo_url), rows)))


def _predict(trial: Trial, asked: _Asked) -> tuple[Prediction, ...]:
    labels = trial.classify(asked.bodies)
    return tuple(Prediction(row.task_id, row.label, said) for row, said in zip(asked.rows, labels, strict=True))
