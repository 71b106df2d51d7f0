"""Take a photo out of selections that were never frozen: of collections that were killed."""

from pipeline.domain.dataset import Manifest
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.lineage import Erasure, Gone
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Forgetting
from pipeline.ports.data import ObjectFolders
from pipeline.steps.stored_dataset import manifest_in


def erase_choices(forgetting: Forgetting, found: Erasure) -> None:
    """A selection with a photo that was ever erased goes: collecting again makes another one."""
    f, frozen = forgetting, {dataset_id for dataset_id, _, _ in forgetting.datasets.frozen()}
    gone = Gone.of(f.erasures.all())
    begun = [one for model_type in ModelType for one, _ in f.datasets.of_type(model_type)]
    for dataset_id in begun:
        folder = DatasetFolder.of(f.dataset_prefix, dataset_id)
        if dataset_id in frozen or (manifest := _choice(folder, f.objects)) is None:
            continue
        photos = [(one.task_id, one.sha256) for one in manifest.photos]
        photos += [(one.task_id, one.sha256) for one in manifest.quarantined]
        named = any(gone.has(*photo) for photo in photos)
        if named:
            _erase_unless_frozen(f, folder, dataset_id, found)


def _choice(folder: DatasetFolder, objects: ObjectFolders) -> Manifest | None:
    """None where there is none, and for people, who are forgotten in theirs by name: whose type a number is says little
    of what lies there after a restore.
    """
    try:
        return manifest_in(folder, objects) if objects.exists(folder.manifest) else None
    except KeyError:
        return None


def _erase_unless_frozen(forgetting: Forgetting, folder: DatasetFolder, dataset_id: str, found: Erasure) -> None:
    """Frozen since, it is another selection by now, without what is erased; frozen later, it is written anew."""
    with forgetting.datasets.unfrozen(dataset_id) as unfrozen:
        for uri in (folder.descriptors, folder.manifest) if unfrozen else ():
            forgetting.objects.delete(uri)
            found.deleted.append(uri)
