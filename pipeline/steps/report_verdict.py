"""The verdict for people and programs: beside the artifact and in the experiment tracker (design D14; ADR 0005)."""

import math
from dataclasses import replace

from pipeline.domain.artifact_folder import FLIPS, REPORT, REPORT_PAGE, ArtifactFolder
from pipeline.domain.blessing import Blessing
from pipeline.domain.dataset import Dataset
from pipeline.domain.training import TrainingResult
from pipeline.ports.bundles import Verification
from pipeline.ports.verification import VerificationReport
from pipeline.steps import kept_evidence
from pipeline.steps.flip_sheet import write_with_flips


def report_verdict(verification: Verification, blessing: Blessing, result: TrainingResult, dataset: Dataset) -> str:
    """Where the report is in the experiment tracker, empty when the tracker has no such run."""
    v, folder = verification, ArtifactFolder(result.artifact_uri)
    report = _report(blessing, result, dataset, v)
    flipped = {one.task_id for one in report.flipped}
    return write_with_flips(v, folder, dataset, flipped, lambda flips: _write(replace(report, flips=flips), v))


def _write(report: VerificationReport, v: Verification) -> str:
    blessing, result = report.blessing, report.result
    pages = {REPORT_PAGE: v.printer.html(report), REPORT: report.to_json()}
    v.objects.write(ArtifactFolder(result.artifact_uri).report_page, pages[REPORT_PAGE], "text/html; charset=utf-8")
    v.objects.write(blessing.report_uri, pages[REPORT], "application/json")
    return _attach(report, pages, v)


def _report(
    blessing: Blessing, result: TrainingResult, dataset: Dataset, verification: Verification
) -> VerificationReport:
    objects, folder = verification.objects, ArtifactFolder(result.artifact_uri)
    return VerificationReport(
        blessing,
        result,
        dataset,
        slices=kept_evidence.slices(folder, objects),
        flipped=kept_evidence.became_wrong(kept_evidence.predictions(folder, objects)),
        flips=None,
        by_reason=kept_evidence.by_reason(folder, objects),
        staleness=kept_evidence.staleness(folder, objects),
    )


def _attach(report: VerificationReport, pages: dict[str, bytes], verification: Verification) -> str:
    if report.result.experiment_run_id is None:
        return ""
    measured = {
        f"verify.{check.name}": float(check.value)
        for check in report.blessing.checks
        if check.value is not None and math.isfinite(check.value) and check.name.isascii()
    }
    files = pages | ({FLIPS: report.flips} if report.flips else {})
    return verification.experiments.attach(report.result.experiment_run_id, files, measured)
