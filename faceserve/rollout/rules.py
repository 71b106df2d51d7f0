"""What the settings say about versions in memory and about trials."""

from dataclasses import dataclass

from faceserve.rollout.canary import Limits


@dataclass(frozen=True)
class Keeping:
    """What is kept in memory, and how long.

    `drain_seconds`: how long requests may take to finish on a version that serves no more. `calm_seconds`: how long
    requests get to catch up after a load, and at least before a version is freed. `warm_memory_bytes`: when this
    process takes more, previous versions are not kept.
    """

    drain_seconds: float = 10.0
    calm_seconds: float = 0.0
    warm_memory_bytes: float = float("inf")


@dataclass(frozen=True)
class Rules:
    keeping: Keeping = Keeping()
    canary: Limits = Limits()
