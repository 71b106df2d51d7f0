"""Run every photo of a dataset through the frozen network, and keep each vector once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.errors import PhotoRefused
from pipeline.domain.faces.dataset import FaceDataset
from pipeline.domain.faces.identities import FacePhoto
from pipeline.ports.faces import FaceMaking
from pipeline.steps.downloads import several_at_once
from pipeline.steps.faces.stored_faces import vectors_in
from pipeline.steps.one_by_one import Looking, looked_at

OnPhoto = Callable[[int, int], None]
_AT_ONCE = 32


class Source(Protocol):
    """Where a photo is read; `place` is for people."""

    @property
    def place(self) -> str: ...

    @property
    def read(self) -> Callable[[], bytes]: ...


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
