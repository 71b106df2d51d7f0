"""How right the champion is on what people confirm, what they confirmed, and what models say whatever people say of it.

The last is a hint that photos, or a branch, have changed before anybody can tell how often the model is right. It
decides nothing.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from statistics import StatisticsError, correlation

from pipeline.domain.events import LABELS
from pipeline.domain.facts import Fact, label_of
from pipeline.domain.live_accuracy import LiveAccuracyPolicy, State
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.statistics import wilson

_OTHER, _NONE = "other", "none"
# Each of these has series for every version and label; all remaining branches share one.
MOST_BRANCHES = 20
# With fewer versions, chance alone makes any correlation.
_CORRELATED = 5


@dataclass(frozen=True)
class Confirmed:
    """Confirmations of one kind since the beginning; `version` is empty where the message named none.

    `reviews_timed` of them said how long the review took, `review_seconds` altogether.
    """

    version: str
    final_result: str
    corrected: bool
    stored: int
    reviews_timed: int
    review_seconds: float


@dataclass(frozen=True)
class Predicted:
    """Verdicts of one kind since the beginning; `branch` is empty where the message named none.

    `rated` of them said how sure the model was, `confidence` (0-1 each) altogether.
    """

    version: str
    branch: str
    label: str
    stored: int
    rated: int
    confidence: float


class Branches:
    """Which branches have series of their own: those with most verdicts, and once one has, it keeps them.

    Were the largest chosen anew each time, what is counted of all others would fall when one grows out of them, and
    whoever reads the counter would take that for a beginning anew.
    """

    def __init__(self) -> None:
        self._named: tuple[str, ...] = ()

    def named(self, counted: Sequence[Predicted]) -> tuple[str, ...]:
        """The branches with series of their own, at most `MOST_BRANCHES`."""
        sizes = Counter[str]()
        for one in counted:
            # A branch whose name is that of the series for the rest, or for no branch, counts with the rest.
            if one.branch not in {"", _OTHER, _NONE, *self._named}:
                sizes[one.branch] += one.stored
        more = sorted(sizes, key=lambda branch: (-sizes[branch], branch))
        self._named = (*self._named, *more)[:MOST_BRANCHES]
        return self._named


@dataclass(frozen=True)
class LookedAt:
    """The monitor's newest look at `version`."""

    version: str
    at: datetime
    state: State
    confirmed: int
    agreed: int
    blind_confirmed: int
    blind_agreed: int


def of_look(model_type: ModelType, look: LookedAt, policy: LiveAccuracyPolicy) -> Iterator[Fact]:
    """Accuracy is told once there are enough confirmations; its interval is told always."""
    labels = (label_of(model_type), look.version)
    yield Fact("live_accuracy_looked_timestamp_seconds", labels[:1], look.at.timestamp())
    for state in State:
        yield Fact("live_accuracy_state", (*labels, state), state is look.state)
    tallies = {"observed": (look.confirmed, look.agreed), "blind": (look.blind_confirmed, look.blind_agreed)}
    for kind, (confirmed, agreed) in tallies.items():
        yield Fact("live_confirmations", (*labels, kind), confirmed)
        if not confirmed or look.state is State.UNKNOWN:
            continue
        interval = wilson(agreed, confirmed)
        yield Fact("live_accuracy_low_ratio", (*labels, kind), interval.low)
        yield Fact("live_accuracy_high_ratio", (*labels, kind), interval.high)
        if confirmed >= policy.min_confirmations:
            yield Fact("live_accuracy_ratio", (*labels, kind), agreed / confirmed)


def of_gaps(model_type: ModelType, looks: Sequence[LookedAt], judged: Sequence[ModelVersion]) -> Iterator[Fact]:
    """By how much verification's accuracy of each version exceeds live accuracy, and whether both rank
    versions alike.
    """
    gate = {version.version: version.accuracy for version in judged if math.isfinite(version.accuracy)}
    live = {look.version: look.agreed / look.confirmed for look in looks if look.state is not State.UNKNOWN}
    both = [(version, gate[version], live[version]) for version in live if version in gate]
    for version, verified, confirmed in both:
        yield Fact("gate_vs_live_gap_ratio", (label_of(model_type), version), verified - confirmed)
    if len(both) >= _CORRELATED:
        # Undefined where one of the two is the same for all versions.
        with suppress(StatisticsError):
            told = correlation([verified for _, verified, _ in both], [confirmed for _, _, confirmed in both])
            yield Fact("gate_vs_live_correlation", (label_of(model_type),), told)


def of_confirmations(
    model_type: ModelType, counted: Sequence[Confirmed], *, shown: Collection[str], registered: Collection[str]
) -> Iterator[Fact]:
    """Of registered versions those that are `shown`: the others get no confirmations any more.

    Each begins with 0: of a counter that begins with 1 nobody sees the rise.
    """
    model = label_of(model_type)
    sums = Counter({of: 0 for of in product((*shown, _OTHER), LABELS, ("true", "false"))})
    for one in counted:
        version = one.version if one.version in registered else _OTHER
        if version in shown or version == _OTHER:
            result = one.final_result if one.final_result in LABELS else _OTHER
            sums[version, result, str(one.corrected).lower()] += one.stored
    for (version, result, corrected), stored in sorted(sums.items()):
        yield Fact("confirmations_total", (model, version, result, corrected), stored)
    yield Fact("reviews_timed_total", (model,), sum(one.reviews_timed for one in counted))
    yield Fact("review_seconds_total", (model,), sum(one.review_seconds for one in counted))


def of_predictions(
    model_type: ModelType, counted: Sequence[Predicted], *, shown: Collection[str], branches: Branches
) -> Iterator[Fact]:
    """For the versions that are `shown`, by branch. Each series begins with 0, as in `of_confirmations`."""
    model, known = label_of(model_type), [one for one in counted if one.version in shown]
    named = branches.named(known)
    places = list(product(shown, (*named, _NONE)))
    stored = Counter({(*place, label): 0 for place in places for label in LABELS})
    rated, confidence = Counter(dict.fromkeys(places, 0)), dict.fromkeys(places, 0.0)
    for one in known:
        branch = one.branch if one.branch in named else _OTHER if one.branch else _NONE
        stored[one.version, branch, one.label if one.label in LABELS else _OTHER] += one.stored
        rated[one.version, branch] += one.rated
        confidence[one.version, branch] = confidence.get((one.version, branch), 0.0) + one.confidence
    yield from (Fact("predictions_total", (model, *of), value) for of, value in sorted(stored.items()))
    yield from (Fact("predictions_rated_total", (model, *of), value) for of, value in sorted(rated.items()))
    yield from (Fact("prediction_confidence_total", (model, *of), value) for of, value in sorted(confidence.items()))
