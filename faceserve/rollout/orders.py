"""Who asks for a change: every change has a name, so that asking again for the same one does nothing."""

from collections.abc import Callable
from dataclasses import dataclass

ANY_EPOCH = -1
# Names remembered of each model: far more than can be on their way at once.
REMEMBERED = 32


@dataclass(frozen=True)
class Order:
    """`request` is the name that the caller gave this change; empty: none, then only its effect tells a repeat.

    `expected_epoch` is what the caller saw, `wanted` whether it still waits for the answer.
    """

    request: str = ""
    expected_epoch: int = ANY_EPOCH
    wanted: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class Done:
    """What the change of that name led to, when it was made."""

    request: str
    version: str
    previous: str
    epoch: int
