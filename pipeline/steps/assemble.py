"""Make a dataset of its shards: check all are there, count, write the index, record lineage (design D1)."""

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.dataset import Dataset, Manifest, Split
from pipeline.domain.dataset_folder import DatasetFolder, Shard, ShardIndex
from pipeline.domain.errors import DatasetRefused, PhotosErased
from pipeline.domain.leakage import leaks
from pipeline.ports.bundles import Images
from pipeline.steps.augment import augment, left_of, shard_number, slices
from pipeline.steps.stored_dataset import demand_whole, manifest_in
from pipeline.steps.unerased import demand_unerased

SHARDS_ON_CONTACT_SHEET = 2


def assemble(images: Images, run_id: str, dataset_uri: str) -> Dataset:
    """The finished dataset: the index is written after every shard, the row after the index.

    A finished dataset stays as it is and with the run that made it; shards that were lost, or that were deleted with a
    photo that was erased meanwhile, are made again. Raises `PhotosErased` when a photo is erased right now, so that the
    next try goes without it, and `DatasetRefused` when a cluster stands on two sides of the split, when too many photos
    disappeared since it was frozen, or when part of a finished dataset is not what was recorded.
    """
    folder, objects, datasets = DatasetFolder(dataset_uri), images.objects, images.datasets
    manifest = manifest_in(folder, objects)
    recorded = datasets.finished_sha256(manifest.dataset_id)
    if recorded is not None and all(objects.exists(uri) for uri in (folder.index, folder.contact_sheet)):
        finished = datasets.get(manifest.dataset_id)
        demand_whole(finished, objects)
        return finished
    if found := leaks(manifest.photos):
        raise DatasetRefused(f"leak between splits: {'; '.join(found[:5])}")
    shards, sample = _listed(folder, manifest, images)
    left = left_of(folder, manifest, images)
    index = ShardIndex(manifest.labels, shards[Split.TRAIN], shards[Split.VALIDATION])
    body = demand_unaltered(index.to_json(), recorded or index.sha256, folder.index, DatasetRefused)
    sheet = images.augmenter.contact_sheet(sample, manifest.labels)
    objects.write(folder.contact_sheet, sheet, "image/png")
    objects.write(folder.index, body, "application/json")
    _delete_others(folder, index, images)
    _finish(Dataset.counted(run_id, dataset_uri, left, index.sha256), manifest, folder, images)
    return datasets.get(manifest.dataset_id)


def _finish(dataset: Dataset, manifest: Manifest, folder: DatasetFolder, images: Images) -> None:
    """Mark it finished, unless a photo of it was erased: an erasure either finds the dataset finished, or is found
    here.
    """
    try:
        images.datasets.finish(dataset, manifest)
    except PhotosErased:
        for uri in (folder.contact_sheet, folder.index):
            images.objects.delete(uri)
        raise


def _delete_others(folder: DatasetFolder, index: ShardIndex, images: Images) -> None:
    """A slice whose photos were all erased may have been written by a task that was killed before it noticed."""
    named = {shard.uri for shard in index.shards}
    for uri in images.objects.list(folder.shards):
        if uri not in named:
            images.objects.delete(uri)


def _listed(folder: DatasetFolder, manifest: Manifest, images: Images) -> tuple[dict[str, list[Shard]], list[bytes]]:
    """Address and hash of every shard, and the bytes of some training shards for the contact sheet."""
    shards: dict[str, list[Shard]] = {Split.TRAIN: [], Split.VALIDATION: []}
    sample: list[bytes] = []
    work = slices(manifest)
    for index, (split, _) in enumerate(work):
        uri = folder.shard(split, shard_number(work, index))
        body = _shard(uri, index, manifest, folder, images)
        shards[split].append(Shard.of(uri, body))
        if split is Split.TRAIN and len(sample) < SHARDS_ON_CONTACT_SHEET:
            sample.append(body)
    return shards, sample


def _shard(uri: str, index: int, manifest: Manifest, folder: DatasetFolder, images: Images) -> bytes:
    """An erasure deletes every shard of an unfinished dataset, even those whose task has ended."""
    if not images.objects.exists(uri):
        augment(images, folder.uri, index)
    try:
        return images.objects.read(uri)
    except KeyError:
        demand_unerased(images.erasures, manifest)
        raise DatasetRefused(f"{uri} is missing: run augment for its slice again") from None
