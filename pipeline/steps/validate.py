"""Check a frozen selection before anything is spent on it (design §3; pipelines: a data gate that stops the run)."""

from pipeline.domain.dataset import Manifest
from pipeline.domain.errors import DatasetRefused
from pipeline.ports import DataValidator, ObjectStore, Validation


def validate(dataset_uri: str, *, validator: DataValidator, objects: ObjectStore) -> tuple[str, Validation]:
    """The report's URI and the findings. Raises `DatasetRefused` with every hard failure; the report is kept anyway."""
    manifest = Manifest.from_json(objects.read(f"{dataset_uri}manifest.json"))
    found = validator.check(manifest)
    report_uri = f"{dataset_uri}validation-report.html"
    objects.write(report_uri, found.html, "text/html; charset=utf-8")
    if found.failures:
        raise DatasetRefused(f"{manifest.dataset_id} refused: {'; '.join(found.failures)} (report: {report_uri})")
    return report_uri, found
