"""Take one photo out of one dataset: out of shards, pictures, caches, and last out of its manifest."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import Dataset, Manifest
from pipeline.domain.dataset_folder import CONTACT_SHEET, DatasetFolder, Shard, ShardIndex
from pipeline.domain.lineage import Erasure, runs_of
from pipeline.ports.bundles import Forgetting
from pipeline.steps.assemble import SHARDS_ON_CONTACT_SHEET
from pipeline.steps.erase_from_verdict import erase_from_verdict
from pipeline.steps.stored_dataset import is_finished, manifest_in, read_recorded


@dataclass(frozen=True)
class Place:
    """One dataset with its manifest as it is now; `models` are where each of its runs keeps model and caches.

    The first of `run_ids` made the dataset, the others were tried on it too.
    """

    folder: DatasetFolder
    manifest: Manifest
    run_ids: tuple[str, ...]
    models: tuple[ArtifactFolder, ...]


def places(forgetting: Forgetting) -> Iterator[Place]:
    """All frozen datasets whose manifest still exists."""
    f = forgetting
    for dataset_id, model_type, run_id in f.datasets.frozen():
        folder = DatasetFolder.of(f.dataset_prefix, dataset_id)
        if f.objects.exists(folder.manifest):
            runs = runs_of(run_id, f.runs.on(dataset_id))
            models = tuple(ArtifactFolder.of(f.model_prefix, model_type, run) for run in runs)
            yield Place(folder, manifest_in(folder, f.objects), runs, models)


def erase_from_dataset(forgetting: Forgetting, place: Place, task_id: str, found: Erasure) -> None:
    """The manifest names the photo until everything else is done: whoever is killed here starts again with it.

    Each hash is recorded before the object that has it: in between the two disagree, and training refuses the dataset.
    Raises `DatasetRefused` when an object is not what was recorded.
    """
    folder, objects, smaller = place.folder, forgetting.objects, place.manifest.without(task_id)
    if is_finished(smaller.dataset_id, forgetting.datasets) and objects.exists(folder.index):
        _rewrite_shards(place, task_id, forgetting, found)
    else:
        # Augmenting makes them again, from the manifest that no longer names the photo.
        made = [uri for prefix in (folder.index, folder.contact_sheet, folder.shards) for uri in objects.list(prefix)]
        _delete(made, forgetting, found)
    # Pages that may show the photo: validating again makes them without it.
    pages = [page for prefix in (folder.report, folder.docs) for page in objects.list(prefix)]
    caches = [uri for model in place.models for uri in objects.list(model.uri) if model.is_cache(uri)]
    _delete([*pages, *caches], forgetting, found)
    for model in place.models:
        erase_from_verdict(forgetting, model, smaller, found)
    _rewrite_descriptors(folder, task_id, forgetting, found)
    forgetting.erasures.replace_manifest(smaller.dataset_id, smaller, smaller.sha256)
    objects.write(folder.manifest, smaller.to_json(), "application/json")
    found.rewritten.append(folder.manifest)


def _rewrite_shards(place: Place, task_id: str, forgetting: Forgetting, found: Erasure) -> None:
    objects = forgetting.objects
    shards = objects.list(place.folder.shards)
    index = ShardIndex.from_json(objects.read(place.folder.index))
    train, validation = (
        [_shard_without(task_id, shard, forgetting, found) for shard in listed]
        for listed in (index.train, index.validation)
    )
    kept = ShardIndex(index.labels, train, validation)
    _rewrite_index(place, task_id, kept, forgetting, found)
    _redraw_contact_sheet(place, kept.train, forgetting, found)
    named = {shard.uri for shard in kept.shards}
    _delete([shard for shard in shards if shard not in named], forgetting, found)


def _rewrite_index(place: Place, task_id: str, kept: ShardIndex, forgetting: Forgetting, found: Erasure) -> None:
    uri, smaller = place.folder.index, place.manifest.without(task_id)
    recorded = forgetting.datasets.finished_sha256(smaller.dataset_id)
    # Killed between row and object, an earlier try left the row a step ahead.
    if recorded != kept.sha256:
        read_recorded(uri, recorded, forgetting.objects)
    left = smaller.setting_aside(forgetting.datasets.set_aside(smaller.dataset_id))
    counted = Dataset.counted(place.run_ids[0], place.folder.uri, left, kept.sha256)
    forgetting.datasets.complete(counted)
    forgetting.objects.write(uri, kept.to_json(), "application/json")
    found.rewritten.append(uri)


def _redraw_contact_sheet(place: Place, shards: Sequence[Shard], forgetting: Forgetting, found: Erasure) -> None:
    """Draws the sheet again, beside the dataset and in every run to which a training attached it."""
    first = [forgetting.objects.read(shard.uri) for shard in shards[:SHARDS_ON_CONTACT_SHEET]]
    sheet = forgetting.augmenter.contact_sheet(first, place.manifest.labels)
    forgetting.objects.write(place.folder.contact_sheet, sheet, "image/png")
    found.rewritten.append(place.folder.contact_sheet)
    # A dataset on which nothing trained is not in the tracker, which may be out of reach.
    trained = set(forgetting.runs.on(place.manifest.dataset_id))
    for model in (model for model in place.models if model.run_id in trained):
        changed = forgetting.experiments.replace_file(model.model_type, model.run_id, CONTACT_SHEET, sheet)
        found.rewritten += [f"run {run} of the experiment tracker: {CONTACT_SHEET}" for run in changed]


def _shard_without(task_id: str, shard: Shard, forgetting: Forgetting, found: Erasure) -> Shard:
    """Written under a new name: the old shard stays until the index no longer names it."""
    body = read_recorded(shard.uri, shard.sha256, forgetting.objects)
    smaller = forgetting.augmenter.without(body, task_id)
    if smaller is None:
        return shard
    rewritten = shard.rewritten(smaller)
    forgetting.objects.write(rewritten.uri, smaller)
    found.rewritten.append(rewritten.uri)
    return rewritten


def _rewrite_descriptors(folder: DatasetFolder, task_id: str, forgetting: Forgetting, found: Erasure) -> None:
    objects = forgetting.objects
    for uri in (folder.descriptors, folder.suspects):
        if not objects.exists(uri):
            continue
        kept = json.loads(objects.read(uri))
        if isinstance(kept, dict):
            kept.pop(task_id, None)
        else:
            kept = [row for row in kept if row["task_id"] != task_id]
        objects.write(uri, json.dumps(kept, ensure_ascii=False).encode(), "application/json")
        found.rewritten.append(uri)


def _delete(uris: Sequence[str], forgetting: Forgetting, found: Erasure) -> None:
    for uri in uris:
        forgetting.objects.delete(uri)
        found.deleted.append(uri)
