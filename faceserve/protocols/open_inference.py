"""The Open Inference Protocol v2, so that any of its clients can use faceserve.

It changes nothing: models are loaded and activated through the lifecycle service alone, so the calls for a model
repository and for shared memory are UNIMPLEMENTED.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from tritonclient.grpc import model_config_pb2, service_pb2_grpc
from tritonclient.grpc import service_pb2 as oip

from faceserve import __version__
from faceserve.errors import NoModel, ServingError, UnknownModel
from faceserve.inference.answering import Answering, Asked
from faceserve.inference.darkroom import Darkroom
from faceserve.metrics import Metrics, Totals
from faceserve.protocols.statuses import deadline, statuses
from faceserve.protocols.tensors import IMAGES, MAX_BATCH, PHOTOS, answer, images_of
from faceserve.rollout.lifecycle import ModelLifecycleManager
from include.contract.preprocessing import INPUT_PIXELS

SERVICE_NAME = "inference.GRPCInferenceService"
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Names:
    engine: str
    replica: str


class OpenInferenceServicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(
        self, answering: Answering, manager: ModelLifecycleManager, metrics: Metrics, darkroom: Darkroom, names: Names
    ) -> None:
        self._answering = answering
        self._manager = manager
        self._metrics = metrics
        self._darkroom = darkroom
        self._engine = names.engine
        self._replica = names.replica

    def ServerLive(self, request: oip.ServerLiveRequest, context: grpc.ServicerContext) -> oip.ServerLiveResponse:
        return oip.ServerLiveResponse(live=True)

    def ServerReady(self, request: oip.ServerReadyRequest, context: grpc.ServicerContext) -> oip.ServerReadyResponse:
        """True as soon as any model serves, so that a load balancer sends no traffic before."""
        return oip.ServerReadyResponse(ready=any(self._manager.snapshot(m).active for m in self._manager.models))

    def ServerMetadata(
        self, request: oip.ServerMetadataRequest, context: grpc.ServicerContext
    ) -> oip.ServerMetadataResponse:
        return oip.ServerMetadataResponse(
            name=f"faceserve {self._replica}",
            version=__version__,
            extensions=["model_configuration", "statistics", "binary_tensor_data"],
        )

    @statuses
    def ModelReady(self, request: oip.ModelReadyRequest, context: grpc.ServicerContext) -> oip.ModelReadyResponse:
        try:
            with self._manager.lease(request.name, request.version):
                return oip.ModelReadyResponse(ready=True)
        except (NoModel, UnknownModel):
            return oip.ModelReadyResponse(ready=False)

    @statuses
    def ModelMetadata(
        self, request: oip.ModelMetadataRequest, context: grpc.ServicerContext
    ) -> oip.ModelMetadataResponse:
        with self._manager.lease(request.name, request.version) as lease:
            generation = lease.generation
            answer = oip.ModelMetadataResponse(
                name=request.name, versions=self._versions(request.name), platform=self._engine
            )
            answer.inputs.add(name=IMAGES, datatype="UINT8", shape=[-1, INPUT_PIXELS, INPUT_PIXELS, 3])
            answer.inputs.add(name=PHOTOS, datatype="BYTES", shape=[-1])
            for name, width in generation.output_widths.items():
                answer.outputs.add(name=name, datatype="FP32", shape=[-1, width])
            return answer

    @statuses
    def ModelConfig(self, request: oip.ModelConfigRequest, context: grpc.ServicerContext) -> oip.ModelConfigResponse:
        with self._manager.lease(request.name, request.version) as lease:
            generation = lease.generation
            config = model_config_pb2.ModelConfig(name=request.name, platform=self._engine, max_batch_size=MAX_BATCH)
            config.input.add(name=IMAGES, data_type=model_config_pb2.TYPE_UINT8, dims=[INPUT_PIXELS, INPUT_PIXELS, 3])
            for name, width in generation.output_widths.items():
                config.output.add(name=name, data_type=model_config_pb2.TYPE_FP32, dims=[width])
            config.parameters["labels"].string_value = ",".join(generation.labels)
            config.parameters["model_version"].string_value = generation.version
            return oip.ModelConfigResponse(config=config)

    @statuses
    def ModelStatistics(
        self, request: oip.ModelStatisticsRequest, context: grpc.ServicerContext
    ) -> oip.ModelStatisticsResponse:
        if request.name:
            self._manager.slot(request.name)
        return oip.ModelStatisticsResponse(
            model_stats=[
                _statistics(name, number, totals)
                for name in ([request.name] if request.name else self._manager.models)
                for number, totals in self._metrics.totals(name).items()
                if request.version in {"", number}
            ]
        )

    @statuses
    def ModelInfer(self, request: oip.ModelInferRequest, context: grpc.ServicerContext) -> oip.ModelInferResponse:
        return self._infer(request, context)

    def ModelStreamInfer(
        self, requests: Iterator[oip.ModelInferRequest], context: grpc.ServicerContext
    ) -> Iterator[oip.ModelStreamInferResponse]:
        """One answer for each request, in order; an error is the answer to its own request and ends no other."""
        for request in requests:
            try:
                yield oip.ModelStreamInferResponse(infer_response=self._infer(request, context))
            except ServingError as error:
                failed = oip.ModelInferResponse(model_name=request.model_name, id=request.id)
                yield oip.ModelStreamInferResponse(error_message=str(error), infer_response=failed)

    def _infer(self, request: oip.ModelInferRequest, context: grpc.ServicerContext) -> oip.ModelInferResponse:
        task_id = request.parameters["task_id"].string_param if "task_id" in request.parameters else ""
        asked = Asked(
            request.model_name,
            request.model_version,
            task_id,
            deadline(context),
            context.is_active,
            request.ByteSize(),
        )
        decode = functools.partial(self._darkroom.decoded, deadline=asked.deadline, wanted=asked.wanted)
        found = self._answering.answer(asked, lambda: images_of(request, decode))
        response = oip.ModelInferResponse(
            model_name=request.model_name, model_version=found.generation.version, id=request.id
        )
        response.parameters["epoch"].int64_param = found.epoch
        response.parameters["replica"].string_param = self._replica
        response.parameters["side"].string_param = found.side
        answer(request, response, {"probabilities": found.output.probabilities, "features": found.output.features})
        return response

    def _versions(self, model: str) -> list[str]:
        snapshot = self._manager.snapshot(model)
        return [g.version for g in (snapshot.active, snapshot.previous) if g]


def _statistics(name: str, number: str, totals: Totals) -> oip.ModelStatistics:
    found: Any = oip.ModelStatistics(
        name=name,
        version=number,
        inference_count=totals.images,
        execution_count=totals.answered,
        last_inference=int(totals.last_at * 1000),
    )
    for part, count, seconds in (
        ("success", totals.answered, totals.answered_seconds),
        ("fail", totals.failed, totals.failed_seconds),
        ("compute_infer", totals.answered, totals.inference_seconds),
    ):
        duration = getattr(found.inference_stats, part)
        duration.count, duration.ns = count, int(seconds * _NANOSECONDS)
    return found
