"""What several steps look up before they begin; the base of every part of `Pipeline`."""

from typing import Self

from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.dataset import Dataset, Manifest
from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.training import TrainingResult
from pipeline.settings import Settings


class Lookups:
    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @classmethod
    def from_env(cls) -> Self:
        """Settings from `RETRAIN_*` variables (see `pipeline.settings`)."""
        return cls(Wiring(Settings()))

    def _champion(self, model_type: ModelType) -> ModelVersion | None:
        served = self._w.transitions.served(model_type)
        return self._w.versions.get(model_type, served[-1].to_version) if served else None

    def _trained(self, run_id: str) -> tuple[TrainingResult, Dataset]:
        result = self._w.training_runs.result(run_id)
        if result is None:
            raise GiveUp(f"run {run_id} has no trained model: run train first")
        return result, self._w.datasets.get(result.dataset_id)

    @property
    def _dataset_prefix(self) -> str:
        return f"s3://{self._w.settings.dataset_bucket}/"

    def _dataset_uri(self, dataset_id: str) -> str:
        return f"{self._dataset_prefix}{dataset_id}/"

    def _manifest(self, dataset_id: str) -> Manifest:
        return Manifest.from_json(self._w.objects.read(f"{self._dataset_uri(dataset_id)}manifest.json"))
