"""How a trial ended, even one that ended with its process."""

from dataclasses import dataclass

# A process may end once for any reason; the second time the candidate is the likely cause.
_LOSSES = 2


@dataclass(frozen=True)
class Concluded:
    """How the last canary ended: `outcome` is `promoted`, `aborted`, `replaced` if another version was activated, or
    `lost` if this process ended while it tried it, `losses` times by then.
    """

    version: str
    outcome: str
    reason: str
    losses: int = 0


def lost(version: str, losses: int) -> Concluded:
    """What a process says of `version` when it comes back after ending while it tried it; after the second time, that
    it did harm.
    """
    if losses < _LOSSES:
        return Concluded(version, "lost", f"ended while it tried {version}", losses)
    return Concluded(version, "aborted", f"ended twice while it tried {version}", losses)
