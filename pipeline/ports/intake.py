"""What it takes to take confirmations in."""

from dataclasses import dataclass

from pipeline.ports.clock import Clock
from pipeline.ports.events import Confirmations, EventQueue, FaceConfirmations


@dataclass(frozen=True)
class Intake:
    """Where confirmations come in. Their photos may lie in `photo_buckets` only."""

    queue: EventQueue
    confirmations: Confirmations
    faces: FaceConfirmations
    clock: Clock
    photo_buckets: frozenset[str]
