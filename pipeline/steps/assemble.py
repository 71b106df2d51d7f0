"""Make a dataset of its shards: check all are there, count, write the index, record lineage (design D1)."""

import hashlib

from pipeline.domain.dataset import Dataset, Manifest, Split, shard_index
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.leakage import leaks
from pipeline.ports.bundles import Images
from pipeline.ports.data import Datasets, ObjectStore
from pipeline.steps.augment import shard_uri, slices

_SHARDS_ON_CONTACT_SHEET = 2

Shards = dict[str, list[dict[str, str]]]


def assemble(run_id: str, dataset_uri: str, images: Images, datasets: Datasets) -> Dataset:
    """The finished dataset. `dataset.json` is written after every shard, the row after `dataset.json`.

    Raises `DatasetRefused` when a cluster stands on two sides of the split, or a shard is missing.
    """
    objects = images.objects
    manifest = Manifest.from_json(objects.read(f"{dataset_uri}manifest.json"))
    if found := leaks(manifest.photos):
        raise DatasetRefused(f"leak between splits: {'; '.join(found[:5])}")
    shards, sample = _listed(dataset_uri, manifest, objects)
    sheet = images.augmenter.contact_sheet(sample, manifest.labels)
    objects.write(f"{dataset_uri}contact-sheet.png", sheet, "image/png")
    index = shard_index(manifest, shards)
    objects.write(f"{dataset_uri}dataset.json", index, "application/json")
    dataset = Dataset.counted(run_id, dataset_uri, manifest, hashlib.sha256(index).hexdigest())
    datasets.complete(dataset)
    return datasets.get(dataset.id)


def _listed(dataset_uri: str, manifest: Manifest, objects: ObjectStore) -> tuple[Shards, list[bytes]]:
    """Address and hash of every shard, and some of those with training photos to look at."""
    shards: Shards = {Split.TRAIN: [], Split.VALIDATION: []}
    sample: list[bytes] = []
    work = slices(manifest)
    for index, (split, _) in enumerate(work):
        uri = shard_uri(dataset_uri, work, index)
        body = _shard(uri, objects)
        shards[split].append({"uri": uri, "sha256": hashlib.sha256(body).hexdigest()})
        if split is Split.TRAIN and len(sample) < _SHARDS_ON_CONTACT_SHEET:
            sample.append(body)
    return shards, sample


def _shard(uri: str, objects: ObjectStore) -> bytes:
    try:
        return objects.read(uri)
    except KeyError:
        raise DatasetRefused(f"{uri} is missing: run augment for its slice again") from None
