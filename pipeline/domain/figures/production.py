"""How right the champion is on what people confirm, and what they confirmed."""

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

_OTHER = "other"
# Of fewer versions chance alone makes any correlation.
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
    """Accuracy is told once there are enough confirmations to tell; how far it may be off, always."""
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
    """How much better verification found each version than people do, and whether both like the same ones."""
    gate = {version.version: version.accuracy for version in judged if math.isfinite(version.accuracy)}
    live = {look.version: look.agreed / look.confirmed for look in looks if look.state is not State.UNKNOWN}
    both = [(version, gate[version], live[version]) for version in live if version in gate]
    for version, verified, confirmed in both:
        yield Fact("gate_vs_live_gap_ratio", (label_of(model_type), version), verified - confirmed)
    if len(both) >= _CORRELATED:
        # Undefined where one of them is the same for all.
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
