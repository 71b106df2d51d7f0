"""Join the checks into one immutable verdict (specification, messages 26-30; design D14)."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.domain.blessing import Blessing
from pipeline.domain.dataset import Dataset
from pipeline.domain.errors import GiveUp
from pipeline.domain.events import model_verification_failed
from pipeline.domain.models import Artifact
from pipeline.domain.verification import VerificationPolicy, objections
from pipeline.ports import Blessings, Checks, Clock, ObjectStore


def decide(
    run_id: str,
    dataset: Dataset,
    *,
    labels: Sequence[str],
    candidate: Artifact,
    policy: VerificationPolicy,
    checks: Checks,
    blessings: Blessings,
    objects: ObjectStore,
    clock: Clock,
) -> Blessing:
    """The verdict, with `ModelVerificationFailedEvent` in the outbox when it refuses; one verdict a run, for ever."""
    if (earlier := blessings.of_run(run_id)) is not None:
        return earlier
    found = tuple(checks.of(run_id))
    if not found:
        raise GiveUp(f"run {run_id} has no verification results: run verify before decide")
    reasons = objections(found, labels)
    # The champion that was measured against, not the one of this moment: a rollback may have come in between.
    champion_version = next((check.against for check in found if check.against), None)
    at = clock.now()
    blessing = Blessing(
        id=f"blessing:{run_id}",
        run_id=run_id,
        model_type=dataset.model_type,
        accepted=not reasons,
        reasons=reasons,
        checks=found,
        champion_version=champion_version,
        first_model=champion_version is None,
        artifact_manifest_sha256=candidate.manifest_sha256,
        dataset_sha256=dataset.sha256,
        thresholds_sha256=policy.sha256(),
        report_uri=f"{candidate.uri}verification-report.json",
        decided_at=at,
    )
    objects.write(blessing.report_uri, report(blessing), "application/json")
    event = model_verification_failed(
        event_id=f"verification-failed:{run_id}",
        run_id=run_id,
        model_type=dataset.model_type,
        reasons=reasons,
        report_uri=blessing.report_uri,
        at=at,
    )
    blessings.grant(blessing, None if blessing.accepted else event)
    return blessing


def report(blessing: Blessing) -> bytes:
    """The verdict as JSON, for people and for the archive."""
    return json.dumps(asdict(blessing), ensure_ascii=False, indent=1, default=str).encode()
