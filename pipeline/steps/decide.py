"""Join the checks into one immutable verdict (specification, messages 26-30; design D14; ADR 0005, 0011)."""

from typing import Any

from pipeline.domain.advice import advise
from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.blessing import Blessing, conclude
from pipeline.domain.dataset import Dataset
from pipeline.domain.errors import GiveUp
from pipeline.domain.outgoing_events import ModelVerificationFailedEvent, ModelVerificationHeldEvent, OutgoingEvent
from pipeline.domain.training import TrainingResult
from pipeline.ports.bundles import Verification


def decide(verification: Verification, result: TrainingResult, dataset: Dataset) -> Blessing:
    """The verdict, with its event in the outbox when it refuses or holds; one verdict a run, for ever."""
    blessing = verification.blessings.of_run(result.run_id)
    if blessing is None:
        blessing = _blessing(result, dataset, verification)
        verification.blessings.grant(blessing, _event(blessing))
    return blessing


def _blessing(result: TrainingResult, dataset: Dataset, verification: Verification) -> Blessing:
    v = verification
    checks = tuple(v.checks.of(result.run_id))
    if not checks:
        raise GiveUp(f"run {result.run_id} has no verification results: run verify before decide")
    conclusion = conclude(checks, v.labels, when_inconclusive=v.when_inconclusive)
    # The champion that was measured against, not the one of this moment: a rollback may have come in between.
    champion_version = next((check.against for check in checks if check.against), None)
    return Blessing(
        id=f"blessing:{result.run_id}",
        run_id=result.run_id,
        model_type=dataset.model_type,
        accepted=conclusion.accepted,
        reasons=conclusion.reasons,
        checks=checks,
        champion_version=champion_version,
        first_model=champion_version is None,
        artifact_manifest_sha256=result.manifest_sha256,
        dataset_sha256=dataset.sha256,
        thresholds_sha256=v.policy.sha256(),
        report_uri=ArtifactFolder(result.artifact_uri).report,
        decided_at=v.clock.now(),
        held=conclusion.held,
        doubts=conclusion.doubts,
        git_commit=v.code["git_commit"],
        code_version=v.code["code_version"],
        advice="" if conclusion.accepted or conclusion.held else advise(result, checks).change,
    )


def _event(blessing: Blessing) -> OutgoingEvent | None:
    if blessing.accepted:
        return None
    said: dict[str, Any] = {
        "run_id": blessing.run_id,
        "model_type": blessing.model_type,
        "reasons": blessing.reasons,
        "report": blessing.report_uri,
    }
    if blessing.held:
        held = f"verification-held:{blessing.run_id}"
        return ModelVerificationHeldEvent(id=held, held_at=blessing.decided_at, **said).outgoing()
    failed = f"verification-failed:{blessing.run_id}"
    return ModelVerificationFailedEvent(
        id=failed, failed_at=blessing.decided_at, advice=blessing.advice, **said
    ).outgoing()
