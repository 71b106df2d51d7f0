"""From a model version to the photos it learned from and was judged by."""

from dataclasses import dataclass

from pipeline.domain.lineage import Appearance
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.ports.data import Datasets
from pipeline.ports.deployment import ModelVersions


@dataclass(frozen=True)
class Origin:
    """A version, and every photo of its dataset."""

    version: ModelVersion
    photos: tuple[Appearance, ...]


def trace_model(model_type: ModelType, version: str, *, datasets: Datasets, versions: ModelVersions) -> Origin:
    """Raises `UnknownVersion`."""
    found = versions.get(model_type, version)
    return Origin(found, tuple(datasets.appearances(dataset_id=found.dataset_id)))
