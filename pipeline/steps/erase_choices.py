"""Take a photo out of selections that were never frozen: of collections that were killed."""

from collections.abc import Collection

from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.lineage import Erasure
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Forgetting
from pipeline.steps.stored_dataset import manifest_in


def erase_choices(kept: Collection[str], forgetting: Forgetting, found: Erasure) -> None:
    """A selection that names one of these tasks goes: collecting again makes another one."""
    f, frozen = forgetting, {dataset_id for dataset_id, _, _ in forgetting.datasets.frozen()}
    begun = [one for model_type in ModelType for one, _ in f.datasets.of_type(model_type)]
    for dataset_id in begun:
        folder = DatasetFolder.of(f.dataset_prefix, dataset_id)
        # One of faces is finished, not frozen: people are forgotten there by their name.
        if dataset_id in frozen or f.datasets.finished_sha256(dataset_id) or not f.objects.exists(folder.manifest):
            continue
        manifest = manifest_in(folder, f.objects)
        if any(manifest.names(one) for one in kept):
            for uri in (folder.descriptors, folder.manifest):
                f.objects.delete(uri)
                found.deleted.append(uri)
