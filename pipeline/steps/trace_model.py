"""From a model version to the photos it learned from and was judged by."""

from dataclasses import dataclass

from pipeline.domain.lineage import Appearance
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.ports.bundles import Records


@dataclass(frozen=True)
class Origin:
    """A version, and every photo of its dataset."""

    version: ModelVersion
    photos: tuple[Appearance, ...]


def trace_model(records: Records, model_type: ModelType, version: str) -> Origin:
    """Raises `UnknownVersion`."""
    found = records.versions.get(model_type, version)
    return Origin(found, tuple(records.datasets.appearances(dataset_id=found.dataset_id)))
