"""Write down what was chosen for a dataset, once, and read it again."""

import base64
import json
from collections.abc import Sequence

from pipeline.domain.dataset import Manifest, Photo
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.errors import PhotosErased
from pipeline.ports.bundles import DataSources
from pipeline.steps.look_at import Printed
from pipeline.steps.stored_dataset import read_recorded
from pipeline.steps.what_lies_there import keep_as_draft


def freeze(manifest: Manifest, usable: Sequence[Printed], sources: DataSources) -> None:
    """Raises `PhotosErased` and `PhotosWithheld` for what is to be in no dataset any more: nothing is frozen then."""
    folder = DatasetFolder.of(sources.prefix, manifest.dataset_id)
    keep_as_draft(folder, sources.objects)
    # An erasure finds everything through the manifest, so the manifest is written first and deleted last.
    kept = {folder.manifest: manifest.to_json(), folder.descriptors: _descriptors(manifest.photos, usable)}
    for uri, body in kept.items():
        sources.objects.write(uri, body, "application/json")
    try:
        sources.datasets.freeze(manifest.dataset_id, manifest, manifest.sha256)
    except PhotosErased:
        # The next choice may fail, and then nothing would overwrite these objects.
        for uri in reversed(kept):
            sources.objects.delete(uri)
        raise
    for uri, body in kept.items():
        # An erasure that met an earlier selection of this dataset may have deleted what lies here now.
        if not sources.objects.exists(uri):
            sources.objects.write(uri, body, "application/json")


def frozen(sources: DataSources, dataset_id: str) -> Manifest | None:
    """The frozen manifest, None before `freeze`. Raises `DatasetRefused` when something else lies there."""
    recorded = sources.datasets.frozen_sha256(dataset_id)
    if recorded is None:
        return None
    folder = DatasetFolder.of(sources.prefix, dataset_id)
    return Manifest.from_json(read_recorded(folder.manifest, recorded, sources.objects))


def _descriptors(chosen: Sequence[Photo], usable: Sequence[Printed]) -> bytes:
    """Kept beside the manifest, so that labels can be reviewed without fetching every photo again."""
    found = {task.task_id: print_.descriptor for task, print_ in usable}
    return json.dumps({p.task_id: base64.b64encode(found[p.task_id]).decode() for p in chosen}).encode()
