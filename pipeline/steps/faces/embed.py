"""Run photos through the frozen network, keep each vector once, and find by them what is filed under two people."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.errors import PhotoRefused
from pipeline.domain.faces.copies import copies, photos_of
from pipeline.domain.faces.dataset import FaceDataset
from pipeline.domain.faces.identities import FacePhoto
from pipeline.ports.faces import FaceMaking, Vectors
from pipeline.steps.downloads import several_at_once
from pipeline.steps.faces.stored_faces import drafted, vector_in, vectors_in
from pipeline.steps.one_by_one import Looking, looked_at

OnPhoto = Callable[[int, int], None]
_AT_ONCE = 32


class Source(Protocol):
    """Where a photo is read; `place` is for people. An impostor is filed under somebody else on purpose."""

    @property
    def place(self) -> str: ...

    @property
    def read(self) -> Callable[[], bytes]: ...

    @property
    def is_impostor(self) -> bool: ...


@dataclass(frozen=True)
class Unfit:
    """What a dataset may not be made of: by place, why a photo is no longer the one that was looked at; by id, photos
    that are filed under two people, saved again for one of them.
    """

    lost: Mapping[str, str]
    copied: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.lost or self.copied)


def unfit(
    making: FaceMaking, run_id: str, dataset: FaceDataset, from_: Mapping[FacePhoto, Source], on_photo: OnPhoto
) -> Unfit:
    """Of the dataset, whose photos have their vectors then; `from_` are all that were looked at, chosen or not."""
    sources = {photo.photo_id: source for photo, source in from_.items()}
    drafted(making, run_id, dataset)
    if lost := embed(making, sources, dataset, on_photo):
        return Unfit(lost)
    near = dataset.nearly_one_picture([photo for photo, source in from_.items() if not source.is_impostor])
    compared = photos_of(near)
    beside = dataset.beside(compared)
    if beside.every_photo():
        drafted(making, run_id, beside)
        if lost := embed(making, sources, beside, on_photo):
            return Unfit(lost)
    return Unfit({}, copies(near, vectors_by(making, dataset.base_sha256, compared)))


def vectors_by(making: FaceMaking, base_sha256: str, photos: Sequence[FacePhoto]) -> Vectors:
    """What a network said of these photos, for whatever dataset, as far as it is kept."""

    def read(photo: FacePhoto) -> bytes:
        try:
            return making.objects.read(vector_in(making, base_sha256, photo.photo_id))
        except KeyError:
            return b""

    found = zip(photos, several_at_once(read, photos), strict=True)
    return {photo.photo_id: vector for photo, vector in found if vector}


def embed(
    making: FaceMaking, from_: Mapping[str, Source], dataset: FaceDataset, on_photo: OnPhoto
) -> Mapping[str, str]:
    """Computes missing vectors; a killed run goes on where it was. Returns, by place, why a photo is no longer the one
    that was looked at.
    """
    chosen = dataset.every_photo()
    lost: dict[str, str] = {}
    for start in range(0, len(chosen), _AT_ONCE):
        batch = chosen[start : start + _AT_ONCE]
        there = several_at_once(making.objects.exists, vectors_in(making, dataset, batch))
        missing = [photo for photo, known in zip(batch, there, strict=True) if not known]
        read = _read(missing, from_, chosen, lost)
        vectors = making.network.embed(list(read.values())) if read else ()
        for uri, vector in zip(vectors_in(making, dataset, list(read)), vectors, strict=True):
            making.objects.write(uri, vector)
        on_photo(start + len(batch), len(chosen))
    return lost


def gives(one: Source) -> bool:
    """Whether storage gives out this photo; False of one of a folder that nobody names any more. Raises
    `ServiceUnavailable`.
    """
    try:
        one.read()
    except PhotoRefused:
        return False
    return True


def _read(
    missing: Sequence[FacePhoto], from_: Mapping[str, Source], chosen: Iterable[FacePhoto], lost: dict[str, str]
) -> dict[FacePhoto, bytes]:
    """A photo that somebody removes or changes between two looks counts as one that was never there."""

    def look(photo: FacePhoto) -> bytes | None:
        one = from_[photo.photo_id]
        try:
            return demand_unaltered(one.read(), photo.photo_id, one.place, PhotoRefused)
        except PhotoRefused as error:
            set_aside(photo, str(error))
            return None

    def set_aside(photo: FacePhoto, fault: str) -> None:
        lost[from_[photo.photo_id].place] = fault

    looking = Looking(look, set_aside, lambda photo: gives(from_[photo.photo_id]))
    bodies = looked_at(missing, looking, beside=chosen)
    return {photo: body for photo, body in zip(missing, bodies, strict=True) if body is not None}
