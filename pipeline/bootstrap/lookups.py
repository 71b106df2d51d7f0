"""What every part of `Pipeline` is made of."""

from typing import Self

from pipeline.bootstrap.wiring import Wiring
from pipeline.settings import Settings


class Lookups:
    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @classmethod
    def from_env(cls) -> Self:
        """Settings from `RETRAIN_*` variables (see `pipeline.settings`)."""
        return cls(Wiring(Settings()))
