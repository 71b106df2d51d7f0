"""What the frozen network says of each photo of a dataset, kept once."""

from collections.abc import Callable, Mapping
from typing import Protocol

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.errors import PhotoRefused
from pipeline.domain.faces.dataset import FaceDataset
from pipeline.domain.faces.identities import FacePhoto
from pipeline.ports.faces import FaceMaking
from pipeline.steps.downloads import several_at_once
from pipeline.steps.faces.stored_faces import vectors_in

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


def _read(one: Source, photo: FacePhoto, lost: dict[str, str]) -> bytes | None:
    """One that somebody takes away, or changes, between two looks is as one that was never there."""
    try:
        return demand_unaltered(one.read(), photo.photo_id, one.place, PhotoRefused)
    except PhotoRefused as error:
        lost[one.place] = str(error)
        return None
