"""Look at photos of people, put each person on a side for ever, and keep what the frozen network says of each photo."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.dataset_folder import DatasetFolder, face_vector
from pipeline.domain.errors import DatasetRefused, PhotoRefused, PhotosErased
from pipeline.domain.faces.dataset import FaceDataset, Forgotten, SetAside, person_and_name
from pipeline.domain.faces.identities import FacePhoto, identity_of
from pipeline.domain.models import ModelType
from pipeline.ports.data import PhotoFolder
from pipeline.ports.faces import FaceMaking, Vectors
from pipeline.steps.downloads import several_at_once

OnPhoto = Callable[[int, int], None]
_AT_ONCE = 32


@dataclass(frozen=True)
class _Looked:
    name: str
    found: FacePhoto | None
    fault: str = ""


def collect_faces(making: FaceMaking, folder: PhotoFolder, run_id: str, on_photo: OnPhoto) -> FaceDataset:
    """The run's dataset; run again, it stays as it was. `folder` has a folder for each person.

    `on_photo` hears how many of how many photos have their vector. Raises `DatasetRefused` when the photos cannot
    become a dataset.
    """
    dataset_id = making.datasets.begin(run_id, ModelType.FACE)
    at = DatasetFolder.of(making.dataset_prefix, dataset_id)
    if making.objects.exists(at.manifest):
        return FaceDataset.from_json(making.objects.read(at.manifest))
    looked = list(several_at_once(lambda name: _look_at(name, folder, making), _named(folder)))
    if not looked:
        raise DatasetRefused(f"{folder} has no folder for any person: put each one's photos into a folder of that name")
    forgotten = _forgotten(making)
    # A try that was killed may have left vectors of who was erased since: no dataset says so.
    _delete_vectors(making, [one.found for one in looked if one.found and forgotten.takes(one.found)])
    usable, aside = _sorted_out(looked, forgotten)
    dataset = FaceDataset.chosen(dataset_id, making.network.sha256, usable.values(), tuple(aside), making.selection)
    names = {photo.photo_id: name for name, photo in usable.items()}
    _embed(making, folder, names, dataset, on_photo)
    # Once more after it is there: who was erased in between is in it, and was not found.
    while (kept := _frozen(making, run_id, dataset)) != dataset:
        dataset = kept
    return dataset


def _frozen(making: FaceMaking, run_id: str, dataset: FaceDataset) -> FaceDataset:
    """The dataset without who is erased by now, and whose vectors are gone."""
    at = DatasetFolder.of(making.dataset_prefix, dataset.dataset_id)
    making.datasets.complete(dataset.counted(run_id, ModelType.FACE, at.uri))
    making.objects.write(at.manifest, dataset.to_json(), "application/json")
    forgotten = _forgotten(making)
    _delete_vectors(making, [p for of_side in dataset.photos.values() for p in of_side if forgotten.takes(p)])
    return dataset.without(forgotten)


def _delete_vectors(making: FaceMaking, photos: Sequence[FacePhoto]) -> None:
    for photo in photos:
        making.objects.delete(_uri(making, photo))


def _forgotten(making: FaceMaking) -> Forgotten:
    erased = making.erasures.all()
    return Forgotten(frozenset(e.task_id for e in erased), frozenset(sha for e in erased for sha in e.sha256s))


def vectors_of(making: FaceMaking, dataset: FaceDataset) -> Vectors:
    """Of every photo of the dataset. Raises `PhotosErased` when somebody in it was erased since it was read."""
    ids = [photo.photo_id for of_side in dataset.photos.values() for photo in of_side]
    uris = (face_vector(making.dataset_prefix, dataset.base_sha256, photo_id) for photo_id in ids)
    try:
        return dict(zip(ids, several_at_once(making.objects.read, uris), strict=True))
    except KeyError as gone:
        raise PhotosErased(dataset.dataset_id, [str(gone.args[0]).rpartition("/")[2]]) from None


def _named(folder: PhotoFolder) -> list[str]:
    return [name for name in folder.names() if person_and_name(name)]


def _look_at(name: str, folder: PhotoFolder, making: FaceMaking) -> _Looked:
    split = person_and_name(name)
    assert split is not None
    try:
        print_ = making.inspector.fingerprint(folder.read(name))
        identity = identity_of(split[0])
    except (PhotoRefused, ValueError) as error:
        return _Looked(name, None, str(error))
    if print_.fault:
        return _Looked(name, None, print_.fault)
    # A folder knows no times; names of cameras count up, so that the last one is the newest.
    return _Looked(name, FacePhoto(print_.sha256, identity, f"{print_.phash:016x}", taken_at=split[1]))


def _sorted_out(looked: Sequence[_Looked], forgotten: Forgotten) -> tuple[dict[str, FacePhoto], list[SetAside]]:
    """Photos by name, and those that cannot be used. One picture of two people is nobody's."""
    shows = _people_by_picture(looked)
    usable: dict[str, FacePhoto] = {}
    aside: list[SetAside] = []
    for one in looked:
        if one.found is not None and forgotten.takes(one.found):
            # Of who was erased not even the name of a folder is kept.
            continue
        if one.found is None:
            aside.append(SetAside(one.name, one.fault))
        elif len(shows[one.found.cluster_id]) > 1:
            aside.append(SetAside(one.name, "the same picture is filed under another person, too"))
        else:
            usable[one.name] = one.found
    return usable, aside


def _people_by_picture(looked: Sequence[_Looked]) -> dict[str, set[str]]:
    shows: dict[str, set[str]] = {}
    for one in looked:
        if one.found:
            shows.setdefault(one.found.cluster_id, set()).add(one.found.identity)
    return shows


def _embed(
    making: FaceMaking, folder: PhotoFolder, names: Mapping[str, str], dataset: FaceDataset, on_photo: OnPhoto
) -> None:
    """Vectors that are not there yet; a killed run goes on where it was."""
    chosen = [photo for of_side in dataset.photos.values() for photo in of_side]
    for start in range(0, len(chosen), _AT_ONCE):
        batch = chosen[start : start + _AT_ONCE]
        there = several_at_once(lambda photo: making.objects.exists(_uri(making, photo)), batch)
        missing = [photo for photo, known in zip(batch, there, strict=True) if not known]
        bodies = list(_read(folder, names, missing))
        for photo, vector in zip(missing, making.network.embed(bodies) if bodies else (), strict=True):
            making.objects.write(_uri(making, photo), vector)
        on_photo(start + len(batch), len(chosen))


def _read(folder: PhotoFolder, names: Mapping[str, str], photos: Sequence[FacePhoto]) -> Iterator[bytes]:
    for photo in photos:
        name = names[photo.photo_id]
        yield demand_unaltered(folder.read(name), photo.photo_id, f"{folder}/{name}", DatasetRefused)


def _uri(making: FaceMaking, photo: FacePhoto) -> str:
    return face_vector(making.dataset_prefix, making.network.sha256, photo.photo_id)
