"""What lies under the number of a dataset, whatever the database says: a restored database has lost numbers, and gives
them out again, even to another model type.
"""

from collections.abc import Mapping, Sequence

from pipeline.domain.dataset import Manifest
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.faces.dataset import FaceDataset
from pipeline.ports.data import ObjectFolders, ObjectStore
from pipeline.steps.stored_dataset import manifest_in


def numbered(objects: ObjectFolders, prefix: str) -> Mapping[str, Sequence[str]]:
    """Everything under the number of a dataset, by number."""
    found: dict[str, list[str]] = {}
    for uri in objects.list(f"{prefix}DS-"):
        found.setdefault(uri.removeprefix(prefix).partition("/")[0], []).append(uri)
    return found


def face_list(uri: str, objects: ObjectStore) -> FaceDataset | None:
    """None where there is none, and for a selection of tasks."""
    try:
        return FaceDataset.from_json(objects.read(uri))
    except KeyError:
        return None


def selection(folder: DatasetFolder, objects: ObjectStore) -> Manifest | None:
    """None where there is none, and for a list of faces."""
    try:
        return manifest_in(folder, objects) if objects.exists(folder.manifest) else None
    except KeyError:
        return None


def keep_as_draft(folder: DatasetFolder, objects: ObjectStore) -> None:
    """Keep a list of faces as a draft before something else is written in its place: through it an erasure finds what
    only that list named.
    """
    if (dataset := face_list(folder.manifest, objects)) is not None:
        objects.write(folder.draft(dataset.sha256), dataset.to_json(), "application/json")


def delete_selection(folder: DatasetFolder, objects: ObjectFolders) -> Sequence[str]:
    """Deletes the selection and all that was made of it. The manifest goes last: the rest is found through it."""
    made = [uri for uri in objects.list(folder.uri) if not uri.startswith(folder.drafts) and uri != folder.manifest]
    for uri in (gone := [*made, folder.manifest]):
        objects.delete(uri)
    return gone
