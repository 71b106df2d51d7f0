"""Give an accepted candidate its version number (specification, messages 31-34)."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.errors import ModelRefused, NotBlessed
from pipeline.domain.models import Artifact, ModelType, ModelVersion, VersionNumber
from pipeline.domain.training import TrainingResult
from pipeline.ports.bundles import Registration
from pipeline.ports.data import ObjectStore
from pipeline.steps.number_version import number_for


def register(registration: Registration, model_type: ModelType, result: TrainingResult) -> ModelVersion:
    """The version; the same run gets the same one again.

    Raises `NotBlessed` unless verification accepted the run, or a person did, and `ModelRefused` when the artifact is
    not the one that was trained.
    """
    blessing, versions = registration.blessings.of_run(result.run_id), registration.versions
    if blessing is None or not blessing.may_be_registered:
        raise NotBlessed(f"run {result.run_id} was not accepted by verification: it cannot be registered")
    manifest = _manifest(result, registration.objects)
    version = versions.of_run(result.run_id)
    if version is None:
        version = versions.register(_numbered(model_type, result, number_for(registration, model_type, result)))
    tags = {**_described(manifest), **registration.tags}
    registration.registry.register(version, result.experiment_run_id, tags)
    return version


def _manifest(result: TrainingResult, objects: ObjectStore) -> dict[str, Any]:
    uri = ArtifactFolder(result.artifact_uri).manifest
    try:
        body = objects.read(uri)
    except KeyError:
        raise ModelRefused(f"{uri} is gone: a model without its files cannot be registered") from None
    manifest: dict[str, Any] = json.loads(demand_unaltered(body, result.manifest_sha256, uri, ModelRefused))
    return manifest


def _described(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What the model takes and gives, as an MLflow signature, and the formats it comes in."""
    pixels, labels, width = manifest["input_pixels"], manifest["labels"], manifest["feature_width"]
    inputs = [_tensor("images", "uint8", [-1, pixels, pixels, 3])]
    outputs = [_tensor("probabilities", "float32", [-1, len(labels)]), _tensor("features", "float32", [-1, width])]
    return {
        "signature": json.dumps({"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}),
        "labels": ", ".join(labels),
        "engines": ", ".join(sorted(manifest["engines"])),
    }


def _tensor(name: str, dtype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}


def _numbered(model_type: ModelType, result: TrainingResult, number: VersionNumber) -> ModelVersion:
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
