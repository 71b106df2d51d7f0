"""Lists of people's photos as they are stored, and how photos and their vectors come out of them again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.dataset_folder import DatasetFolder, face_vector
from pipeline.domain.faces.dataset import FaceDataset, Forgotten
from pipeline.domain.faces.identities import FacePhoto
from pipeline.domain.models import ModelType
from pipeline.ports.face_forgetting import FaceLists
from pipeline.steps.stored_dataset import is_finished
from pipeline.steps.what_lies_there import delete_selection, face_list, keep_as_draft, numbered, selection


@dataclass(frozen=True)
class StoredFaces:
    """What lies at `uri`: the manifest of a run's dataset, or a draft. A draft names vectors before they are written,
    so that an erasure finds those of a try that never came to a dataset. A manifest that is of no finished dataset is
    one, too.
    """

    uri: str
    run_id: str
    dataset: FaceDataset
    is_draft: bool = False


def stored_faces(lists: FaceLists) -> Iterator[StoredFaces]:
    """All stored lists, also of datasets that a restored database lost. Drafts come before the manifest of their
    dataset: a draft that disappears meanwhile is in the manifest by then.
    """
    for dataset_id, run_id in (*lists.datasets.of_type(ModelType.FACE), *_lost(lists)):
        yield from drafts_of(lists, dataset_id, run_id)
        manifest = DatasetFolder.of(lists.dataset_prefix, dataset_id).manifest
        if (dataset := face_list(manifest, lists.objects)) is not None:
            yield StoredFaces(manifest, run_id, dataset, is_draft=not is_finished(dataset_id, lists.datasets))


def drafts_of(lists: FaceLists, dataset_id: str, run_id: str) -> Iterator[StoredFaces]:
    for uri in lists.objects.list(DatasetFolder.of(lists.dataset_prefix, dataset_id).drafts):
        if (dataset := face_list(uri, lists.objects)) is not None:
            yield StoredFaces(uri, run_id, dataset, is_draft=True)


def begun(lists: FaceLists, run_id: str) -> str:
    """The id of the run's dataset, which is begun here if need be."""
    return lists.datasets.begin(run_id, ModelType.FACE)


def manifest_of(lists: FaceLists, run_id: str) -> StoredFaces | None:
    """The run's dataset, None before there is one."""
    dataset_id = begun(lists, run_id)
    if not is_finished(dataset_id, lists.datasets):
        return None
    uri = DatasetFolder.of(lists.dataset_prefix, dataset_id).manifest
    if (dataset := face_list(uri, lists.objects)) is None:
        return None
    made = StoredFaces(uri, run_id, dataset)
    if lists.datasets.finished_sha256(dataset_id) != dataset.sha256:
        # Somebody was erased between list and row.
        _complete(lists, made)
    return made


def make_room(lists: FaceLists, run_id: str) -> None:
    """Before the run has a manifest, whatever lies in its place belongs to a dataset that a restore lost: a list of
    faces is kept as a draft, a selection of tasks is deleted.
    """
    at = DatasetFolder.of(lists.dataset_prefix, begun(lists, run_id))
    keep_as_draft(at, lists.objects)
    if selection(at, lists.objects) is not None:
        delete_selection(at, lists.objects)


def drafted(lists: FaceLists, run_id: str, dataset: FaceDataset) -> None:
    """Each choice has a draft of its own, so that vectors of an earlier try stay known."""
    uri = DatasetFolder.of(lists.dataset_prefix, dataset.dataset_id).draft(dataset.sha256)
    _store(lists, StoredFaces(uri, run_id, dataset, is_draft=True))


def frozen(lists: FaceLists, run_id: str, dataset: FaceDataset) -> StoredFaces:
    """Freeze the dataset as that of the run."""
    made = StoredFaces(DatasetFolder.of(lists.dataset_prefix, dataset.dataset_id).manifest, run_id, dataset)
    lists.objects.write(made.uri, dataset.to_json(), "application/json")
    # The row comes last: until then, what lies there may belong to a dataset that a restore lost.
    _complete(lists, made)
    return made


def vectors_in(lists: FaceLists, dataset: FaceDataset, photos: Sequence[FacePhoto]) -> list[str]:
    return [vector_in(lists, dataset.base_sha256, photo.photo_id) for photo in photos]


def vector_in(lists: FaceLists, base_sha256: str, photo_id: str) -> str:
    return face_vector(lists.dataset_prefix, base_sha256, photo_id)


def take_out(lists: FaceLists, stored: StoredFaces, forgotten: Forgotten) -> StoredFaces:
    """The dataset without them. The list is written last: everything is found again through it."""
    rest = stored.dataset.without(forgotten)
    if rest == stored.dataset:
        return stored
    for vector in vectors_in(lists, stored.dataset, stored.dataset.taken_by(forgotten)):
        lists.objects.delete(vector)
    left = replace(stored, dataset=rest)
    _store(lists, left)
    return left


def _lost(lists: FaceLists) -> Iterator[tuple[str, str]]:
    """What a restored database does not know any more lies under numbers that it never gave, or gave to another model
    type, whose manifest may be there by now: then drafts are left. Nobody knows their runs either.
    """
    of_faces = {dataset_id for dataset_id, _ in lists.datasets.of_type(ModelType.FACE)}
    frozen = {dataset_id for dataset_id, _, _ in lists.datasets.frozen()}
    for dataset_id, uris in numbered(lists.objects, lists.dataset_prefix).items():
        at = DatasetFolder.of(lists.dataset_prefix, dataset_id)
        is_open = dataset_id not in frozen and at.manifest in uris
        if dataset_id not in of_faces and (is_open or any(uri.startswith(at.drafts) for uri in uris)):
            yield dataset_id, ""


def _complete(lists: FaceLists, stored: StoredFaces) -> None:
    at = DatasetFolder.of(lists.dataset_prefix, stored.dataset.dataset_id)
    lists.datasets.complete(stored.dataset.counted(stored.run_id, ModelType.FACE, at.uri))


def _store(lists: FaceLists, stored: StoredFaces) -> None:
    """The row before the list: a killed erasure goes on from what the list still names."""
    if not stored.is_draft:
        _complete(lists, stored)
    lists.objects.write(stored.uri, stored.dataset.to_json(), "application/json")
