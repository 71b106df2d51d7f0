"""The Open Inference Protocol v2 as its messages say it, whether they came over gRPC or HTTP.

It changes nothing: models are loaded and activated through the lifecycle service alone.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from tritonclient.grpc import model_config_pb2
from tritonclient.grpc import service_pb2 as oip

from faceserve import __version__
from faceserve.errors import NoModel, NotAllowed, NotOffered, UnknownModel
from faceserve.inference.answering import Answering, Asked
from faceserve.inference.darkroom import Darkroom
from faceserve.metrics import Metrics, Totals
from faceserve.protocols.tensors import (
    FEATURES,
    IMAGES,
    MAX_BATCH,
    PHOTOS,
    PROBABILITIES,
    answer,
    demand_outputs,
    held_bytes,
    images_of,
)
from faceserve.protocols.wishes import NO_SHARED_MEMORY, wishes
from faceserve.rollout.lifecycle import ModelLifecycleManager
from include.contract.preprocessing import INPUT_PIXELS

# Of Triton's model configuration.
_ENSEMBLE = "ensemble_scheduling"
_NANOSECONDS = 1_000_000_000
_EXTENSIONS = ("model_configuration", "model_repository", "statistics", "binary_tensor_data", "classification")


@dataclass(frozen=True)
class Names:
    engine: str
    replica: str


@dataclass(frozen=True)
class Caller:
    """Until when it waits, in seconds of the monotonic clock, and whether it still does."""

    deadline: float = float("inf")
    waits: Callable[[], bool] = lambda: True


class OpenInference:
    """Every method raises `ServingError`s, and gives the message that answers."""

    def __init__(
        self, answering: Answering, manager: ModelLifecycleManager, metrics: Metrics, darkroom: Darkroom, names: Names
    ) -> None:
        self._answering = answering
        self._manager = manager
        self._metrics = metrics
        self._darkroom = darkroom
        self._names = names

    def demand_room(self, model: str) -> None:
        """Before anything of an inference request is read."""
        self._answering.demand_room(model)

    def server_ready(self) -> bool:
        """True as soon as any model serves, so that a load balancer sends no traffic before."""
        return any(self._manager.snapshot(model).active for model in self._manager.models)

    def server_metadata(self) -> oip.ServerMetadataResponse:
        name = f"faceserve {self._names.replica}"
        return oip.ServerMetadataResponse(name=name, version=__version__, extensions=_EXTENSIONS)

    def model_ready(self, model: str, version: str) -> bool:
        try:
            self._manager.snapshot(model).demand(version)
        except (NoModel, UnknownModel):
            return False
        return True

    def model_metadata(self, model: str, version: str) -> oip.ModelMetadataResponse:
        generation = self._manager.snapshot(model).demand(version)
        versions = [one.version for one in self._manager.snapshot(model).answering]
        found = oip.ModelMetadataResponse(name=model, versions=versions, platform=self._names.engine)
        found.inputs.add(name=IMAGES, datatype="UINT8", shape=[-1, INPUT_PIXELS, INPUT_PIXELS, 3])
        found.inputs.add(name=PHOTOS, datatype="BYTES", shape=[-1])
        for name, width in generation.output_widths.items():
            found.outputs.add(name=name, datatype="FP32", shape=[-1, width])
        return found

    def model_config(self, model: str, version: str) -> oip.ModelConfigResponse:
        generation = self._manager.snapshot(model).demand(version)
        config = model_config_pb2.ModelConfig(name=model, platform=self._names.engine, max_batch_size=MAX_BATCH)
        config.input.add(name=IMAGES, data_type=model_config_pb2.TYPE_UINT8, dims=[INPUT_PIXELS, INPUT_PIXELS, 3])
        # Instead of images, so tools that send every input that is needed send those alone.
        photos = config.input.add(name=PHOTOS, data_type=model_config_pb2.TYPE_STRING, dims=[1], optional=True)
        photos.reshape.SetInParent()
        for name, width in generation.output_widths.items():
            config.output.add(name=name, data_type=model_config_pb2.TYPE_FP32, dims=[width])
        config.parameters["inputs"].string_value = f"{IMAGES} or {PHOTOS}, one of them"
        config.parameters["labels"].string_value = ",".join(generation.labels)
        config.parameters["model_version"].string_value = generation.version
        return oip.ModelConfigResponse(config=config)

    def model_statistics(self, model: str, version: str) -> oip.ModelStatisticsResponse:
        """Of all models if `model` is empty."""
        if model:
            self._manager.slot(model)
        return oip.ModelStatisticsResponse(
            model_stats=[
                _statistics(name, number, totals)
                for name in ([model] if model else self._manager.models)
                for number, totals in self._metrics.totals(name).items()
                if version in {"", number}
            ]
        )

    def repository_index(self, repository: str, *, ready: bool) -> oip.RepositoryIndexResponse:
        """Every version that a request may ask for and, unless only those that are `ready`, models without any."""
        if repository:
            raise UnknownModel(f"no repository {repository[:40]!r}: there is one, without a name")
        found = oip.RepositoryIndexResponse()
        for model in self._manager.models:
            answering = self._manager.snapshot(model).answering
            for generation in answering:
                found.models.add(name=model, version=generation.version, state="READY")
            if not answering and not ready:
                found.models.add(name=model, state="UNAVAILABLE", reason="no version serves on this replica yet")
        return found

    def change_repository(self, model: str, config: str) -> NoReturn:
        """Always raises: `NotAllowed`, `UnknownModel`, or `NotOffered` where `config` makes an ensemble of models."""
        if _ENSEMBLE in config:
            raise NotOffered(
                "ensembles are not offered: each name is one model, and what it takes are photos or images"
            )
        self._manager.slot(model)
        raise NotAllowed(
            f"which version of {model} serves is decided through the lifecycle service (faceserve.v1.Lifecycle, on a "
            "port of its own), in a fleet by the retraining pipeline: nothing is loaded or unloaded here"
        )

    def share_memory(self) -> None:
        """Always raises `NotOffered`."""
        raise NotOffered(NO_SHARED_MEMORY)

    def change_settings(self) -> None:
        """Always raises `NotOffered`."""
        raise NotOffered("traces and logs are set up where the server is started, by FACESERVE_* variables")

    def infer(self, request: oip.ModelInferRequest, caller: Caller) -> oip.ModelInferResponse:
        wished = wishes(request)
        demand_outputs(request, (PROBABILITIES, FEATURES))
        deadline = min(caller.deadline, time.monotonic() + wished.timeout_seconds)
        model, version, size_bytes = request.model_name, request.model_version, held_bytes(request)
        asked = Asked(model, version, wished.task_id, deadline, caller.waits, size_bytes)
        decode = functools.partial(self._darkroom.decoded, deadline=asked.deadline, wanted=asked.wanted)
        found = self._answering.answer(asked, lambda: images_of(request, decode))
        response = oip.ModelInferResponse(model_name=model, model_version=found.generation.version, id=request.id)
        response.parameters["epoch"].int64_param = found.epoch
        response.parameters["replica"].string_param = self._names.replica
        response.parameters["side"].string_param = found.side
        known = {PROBABILITIES: found.output.probabilities, FEATURES: found.output.features}
        answer(request, response, known, found.generation.labels)
        return response


def _statistics(name: str, number: str, totals: Totals) -> oip.ModelStatistics:
    found: Any = oip.ModelStatistics(
        name=name,
        version=number,
        inference_count=totals.images,
        execution_count=totals.engine_calls,
        last_inference=int(totals.last_at * 1000),
    )
    for part, count, seconds in (
        ("success", totals.answered, totals.answered_seconds),
        ("fail", totals.failed, totals.failed_seconds),
        ("queue", totals.answered, totals.queue_seconds),
        ("compute_input", totals.answered, totals.input_seconds),
        ("compute_infer", totals.answered, totals.inference_seconds),
    ):
        duration = getattr(found.inference_stats, part)
        duration.count, duration.ns = count, int(seconds * _NANOSECONDS)
    return found
