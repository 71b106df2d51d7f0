"""Let a held model go on, or refuse it: a person's word beside the verdict, kept for ever (design D14; ADR 0011)."""

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.blessing import Blessing, Override, OverrideKind
from pipeline.domain.errors import NotBlessed
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Pruning
from pipeline.ports.clock import Clock
from pipeline.ports.verification import Blessings


def approve(run_id: str, by: By, *, blessings: Blessings, clock: Clock) -> Blessing:
    """Only a held run can be approved; a refused one needs force. A second approval changes nothing."""
    by.demand_a_name("an approval")
    return _answered(Override(run_id, OverrideKind.APPROVED, by.actor, by.reason, clock.now()), blessings, "approve")


def approve_unless_pruned(pruning: Pruning, run_id: str, by: By) -> Blessing:
    """As `approve`, unless the model's files are gone: the word would stay for ever, and no model could follow
    from it.
    """
    p = pruning
    if (blessing := p.blessings.of_run(run_id)) is None:
        return approve(run_id, by, blessings=p.blessings, clock=p.clock)
    model_type = ModelType(blessing.model_type)
    manifest = ArtifactFolder.of(p.model_prefix, model_type, run_id).manifest
    # Pruning looks for a word before it deletes files; the lock keeps it from doing so between this look and the word.
    with p.transitions.moving_files(model_type):
        if blessing.waits and not p.objects.exists(manifest):
            raise NotBlessed(
                f"the files of run {run_id} are gone, nobody answered for it in time: nothing to approve",
                advice="refuse it, and start a retraining",
            )
        return approve(run_id, by, blessings=p.blessings, clock=p.clock)


def refuse(run_id: str, by: By, *, blessings: Blessings, clock: Clock) -> Blessing:
    """Only a held run can be refused; one that serves is rolled back. A second refusal changes nothing."""
    by.demand_a_name("a refusal")
    return _answered(Override(run_id, OverrideKind.REFUSED, by.actor, by.reason, clock.now()), blessings, "refuse")


def _answered(word: Override, blessings: Blessings, verb: str) -> Blessing:
    """Keep the word unless there is one already: the first word stands."""
    blessing = blessings.of_run(word.run_id)
    if blessing is None:
        raise NotBlessed(f"{word.run_id[:80]!r} has no verdict: nothing waits for a person")
    if not blessing.held:
        verdict = "accepted" if blessing.accepted else "refused"
        raise NotBlessed(f"run {word.run_id} was {verdict}: nothing to {verb}")
    if word.counts_after(blessing.override):
        blessings.override(word)
    found = blessings.of_run(word.run_id)
    assert found is not None and found.override is not None
    if found.override.kind is not word.kind:
        said = f"{found.override.kind} by {found.override.actor} before"
        raise NotBlessed(f"run {word.run_id} was {said}: nothing to {verb}")
    return found
