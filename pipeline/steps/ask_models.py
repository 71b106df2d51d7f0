"""Ask a model about photos whose verdict people confirmed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.domain.checks import Prediction
from pipeline.domain.dataset import Photo
from pipeline.ports.data import PhotoStore
from pipeline.ports.verification import Trial
from pipeline.steps.downloads import several_at_once


@dataclass(frozen=True)
class Asked:
    """Photos to ask about, each with its bytes."""

    rows: Sequence[Photo]
    bodies: Sequence[bytes]

    @cached_property
    def by_task(self) -> dict[str, Photo]:
        return {row.task_id: row for row in self.rows}


def fetched(rows: Sequence[Photo], photos: PhotoStore) -> Asked:
    return Asked(rows, list(several_at_once(lambda row: photos.read(row.photo_url), rows)))


def predict(trial: Trial, asked: Asked) -> tuple[Prediction, ...]:
    """What the model on trial says of each photo, beside what people said."""
    labels = trial.classify(asked.bodies)
    return tuple(Prediction(row.task_id, row.label, said) for row, said in zip(asked.rows, labels, strict=True))
