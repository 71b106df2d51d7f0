"""Take a photo out of selections that are not frozen: of collections that were killed, and of datasets that a restored
database lost.
"""

from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.lineage import Erasure, Gone
from pipeline.ports.bundles import Forgetting
from pipeline.steps.what_lies_there import delete_selection, numbered, selection


def erase_choices(forgetting: Forgetting, found: Erasure) -> None:
    """Deletes selections that have a photo that was ever erased: collecting again makes another one."""
    f, frozen = forgetting, {dataset_id for dataset_id, _, _ in forgetting.datasets.frozen()}
    gone = Gone.of(f.erasures.all())
    for dataset_id in numbered(f.objects, f.dataset_prefix):
        folder = DatasetFolder.of(f.dataset_prefix, dataset_id)
        # Selections of people's faces are handled by name, elsewhere.
        if dataset_id in frozen or (manifest := selection(folder, f.objects)) is None:
            continue
        photos = [(one.task_id, one.sha256) for one in manifest.photos]
        photos += [(one.task_id, one.sha256) for one in manifest.quarantined]
        named = any(gone.has(*photo) for photo in photos)
        if named:
            _erase_unless_frozen(f, folder, dataset_id, found)


def _erase_unless_frozen(forgetting: Forgetting, folder: DatasetFolder, dataset_id: str, found: Erasure) -> None:
    """If it was frozen since, another selection without the erased photo lies there; if it is frozen later, it is
    written anew.
    """
    with forgetting.datasets.unfrozen(dataset_id) as unfrozen:
        # A dataset number that the database does not know is not frozen either.
        if unfrozen or forgetting.datasets.frozen_sha256(dataset_id) is None:
            found.deleted += delete_selection(folder, forgetting.objects)
