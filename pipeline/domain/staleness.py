"""What it costs to go on with an older model: earlier versions on the newest photos (The ML Test Score, M4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.bounds import AtLeastOne, Count, PositiveDays
from pipeline.domain.checks import Prediction
from pipeline.domain.dataset import Photo
from pipeline.domain.models import ModelVersion
from pipeline.domain.statistics import Interval, wilson


@dataclass(frozen=True)
class StalenessPolicy:
    """How many versions and photos are asked to learn what staleness costs; nothing is decided by it."""

    versions: Count = 3
    """Versions that served before the champion that are asked about the newest photos too; 0: none."""
    days: PositiveDays = 7.0
    """Age of the newest photos, counted back from the newest of all."""
    photos: AtLeastOne = 200
    """Newest photos that they are asked about, at most."""

    def newest(self, photos: Sequence[Photo]) -> list[Photo]:
        """Newest first."""
        by_age = sorted(photos, key=lambda photo: (_confirmed(photo), photo.task_id), reverse=True)
        if not by_age:
            return []
        begin = _confirmed(by_age[0]) - timedelta(days=self.days)
        return [photo for photo in by_age if _confirmed(photo) >= begin][: self.photos]


@dataclass(frozen=True)
class OnNewest:
    """How many of the newest photos `version` judges right; empty for the candidate, which has no number yet.

    `age_days` lie between its training and the newest photo. `fault` says why it could not be asked.
    """

    version: str
    age_days: float
    photos: int
    right: int
    fault: str = ""

    @property
    def interval(self) -> Interval:
        return wilson(self.right, self.photos)


def on_newest(
    version: ModelVersion | None, photos: Sequence[Photo], said: Sequence[Prediction], fault: str = ""
) -> OnNewest:
    """A version of None is the candidate, which was trained a moment ago. Of `said`, only answers about
    `photos` count.
    """
    asked = {photo.task_id for photo in photos}
    about = [one for one in said if one.task_id in asked]
    age = _confirmed(photos[0]) - version.trained_at if version else timedelta()
    return OnNewest(
        version.version if version else "",
        max(timedelta(), age) / timedelta(days=1),
        len(about),
        sum(one.right for one in about),
        fault,
    )


def _confirmed(photo: Photo) -> datetime:
    return datetime.fromisoformat(photo.confirmed_at)
