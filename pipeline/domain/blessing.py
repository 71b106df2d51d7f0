"""The verdict on one candidate, and what a person may add to it (design D14; ADR 0005)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.domain.checks import Check, CheckName, Group, Outcome, Weight, required


class Verdict(StrEnum):
    """What the evidence says; a setting or a person decides what comes of `INCONCLUSIVE`."""

    PROMOTE = "promote"
    REJECT = "reject"
    INCONCLUSIVE = "inconclusive"


class WhenInconclusive(StrEnum):
    """Who decides when the evidence does not: the specification's literal floors, or a person."""

    FLOORS = "floors"
    APPROVAL = "approval"


class OverrideKind(StrEnum):
    APPROVED = "approved"
    FORCED = "forced"
    REFUSED = "refused"


@dataclass(frozen=True)
class Override:
    """A person's word beside a verdict, kept for ever with actor and reason; the verdict itself never changes."""

    run_id: str
    kind: OverrideKind
    actor: str
    reason: str
    at: datetime

    def counts_after(self, earlier: "Override | None") -> bool:
        """The first word stands, except that a person may force what another one refused."""
        if earlier is None:
            return True
        return (earlier.kind, self.kind) == (OverrideKind.REFUSED, OverrideKind.FORCED)


@dataclass(frozen=True)
class Conclusion:
    """What comes of the checks: `reasons` why it may not go live, `doubts` what the evidence left open."""

    accepted: bool
    held: bool
    reasons: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Blessing:
    """The verdict on one candidate; one immutable row, and the only thing a deployment reads.

    `reasons` say why it may not go live, `doubts` what the evidence left open, `advice` what may help. `held` means
    that a person has to decide; `override` is what a person decided. `git_commit` and `code_version` name the code
    that judged.
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
    advice: str = ""
    git_commit: str = ""
    code_version: str = ""
    override: Override | None = None

    @property
    def verdict(self) -> Verdict:
        if not self.accepted and not self.held:
            return Verdict.REJECT
        return Verdict.INCONCLUSIVE if self.doubts else Verdict.PROMOTE

    @property
    def accuracy(self) -> float | None:
        """The figure that people hear: on validation photos, through a real server, 0-1; None when unmeasured."""
        return next((c.value for c in self.checks if c.name == CheckName.VALIDATION_ACCURACY), None)

    @property
    def approved(self) -> bool:
        """Whether it may go live without being forced."""
        return self.accepted or (self.override is not None and self.override.kind is OverrideKind.APPROVED)

    @property
    def waits(self) -> bool:
        """A person has to decide, and nobody has."""
        return self.held and self.override is None

    @property
    def refused(self) -> bool:
        """Whether the evidence or a person refused it, and nobody overruled that."""
        if self.override is not None:
            return self.override.kind is OverrideKind.REFUSED
        return self.verdict is Verdict.REJECT

    @property
    def settled_at(self) -> datetime:
        """When the last word was said: a person may answer months after the verdict."""
        return self.override.at if self.override else self.decided_at

    @property
    def objections(self) -> tuple[str, ...]:
        """Why it may not go live, and who said so."""
        word = self.override
        if word is None or word.kind is not OverrideKind.REFUSED:
            return self.reasons
        return (f"{word.actor} refused it: {word.reason}", *self.reasons)

    @property
    def may_be_registered(self) -> bool:
        return self.approved or (self.override is not None and self.override.kind is OverrideKind.FORCED)


def load_objections(checks: Sequence[Check]) -> tuple[str, ...]:
    """Why not even a person may force this model: judging quality can be skipped, the load test cannot."""
    found = {check.name: check for check in checks}
    load = CheckName.of(Group.LOAD)
    missing = [f"{name} was not measured" for name in load if name not in found]
    failed = [found[name].reason for name in load if name in found and found[name].outcome is Outcome.FAILED]
    return (*missing, *failed)


def conclude(checks: Sequence[Check], labels: Sequence[str], *, when_inconclusive: WhenInconclusive) -> Conclusion:
    """Promote, reject or inconclusive; and for the last, what `when_inconclusive` makes of it (ADR 0011)."""
    doubts = tuple(_doubts(checks))
    refusals = objections(checks, labels)
    if refusals:
        return Conclusion(False, False, refusals, doubts)
    missed = tuple(c.reason for c in checks if c.weight is Weight.FLOOR and c.outcome is Outcome.FAILED)
    suspicious = tuple(c.reason for c in checks if c.weight is Weight.HOLD and c.outcome is Outcome.FAILED)
    if missed and when_inconclusive is WhenInconclusive.FLOORS:
        return Conclusion(False, False, missed, doubts)
    if suspicious or (doubts and when_inconclusive is WhenInconclusive.APPROVAL):
        return Conclusion(False, True, tuple(dict.fromkeys((*suspicious, *missed, *doubts))), doubts)
    return Conclusion(True, False, (), doubts)


def objections(checks: Sequence[Check], labels: Sequence[str]) -> tuple[str, ...]:
    """Why a candidate may not serve whatever a setting says; empty when it may."""
    found = {check.name: check for check in checks}
    loads = found.get(CheckName.CANDIDATE_LOADS)
    if loads is not None and loads.outcome is Outcome.FAILED:
        # A model that does not load has no other figures.
        return (loads.reason,)
    champion = found.get(CheckName.BETTER_THAN_CHAMPION)
    compared = champion is not None and bool(champion.against) and champion.bar is not None
    missing = [f"{name} was not measured" for name in required(labels, compared=compared) if name not in found]
    unmeasured = [
        f"{c.name} was not measured"
        for c in checks
        if c.outcome is Outcome.NOT_MEASURED and c.name != CheckName.GPU_UTILIZATION
    ]
    failed = [c.reason for c in checks if c.weight is Weight.FLOOR and c.outcome is Outcome.FAILED and c.enough]
    nothing = [] if labels else ["no labels configured"]
    return tuple([*nothing, *failed, *missing, *unmeasured])


def _doubts(checks: Sequence[Check]) -> Iterator[str]:
    for check in checks:
        if check.weight in {Weight.PROOF, Weight.HOLD} and check.outcome is Outcome.FAILED:
            yield check.reason
        elif check.weight is Weight.FLOOR and not check.enough:
            yield f"{check.name} {check.value:.4g} rests on only {check.support} photos"
