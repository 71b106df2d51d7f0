"""Look at photos of people, put each person on a side for ever, and keep what the frozen network says of each photo."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.dataset_folder import face_vector
from pipeline.domain.errors import GiveUp, PhotoRefused, PhotosErased
from pipeline.domain.faces.dataset import FaceDataset, Forgotten, SetAside
from pipeline.domain.faces.identities import FacePhoto, Side, identity_of, quality_of
from pipeline.domain.models import ModelType
from pipeline.ports.faces import FaceMaking, Vectors
from pipeline.steps.downloads import several_at_once
from pipeline.steps.faces.stored_faces import (
    StoredFaces,
    drafted,
    drafts_of,
    frozen,
    keep_as_draft,
    manifest_of,
    stored_faces,
    take_out,
    vectors_in,
)

OnPhoto = Callable[[int, int], None]
_AT_ONCE = 32


@dataclass(frozen=True)
class Offered:
    """A photo, and whom it is said to show, or not to show where it `is_impostor`; the rest as in `FacePhoto`.

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
    camera: str = ""
    is_impostor: bool = False
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
    made = manifest_of(making, run_id) or frozen(making, run_id, _chosen(making, run_id, offer, on_photo))
    # Once more after it is there: who was erased in between is in it, and was not found. The try that froze it may have
    # ended before it looked.
    while (left := take_out(making, made, _forgotten(making))) != made:
        made = left
    _settle_drafts(making, made)
    return made.dataset


def _chosen(making: FaceMaking, run_id: str, offer: Callable[[Forgotten], Offer], on_photo: OnPhoto) -> FaceDataset:
    """With the vectors of all its photos."""
    forgotten = _forgotten(making)
    keep_as_draft(making, run_id)
    offered = offer(forgotten)
    looked = list(several_at_once(lambda one: _look_at(one, making), offered.photos))
    _delete_what_tries_left(making, forgotten, looked)
    while True:
        usable, aside = _sorted_out(looked, forgotten)
        dataset_id = making.datasets.begin(run_id, ModelType.FACE)
        photos = [photo for photo, one in usable if not one.is_impostor]
        chosen = FaceDataset.chosen(dataset_id, making.network.sha256, photos, tuple(aside), making.selection)
        dataset = replace(chosen, impostors=_impostors(usable, chosen), through=offered.through).without(forgotten)
        drafted(making, run_id, dataset)
        lost = _embed(making, {photo.photo_id: one for photo, one in usable}, dataset, on_photo)
        if not lost:
            return dataset
        looked = [_lost(one, lost) for one in looked]


def _impostors(usable: Sequence[tuple[FacePhoto, Offered]], chosen: FaceDataset) -> tuple[FacePhoto, ...]:
    """Of people who are learned from; no picture that sets or judges a model, whoever is said to be on it."""
    learned = {photo.identity for photo in chosen.photos[Side.TRAIN]}
    judging = {photo.cluster_id for side in (Side.CALIBRATE, Side.TEST) for photo in chosen.photos[side]}
    found = [photo for photo, one in usable if one.is_impostor]
    return tuple(photo for photo in found if photo.identity in learned and photo.cluster_id not in judging)


def _lost(one: _Looked, lost: Mapping[str, str]) -> _Looked:
    place = one.offered.place
    return _Looked(one.offered, None, lost[place]) if place in lost else one


def collected(making: FaceMaking, run_id: str) -> FaceDataset:
    """The run's dataset. Raises `GiveUp` before there is one."""
    found = manifest_of(making, run_id)
    if found is None:
        raise GiveUp(f"run {run_id} has no photos yet: collect them first")
    return found.dataset


def _delete_what_tries_left(making: FaceMaking, forgotten: Forgotten, looked: Sequence[_Looked]) -> None:
    """Of any run: one that was killed may have named, and embedded, who was erased while it went on."""
    bases = {making.network.sha256}
    for stored in stored_faces(making):
        take_out(making, stored, forgotten)
        bases.add(stored.dataset.base_sha256)
    shown = {one.found.photo_id for one in looked if one.found and forgotten.takes(one.found)}
    gone = [
        face_vector(making.dataset_prefix, base, one) for base in sorted(bases) for one in shown | forgotten.photo_ids
    ]
    deque(several_at_once(making.objects.delete, gone), maxlen=0)


def _settle_drafts(making: FaceMaking, made: StoredFaces) -> None:
    """One goes when the dataset names its vectors; by the others theirs are found as long as they lie there."""
    known = {*_vectors(making, made.dataset)}
    for draft in drafts_of(making, made.dataset.dataset_id, made.run_id):
        left = take_out(making, draft, _forgotten(making))
        if known.issuperset(_vectors(making, left.dataset)):
            making.objects.delete(draft.uri)


def _vectors(making: FaceMaking, dataset: FaceDataset) -> list[str]:
    return vectors_in(making, dataset, dataset.every_photo())


def _forgotten(making: FaceMaking) -> Forgotten:
    erased = making.erasures.all()
    return Forgotten(frozenset(e.task_id for e in erased), frozenset(sha for e in erased for sha in e.sha256s))


def vectors_of(making: FaceMaking, dataset: FaceDataset) -> Vectors:
    """Of every photo of the dataset. Raises `PhotosErased` when somebody in it was erased since it was read."""
    ids = [photo.photo_id for photo in dataset.every_photo()]
    uris = (face_vector(making.dataset_prefix, dataset.base_sha256, photo_id) for photo_id in ids)
    try:
        return dict(zip(ids, several_at_once(making.objects.read, uris), strict=True))
    except KeyError as gone:
        raise PhotosErased(dataset.dataset_id, [str(gone.args[0]).rpartition("/")[2]]) from None


def _look_at(one: Offered, making: FaceMaking) -> _Looked:
    try:
        identity = identity_of(one.name)
        if one.known is not None:
            photo_id, cluster_id, quality = one.known.photo_id, one.known.cluster_id, one.known.quality
        else:
            print_ = making.inspector.fingerprint(one.read())
            if print_.fault:
                return _Looked(one, None, print_.fault)
            photo_id, cluster_id = print_.sha256, f"{print_.phash:016x}"
            quality = quality_of(print_.brightness, print_.sharpness)
    except (PhotoRefused, ValueError) as error:
        return _Looked(one, None, str(error))
    said = (one.branch, one.check_id, one.corrects, one.camera)
    return _Looked(one, FacePhoto(photo_id, identity, cluster_id, one.taken_at, *said, quality))


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
        elif not one.offered.is_impostor and len(shows[one.found.cluster_id]) > 1:
            why = "the same picture is filed under another person, too"
            aside.append(SetAside(one.offered.place, why, one.found.photo_id))
        else:
            usable.append((one.found, one.offered))
    return usable, aside


def _people_by_picture(looked: Sequence[_Looked]) -> dict[str, set[str]]:
    shows: dict[str, set[str]] = {}
    for one in looked:
        if one.found and not one.offered.is_impostor:
            shows.setdefault(one.found.cluster_id, set()).add(one.found.identity)
    return shows


def _embed(
    making: FaceMaking, from_: Mapping[str, Offered], dataset: FaceDataset, on_photo: OnPhoto
) -> Mapping[str, str]:
    """Vectors that are not there yet; a killed run goes on where it was. Why a photo is not what was looked at any
    more, by its place.
    """
    chosen = dataset.every_photo()
    lost: dict[str, str] = {}
    for start in range(0, len(chosen), _AT_ONCE):
        batch = chosen[start : start + _AT_ONCE]
        there = several_at_once(making.objects.exists, vectors_in(making, dataset, batch))
        missing = [photo for photo, known in zip(batch, there, strict=True) if not known]
        read = {photo: body for photo in missing if (body := _read(from_[photo.photo_id], photo, lost)) is not None}
        vectors = making.network.embed(list(read.values())) if read else ()
        for uri, vector in zip(vectors_in(making, dataset, list(read)), vectors, strict=True):
            making.objects.write(uri, vector)
        on_photo(start + len(batch), len(chosen))
    return lost


def _read(one: Offered, photo: FacePhoto, lost: dict[str, str]) -> bytes | None:
    """One that somebody takes away, or changes, between two looks is as one that was never there."""
    try:
        return demand_unaltered(one.read(), photo.photo_id, one.place, PhotoRefused)
    except PhotoRefused as error:
        lost[one.place] = str(error)
        return None
