"""Look at photos of people, put each person on a side for ever, and keep what the frozen network says of each photo."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.domain.errors import GiveUp, PhotoRefused, PhotosErased
from pipeline.domain.faces.dataset import FaceDataset, Forgotten, SetAside
from pipeline.domain.faces.identities import FacePhoto, Pictures, Side, identity_of, quality_of
from pipeline.ports.faces import FaceMaking, Vectors
from pipeline.steps.downloads import several_at_once
from pipeline.steps.faces.embed import OnPhoto, Unfit, gives, unfit
from pipeline.steps.faces.stored_faces import (
    StoredFaces,
    begun,
    drafts_of,
    frozen,
    make_room,
    manifest_of,
    stored_faces,
    take_out,
    vector_in,
    vectors_in,
)
from pipeline.steps.faces.usable import demand_new, demand_usable
from pipeline.steps.one_by_one import Looking, looked_at


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
    confirmed_at: datetime | None = None
    shows: str = ""


@dataclass(frozen=True)
class Offer:
    """What a dataset is chosen from. A dataset has some of the checks that are `needed`, if any are; of others, which
    nothing is learned from, the last was confirmed at `through`.
    """

    photos: Sequence[Offered]
    through: datetime | None = None
    needed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Looked:
    offered: Offered
    found: FacePhoto | None
    fault: str = ""
    is_copied: bool = False


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
    make_room(making, run_id)
    offered = offer(forgotten)
    looked = list(looked_at(offered.photos, _looking(making)))
    _delete_what_tries_left(making, forgotten, looked)
    while True:
        faults = {one.offered.check_id: one.fault for one in looked if one.offered.check_id and _was_read(one)}
        demand_usable(faults, making.max_unusable_share)
        usable, aside = _sorted_out(looked, forgotten)
        photos = [photo for photo, one in usable if not one.is_impostor]
        base = making.network.sha256
        chosen = FaceDataset.chosen(begun(making, run_id), base, photos, tuple(aside), making.selection)
        used = {photo.check_id for photo in chosen.every_photo()}
        demand_new(_needed(offered, faults), used, faults | _too_few(usable, chosen, making.selection.min_photos))
        through = _through(offered, looked)
        dataset = replace(chosen, impostors=_impostors(usable, chosen), through=through).without(forgotten)
        if not (found := unfit(making, run_id, dataset, _known(looked, forgotten), on_photo)):
            return dataset
        looked = [_left_out(one, found) for one in looked]


def _known(looked: Sequence[_Looked], forgotten: Forgotten) -> dict[FacePhoto, Offered]:
    """All that could be looked at, also what is set aside."""
    found = ((one.found, one.offered) for one in looked if one.found is not None)
    return {photo: offered for photo, offered in found if not forgotten.takes(photo)}


def _was_read(one: _Looked) -> bool:
    """Whether it was read now: photos known from an earlier dataset were not, and would dilute the share of unusable
    ones.
    """
    return one.offered.known is None or bool(one.fault)


def _needed(offered: Offer, faults: Mapping[str, str]) -> frozenset[str]:
    """The checks of which at least one has to be used: the new ones alone, when some of those cannot be used."""
    new = offered.needed.intersection(faults)
    return new if any(faults[check_id] for check_id in new) else offered.needed


def _too_few(usable: Sequence[tuple[FacePhoto, Offered]], chosen: FaceDataset, least: int) -> dict[str, str]:
    """Reasons for usable checks that are left out because their person has too few photos."""
    there = {photo.identity for of_side in chosen.photos.values() for photo in of_side}
    why = f"{least} or more distinct photos of one person are needed (RETRAIN_FACE_MIN_PHOTOS)"
    return {one.check_id: why for photo, one in usable if not one.is_impostor and photo.identity not in there}


def _impostors(usable: Sequence[tuple[FacePhoto, Offered]], chosen: FaceDataset) -> tuple[FacePhoto, ...]:
    """Impostors of people who are learned from; never a picture that sets a threshold or judges a model, whoever is
    said to be on it.
    """
    learned = {photo.identity for photo in chosen.photos[Side.TRAIN]}
    judging = {photo.phash for side in (Side.CALIBRATE, Side.TEST) for photo in chosen.photos[side]}
    found = [photo for photo, one in usable if one.is_impostor]
    return tuple(photo for photo in found if photo.identity in learned and photo.phash not in judging)


def _through(offer: Offer, looked: Sequence[_Looked]) -> str:
    """As tasks have it: what could not be used at the end comes again. What failed before something that was used does
    not: a photo that is gone for good would wait for ever.
    """
    used = (one.offered.confirmed_at for one in looked if one.found is not None)
    newest = max(filter(None, (offer.through, *used)), default=None)
    return newest.isoformat() if newest else ""


def _left_out(one: _Looked, found: Unfit) -> _Looked:
    place = one.offered.place
    if place in found.lost:
        return _Looked(one.offered, None, found.lost[place])
    return replace(one, is_copied=True) if one.found and one.found.photo_id in found.copied else one


def collected(making: FaceMaking, run_id: str) -> FaceDataset:
    """The run's dataset. Raises `GiveUp` before there is one."""
    found = manifest_of(making, run_id)
    if found is None:
        raise GiveUp(f"run {run_id} has no photos yet: collect them first")
    return found.dataset


def _delete_what_tries_left(making: FaceMaking, forgotten: Forgotten, looked: Sequence[_Looked]) -> None:
    """Cleans up after tries of any run: one that was killed may have named and embedded a person who was erased
    meanwhile.
    """
    bases = {making.network.sha256}
    for stored in stored_faces(making):
        take_out(making, stored, forgotten)
        bases.add(stored.dataset.base_sha256)
    shown = {one.found.photo_id for one in looked if one.found and forgotten.takes(one.found)}
    gone = [vector_in(making, base, one) for base in sorted(bases) for one in shown | forgotten.photo_ids]
    deque(several_at_once(making.objects.delete, gone), maxlen=0)


def _settle_drafts(making: FaceMaking, made: StoredFaces) -> None:
    """A draft is deleted once the dataset names its vectors; other drafts stay while their vectors exist, so that those
    are found.
    """
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
    """Vectors of every photo of the dataset. Raises `PhotosErased` when somebody in it was erased since it was read."""
    ids = [photo.photo_id for photo in dataset.every_photo()]
    uris = (vector_in(making, dataset.base_sha256, photo_id) for photo_id in ids)
    try:
        return dict(zip(ids, several_at_once(making.objects.read, uris), strict=True))
    except KeyError as gone:
        raise PhotosErased(dataset.dataset_id, [str(gone.args[0]).rpartition("/")[2]]) from None


def _looking(making: FaceMaking) -> Looking[Offered, _Looked]:
    return Looking(lambda one: _look_at(one, making), lambda one, fault: _Looked(one, None, fault), gives)


def _look_at(one: Offered, making: FaceMaking) -> _Looked:
    try:
        identity = identity_of(one.name)
        if one.known is not None:
            photo_id, phash, quality = one.known.photo_id, one.known.phash, one.known.quality
        else:
            print_ = making.inspector.fingerprint(one.read())
            if print_.fault:
                return _Looked(one, None, print_.fault)
            photo_id, phash = print_.sha256, f"{print_.phash:016x}"
            quality = quality_of(print_.brightness, print_.sharpness)
    except (PhotoRefused, ValueError) as error:
        return _Looked(one, None, str(error))
    said = (one.branch, one.check_id, one.corrects, one.camera)
    return _Looked(one, FacePhoto(photo_id, identity, phash, one.taken_at, *said, quality, one.shows))


def _sorted_out(
    looked: Sequence[_Looked], forgotten: Forgotten
) -> tuple[list[tuple[FacePhoto, Offered]], list[SetAside]]:
    """Usable photos with their sources, and those that cannot be used. A picture filed under two people belongs to
    nobody.
    """
    pictures = Pictures(one.found for one in looked if one.found and not one.offered.is_impostor)
    usable: list[tuple[FacePhoto, Offered]] = []
    aside: list[SetAside] = []
    for one in looked:
        if one.found is not None and forgotten.takes(one.found):
            # Not even the folder name of an erased person is kept.
            continue
        if one.found is None:
            aside.append(SetAside(one.offered.place, one.fault, shows=one.offered.shows))
        elif not one.offered.is_impostor and (one.is_copied or pictures.of_several(one.found)):
            why = "the same picture is filed under another person, too"
            aside.append(SetAside(one.offered.place, why, one.found.photo_id, one.found.shows))
        elif one.offered.is_impostor and pictures.of_person(one.found):
            why = "it shows what a photo of the person shows that it is said not to show"
            aside.append(SetAside(one.offered.place, why, one.found.photo_id, one.found.shows))
        else:
            usable.append((one.found, one.offered))
    return usable, aside
