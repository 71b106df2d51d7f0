"""How often people are refused wrongly and let in wrongly, as others say who saw it (ADR 0017).

Nobody sees whom a door let in wrongly and nobody asked about: the second rate is of those that a person looked at, a
proxy. Both say how sure they are by people: of one who comes every day a hundred checks are one piece of evidence.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.domain.statistics import Interval, wilson

# Where fewer people than these failed (or all but so few), how unlike they are cannot be seen: then each counts once.
_FEW_PEOPLE = 20


@dataclass(frozen=True)
class FaceTally:
    """Checks about one person that one version answered, each by its last confirmation.

    `genuine` showed the person, of which `refused` were refused; `accepted` were let in as the person, of which `wrong`
    showed somebody else.
    """

    version: str
    person: str
    genuine: int
    refused: int
    accepted: int
    wrong: int


@dataclass(frozen=True)
class Rate:
    """`failed` of `checks`, about so many `people`; the interval is of 95 %, [0, 1] without a check."""

    failed: int
    checks: int
    people: int
    interval: Interval

    @property
    def share(self) -> float | None:
        return self.failed / self.checks if self.checks else None


@dataclass(frozen=True)
class LiveFaceRates:
    version: str
    wrongly_refused: Rate
    wrongly_accepted: Rate


def live_rates(tallies: Iterable[FaceTally]) -> tuple[LiveFaceRates, ...]:
    """Of each version, by its name."""
    of_version: dict[str, list[FaceTally]] = {}
    for tally in tallies:
        of_version.setdefault(tally.version, []).append(tally)
    return tuple(
        LiveFaceRates(
            version,
            rate_of_people([(one.refused, one.genuine) for one in found]),
            rate_of_people([(one.wrong, one.accepted) for one in found]),
        )
        for version, found in sorted(of_version.items())
    )


def rate_of_people(counts: Sequence[tuple[int, int]]) -> Rate:
    """Each of `counts` is one person's (failed, checks)."""
    asked = [(failed, checks) for failed, checks in counts if checks]
    failed, checks = (sum(one[n] for one in asked) for n in (0, 1))
    evidence = _pieces_of_evidence(asked, failed, checks)
    interval = wilson(evidence * failed / checks, evidence) if checks else Interval(0.0, 1.0)
    return Rate(failed, checks, len(asked), interval)


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
