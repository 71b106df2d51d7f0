"""What comes of a candidate in many simulated rounds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Shares of rounds, 0-1: the specification's rule promotes; our evidence promotes, rejects, or leaves it open."""

    photos: int
    candidate: str
    specification_promotes: float
    floors_promote: float
    evidence_promotes: float
    evidence_inconclusive: float
    evidence_rejects: float
    strict_promotes: float
    corrections_promote: float
