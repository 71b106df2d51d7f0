"""Ask a model about photos whose verdict people confirmed, one photo after the other: only a few are in memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.checks import Prediction
from pipeline.domain.checksums import sha256
from pipeline.domain.dataset import Photo
from pipeline.domain.errors import DatasetRefused, PhotoMissing, PhotoRefused
from pipeline.ports.data import PhotoStore
from pipeline.ports.verification import Trial
from pipeline.steps.look_at import gives
from pipeline.steps.one_by_one import Looking, looked_at

# Hardly any photo disappears right after it was frozen; where many did, the rest is no fair sample.
_MAX_GONE_SHARE = 0.05
_SHOWN = 5


@dataclass(frozen=True)
class Answers:
    """A model's answers, in the order of the rows; `gone` are photos that can no longer be fetched, and why."""

    said: tuple[Prediction, ...]
    gone: Mapping[str, str]

    def but(self, gone: Mapping[str, str]) -> tuple[Prediction, ...]:
        return tuple(p for p in self.said if p.task_id not in gone)


def ask(trial: Trial, rows: Sequence[Photo], photos: PhotoStore) -> Answers:
    """The model's answer for each photo, beside what people said."""
    asked: list[Photo] = []
    gone: dict[str, str] = {}

    def bodies() -> Iterator[bytes]:
        for row, body, fault in still_there(rows, photos):
            if body is None:
                gone[row.task_id] = fault
            else:
                asked.append(row)
                yield body

    labels = trial.classify(bodies())
    said = (Prediction(row.task_id, row.label, label) for row, label in zip(asked, labels, strict=True))
    return Answers(tuple(said), gone)


def still_there(
    rows: Sequence[Photo], photos: PhotoStore, beside: Iterable[Photo] = ()
) -> Iterator[tuple[Photo, bytes | None, str]]:
    """Each photo with its bytes, or with the reason why it is not the photo that was frozen. `beside` is as in
    `looked_at`.
    """

    def read(row: Photo) -> tuple[Photo, bytes | None, str]:
        try:
            body = photos.read(row.photo_url)
        except (PhotoMissing, PhotoRefused) as error:
            return row, None, str(error)
        if sha256(body) != row.sha256:
            return row, None, "it is another photo than the one that was collected"
        return row, body, ""

    looking = Looking(read, lambda row, fault: (row, None, fault), lambda row: gives(photos, row.photo_url))
    return looked_at(rows, looking, beside)


def demand_most(rows: Sequence[Photo], gone: Mapping[str, str]) -> None:
    """Raises `DatasetRefused` when so many photos went that the others are no fair sample."""
    if len(gone) > len(rows) * _MAX_GONE_SHARE:
        named = "; ".join(f"{task_id}: {fault}" for task_id, fault in list(gone.items())[:_SHOWN])
        raise DatasetRefused(
            f"{len(gone)} of {len(rows)} photos to judge by cannot be had any more ({_MAX_GONE_SHARE:.0%} allowed): "
            f"{named}; bring them back, or start a retraining, which collects new ones"
        )


@dataclass(frozen=True)
class Asked:
    """The bytes of a few photos, for asking about them repeatedly."""

    bodies: Sequence[bytes]


def fetched(rows: Sequence[Photo], photos: PhotoStore) -> Asked:
    """The photos that can still be fetched."""
    return Asked([body for _, body, _ in still_there(rows, photos) if body is not None])
