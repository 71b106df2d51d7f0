"""Join the checks into one immutable verdict (specification, messages 26-30; design D14; ADR 0005, 0011)."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.domain.artifact_folder import FLIPS, REPORT, REPORT_PAGE, ArtifactFolder
from pipeline.domain.blessing import Blessing, conclude
from pipeline.domain.checks import Prediction, failed_floors, negative_flips
from pipeline.domain.comparison import Slice
from pipeline.domain.dataset import Dataset
from pipeline.domain.errors import GiveUp
from pipeline.domain.model_events import ModelVerificationFailedEvent, ModelVerificationHeldEvent, OutgoingEvent
from pipeline.domain.training import TrainingResult, advise
from pipeline.ports.bundles import Verification
from pipeline.ports.data import ObjectStore
from pipeline.ports.training import Experiments
from pipeline.ports.verification import VerificationReport

_SIDES = (("validation", "holdout"), ("champion_validation", "champion_holdout"))


@dataclass(frozen=True)
class Decided:
    """`report_url` is the report in the experiment tracker, empty when the tracker has no such run."""

    blessing: Blessing
    report_url: str


def decide(verification: Verification, result: TrainingResult, dataset: Dataset) -> Decided:
    """The verdict, with its event in the outbox when it refuses or holds; one verdict a run, for ever.

    The report lies beside the artifact and in the experiment tracker.
    """
    v = verification
    blessing = v.blessings.of_run(result.run_id)
    if blessing is None:
        blessing = _blessing(result, dataset, v)
        v.blessings.grant(blessing, _event(blessing))
    report = _report(blessing, result, dataset, v.objects)
    pages = {REPORT_PAGE: v.printer.html(report), REPORT: to_json(report)}
    folder = ArtifactFolder(result.artifact_uri)
    v.objects.write(folder.report_page, pages[REPORT_PAGE], "text/html; charset=utf-8")
    v.objects.write(blessing.report_uri, pages[REPORT], "application/json")
    return Decided(blessing, _attach(report, pages, v.experiments))


def to_json(report: VerificationReport) -> bytes:
    """The verdict as JSON, for programs and for the archive."""
    body = {
        **asdict(report.blessing),
        "verdict": report.blessing.verdict,
        "hyperparameters": asdict(report.result.hyperparameters),
        "slices": [asdict(one) for one in report.slices],
    }
    return json.dumps(body, ensure_ascii=False, indent=1, default=str).encode()


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
        advice="" if conclusion.accepted or conclusion.held else advise(result, failed_floors(checks)).change,
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


def _report(blessing: Blessing, result: TrainingResult, dataset: Dataset, objects: ObjectStore) -> VerificationReport:
    folder = ArtifactFolder(result.artifact_uri)
    slices, predictions, flips = folder.slices, folder.predictions, folder.flips
    return VerificationReport(
        blessing,
        result,
        dataset,
        slices=[Slice(**fields) for fields in json.loads(objects.read(slices))] if objects.exists(slices) else [],
        flipped=_flipped(json.loads(objects.read(predictions))) if objects.exists(predictions) else [],
        flips=objects.read(flips) if objects.exists(flips) else None,
    )


def _flipped(kept: dict[str, list[dict[str, str]] | None]) -> list[Prediction]:
    sides = [[Prediction(**one) for split in splits for one in kept[split] or ()] for splits in _SIDES]
    became_wrong = set(negative_flips(sides[0], sides[1]))
    return [one for one in sides[0] if one.task_id in became_wrong]


def _attach(report: VerificationReport, pages: dict[str, bytes], experiments: Experiments) -> str:
    if report.result.experiment_run_id is None:
        return ""
    measured = {
        f"verify.{check.name}": float(check.value)
        for check in report.blessing.checks
        if check.value is not None and math.isfinite(check.value) and check.name.isascii()
    }
    files = pages | ({FLIPS: report.flips} if report.flips else {})
    return experiments.attach(report.result.experiment_run_id, files, measured)
