"""When confirmations are taken in: few runs of the intake, and each confirmation soon (specification, messages 5-6)."""

import math
from dataclasses import dataclass

from pipeline.domain.bounds import AtLeastOne, PositiveSeconds, Seconds


@dataclass(frozen=True)
class Stay:
    """How long a drain waits at the queue: the default takes what is there and goes."""

    silence_seconds: float = 1.0
    longest_seconds: float = math.inf


AT_ONCE = Stay()


@dataclass(frozen=True)
class IntakePolicy:
    """A run begins when it is worth it and stays while more comes: what comes then is stored within two seconds."""

    enough_messages: AtLeastOne = 10
    """Messages waiting that start a run of the intake at once."""
    longest_wait_seconds: Seconds = 30.0
    """Seconds after which fewer messages start one, too."""
    silence_seconds: PositiveSeconds = 30.0
    """Seconds without a message after which a run stops waiting for more."""
    longest_drain_seconds: PositiveSeconds = 1800.0
    """Seconds after which a run ends although messages still come: only then is the retraining policy asked."""

    def worth_a_run(self, waiting: int, waited_seconds: float) -> bool:
        """`waited_seconds` is how long messages have been seen waiting."""
        return waiting >= self.enough_messages or (waiting > 0 and waited_seconds >= self.longest_wait_seconds)

    @property
    def stay(self) -> Stay:
        return Stay(self.silence_seconds, self.longest_drain_seconds)
