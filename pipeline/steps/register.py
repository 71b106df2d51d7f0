"""Give an accepted candidate its version number (specification, messages 31-34)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pipeline.domain.errors import ModelRefused, NotBlessed
from pipeline.domain.models import Artifact, ModelType, ModelVersion, VersionNumber, next_version
from pipeline.domain.training import TrainingResult
from pipeline.ports.data import ObjectStore
from pipeline.ports.deployment import ModelRegistry, ModelVersions
from pipeline.ports.verification import Blessings


def register(
    model_type: ModelType,
    result: TrainingResult,
    *,
    versions: ModelVersions,
    blessings: Blessings,
    registry: ModelRegistry,
    objects: ObjectStore,
    tags: Mapping[str, str],
) -> ModelVersion:
    """The version; the same run gets the same one again, `tags` go to the registry people look at.

    Raises `NotBlessed` unless verification accepted the run, or a person did, and `ModelRefused` when the artifact is
    not the one that was trained.
    """
    blessing = blessings.of_run(result.run_id)
    if blessing is None or not blessing.may_be_registered:
        raise NotBlessed(f"run {result.run_id} was not accepted by verification: it cannot be registered")
    manifest = _manifest(result, objects)
    version = versions.of_run(result.run_id)
    if version is None:
        version = versions.register(_numbered(model_type, result, versions.latest(model_type)))
    registry.register(version, result.experiment_run_id, {**_described(manifest), **tags})
    return version


def _manifest(result: TrainingResult, objects: ObjectStore) -> dict[str, Any]:
    uri = f"{result.artifact_uri}manifest.json"
    try:
        body = objects.read(uri)
    except KeyError:
        raise ModelRefused(f"{uri} is gone: a model without its files cannot be registered") from None
    if hashlib.sha256(body).hexdigest() != result.manifest_sha256:
        raise ModelRefused(f"{uri} is not what training wrote (sha256 differs): it was changed since")
    manifest: dict[str, Any] = json.loads(body)
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
