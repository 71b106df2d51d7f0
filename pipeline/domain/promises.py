"""What the verdict on the champion promised, and how well the promise is kept (design D22).

Many corrections only say that many people work. A model has become worse when there are more of them than its verdict
led to expect: the *avoidable misclassifications* of Modyn (Böther et al., 2023).
"""

import math
from dataclasses import dataclass

from pipeline.domain.blessing import Blessing
from pipeline.domain.checks import CheckName
from pipeline.domain.statistics import wilson


@dataclass(frozen=True)
class Promise:
    """`version` was wrong on the share `error` (0-1) of `photos` photos of the holdout, by which nothing was chosen."""

    version: str
    error: float
    photos: int

    @classmethod
    def of(cls, version: str, verdict: Blessing | None) -> "Promise | None":
        """None where the verdict has no such figure."""
        checks = verdict.checks if verdict else ()
        found = next((c for c in checks if c.name == CheckName.HOLDOUT_ACCURACY), None)
        if found is None or found.value is None or not math.isfinite(found.value) or found.support < 1:
            return None
        return cls(version, 1 - found.value, found.support)

    @property
    def at_most(self) -> float:
        """The error that is not exceeded with 95 % confidence: a share measured on few photos promises little."""
        return wilson(round(self.error * self.photos), self.photos).high

    def __str__(self) -> str:
        return f"{self.at_most:.1%} at most were promised ({self.error:.1%} of {self.photos} holdout photos)"


@dataclass(frozen=True)
class Lately:
    """`corrected` of the `confirmed` verdicts of the last `hours` that the version of the promise gave."""

    promise: Promise
    confirmed: int
    corrected: int
    hours: float

    def surely_worse(self, confidence: float) -> bool:
        """Whether the error is surely larger than promised; `confidence` 0-1 is that of the interval."""
        return wilson(self.corrected, self.confirmed, confidence).low > self.promise.at_most

    def __str__(self) -> str:
        share = f" ({self.corrected / self.confirmed:.1%})" if self.confirmed else ""
        return (
            f"of {self.confirmed} verdicts of {self.promise.version} confirmed within {self.hours:g} hours "
            f"{self.corrected} were corrected{share}, and {self.promise}"
        )
