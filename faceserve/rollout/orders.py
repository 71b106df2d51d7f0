"""Every change has a name, so that asking again for the same one does nothing."""

from dataclasses import dataclass

ANY_EPOCH = -1
# Names remembered of each model: far more than can be on their way at once.
REMEMBERED = 32


@dataclass(frozen=True)
class Done:
    """What the change of that name led to, when it was made."""

    request: str
    version: str
    previous: str
    epoch: int
