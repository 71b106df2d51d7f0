"""Candidates for the drill, made from the champion in seconds: one answers like it, one gives the opposite answer.

A replica cannot tell: their golden predictions are what these networks really answer. Only people who look at the
photos can, and that is what the drill is about.
"""

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from include.contract.manifest import MANIFEST, ArtifactManifest, sha256
from include.contract.signature import SIGNATURE, sign
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.adapters.training_table import TrainingTable

_ENTRY = "openvino/model.xml"


@dataclass(frozen=True)
class Store:
    """Where artifacts lie, and the private key by which replicas know them as ours."""

    objects: S3ObjectStore
    signing_key: Path


def derive(run_id: str, champion_run: str, *, upside_down: bool, database: MlopsDatabase, store: Store) -> None:
    """Write an artifact made from the champion's, and the training result that a run with this id would have left."""
    runs = TrainingTable(database)
    trained = runs.result(champion_run)
    if trained is None:
        raise RuntimeError(f"the champion's run {champion_run} left no training result")
    uri = trained.artifact_uri.removesuffix("/").rpartition("/")[0] + f"/{run_id}/"
    result = replace(
        trained,
        run_id=run_id,
        artifact_uri=uri,
        manifest_sha256=_derived_artifact(trained.artifact_uri, uri, upside_down=upside_down, store=store),
        trained_at=datetime.now(UTC),
        # The champion's run in MLflow is not theirs to write to.
        experiment_run_id=None,
    )
    runs.succeed(result)


def _derived_artifact(champion_uri: str, uri: str, *, upside_down: bool, store: Store) -> str:
    """Write the artifact below `uri`; returns the sha256 of its manifest."""
    objects = store.objects
    manifest = ArtifactManifest.from_json(objects.read(f"{champion_uri}{MANIFEST}"))
    source = {path: objects.read(f"{champion_uri}{path}") for path in _wanted(manifest)}
    files = derived_files(source, manifest.golden.file, upside_down=upside_down)
    for path, body in files.items():
        objects.write(f"{uri}{path}", body)
    run_id = uri.removesuffix("/").rpartition("/")[2]
    hashes = {path: sha256(body) for path, body in files.items()}
    made = replace(manifest, run_id=run_id, engines={"openvino": _ENTRY}, files=hashes).to_json()
    objects.write(f"{uri}{SIGNATURE}", sign(made, store.signing_key), "application/json")
    objects.write(f"{uri}{MANIFEST}", made, "application/json")
    return sha256(made)


def derived_files(source: Mapping[str, bytes], golden: str, *, upside_down: bool) -> dict[str, bytes]:
    """The network, its two answers exchanged when `upside_down`, with golden predictions that are its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, body in source.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
        network = ov.Core().read_model(folder / _ENTRY)
        if upside_down:
            _exchange_answers(network)
        images = np.load(io.BytesIO(source[golden]))["images"]
        answers = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)
        kept = io.BytesIO()
        np.savez_compressed(kept, images=images, probabilities=answers["probabilities"])
        ov.save_model(network, str(folder / "derived" / _ENTRY), compress_to_fp16=False)
        written = {
            str(p.relative_to(folder / "derived")): p.read_bytes()
            for p in (folder / "derived").rglob("*")
            if p.is_file()
        }
    return {**written, golden: kept.getvalue()}


def _exchange_answers(network: Any) -> None:
    output = network.output("probabilities")
    answer = output.get_node()
    probabilities = answer.input_value(0)
    width = probabilities.get_partial_shape()[1].get_length()
    names = output.get_names()
    turned = ops.gather(probabilities, np.arange(width)[::-1].astype(np.int64).copy(), np.int64(1))
    answer.input(0).replace_source_output(turned.output(0))
    probabilities.set_names(set())
    turned.output(0).set_names(names)


def _wanted(manifest: ArtifactManifest) -> list[str]:
    folder = _ENTRY.partition("/")[0] + "/"
    return [path for path in manifest.files if path.startswith(folder) or path == manifest.golden.file]
