"""Make a dataset of its shards: check all are there, count, write the index, record lineage (design D1)."""

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.dataset import Dataset, Manifest, Split
from pipeline.domain.dataset_folder import DatasetFolder, Shard, ShardIndex
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.leakage import leaks
from pipeline.ports.bundles import Images
from pipeline.steps.augment import shard_number, slices
from pipeline.steps.stored_dataset import demand_whole, manifest_in
from pipeline.steps.unerased import deletion, take_back_erased

SHARDS_ON_CONTACT_SHEET = 2


def assemble(images: Images, run_id: str, dataset_uri: str) -> Dataset:
    """The finished dataset: the index is written after every shard, the row after the index.

    One that is finished already stays as it is and with the run that made it; what was lost of it is made again.
    Raises `PhotosErased` when a photo is erased meanwhile, and `DatasetRefused` when a cluster stands on two sides of
    the split, a shard is missing, or one of a finished dataset is not what was recorded.
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
    index = ShardIndex(manifest.labels, shards[Split.TRAIN], shards[Split.VALIDATION])
    body = demand_unaltered(index.to_json(), recorded or index.sha256, folder.index, DatasetRefused)
    sheet = images.augmenter.contact_sheet(sample, manifest.labels)
    objects.write(folder.contact_sheet, sheet, "image/png")
    objects.write(folder.index, body, "application/json")
    dataset = Dataset.counted(run_id, dataset_uri, manifest, index.sha256)
    take_back_erased(images.erasures, manifest, deletion(objects, folder.contact_sheet, folder.index))
    datasets.complete(dataset)
    return datasets.get(dataset.id)


def _listed(folder: DatasetFolder, manifest: Manifest, images: Images) -> tuple[dict[str, list[Shard]], list[bytes]]:
    """Address and hash of every shard, and some of those with training photos to look at."""
    shards: dict[str, list[Shard]] = {Split.TRAIN: [], Split.VALIDATION: []}
    sample: list[bytes] = []
    work = slices(manifest)
    for index, (split, _) in enumerate(work):
        uri = folder.shard(split, shard_number(work, index))
        body = _shard(uri, images)
        shards[split].append(Shard.of(uri, body))
        if split is Split.TRAIN and len(sample) < SHARDS_ON_CONTACT_SHEET:
            sample.append(body)
    return shards, sample


def _shard(uri: str, images: Images) -> bytes:
    try:
        return images.objects.read(uri)
    except KeyError:
        raise DatasetRefused(f"{uri} is missing: run augment for its slice again") from None
