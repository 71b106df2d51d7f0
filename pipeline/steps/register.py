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
from pipeline.steps.number_version import number_for

Manifest = Mapping[str, Any]


def register(registration: Registration, model_type: ModelType, result: TrainingResult) -> ModelVersion:
    """The version; the same run gets the same one again.

    Raises `NotBlessed` unless verification accepted the run, or a person did, and `ModelRefused` when the artifact is
    not the one that was trained.
    """
    blessing = registration.blessings.of_run(result.run_id)
    if blessing is None or not blessing.may_be_registered:
        raise NotBlessed(f"run {result.run_id} was not accepted by verification: it cannot be registered")
    manifest = manifest_of(registration, result)
    version = numbered(registration, model_type, result)
    show_in_registry(registration, version, result, manifest)
    return version


def manifest_of(registration: Registration, result: TrainingResult) -> Manifest:
    """Raises `ModelRefused` when it is gone, or is not the one that was trained."""
    uri = ArtifactFolder(result.artifact_uri).manifest
    try:
        body = registration.objects.read(uri)
    except KeyError:
        raise ModelRefused(f"{uri} is gone: a model without its files cannot be registered") from None
    manifest: Manifest = json.loads(demand_unaltered(body, result.manifest_sha256, uri, ModelRefused))
    return manifest


def numbered(registration: Registration, model_type: ModelType, result: TrainingResult) -> ModelVersion:
    """The run's version, which gets the next number when it has none yet. Raises `NotBlessed` without a verdict."""
    version = registration.versions.of_run(result.run_id)
    if version is not None:
        return version
    number, accuracy = number_for(registration, model_type, result), _accuracy(registration, result.run_id)
    return registration.versions.register(_version(model_type, result, number, accuracy))


def _accuracy(registration: Registration, run_id: str) -> float:
    blessing = registration.blessings.of_run(run_id)
    if blessing is None or blessing.accuracy is None:
        raise NotBlessed(f"no verdict on run {run_id} says how accurate it is: verify it first")
    return blessing.accuracy


def show_in_registry(r: Registration, version: ModelVersion, result: TrainingResult, manifest: Manifest) -> None:
    r.registry.register(version, result.experiment_run_id, {**_described(manifest), **r.tags})


def _described(manifest: Manifest) -> dict[str, str]:
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


def _version(model_type: ModelType, result: TrainingResult, number: VersionNumber, accuracy: float) -> ModelVersion:
    return ModelVersion(
        version=str(number),
        model_type=model_type,
        run_id=result.run_id,
        dataset_id=result.dataset_id,
        backbone=result.backbone,
        artifact=Artifact(result.artifact_uri, result.manifest_sha256),
        accuracy=accuracy,
        val_accuracy=result.val_accuracy,
        trained_at=result.trained_at,
    )
