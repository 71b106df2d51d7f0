"""Lists of people's photos as they are stored, and how photos and their vectors come out of them again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.dataset import later_names
from pipeline.domain.dataset_folder import DatasetFolder, face_vector
from pipeline.domain.faces.dataset import FaceDataset, Forgotten
from pipeline.domain.faces.identities import FacePhoto
from pipeline.domain.models import ModelType
from pipeline.ports.face_forgetting import FaceLists
from pipeline.steps.stored_dataset import is_finished

# So many numbers in a row without a list may be of collections that were killed.
_GAP = 3


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
    """All there are, also of datasets that a restored database lost. Of each its drafts come first: what is no draft
    any more is in the manifest by then.
    """
    for dataset_id, run_id in (*lists.datasets.of_type(ModelType.FACE), *_lost(lists)):
        yield from drafts_of(lists, dataset_id, run_id)
        manifest = DatasetFolder.of(lists.dataset_prefix, dataset_id).manifest
        if (dataset := _read(lists, manifest)) is not None:
            yield StoredFaces(manifest, run_id, dataset, is_draft=not is_finished(dataset_id, lists.datasets))


def drafts_of(lists: FaceLists, dataset_id: str, run_id: str) -> Iterator[StoredFaces]:
    for uri in lists.objects.list(DatasetFolder.of(lists.dataset_prefix, dataset_id).drafts):
        if (dataset := _read(lists, uri)) is not None:
            yield StoredFaces(uri, run_id, dataset, is_draft=True)


def begun(lists: FaceLists, run_id: str) -> str:
    """The number of the run's dataset."""
    return lists.datasets.begin(run_id, ModelType.FACE)


def manifest_of(lists: FaceLists, run_id: str) -> StoredFaces | None:
    """The run's dataset, None before there is one."""
    dataset_id = begun(lists, run_id)
    if not is_finished(dataset_id, lists.datasets):
        return None
    uri = DatasetFolder.of(lists.dataset_prefix, dataset_id).manifest
    if (dataset := _read(lists, uri)) is None:
        return None
    made = StoredFaces(uri, run_id, dataset)
    if lists.datasets.finished_sha256(dataset_id) != dataset.sha256:
        # Somebody was erased between list and row.
        _complete(lists, made)
    return made


def keep_as_draft(lists: FaceLists, run_id: str) -> None:
    """What lies in the place of the run's manifest before it has one: by it an erasure finds what only that named."""
    at = DatasetFolder.of(lists.dataset_prefix, begun(lists, run_id))
    if (dataset := _read(lists, at.manifest)) is not None:
        drafted(lists, run_id, dataset)


def drafted(lists: FaceLists, run_id: str, dataset: FaceDataset) -> None:
    """Each choice has a draft of its own: what an earlier try embedded stays known."""
    uri = DatasetFolder.of(lists.dataset_prefix, dataset.dataset_id).draft(dataset.sha256)
    _store(lists, StoredFaces(uri, run_id, dataset, is_draft=True))


def frozen(lists: FaceLists, run_id: str, dataset: FaceDataset) -> StoredFaces:
    """The dataset as the run's."""
    made = StoredFaces(DatasetFolder.of(lists.dataset_prefix, dataset.dataset_id).manifest, run_id, dataset)
    lists.objects.write(made.uri, dataset.to_json(), "application/json")
    # The row last: before, what lies there may be of a dataset that was lost.
    _complete(lists, made)
    return made


def vectors_in(lists: FaceLists, dataset: FaceDataset, photos: Sequence[FacePhoto]) -> list[str]:
    return [vector_in(lists, dataset.base_sha256, photo.photo_id) for photo in photos]


def vector_in(lists: FaceLists, base_sha256: str, photo_id: str) -> str:
    return face_vector(lists.dataset_prefix, base_sha256, photo_id)


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


def _lost(lists: FaceLists) -> Iterator[tuple[str, str]]:
    """Datasets that a restored database does not know any more; nobody knows their runs either. Of another model type's
    number that is not frozen the list may still lie there.
    """
    begun = {model_type: [name for name, _ in lists.datasets.of_type(model_type)] for model_type in ModelType}
    frozen = {dataset_id for dataset_id, _, _ in lists.datasets.frozen()}
    known = [name for names in begun.values() for name in names]
    yield from ((name, "") for name in known if name not in frozen and name not in begun[ModelType.FACE])
    for names in later_names(known, lists.clock.now().year):
        missing = 0
        for dataset_id in names:
            at = DatasetFolder.of(lists.dataset_prefix, dataset_id)
            if lists.objects.exists(at.manifest) or lists.objects.list(at.drafts):
                missing = 0
                yield dataset_id, ""
            elif (missing := missing + 1) > _GAP:
                break


def _complete(lists: FaceLists, stored: StoredFaces) -> None:
    at = DatasetFolder.of(lists.dataset_prefix, stored.dataset.dataset_id)
    lists.datasets.complete(stored.dataset.counted(stored.run_id, ModelType.FACE, at.uri))


def _store(lists: FaceLists, stored: StoredFaces) -> None:
    """The row before the list: by what the list still names an erasure that was killed goes on."""
    if not stored.is_draft:
        _complete(lists, stored)
    lists.objects.write(stored.uri, stored.dataset.to_json(), "application/json")
