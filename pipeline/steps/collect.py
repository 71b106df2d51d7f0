"""Choose the photos of a dataset and freeze the choice (specification, messages 9-13; design D1, D2)."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pipeline.domain.dataset import (
    ConfirmedTask,
    Fingerprint,
    Manifest,
    Photo,
    Quarantined,
    SelectionPolicy,
    Source,
    cluster_ids,
    select,
)
from pipeline.domain.errors import DatasetRefused, PhotoMissing, PhotoRefused
from pipeline.domain.models import ModelType
from pipeline.ports import CorrectionSource, Datasets, ObjectStore, PhotoInspector, PhotoStore

_DOWNLOADS_AT_ONCE = 8


def collect(
    run_id: str,
    model_type: ModelType,
    *,
    labels: Sequence[str],
    since: datetime | None,
    policy: SelectionPolicy,
    source: CorrectionSource,
    photos: PhotoStore,
    inspector: PhotoInspector,
    datasets: Datasets,
    objects: ObjectStore,
    prefix: str,
) -> str:
    """The dataset's id. Run again, the frozen selection stays as it was, whatever was confirmed meanwhile.

    `since` is when the champion's corrections ended; `prefix` the `s3://…/` under which datasets live.
    Raises `DatasetRefused` when nothing can be collected.
    """
    dataset_id = datasets.begin(run_id, model_type)
    if datasets.frozen_sha256(dataset_id) is not None:
        return dataset_id
    tasks = _tasks(source, since, policy)
    if not tasks:
        raise DatasetRefused("no confirmed tasks in the Helper database: nothing to learn from")
    found = _fingerprints(tasks, photos, inspector)
    usable = [(task, print_) for task, print_ in found if not print_.fault]
    rows = _rows(usable, policy, datasets.cluster_founders())
    manifest = Manifest(
        dataset_id=dataset_id,
        model_type=model_type,
        labels=tuple(labels),
        corrections_since=since.isoformat() if since else None,
        corrections_through=max(task.confirmed_at for task in tasks).isoformat(),
        photos=tuple(select(rows, policy)),
        quarantined=tuple(Quarantined(t.task_id, t.photo_url, p.fault) for t, p in found if p.fault),
    )
    body = manifest.to_json()
    objects.write(f"{prefix}{dataset_id}/manifest.json", body, "application/json")
    datasets.freeze(dataset_id, manifest, hashlib.sha256(body).hexdigest())
    return dataset_id


def _tasks(source: CorrectionSource, since: datetime | None, policy: SelectionPolicy) -> list[ConfirmedTask]:
    """Corrections since the last training and the natural sample, each task once, in a stable order."""
    corrections = source.corrections(since=since, limit=policy.correction_limit)
    sample = source.confirmed(limit=policy.sample_limit)
    return sorted({t.task_id: t for t in (*sample, *corrections)}.values(), key=lambda t: (t.confirmed_at, t.task_id))


def _fingerprints(
    tasks: Sequence[ConfirmedTask], photos: PhotoStore, inspector: PhotoInspector
) -> list[tuple[ConfirmedTask, Fingerprint]]:
    def fingerprint(task: ConfirmedTask) -> Fingerprint:
        try:
            return inspector.fingerprint(photos.read(task.photo_url))
        except (PhotoMissing, PhotoRefused) as error:
            return Fingerprint(fault=str(error))

    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        return list(zip(tasks, pool.map(fingerprint, tasks), strict=True))


def _rows(
    usable: Sequence[tuple[ConfirmedTask, Fingerprint]], policy: SelectionPolicy, founders: Sequence[int]
) -> list[Photo]:
    clusters = cluster_ids([print_.phash for _, print_ in usable], founders)
    return [
        Photo(
            task_id=task.task_id,
            photo_url=task.photo_url,
            sha256=print_.sha256,
            phash=f"{print_.phash:016x}",
            cluster_id=cluster,
            label=task.final_result,
            corrected=task.corrected,
            source=Source.EVALUATION,
            split=policy.split_of(cluster),
            confirmed_at=task.confirmed_at.isoformat(),
            width=print_.width,
            height=print_.height,
            brightness=print_.brightness,
            sharpness=print_.sharpness,
            ai_result=task.ai_result,
            correction_reason=task.correction_reason,
            helper_id=task.helper_id,
        )
        for (task, print_), cluster in zip(usable, clusters, strict=True)
    ]
