"""Read the stored objects of a dataset, and only those that were recorded."""

from collections.abc import Callable, Iterable

from pipeline.domain.checksums import demand_unaltered, sha256
from pipeline.domain.dataset import Dataset, Manifest
from pipeline.domain.dataset_folder import DatasetFolder, Shard, ShardIndex
from pipeline.domain.errors import DatasetRefused, ObjectArchived
from pipeline.domain.leakage import demand_unseen
from pipeline.domain.models import ModelType
from pipeline.ports.data import Datasets, ObjectStore


def is_finished(dataset_id: str, datasets: Datasets) -> bool:
    """Whether the database calls it finished. What lies there of any other dataset is left from a killed try, or from a
    dataset that a restored database lost: it is made anew.
    """
    return datasets.finished_sha256(dataset_id) is not None


def manifest_in(folder: DatasetFolder, objects: ObjectStore) -> Manifest:
    """The frozen selection as it lies there; raises `KeyError` when there is none."""
    return Manifest.from_json(objects.read(folder.manifest))


def frozen_manifest(dataset: Dataset, datasets: Datasets, objects: ObjectStore) -> Manifest:
    """The selection as it was frozen; raises `DatasetRefused` when that is not what lies there."""
    recorded = datasets.frozen_sha256(dataset.id)
    return Manifest.from_json(read_recorded(DatasetFolder(dataset.uri).manifest, recorded, objects))


def read_recorded(uri: str, recorded: str | None, objects: ObjectStore) -> bytes:
    """The object whose sha256 was recorded. Raises `DatasetRefused` when it is gone, archived or another one."""
    try:
        body = objects.read(uri)
    except KeyError:
        raise DatasetRefused(f"{uri} is missing: bring it back") from None
    except ObjectArchived as error:
        raise DatasetRefused(str(error)) from None
    return demand_unaltered(body, recorded, uri, DatasetRefused)


def demand_whole(dataset: Dataset, objects: ObjectStore) -> None:
    """Raises `DatasetRefused` unless the index and every shard are there as they were recorded."""
    index = read_recorded(DatasetFolder(dataset.uri).index, dataset.sha256, objects)
    for shard in ShardIndex.from_json(index).shards:
        read_recorded(shard.uri, shard.sha256, objects)


def is_whole(shard: Shard, objects: ObjectStore) -> bool:
    """Whether the shard is there as it was recorded."""
    return objects.exists(shard.uri) and sha256(objects.read(shard.uri)) == shard.sha256


def unseen_demand(manifest: Manifest, datasets: Datasets) -> Callable[[Iterable[str]], None]:
    """What training asks about the photos it read: raises `DatasetRefused` if one of them was ever held out."""
    holdout = datasets.holdout(ModelType(manifest.model_type))
    return lambda task_ids: demand_unseen(manifest, holdout, task_ids)
