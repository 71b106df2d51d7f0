"""Measure a candidate and judge it, in two parts that run side by side (specification, messages 20-26; design D3)."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from pipeline.domain.dataset import Manifest, Photo, Split
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.domain.verification import AccuracyMeasurement, Check, Prediction, VerificationPolicy
from pipeline.ports import Checks, ObjectStore, PhotoStore, Trial, TrialServer

_DOWNLOADS_AT_ONCE = 8
_PERFORMANCE_PHOTOS = 32


def verify_accuracy(
    run_id: str,
    model_type: ModelType,
    *,
    candidate: Artifact,
    champion: ModelVersion | None,
    manifest: Manifest,
    policy: VerificationPolicy,
    photos: PhotoStore,
    trials: TrialServer,
    checks: Checks,
    objects: ObjectStore,
) -> tuple[AccuracyMeasurement, tuple[Check, ...]]:
    """Candidate and champion see the same original photos, each through a real model server.

    Every prediction is kept beside the artifact as `predictions.json`, so that the verdict can be checked later.
    """
    rows = (*manifest.of(Split.VALIDATION), *manifest.of(Split.HOLDOUT))
    bodies = _read(rows, photos)
    with trials.serve(model_type, run_id, candidate) as trial:
        ours = _predict(trial, rows, bodies)
    theirs = None
    if champion is not None:
        with trials.serve(model_type, champion.version, champion.artifact) as trial:
            theirs = _predict(trial, rows, bodies)
    n = len(manifest.of(Split.VALIDATION))
    measured = AccuracyMeasurement(
        champion_version=champion.version if champion else None,
        validation=ours[:n],
        holdout=ours[n:],
        champion_validation=theirs[:n] if theirs is not None else None,
        champion_holdout=theirs[n:] if theirs is not None else None,
    )
    body = json.dumps(asdict(measured), ensure_ascii=False).encode()
    objects.write(f"{candidate.uri}predictions.json", body, "application/json")
    judged = policy.judge_accuracy(measured, manifest.labels)
    checks.save(run_id, "accuracy", judged)
    return measured, judged


def verify_performance(
    run_id: str,
    model_type: ModelType,
    *,
    candidate: Artifact,
    manifest: Manifest,
    policy: VerificationPolicy,
    photos: PhotoStore,
    trials: TrialServer,
    checks: Checks,
    requests: int,
    concurrency: int,
) -> tuple[Check, ...]:
    """The candidate alone in a private server, asked `requests` times with real photos."""
    bodies = _read(manifest.of(Split.VALIDATION)[:_PERFORMANCE_PHOTOS], photos)
    with trials.serve(model_type, run_id, candidate) as trial:
        measured = trial.measure(bodies, requests=requests, concurrency=concurrency)
    judged = policy.judge_performance(measured)
    checks.save(run_id, "performance", judged)
    return judged


def _read(rows: Sequence[Photo], photos: PhotoStore) -> list[bytes]:
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        return list(pool.map(lambda row: photos.read(row.photo_url), rows))


def _predict(trial: Trial, rows: Sequence[Photo], bodies: Sequence[bytes]) -> tuple[Prediction, ...]:
    labels = trial.classify(bodies)
    return tuple(Prediction(row.task_id, row.label, predicted) for row, predicted in zip(rows, labels, strict=True))
