"""What was rewritten in S3 by an erasure that a restored database did not see: its rows name again what lies there."""

from collections.abc import Collection, Sequence

from pipeline.domain.checksums import sha256
from pipeline.domain.dataset import Dataset, Manifest
from pipeline.domain.dataset_folder import DatasetFolder, ShardIndex
from pipeline.domain.errors import ObjectArchived
from pipeline.domain.lineage import Appearance
from pipeline.ports.data import Datasets, Erasures, ObjectStore
from pipeline.steps.stored_dataset import is_whole


def realign_datasets(datasets: Datasets, erasures: Erasures, objects: ObjectStore, prefix: str) -> Sequence[str]:
    """Call it once the erasures are replayed. Numbers of the datasets whose rows changed: they lack nothing but what is
    erased. What differs in any other way stays as it was recorded, and is refused.
    """
    gone = {one.task_id for one in erasures.all()}
    changed = []
    for dataset_id, _, run_id in datasets.frozen():
        folder = DatasetFolder.of(prefix, dataset_id)
        body = _read(folder.manifest, objects)
        if body is None or not gone:
            continue
        manifest = Manifest.from_json(body)
        is_new = sha256(body) != datasets.frozen_sha256(dataset_id)
        if not _is_the_rest(manifest, datasets.appearances(dataset_id=dataset_id), gone):
            continue
        if is_new:
            erasures.replace_manifest(dataset_id, manifest, sha256(body))
        # The shards are rewritten before the manifest, which names the photo until all is done.
        is_begun = not gone.isdisjoint(manifest.task_ids)
        if ((is_new or is_begun) and _index_realigned(run_id, manifest, folder, datasets, objects)) or is_new:
            changed.append(dataset_id)
    return changed


def _is_the_rest(manifest: Manifest, rows: Sequence[Appearance], gone: Collection[str]) -> bool:
    """Of all that was frozen, only what is erased is missing."""
    frozen, left = {row.task_id: row.sha256 for row in rows}, {photo.task_id: photo.sha256 for photo in manifest.photos}
    alike = all(one in gone or frozen.get(one) == sha for one, sha in left.items())
    return alike and left.keys() <= frozen.keys() and all(one in gone for one in frozen.keys() - left.keys())


def _index_realigned(
    run_id: str, manifest: Manifest, folder: DatasetFolder, datasets: Datasets, objects: ObjectStore
) -> bool:
    recorded, body = datasets.finished_sha256(manifest.dataset_id), _read(folder.index, objects)
    if recorded is None or body is None or sha256(body) == recorded:
        return False
    if not all(is_whole(shard, objects) for shard in ShardIndex.from_json(body).shards):
        return False
    left = manifest.setting_aside(datasets.set_aside(manifest.dataset_id))
    datasets.complete(Dataset.counted(run_id, folder.uri, left, sha256(body)))
    return True


def _read(uri: str, objects: ObjectStore) -> bytes | None:
    """None for what is not there, or in an archive."""
    try:
        return objects.read(uri)
    except (KeyError, ObjectArchived):
        return None
