"""Let a held run go on: a person's word beside the verdict, kept for ever (design D14; ADR 0011)."""

from pipeline.domain.blessing import Blessing, Override, OverrideKind
from pipeline.domain.errors import NotBlessed
from pipeline.domain.transitions import By
from pipeline.ports.clock import Clock
from pipeline.ports.verification import Blessings


def approve(run_id: str, by: By, *, blessings: Blessings, clock: Clock) -> Blessing:
    """Only a held run can be approved; a refused one needs force. A second approval changes nothing."""
    by.demand_a_name("an approval")
    blessing = blessings.of_run(run_id)
    if blessing is None:
        raise NotBlessed(f"{run_id[:80]!r} has no verdict: nothing waits for an approval")
    if not blessing.held:
        raise NotBlessed(f"run {run_id} was {'accepted' if blessing.accepted else 'refused'}: nothing to approve")
    blessings.override(Override(run_id, OverrideKind.APPROVED, by.actor, by.reason, clock.now()))
    found = blessings.of_run(run_id)
    assert found is not None and found.override is not None
    if found.override.kind is not OverrideKind.APPROVED:
        raise NotBlessed(f"run {run_id} was forced by {found.override.actor} before: an approval changes nothing")
    return found
