"""Take one photo out of one dataset: its shards, its pictures, what was cached of it, and last its manifest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.dataset import Dataset, Manifest, Split, shard_index
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.lineage import Erasure
from pipeline.ports.bundles import Forgetting
from pipeline.ports.data import ObjectFolders

# Pages that may show the photo; validating again makes them without it.
_PAGES = ("data-report.html", "data-docs/")
_SHARDS_ON_CONTACT_SHEET = 2

Shard = Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """One dataset at `uri`, with its manifest as it is now; `model_uri` is where its run's model and caches lie."""

    uri: str
    run_id: str
    model_uri: str
    manifest: Manifest


def erase_from_dataset(place: Place, task_id: str, forgetting: Forgetting, found: Erasure) -> None:
    """The manifest names the photo until everything else is done: whoever is killed here starts again with it.

    Each hash is recorded before the object that has it: in between the two disagree, and training refuses the dataset.
    Raises `DatasetRefused` when an object is not what was recorded.
    """
    uri, objects, smaller = place.uri, forgetting.objects, place.manifest.without(task_id)
    if objects.exists(f"{uri}dataset.json"):
        _rewrite_shards(place, task_id, forgetting, found)
    else:
        # Augmenting makes them again, from the manifest that no longer names the photo.
        _delete(objects.list(f"{uri}shards/"), objects, found)
    pages = [page for name in _PAGES for page in objects.list(f"{uri}{name}")]
    features = [cached for cached in objects.list(place.model_uri) if "/features/" in cached]
    _delete([*pages, *features], objects, found)
    _rewrite_descriptors(uri, task_id, objects, found)
    body = smaller.to_json()
    forgetting.erasures.replace_manifest(smaller.dataset_id, smaller, hashlib.sha256(body).hexdigest())
    objects.write(f"{uri}manifest.json", body, "application/json")
    found.rewritten.append(f"{uri}manifest.json")


def _rewrite_shards(place: Place, task_id: str, forgetting: Forgetting, found: Erasure) -> None:
    uri, objects = place.uri, forgetting.objects
    shards = objects.list(f"{uri}shards/")
    index: Mapping[str, Sequence[Shard]] = json.loads(objects.read(f"{uri}dataset.json"))
    kept: dict[str, list[Shard]] = {
        split: [_shard_without(task_id, shard, forgetting, found) for shard in index[split]]
        for split in (Split.TRAIN, Split.VALIDATION)
    }
    _rewrite_index(place, task_id, kept, forgetting, found)
    _redraw_contact_sheet(place, kept[Split.TRAIN], forgetting, found)
    named = {shard["uri"] for rows in kept.values() for shard in rows}
    _delete([shard for shard in shards if shard not in named], objects, found)


def _rewrite_index(
    place: Place, task_id: str, kept: Mapping[str, Sequence[Shard]], forgetting: Forgetting, found: Erasure
) -> None:
    uri, smaller = f"{place.uri}dataset.json", place.manifest.without(task_id)
    body, smaller_body = forgetting.objects.read(uri), shard_index(smaller, kept)
    hashes = [hashlib.sha256(one).hexdigest() for one in (body, smaller_body)]
    if forgetting.datasets.get(smaller.dataset_id).sha256 not in hashes:
        raise DatasetRefused(f"{uri} is not what was recorded (sha256 differs): look at it before erasing")
    forgetting.datasets.complete(Dataset.counted(place.run_id, place.uri, smaller, hashes[1]))
    forgetting.objects.write(uri, smaller_body, "application/json")
    found.rewritten.append(uri)


def _redraw_contact_sheet(place: Place, shards: Sequence[Shard], forgetting: Forgetting, found: Erasure) -> None:
    """Beside the dataset, and in the place of the one that the training attached to its run."""
    uri, result = f"{place.uri}contact-sheet.png", forgetting.runs.result(place.run_id)
    first = [forgetting.objects.read(shard["uri"]) for shard in shards[:_SHARDS_ON_CONTACT_SHEET]]
    sheet = forgetting.augmenter.contact_sheet(first, place.manifest.labels)
    forgetting.objects.write(uri, sheet, "image/png")
    found.rewritten.append(uri)
    if result and result.experiment_run_id:
        forgetting.experiments.replace_file(result.experiment_run_id, "contact-sheet.png", sheet)
        found.rewritten.append(f"run {result.experiment_run_id} of the experiment tracker: contact-sheet.png")


def _shard_without(task_id: str, shard: Shard, forgetting: Forgetting, found: Erasure) -> Shard:
    """Under a name of its own: the old one stays whole until the index no longer names it."""
    body = forgetting.objects.read(shard["uri"])
    if hashlib.sha256(body).hexdigest() != shard["sha256"]:
        raise DatasetRefused(f"{shard['uri']} is not what was recorded (sha256 differs): nothing was taken out of it")
    smaller = forgetting.augmenter.without(body, task_id)
    if smaller is None:
        return shard
    sha256 = hashlib.sha256(smaller).hexdigest()
    stem = shard["uri"].removesuffix(".parquet").partition("-without-")[0]
    uri = f"{stem}-without-{sha256[:8]}.parquet"
    forgetting.objects.write(uri, smaller)
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
