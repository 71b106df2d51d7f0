"""What people say of versions that served, as the monitor looks at it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pipeline.domain.history import History
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, Period
from pipeline.ports.bundles import Monitoring
from pipeline.steps.deciding_nothing import deciding_nothing

_UNKNOWN: Mapping[str, Sequence[LabelTally]] = {}


def observe(m: Monitoring, history: History, period: Period, least: int) -> Observation:
    """Of the champion; `least` confirmations are needed to judge it."""
    version = history.reigns[-1].version
    return Observation(
        version,
        m.metrics.tally(history, version, period),
        m.metrics.newest(history, version, period, least),
        m.metrics.blind(history, version, period),
    )


@deciding_nothing("how right each version was", otherwise=_UNKNOWN)
def each_version(
    m: Monitoring, history: History, policy: LiveAccuracyPolicy, now: datetime
) -> Mapping[str, Sequence[LabelTally]]:
    """In the window, for people who look at it later."""
    return m.metrics.by_version(history, policy.window(now))


def last_word(m: Monitoring, history: History, until: datetime) -> datetime | None:
    """The newest confirmation of the champion's reign, however long ago; the window may have moved past it."""
    champion = history.reigns[-1]
    return m.metrics.newest(history, champion.version, Period(champion.since, until), 1).newest
