"""Measure a candidate and judge it, in two parts that run side by side (specification, messages 20-26; design D3)."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

from pipeline.domain.checks import AccuracyMeasurement, Check, Prediction, negative_flips
from pipeline.domain.dataset import Manifest, Photo, Split
from pipeline.domain.errors import DatasetRefused, ModelRefused
from pipeline.domain.leakage import leaks
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.domain.verification import VerificationPolicy, refused_to_load
from pipeline.ports.data import ObjectStore, PhotoStore
from pipeline.ports.verification import Checks, ReportPrinter, Trial, TrialServer

_DOWNLOADS_AT_ONCE = 8
_PERFORMANCE_PHOTOS = 32
TRAINER_PREDICTIONS = "trainer-predictions.json"
PREDICTIONS = "predictions.json"
FLIPS = "negative-flips.png"
SLICES = "slices.json"


@dataclass(frozen=True)
class Contest:
    """Who is compared on what: `champion` None for the first model."""

    run_id: str
    model_type: ModelType
    candidate: Artifact
    champion: ModelVersion | None
    manifest: Manifest


def verify_accuracy(
    contest: Contest,
    *,
    policy: VerificationPolicy,
    photos: PhotoStore,
    trials: TrialServer,
    checks: Checks,
    objects: ObjectStore,
    printer: ReportPrinter,
) -> tuple[Check, ...]:
    """Candidate and champion see the same original photos, each through a real model server.

    Every prediction is kept beside the artifact, so that the verdict can be checked later, and the photos that only
    the champion judges right, to look at. Raises `DatasetRefused` when training and evaluation overlap.
    """
    candidate, manifest = contest.candidate, contest.manifest
    if found := leaks(manifest.photos):
        raise DatasetRefused(f"what was trained on cannot be verified on: {'; '.join(found[:3])}")
    rows, more = manifest.natural, manifest.of(Split.HELD_OUT_CORRECTIONS)
    bodies = _read(rows, photos)
    try:
        with trials.serve(contest.model_type, contest.run_id, candidate) as trial:
            ours = _predict(trial, rows, bodies)
            corrections = _predict(trial, more, _read(more, photos))
    except ModelRefused as error:
        judged: tuple[Check, ...] = (refused_to_load(str(error)),)
    else:
        measured = _beside_champion(contest, ours, rows, bodies, trials=trials, objects=objects)
        measured = replace(measured, corrections=corrections)
        body = json.dumps(asdict(measured), ensure_ascii=False).encode()
        objects.write(f"{candidate.uri}{PREDICTIONS}", body, "application/json")
        flipped = _flipped(measured)
        sheet = [(row.task_id, body) for row, body in zip(rows, bodies, strict=True) if row.task_id in flipped]
        objects.write(f"{candidate.uri}{FLIPS}", printer.contact_sheet(sheet), "image/png")
        by_task = {row.task_id: row for row in rows}
        slices = [asdict(one) for one in policy.comparison.slices(measured, by_task)]
        objects.write(f"{candidate.uri}{SLICES}", json.dumps(slices, ensure_ascii=False).encode(), "application/json")
        judged = policy.judge_accuracy(measured, manifest.labels, by_task)
    checks.save(contest.run_id, "accuracy", judged)
    return judged


def verify_performance(
    contest: Contest,
    *,
    policy: VerificationPolicy,
    photos: PhotoStore,
    trials: TrialServer,
    checks: Checks,
    requests: int,
    concurrency: int,
) -> tuple[Check, ...]:
    """The candidate alone in a private server, asked `requests` times with real photos."""
    bodies = _read(contest.manifest.of(Split.VALIDATION)[:_PERFORMANCE_PHOTOS], photos)
    if not bodies:
        raise DatasetRefused(f"{contest.manifest.dataset_id} has no validation photos to ask the model about")
    try:
        with trials.serve(contest.model_type, contest.run_id, contest.candidate) as trial:
            measured = trial.measure(bodies, requests=requests, concurrency=concurrency)
    except ModelRefused as error:
        judged: tuple[Check, ...] = (refused_to_load(str(error)),)
    else:
        judged = policy.judge_performance(measured)
    checks.save(contest.run_id, "performance", judged)
    return judged


def _beside_champion(
    contest: Contest,
    ours: tuple[Prediction, ...],
    rows: Sequence[Photo],
    bodies: Sequence[bytes],
    *,
    trials: TrialServer,
    objects: ObjectStore,
) -> AccuracyMeasurement:
    champion, theirs, fault = contest.champion, None, ""
    if champion is not None:
        try:
            with trials.serve(contest.model_type, champion.version, champion.artifact) as trial:
                theirs = _predict(trial, rows, bodies)
        except ModelRefused as error:
            fault = str(error)
    n = len(contest.manifest.of(Split.VALIDATION))
    return AccuracyMeasurement(
        champion_version=champion.version if champion else None,
        validation=ours[:n],
        holdout=ours[n:],
        champion_validation=theirs[:n] if theirs is not None else None,
        champion_holdout=theirs[n:] if theirs is not None else None,
        champion_fault=fault,
        trainer=_said_by_trainer(contest.candidate, objects),
    )


def _said_by_trainer(candidate: Artifact, objects: ObjectStore) -> dict[str, str] | None:
    uri = f"{candidate.uri}{TRAINER_PREDICTIONS}"
    if not objects.exists(uri):
        return None
    said: dict[str, str] = json.loads(objects.read(uri))
    return said


def _flipped(measured: AccuracyMeasurement) -> set[str]:
    theirs = (*(measured.champion_validation or ()), *(measured.champion_holdout or ()))
    return set(negative_flips((*measured.validation, *measured.holdout), theirs))


def _read(rows: Sequence[Photo], photos: PhotoStore) -> list[bytes]:
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        return list(pool.map(lambda row: photos.read(row.photo_url), rows))


def _predict(trial: Trial, rows: Sequence[Photo], bodies: Sequence[bytes]) -> tuple[Prediction, ...]:
    labels = trial.classify(bodies)
    return tuple(Prediction(row.task_id, row.label, predicted) for row, predicted in zip(rows, labels, strict=True))
