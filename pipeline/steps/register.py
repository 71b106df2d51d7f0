"""Give an accepted candidate its version number (specification, messages 31-34)."""

from collections.abc import Mapping

from pipeline.domain.errors import NotBlessed
from pipeline.domain.models import Artifact, ModelType, ModelVersion, VersionNumber, next_version
from pipeline.domain.training import TrainingResult
from pipeline.ports import Blessings, ModelRegistry, ModelVersions


def register(
    model_type: ModelType,
    result: TrainingResult,
    *,
    versions: ModelVersions,
    blessings: Blessings,
    registry: ModelRegistry,
    tags: Mapping[str, str] | None = None,
) -> ModelVersion:
    """The version; the same run gets the same one again, `tags` go to the registry people look at.

    Raises `NotBlessed` unless verification accepted the run, or a person did.
    """
    blessing = blessings.of_run(result.run_id)
    if blessing is None or not blessing.may_be_registered:
        raise NotBlessed(f"run {result.run_id} was not accepted by verification: it cannot be registered")
    version = versions.of_run(result.run_id)
    if version is None:
        version = versions.register(_numbered(model_type, result, versions.latest(model_type)))
    registry.register(version, result.experiment_run_id, tags)
    return version


def _numbered(model_type: ModelType, result: TrainingResult, latest: ModelVersion | None) -> ModelVersion:
    number = next_version(
        VersionNumber.parse(latest.version) if latest else None,
        architecture_changed=latest is not None and latest.backbone != result.backbone,
        data_changed=latest is None or latest.dataset_id != result.dataset_id,
    )
    return ModelVersion(
        version=str(number),
        model_type=model_type,
        run_id=result.run_id,
        dataset_id=result.dataset_id,
        backbone=result.backbone,
        artifact=Artifact(result.artifact_uri, result.manifest_sha256),
        accuracy=result.accuracy,
        val_accuracy=result.val_accuracy,
        trained_at=result.trained_at,
    )
