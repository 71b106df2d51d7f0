"""Look at photos of people, put each person on a side for ever, and keep what the frozen network says of each photo."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.dataset_folder import DatasetFolder, face_vector
from pipeline.domain.errors import DatasetRefused, GiveUp, PhotoRefused, PhotosErased
from pipeline.domain.faces.dataset import FaceDataset, Forgotten, SetAside
from pipeline.domain.faces.identities import FacePhoto, identity_of
from pipeline.domain.models import ModelType
from pipeline.ports.faces import FaceMaking, Vectors
from pipeline.steps.downloads import several_at_once

OnPhoto = Callable[[int, int], None]
_AT_ONCE = 32


@dataclass(frozen=True)
class Offered:
    """A photo, and whom it is said to show; the rest as in `FacePhoto`.

    `place` is its path for people, the person first. `read` raises `PhotoRefused`. What is `known` was looked at for an
    earlier dataset: it is not read, unless its vector is missing.
    """

    place: str
    name: str
    taken_at: str
    read: Callable[[], bytes]
    check_id: str = ""
    corrects: bool = False
    branch: str = ""
    known: FacePhoto | None = None


@dataclass(frozen=True)
class Offer:
    """What a dataset is chosen from; `through` as in `FaceDataset`."""

    photos: Sequence[Offered]
    through: str = ""


@dataclass(frozen=True)
class _Looked:
    offered: Offered
    found: FacePhoto | None
    fault: str = ""


def collect(making: FaceMaking, run_id: str, offer: Callable[[Forgotten], Offer], on_photo: OnPhoto) -> FaceDataset:
    """The run's dataset; run again, it stays as it was, but for who was erased since. `offer` is asked once, and told
    who was erased by then.

    `on_photo` hears how many of how many photos have their vector. Raises `DatasetRefused` when the photos cannot
    become a dataset.
    """
    dataset_id = making.datasets.begin(run_id, ModelType.FACE)
    dataset = _kept(making, dataset_id)
    if dataset is None:
        dataset = _frozen(making, run_id, _chosen(making, dataset_id, offer, on_photo))
    # Once more after it is there: who was erased in between is in it, and was not found. The try that froze it may have
    # ended before it looked.
    while (left := _left_of(making, dataset)) != dataset:
        dataset = _frozen(making, run_id, left)
    return dataset


def _chosen(making: FaceMaking, dataset_id: str, offer: Callable[[Forgotten], Offer], on_photo: OnPhoto) -> FaceDataset:
    """With the vectors of all its photos."""
    forgotten = _forgotten(making)
    offered = offer(forgotten)
    looked = list(several_at_once(lambda one: _look_at(one, making), offered.photos))
    # A try that was killed may have left vectors of who was erased since: no dataset says so.
    gone = [one.found for one in looked if one.found and forgotten.takes(one.found)]
    _delete_vectors(making, making.network.sha256, gone)
    usable, aside = _sorted_out(looked, forgotten)
    photos = [photo for photo, _ in usable]
    dataset = FaceDataset.chosen(dataset_id, making.network.sha256, photos, tuple(aside), making.selection)
    _embed(making, {photo.photo_id: one for photo, one in usable}, dataset, on_photo)
    return replace(dataset, through=offered.through)


def collected(making: FaceMaking, run_id: str) -> FaceDataset:
    """The run's dataset. Raises `GiveUp` before there is one."""
    found = _kept(making, making.datasets.begin(run_id, ModelType.FACE))
    if found is None:
        raise GiveUp(f"run {run_id} has no photos yet: collect them first")
    return found


def _kept(making: FaceMaking, dataset_id: str) -> FaceDataset | None:
    at = DatasetFolder.of(making.dataset_prefix, dataset_id)
    return FaceDataset.from_json(making.objects.read(at.manifest)) if making.objects.exists(at.manifest) else None


def _frozen(making: FaceMaking, run_id: str, dataset: FaceDataset) -> FaceDataset:
    at = DatasetFolder.of(making.dataset_prefix, dataset.dataset_id)
    making.datasets.complete(dataset.counted(run_id, ModelType.FACE, at.uri))
    making.objects.write(at.manifest, dataset.to_json(), "application/json")
    return dataset


def _left_of(making: FaceMaking, dataset: FaceDataset) -> FaceDataset:
    """Without who is erased by now, and whose vectors are gone."""
    forgotten = _forgotten(making)
    gone = [p for of_side in dataset.photos.values() for p in of_side if forgotten.takes(p)]
    _delete_vectors(making, dataset.base_sha256, gone)
    return dataset.without(forgotten)


def _delete_vectors(making: FaceMaking, base_sha256: str, photos: Sequence[FacePhoto]) -> None:
    for photo in photos:
        making.objects.delete(face_vector(making.dataset_prefix, base_sha256, photo.photo_id))


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


def _look_at(one: Offered, making: FaceMaking) -> _Looked:
    try:
        identity = identity_of(one.name)
        if one.known is not None:
            photo_id, cluster_id = one.known.photo_id, one.known.cluster_id
        else:
            print_ = making.inspector.fingerprint(one.read())
            if print_.fault:
                return _Looked(one, None, print_.fault)
            photo_id, cluster_id = print_.sha256, f"{print_.phash:016x}"
    except (PhotoRefused, ValueError) as error:
        return _Looked(one, None, str(error))
    found = FacePhoto(photo_id, identity, cluster_id, one.taken_at, one.branch, one.check_id, one.corrects)
    return _Looked(one, found)


def _sorted_out(
    looked: Sequence[_Looked], forgotten: Forgotten
) -> tuple[list[tuple[FacePhoto, Offered]], list[SetAside]]:
    """Photos and where they come from, and those that cannot be used. One picture of two people is nobody's."""
    shows = _people_by_picture(looked)
    usable: list[tuple[FacePhoto, Offered]] = []
    aside: list[SetAside] = []
    for one in looked:
        if one.found is not None and forgotten.takes(one.found):
            # Of who was erased not even the name of a folder is kept.
            continue
        if one.found is None:
            aside.append(SetAside(one.offered.place, one.fault))
        elif len(shows[one.found.cluster_id]) > 1:
            aside.append(SetAside(one.offered.place, "the same picture is filed under another person, too"))
        else:
            usable.append((one.found, one.offered))
    return usable, aside


def _people_by_picture(looked: Sequence[_Looked]) -> dict[str, set[str]]:
    shows: dict[str, set[str]] = {}
    for one in looked:
        if one.found:
            shows.setdefault(one.found.cluster_id, set()).add(one.found.identity)
    return shows


def _embed(making: FaceMaking, from_: Mapping[str, Offered], dataset: FaceDataset, on_photo: OnPhoto) -> None:
    """Vectors that are not there yet; a killed run goes on where it was."""
    chosen = [photo for of_side in dataset.photos.values() for photo in of_side]
    for start in range(0, len(chosen), _AT_ONCE):
        batch = chosen[start : start + _AT_ONCE]
        there = several_at_once(lambda photo: making.objects.exists(_uri(making, photo)), batch)
        missing = [photo for photo, known in zip(batch, there, strict=True) if not known]
        bodies = list(_read(from_, missing))
        for photo, vector in zip(missing, making.network.embed(bodies) if bodies else (), strict=True):
            making.objects.write(_uri(making, photo), vector)
        on_photo(start + len(batch), len(chosen))


def _read(from_: Mapping[str, Offered], photos: Sequence[FacePhoto]) -> Iterator[bytes]:
    for photo in photos:
        one = from_[photo.photo_id]
        yield demand_unaltered(one.read(), photo.photo_id, one.place, DatasetRefused)


def _uri(making: FaceMaking, photo: FacePhoto) -> str:
    return face_vector(making.dataset_prefix, making.network.sha256, photo.photo_id)
