"""How often people are refused wrongly and let in wrongly, according to people who saw it (ADR 0017).

Nobody sees whom a door let in wrongly and nobody asked about: the second rate is of those that a person looked at, a
proxy. Both say how sure they are by people: of one who comes every day a hundred checks are one piece of evidence.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.domain.statistics import (
    Interval,
    binomial_lower_bound,
    binomial_tail,
    binomial_upper_bound,
    difference,
    wilson,
)

# Where fewer people than this failed, or all but so few, their variance cannot be estimated: then each counts once.
_FEW_PEOPLE = 20
# Rounding error of a share times a count, which is a whole number.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class FaceTally:
    """Checks about one person that one version answered, each by its last confirmation.

    `genuine` asked whether it is the person (1:1) and showed them, of which `refused` were refused; `accepted` were let
    in as the person, of which `wrong` showed somebody else. `sought` asked who it is (1:N) and showed the person: of
    them `unnamed` were refused, whoever looked most like the photo, and `misnamed` were let in as somebody else. How
    many are unnamed depends on how many are enrolled, so it takes no model down.

    Whom the model took for another is among the `sought` alone, where a person said who stood there. By the others
    versions are compared, and how often that is said changes from one to the next.
    """

    version: str
    person: str
    genuine: int
    refused: int
    accepted: int
    wrong: int
    sought: int = 0
    unnamed: int = 0
    misnamed: int = 0


@dataclass(frozen=True)
class Rate:
    """`failed` of `checks`, about this many `people`, which is worth `evidence` independent checks."""

    failed: int
    checks: int
    people: int
    evidence: float

    @property
    def share(self) -> float | None:
        return self.failed / self.checks if self.checks else None

    @property
    def interval(self) -> Interval:
        """Two-sided, of 95 %; [0, 1] without a check."""
        return self.sure(0.95)

    def sure(self, confidence: float) -> Interval:
        return wilson(*self._independent, confidence)

    def more_than(self, other: "Rate", confidence: float) -> Interval:
        """Two-sided interval of how much larger this share is. Raises `ZeroDivisionError` where one has no check."""
        return difference(self._independent, other._independent, confidence)

    def surely_above(self, bar: float, confidence: float) -> bool:
        """By an exact test (Clopper and Pearson 1934), two-sided as `sure`: of few people Wilson's interval is several
        times surer than it says, and a version is taken down for this.
        """
        if self.share is None or self.share <= bar:
            return False
        return binomial_tail(*self._at_fewest, bar) <= (1 - confidence) / 2

    def surely_more_than(self, other: "Rate", by: float, confidence: float) -> bool:
        """As `more_than`, of exact intervals: for what a version is taken down for."""
        if self.share is None or other.share is None or self.share - other.share <= by:
            return False
        one_sided = (1 + confidence) / 2
        below = self.share - binomial_lower_bound(*self._at_fewest, one_sided)
        above = binomial_upper_bound(*other._at_most, one_sided) - other.share
        return self.share - other.share - math.hypot(below, above) > by

    # Exact tests count whole checks: rounded so that what they are surely above, or below, is never more.

    @property
    def _at_fewest(self) -> tuple[int, int]:
        failed, checks = self._independent
        return math.floor(failed + _ROUNDING), math.ceil(checks - _ROUNDING)

    @property
    def _at_most(self) -> tuple[int, int]:
        failed, checks = self._independent
        at_most = math.ceil(failed - _ROUNDING)
        return at_most, max(at_most, math.floor(checks + _ROUNDING))

    @property
    def _independent(self) -> tuple[float, float]:
        return self.evidence * (self.share or 0.0), self.evidence


NOTHING_SAID = Rate(0, 0, 0, 0.0)


@dataclass(frozen=True)
class LiveFaceRates:
    """`unnamed` (false non-identification) and `misnamed` (wrong identity) are of checks that asked who it is, and of
    which a person said whom they showed; of the unnamed those who were likest to themselves are among the
    wrongly refused, too.
    """

    version: str
    wrongly_refused: Rate
    wrongly_accepted: Rate
    unnamed: Rate = NOTHING_SAID
    misnamed: Rate = NOTHING_SAID


def live_rates(tallies: Iterable[FaceTally]) -> tuple[LiveFaceRates, ...]:
    """Rates of each version, by its name."""
    found = list(tallies)
    return tuple(rates_of(version, found) for version in sorted({one.version for one in found}))


def rates_of(version: str, tallies: Iterable[FaceTally]) -> LiveFaceRates:
    """Rates of one version; what was said of others is left out."""
    found = [one for one in tallies if one.version == version]
    return LiveFaceRates(
        version,
        rate_of_people([(one.refused, one.genuine) for one in found]),
        rate_of_people([(one.wrong, one.accepted) for one in found]),
        rate_of_people([(one.unnamed, one.sought) for one in found]),
        rate_of_people([(one.misnamed, one.sought) for one in found]),
    )


def rate_of_people(counts: Sequence[tuple[int, int]]) -> Rate:
    """Each of `counts` is one person's (failed, checks)."""
    asked = [(failed, checks) for failed, checks in counts if checks]
    failed, checks = (sum(one[n] for one in asked) for n in (0, 1))
    return Rate(failed, checks, len(asked), _pieces_of_evidence(asked, failed, checks))


def _pieces_of_evidence(asked: Sequence[tuple[int, int]], failed: int, checks: int) -> float:
    """How many independent checks would say as much: Wilson's interval with the variance between people, as Fogliato,
    Patil and Perona, "Confidence Intervals for Error Rates in 1:1 Matching Tasks" (2023). What it keeps of its promise:
    `tests/unit/pipeline/domain/faces/test_live.py`.
    """
    share = failed / checks if checks else 0.0
    between = math.fsum((one - share * of) ** 2 for one, of in asked)
    alone = share * (1 - share) * checks
    pieces = checks * min(1.0, alone / between) if between else float(checks)
    unlike = min(sum(one > 0 for one, _ in asked), sum(one < of for one, of in asked))
    return min(pieces, len(asked)) if unlike < _FEW_PEOPLE else pieces
