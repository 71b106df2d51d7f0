"""The tracker informs people: whatever it cannot take while a training runs must not end the training."""

import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from pipeline.domain.errors import GiveUp, TryAgain
from pipeline.ports.clock import Clock
from pipeline.ports.training import Experiment

log = logging.getLogger(__name__)

_PAUSE = timedelta(minutes=1)
"""Each try of a tracker that is away holds the training up."""
_MOST_MISSED = 10_000


class Informing:
    """An experiment that raises nothing: what its tracker misses while it is away is told later, in order, and what it
    refuses is left out. Each is said once in the log.
    """

    def __init__(self, experiment: Experiment, clock: Clock) -> None:
        self.id = experiment.id
        self._experiment, self._clock = experiment, clock
        self._missed: deque[Callable[[], None]] = deque(maxlen=_MOST_MISSED)
        self._away_since: datetime | None = None
        self._refused = False

    def log_parameters(self, parameters: dict[str, str]) -> None:
        self._tell(lambda: self._experiment.log_parameters(parameters))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._tell(lambda: self._experiment.log_metrics(metrics, step))

    def log_file(self, name: str, body: bytes) -> None:
        self._tell(lambda: self._experiment.log_file(name, body))

    def note(self, notes: dict[str, str]) -> None:
        self._tell(lambda: self._experiment.note(notes))

    def close(self) -> None:
        """Tell what was missed, however lately that was tried."""
        self._catch_up()
        if self._missed:
            log.warning("the tracker never heard of %d things about this training", len(self._missed))

    def _tell(self, word: Callable[[], None]) -> None:
        self._missed.append(word)
        if self._away_since is None or self._clock.now() - self._away_since >= _PAUSE:
            self._catch_up()

    def _catch_up(self) -> None:
        while self._missed:
            try:
                self._missed[0]()
            except TryAgain as error:
                if self._away_since is None:
                    log.warning("the tracker is told later what it misses; the training goes on: %s", error)
                self._away_since = self._clock.now()
                return
            except GiveUp as error:
                if not self._refused:
                    log.warning("the tracker lacks something of this training, which goes on: %s", error)
                self._refused = True
            self._missed.popleft()
        self._away_since = None
