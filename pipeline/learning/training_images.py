"""The images of a dataset, as they were recorded when it was assembled."""

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.dataset_folder import DatasetFolder, ShardIndex
from pipeline.domain.errors import DatasetRefused, TrainingFailed
from pipeline.domain.training import MIN_PHOTOS_PER_CLASS
from pipeline.learning.shards import Images, task_ids, unpack
from pipeline.ports.data import ObjectStore
from pipeline.ports.training import TrainingJob


def training_images(job: TrainingJob, objects: ObjectStore) -> tuple[Images, Images]:
    """Training and validation, every byte checked against the hashes that were recorded with the dataset.

    Raises `DatasetRefused` when something is gone, altered or was held out, `TrainingFailed` when a class is too small.
    """
    index = ShardIndex.from_json(_read(DatasetFolder(job.dataset.uri).index, job.dataset.sha256, objects))
    train, validation = (
        [_read(shard.uri, shard.sha256, objects) for shard in listed] for listed in (index.train, index.validation)
    )
    job.demand_unseen(task_ids(train))
    images = unpack(train), unpack(validation)
    _demand_enough(*images, job.labels)
    return images


def _read(uri: str, sha256: str, objects: ObjectStore) -> bytes:
    try:
        body = objects.read(uri)
    except KeyError:
        raise DatasetRefused(f"{uri} is missing: augment and assemble the dataset again") from None
    return demand_unaltered(body, sha256, uri, DatasetRefused)


def _demand_enough(train: Images, validation: Images, labels: tuple[str, ...]) -> None:
    for index, label in enumerate(labels):
        count = int((train.labels == index).sum())
        if count < MIN_PHOTOS_PER_CLASS:
            raise TrainingFailed(
                "too_little_data", f"{count} training images are {label}, {MIN_PHOTOS_PER_CLASS} needed"
            )
    if not len(validation.labels):
        raise TrainingFailed("too_little_data", "no validation images")
