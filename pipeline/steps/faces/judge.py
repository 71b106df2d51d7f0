"""Judge a face model: one verdict a run, for ever (design D14; ADR 0017)."""

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.blessing import Blessing
from pipeline.domain.faces.gate import FaceMeasurement, conclude
from pipeline.domain.models import ModelType
from pipeline.ports.faces import FaceMaking
from pipeline.steps.faces.learn import Candidate
from pipeline.steps.faces.measure import measured
from pipeline.steps.faces.tell_verdict import event_of, page_of, page_report, report_of


def judge(making: FaceMaking, candidate: Candidate) -> Blessing:
    """The verdict, with its event in the outbox when it refuses or holds."""
    blessings = making.registration.blessings
    if (known := blessings.of_run(candidate.run_id)) is not None:
        return known
    found = measured(making, candidate)
    blessing = _blessing(making, candidate, found)
    page = making.printer.html(page_report(blessing, candidate, found))
    making.objects.write(page_of(blessing), page, "text/html; charset=utf-8")
    making.objects.write(blessing.report_uri, report_of(blessing, candidate, found), "application/json")
    blessings.grant(blessing, event_of(blessing))
    return blessing


def _blessing(making: FaceMaking, candidate: Candidate, found: FaceMeasurement) -> Blessing:
    checks, against = making.gate.judge(found), found.against
    conclusion, tags = conclude(checks, compared=found.champion is not None), making.registration.tags
    return Blessing(
        id=f"blessing:{candidate.run_id}",
        run_id=candidate.run_id,
        model_type=ModelType.FACE,
        accepted=conclusion.accepted,
        reasons=conclusion.reasons,
        checks=checks,
        champion_version=against,
        first_model=against is None,
        artifact_manifest_sha256=candidate.artifact.manifest_sha256,
        dataset_sha256=candidate.dataset.sha256,
        thresholds_sha256=making.gate.sha256(),
        report_uri=ArtifactFolder(candidate.artifact.uri).report,
        decided_at=making.clock.now(),
        held=conclusion.held,
        doubts=conclusion.doubts,
        git_commit=tags["git_commit"],
        code_version=tags["code_version"],
    )
