"""Take one photo out of one dataset: its shards, its pictures, what was cached of it, and last its manifest."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.dataset import Dataset, Manifest, Split, shard_index
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.lineage import Erasure
from pipeline.ports.data import Augmenter, Datasets, Erasures, ObjectFolders

# Pages that may show the photo; validating again makes them without it.
_PAGES = ("data-report.html", "data-docs/")
_SHARDS_ON_CONTACT_SHEET = 2

Shard = Mapping[str, str]


@dataclass(frozen=True)
class Stores:
    """Where a dataset is kept."""

    datasets: Datasets
    erasures: Erasures
    augmenter: Augmenter
    objects: ObjectFolders


def erase_from_dataset(
    manifest: Manifest,
    task_id: str,
    *,
    uri: str,
    run_id: str,
    model_uri: str,
    stores: Stores,
    show: Callable[[bytes], None],
    found: Erasure,
) -> None:
    """`show` gets the new contact sheet of a dataset that was assembled.

    The manifest names the photo until everything else is done: whoever is killed here starts again with it. Each hash
    is recorded before the object that has it: in between the two disagree, and training refuses the dataset.
    Raises `DatasetRefused` when an object is not what was recorded.
    """
    objects = stores.objects
    smaller = manifest.without(task_id)
    if (sheet := _rewrite_shards(smaller, task_id, uri=uri, run_id=run_id, stores=stores, found=found)) is not None:
        show(sheet)
    pages = [page for name in _PAGES for page in objects.list(f"{uri}{name}")]
    features = [cached for cached in objects.list(model_uri) if "/features/" in cached]
    _delete([*pages, *features], objects, found)
    _rewrite_descriptors(uri, task_id, objects, found)
    body = smaller.to_json()
    stores.erasures.replace_manifest(manifest.dataset_id, smaller, hashlib.sha256(body).hexdigest())
    objects.write(f"{uri}manifest.json", body, "application/json")
    found.rewritten.append(f"{uri}manifest.json")


def _rewrite_shards(
    smaller: Manifest, task_id: str, *, uri: str, run_id: str, stores: Stores, found: Erasure
) -> bytes | None:
    objects, shards = stores.objects, stores.objects.list(f"{uri}shards/")
    if not objects.exists(f"{uri}dataset.json"):
        # Augmenting makes them again, from the manifest that no longer names the photo.
        _delete(shards, objects, found)
        return None
    body = objects.read(f"{uri}dataset.json")
    index: Mapping[str, Sequence[Shard]] = json.loads(body)
    kept: dict[str, list[Shard]] = {
        split: [_shard_without(task_id, shard, stores, found) for shard in index[split]]
        for split in (Split.TRAIN, Split.VALIDATION)
    }
    smaller_body = shard_index(smaller, kept)
    hashes = [hashlib.sha256(one).hexdigest() for one in (body, smaller_body)]
    if stores.datasets.get(smaller.dataset_id).sha256 not in hashes:
        raise DatasetRefused(f"{uri}dataset.json is not what was recorded (sha256 differs): look at it before erasing")
    stores.datasets.complete(Dataset.counted(run_id, uri, smaller, hashes[1]))
    objects.write(f"{uri}dataset.json", smaller_body, "application/json")
    first = [objects.read(shard["uri"]) for shard in kept[Split.TRAIN][:_SHARDS_ON_CONTACT_SHEET]]
    sheet = stores.augmenter.contact_sheet(first, smaller.labels)
    objects.write(f"{uri}contact-sheet.png", sheet, "image/png")
    found.rewritten += [f"{uri}dataset.json", f"{uri}contact-sheet.png"]
    named = {shard["uri"] for rows in kept.values() for shard in rows}
    _delete([shard for shard in shards if shard not in named], objects, found)
    return sheet


def _shard_without(task_id: str, shard: Shard, stores: Stores, found: Erasure) -> Shard:
    """Under a name of its own: the old one stays whole until the index no longer names it."""
    body = stores.objects.read(shard["uri"])
    if hashlib.sha256(body).hexdigest() != shard["sha256"]:
        raise DatasetRefused(f"{shard['uri']} is not what was recorded (sha256 differs): nothing was taken out of it")
    smaller = stores.augmenter.without(body, task_id)
    if smaller is None:
        return shard
    sha256 = hashlib.sha256(smaller).hexdigest()
    stem = shard["uri"].removesuffix(".parquet").partition("-without-")[0]
    uri = f"{stem}-without-{sha256[:8]}.parquet"
    stores.objects.write(uri, smaller)
    found.rewritten.append(uri)
    return {"uri": uri, "sha256": sha256}


def _rewrite_descriptors(uri: str, task_id: str, objects: ObjectFolders, found: Erasure) -> None:
    for name in ("descriptors.json", "suspects.json"):
        if not objects.exists(f"{uri}{name}"):
            continue
        kept = json.loads(objects.read(f"{uri}{name}"))
        if isinstance(kept, dict):
            kept.pop(task_id, None)
        else:
            kept = [row for row in kept if row["task_id"] != task_id]
        objects.write(f"{uri}{name}", json.dumps(kept, ensure_ascii=False).encode(), "application/json")
        found.rewritten.append(f"{uri}{name}")


def _delete(uris: Sequence[str], objects: ObjectFolders, found: Erasure) -> None:
    for uri in uris:
        objects.delete(uri)
        found.deleted.append(uri)
