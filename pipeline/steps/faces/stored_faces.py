"""Lists of people's photos as they are stored, and how photos and their vectors come out of them again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.dataset_folder import DatasetFolder, face_vector
from pipeline.domain.faces.dataset import FaceDataset, Forgotten
from pipeline.domain.faces.identities import FacePhoto
from pipeline.domain.models import ModelType
from pipeline.ports.face_forgetting import FaceLists


@dataclass(frozen=True)
class StoredFaces:
    """What lies at `uri`: the manifest of a run's dataset, or a draft. A draft names vectors before they are written,
    so that an erasure finds those of a try that never came to a manifest.
    """

    uri: str
    run_id: str
    dataset: FaceDataset
    is_draft: bool = False


def stored_faces(lists: FaceLists) -> Iterator[StoredFaces]:
    """All there are. Of each dataset its drafts come first: what is no draft any more is in the manifest by then."""
    for dataset_id, run_id in lists.datasets.of_type(ModelType.FACE):
        yield from drafts_of(lists, dataset_id, run_id)
        manifest = DatasetFolder.of(lists.dataset_prefix, dataset_id).manifest
        if (dataset := _read(lists, manifest)) is not None:
            yield StoredFaces(manifest, run_id, dataset)


def drafts_of(lists: FaceLists, dataset_id: str, run_id: str) -> Iterator[StoredFaces]:
    for uri in lists.objects.list(DatasetFolder.of(lists.dataset_prefix, dataset_id).drafts):
        if (dataset := _read(lists, uri)) is not None:
            yield StoredFaces(uri, run_id, dataset, is_draft=True)


def manifest_of(lists: FaceLists, run_id: str) -> StoredFaces | None:
    """The run's dataset, None before there is one."""
    uri = DatasetFolder.of(lists.dataset_prefix, lists.datasets.begin(run_id, ModelType.FACE)).manifest
    dataset = _read(lists, uri)
    return None if dataset is None else StoredFaces(uri, run_id, dataset)


def drafted(lists: FaceLists, run_id: str, dataset: FaceDataset) -> None:
    """Each choice has a draft of its own: what an earlier try embedded stays known."""
    uri = DatasetFolder.of(lists.dataset_prefix, dataset.dataset_id).draft(dataset.sha256)
    _store(lists, StoredFaces(uri, run_id, dataset, is_draft=True))


def frozen(lists: FaceLists, run_id: str, dataset: FaceDataset) -> StoredFaces:
    """The dataset as the run's."""
    made = StoredFaces(DatasetFolder.of(lists.dataset_prefix, dataset.dataset_id).manifest, run_id, dataset)
    _store(lists, made)
    return made


def vectors_in(lists: FaceLists, dataset: FaceDataset, photos: Sequence[FacePhoto]) -> list[str]:
    return [face_vector(lists.dataset_prefix, dataset.base_sha256, photo.photo_id) for photo in photos]


def take_out(lists: FaceLists, stored: StoredFaces, forgotten: Forgotten) -> StoredFaces:
    """What is left; the list is written last: by it all is found again."""
    rest = stored.dataset.without(forgotten)
    if rest == stored.dataset:
        return stored
    for vector in vectors_in(lists, stored.dataset, stored.dataset.taken_by(forgotten)):
        lists.objects.delete(vector)
    left = replace(stored, dataset=rest)
    _store(lists, left)
    return left


def _read(lists: FaceLists, uri: str) -> FaceDataset | None:
    try:
        return FaceDataset.from_json(lists.objects.read(uri))
    except KeyError:
        return None


def _store(lists: FaceLists, stored: StoredFaces) -> None:
    if not stored.is_draft:
        at = DatasetFolder.of(lists.dataset_prefix, stored.dataset.dataset_id)
        lists.datasets.complete(stored.dataset.counted(stored.run_id, ModelType.FACE, at.uri))
    lists.objects.write(stored.uri, stored.dataset.to_json(), "application/json")
