"""What a page about the models is made of; nothing is written."""

from collections.abc import Sequence
from typing import Protocol

from pipeline.domain.history import History
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.overview import Answer, Judged, Page, Sighting, Unpublished, Voice
from pipeline.domain.withholding import Withheld
from pipeline.domain.worth import Reviewed


class Sightings(Protocol):
    """What people ask on the page; each query is bounded, however much has gathered over the years."""

    def last(self, model_type: ModelType) -> Sighting | None:
        """The monitor's last look."""

    def within(self, model_type: ModelType, period: Period, *, most: int) -> Sequence[Sighting]:
        """Looks of the monitor, oldest first: of many, the last one of each of `most` equal spans of the period."""

    def answers(self, model_type: ModelType, *, most: int) -> Sequence[Answer]:
        """The retraining policy's, newest first."""

    def unpublished(self) -> Unpublished: ...

    def withheld(self) -> Sequence[Withheld]:
        """What people set aside and nobody gave back, newest first."""

    def voices(self, history: History, period: Period, *, most: int) -> Sequence[Voice]:
        """Of the versions that served last, then of the reviewers and branches with most corrections in the period,
        each up to `most`; of very many the newest are counted, and none that is set aside already.
        """

    def reviews(self) -> Sequence[Reviewed]:
        """All confirmations that count and name the version whose verdict they are about."""

    def page(self, model_type: ModelType, *, most: int, skip: int) -> Page:
        """What was judged or got a number, newest first."""

    def judged(self, model_type: ModelType, version: str) -> Judged | None:
        """One version; None for one that is not registered."""
