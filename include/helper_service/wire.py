"""What the Helper service's HTTP interface takes and gives."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, AwareDatetime, Field

from include.helper_service.learned import Learned
from include.helper_service.reviews import Offer, Progress, Review, Said
from include.helper_service.tasks import Task
from include.stand_in.wire import Id, Name, PhotoUrl, Reason, Wire

Label = Literal["양호", "불량"]
LABELS: tuple[str, ...] = get_args(Label)
_LONGEST_REVIEW_SECONDS = 120
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
# A browser's clock in the wrong zone is up to 14 hours ahead.
_MOST_AHEAD = timedelta(days=1)


def _near_now(at: datetime) -> datetime:
    """PostgreSQL keeps years that Python cannot read back."""
    if not _EARLIEST <= at <= datetime.now(UTC) + _MOST_AHEAD:
        raise ValueError(f"must lie between {_EARLIEST.date()} and now")
    return at


class NewTask(Wire):
    task_id: Id
    helper_id: Id
    photo_url: PhotoUrl
    branch_id: Name | None = None


class ConfirmRequest(Wire):
    """Body of the specification's `POST /helper/tasks/{taskId}/confirm`."""

    final_result: Label
    ai_result: Label
    corrected: bool
    correction_reason: Reason | None = None


class TaskView(Wire):
    task_id: str
    helper_id: str
    photo_url: str
    ai_result: str
    model_version: str | None
    confidence: float | None
    branch_id: str | None
    final_result: str | None
    corrected: bool | None
    correction_reason: str | None
    likeliest_reasons: Sequence[str]

    @classmethod
    def of(cls, task: Task) -> Self:
        return cls(**{name: value for name, value in vars(task).items() if name != "confirmed_at"})


class ReviewRequest(Wire):
    """What a person says of a photo; what the AI said is known here, and whether that corrects it.

    `reviewSeconds` is how long the photo was in sight; a page that lay open counts as two minutes.
    """

    reviewer_id: Name
    branch_id: Name | None = None
    final_result: Label
    correction_reason: Reason | None = None
    review_seconds: float = Field(ge=0, allow_inf_nan=False)
    shown_at: Annotated[AwareDatetime, AfterValidator(_near_now)]

    @property
    def said(self) -> Said:
        seconds = min(self.review_seconds, _LONGEST_REVIEW_SECONDS)
        return Said(self.final_result, self.correction_reason, seconds, self.shown_at)


class ReviewView(Wire):
    """The word can be taken back until `leavesAt`; `corrected` is null while the verdict is hidden."""

    review_id: str
    leaves_at: datetime
    corrected: bool | None

    @classmethod
    def of(cls, review: Review) -> Self:
        return cls(**vars(review))


class OfferView(Wire):
    """Of a hidden verdict nothing is told. `likeliestReasons` are what a correction would be about, likeliest first."""

    task_id: str
    photo: str
    opinion: Literal["first", "second", "third"]
    verdict_hidden: bool
    ai_result: str | None
    confidence: float | None
    model_version: str | None
    likeliest_reasons: Sequence[str]

    @classmethod
    def of(cls, offer: Offer) -> Self:
        task, shown = offer.task, not offer.verdict_hidden
        return cls(
            task_id=task.task_id,
            photo=f"/helper/tasks/{task.task_id}/photo",
            opinion=offer.opinion,  # type: ignore[arg-type]
            verdict_hidden=offer.verdict_hidden,
            ai_result=task.ai_result if shown else None,
            confidence=task.confidence if shown else None,
            model_version=task.model_version if shown else None,
            likeliest_reasons=task.likeliest_reasons if shown else (),
        )


class ProgressView(Wire):
    waiting: int
    reviewed_today: int
    corrected_today: int
    branch_today: int
    branch_most: int

    @classmethod
    def of(cls, progress: Progress) -> Self:
        return cls(**vars(progress))


class QueueView(Wire):
    tasks: list[OfferView]
    progress: ProgressView
    labels: tuple[str, ...] = LABELS
    undo_seconds: float


class ServingView(Wire):
    """How many replicas answer with each version; `silent` ones do not answer, or serve nothing."""

    replicas: dict[str, int]
    silent: int

    @classmethod
    def of(cls, versions: Collection[str | None]) -> Self:
        answering = Counter(version for version in versions if version)
        return cls(replicas=dict(sorted(answering.items())), silent=len(versions) - answering.total())


class LearnedView(Wire):
    """How many of the reviewer's corrections the model that serves `since` then has learned from."""

    model_version: str
    since: datetime
    corrections: int

    @classmethod
    def of(cls, learned: Learned) -> Self:
        return cls(**vars(learned))
