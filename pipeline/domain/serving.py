"""What replicas say they serve, and what that proves about a change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.transitions import Phase


@dataclass(frozen=True)
class Serving:
    """What one replica says it serves; `fault` says why it could not be asked, and the rest is then unknown."""

    replica: str
    version: str | None
    previous: str | None = None
    epoch: int = 0
    fault: str = ""

    def serves(self, version: str) -> bool:
        return not self.fault and self.version == version

    def __str__(self) -> str:
        return f"{self.replica} {self.fault or f'serves {self.version}'}"


def outcome(version: str, seen: Sequence[Serving]) -> Phase:
    """`SERVED` when every replica says that it serves `version`, `FAILED` when each says that it does not; otherwise
    nobody knows.
    """
    there = [one.serves(version) for one in seen]
    if there and all(there):
        return Phase.SERVED
    asked = bool(seen) and all(not one.fault for one in seen)
    return Phase.FAILED if asked and not any(there) else Phase.UNCONFIRMED


def elsewhere(version: str, seen: Sequence[Serving]) -> dict[str, str]:
    """Replicas that are not seen to serve `version`, with what they say instead."""
    return {one.replica: one.fault or f"serves {one.version}" for one in seen if not one.serves(version)}


def each_listed(missing: Mapping[str, str]) -> tuple[str, ...]:
    """`replica-1 does not answer`, `replica-2 serves v1.0.0`."""
    return tuple(f"{replica} {why}" for replica, why in missing.items())


def listed(missing: Mapping[str, str]) -> str:
    """`replica-1 does not answer; replica-2 serves v1.0.0`."""
    return "; ".join(each_listed(missing))
