"""Make a dataset of its shards: check all are there, count, write the index, record lineage (design D1)."""

import hashlib
import json
from datetime import datetime

from pipeline.domain.dataset import Dataset, Manifest, Source, Split, leaks
from pipeline.domain.errors import DatasetRefused
from pipeline.ports import Augmenter, Datasets, ObjectStore
from pipeline.steps.augment import shard_uri, slices

_SHARDS_ON_CONTACT_SHEET = 2


def assemble(
    run_id: str,
    dataset_uri: str,
    *,
    photos_per_slice: int,
    copies: int,
    augmenter: Augmenter,
    objects: ObjectStore,
    datasets: Datasets,
) -> Dataset:
    """The finished dataset. `dataset.json` is written after every shard, the row after `dataset.json`.

    Raises `DatasetRefused` when a cluster stands on two sides of the split.
    """
    manifest = Manifest.from_json(objects.read(f"{dataset_uri}manifest.json"))
    if found := leaks(manifest.photos):
        raise DatasetRefused(f"leak between splits: {'; '.join(found[:5])}")
    work = slices(manifest, photos_per_slice)
    shards: dict[str, list[dict[str, str]]] = {Split.TRAIN: [], Split.VALIDATION: []}
    sample: list[bytes] = []
    for index, (split, _) in enumerate(work):
        uri = shard_uri(dataset_uri, work, index)
        body = objects.read(uri)
        shards[split].append({"uri": uri, "sha256": hashlib.sha256(body).hexdigest()})
        if split is Split.TRAIN and len(sample) < _SHARDS_ON_CONTACT_SHEET:
            sample.append(body)
    objects.write(f"{dataset_uri}contact-sheet.png", augmenter.contact_sheet(sample, manifest.labels), "image/png")
    index_body = json.dumps({"labels": manifest.labels, **shards}, ensure_ascii=False, sort_keys=True).encode()
    objects.write(f"{dataset_uri}dataset.json", index_body, "application/json")
    dataset = _counted(run_id, dataset_uri, manifest, copies, hashlib.sha256(index_body).hexdigest())
    datasets.complete(dataset, manifest.photos)
    return dataset


def _counted(run_id: str, uri: str, manifest: Manifest, copies: int, sha256: str) -> Dataset:
    train_count = len(manifest.of(Split.TRAIN)) * copies
    validation_count = len(manifest.of(Split.VALIDATION))
    through = manifest.corrections_through
    return Dataset(
        id=manifest.dataset_id,
        run_id=run_id,
        model_type=manifest.model_type,
        uri=uri,
        sha256=sha256,
        photo_count=len(manifest.photos),
        image_count=train_count + validation_count,
        train_count=train_count,
        validation_count=validation_count,
        holdout_count=len(manifest.of(Split.HOLDOUT)),
        corrections=sum(photo.source is Source.CORRECTION for photo in manifest.photos),
        corrections_through=datetime.fromisoformat(through) if through else None,
    )
