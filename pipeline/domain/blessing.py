"""The verdict on one candidate, and what a person may add to it (design D14; ADR 0005)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.domain.verification import LOAD_CHECKS, Check, Outcome


class Verdict(StrEnum):
    """What the evidence says; a setting or a person decides what comes of `INCONCLUSIVE`."""

    PROMOTE = "promote"
    REJECT = "reject"
    INCONCLUSIVE = "inconclusive"


class OverrideKind(StrEnum):
    APPROVED = "approved"
    FORCED = "forced"


@dataclass(frozen=True)
class Override:
    """A person's word beside a verdict: kept for ever with actor and reason, the verdict itself stays as it was."""

    run_id: str
    kind: OverrideKind
    actor: str
    reason: str
    at: datetime

    def __post_init__(self) -> None:
        if not self.actor.strip() or not self.reason.strip():
            raise ValueError("an override needs an actor and a reason")


@dataclass(frozen=True)
class Blessing:
    """The verdict on one candidate; one immutable row, and the only thing a deployment reads.

    `reasons` say why it may not go live, `doubts` what the evidence left open. `held` means that a person has to
    decide; `override` is what a person decided.
    """

    id: str
    run_id: str
    model_type: str
    accepted: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    champion_version: str | None
    first_model: bool
    artifact_manifest_sha256: str
    dataset_sha256: str
    thresholds_sha256: str
    report_uri: str
    decided_at: datetime
    held: bool = False
    doubts: tuple[str, ...] = ()
    override: Override | None = None

    @property
    def verdict(self) -> Verdict:
        if not self.accepted and not self.held:
            return Verdict.REJECT
        return Verdict.INCONCLUSIVE if self.doubts else Verdict.PROMOTE

    @property
    def approved(self) -> bool:
        """May go live in the ordinary way."""
        return self.accepted or (self.override is not None and self.override.kind is OverrideKind.APPROVED)

    @property
    def may_be_registered(self) -> bool:
        return self.approved or self.override is not None


def load_objections(checks: Sequence[Check]) -> tuple[str, ...]:
    """Why not even a person may force this model: judging quality can be skipped, the load test cannot."""
    found = {check.name: check for check in checks}
    missing = [f"{name} was not measured" for name in LOAD_CHECKS if name not in found]
    failed = [found[name].reason for name in LOAD_CHECKS if name in found and found[name].outcome is Outcome.FAILED]
    return (*missing, *failed)
