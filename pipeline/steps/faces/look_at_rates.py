"""How often each face model was wrong at the doors lately, according to people (UC-23)."""

from collections.abc import Sequence
from datetime import timedelta

from pipeline.domain.faces.live import LiveFaceRates, live_rates
from pipeline.ports.clock import Clock
from pipeline.ports.events import FaceConfirmations


def look_at_rates(confirmations: FaceConfirmations, clock: Clock, window: timedelta) -> Sequence[LiveFaceRates]:
    """Rates of every version of which people confirmed checks within `window`."""
    until = clock.now()
    return live_rates(confirmations.tallies(until - window, until))
