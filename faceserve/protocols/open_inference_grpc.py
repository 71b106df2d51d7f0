"""The Open Inference Protocol v2 over gRPC, so that any of its clients can use faceserve."""

from collections.abc import Iterator
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as oip
from tritonclient.grpc import service_pb2_grpc

from faceserve.errors import ServingError
from faceserve.protocols.open_inference import Caller, OpenInference
from faceserve.protocols.statuses import deadline, statuses

SERVICE_NAME = "inference.GRPCInferenceService"


class OpenInferenceServicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, service: OpenInference) -> None:
        self._service = service

    def ServerLive(self, request: oip.ServerLiveRequest, context: grpc.ServicerContext) -> oip.ServerLiveResponse:
        return oip.ServerLiveResponse(live=True)

    def ServerReady(self, request: oip.ServerReadyRequest, context: grpc.ServicerContext) -> oip.ServerReadyResponse:
        return oip.ServerReadyResponse(ready=self._service.server_ready())

    def ServerMetadata(
        self, request: oip.ServerMetadataRequest, context: grpc.ServicerContext
    ) -> oip.ServerMetadataResponse:
        return self._service.server_metadata()

    def ModelReady(self, request: oip.ModelReadyRequest, context: grpc.ServicerContext) -> oip.ModelReadyResponse:
        return oip.ModelReadyResponse(ready=self._service.model_ready(request.name, request.version))

    @statuses
    def ModelMetadata(
        self, request: oip.ModelMetadataRequest, context: grpc.ServicerContext
    ) -> oip.ModelMetadataResponse:
        return self._service.model_metadata(request.name, request.version)

    @statuses
    def ModelConfig(self, request: oip.ModelConfigRequest, context: grpc.ServicerContext) -> oip.ModelConfigResponse:
        return self._service.model_config(request.name, request.version)

    @statuses
    def ModelStatistics(
        self, request: oip.ModelStatisticsRequest, context: grpc.ServicerContext
    ) -> oip.ModelStatisticsResponse:
        return self._service.model_statistics(request.name, request.version)

    @statuses
    def ModelInfer(self, request: oip.ModelInferRequest, context: grpc.ServicerContext) -> oip.ModelInferResponse:
        return self._service.infer(request, _caller(context))

    def ModelStreamInfer(
        self, requests: Iterator[oip.ModelInferRequest], context: grpc.ServicerContext
    ) -> Iterator[oip.ModelStreamInferResponse]:
        """One answer for each request, in order; an error is the answer to its own request and ends no other."""
        for request in requests:
            try:
                found = self._service.infer(request, _caller(context))
                yield oip.ModelStreamInferResponse(infer_response=found)
            except ServingError as error:
                failed = oip.ModelInferResponse(model_name=request.model_name, id=request.id)
                yield oip.ModelStreamInferResponse(error_message=str(error), infer_response=failed)

    @statuses
    def RepositoryIndex(
        self, request: oip.RepositoryIndexRequest, context: grpc.ServicerContext
    ) -> oip.RepositoryIndexResponse:
        return self._service.repository_index(request.repository_name, ready=request.ready)

    @statuses
    def RepositoryModelLoad(self, request: Any, context: grpc.ServicerContext) -> None:
        config = request.parameters.get("config")
        self._service.change_repository(request.model_name, config.string_param if config else "")

    RepositoryModelUnload = RepositoryModelLoad

    @statuses
    def SystemSharedMemoryStatus(self, request: Any, context: grpc.ServicerContext) -> None:
        self._service.share_memory()

    SystemSharedMemoryRegister = SystemSharedMemoryUnregister = SystemSharedMemoryStatus
    CudaSharedMemoryStatus = CudaSharedMemoryRegister = CudaSharedMemoryUnregister = SystemSharedMemoryStatus

    @statuses
    def TraceSetting(self, request: Any, context: grpc.ServicerContext) -> None:
        self._service.change_settings()

    LogSettings = TraceSetting


def _caller(context: grpc.ServicerContext) -> Caller:
    return Caller(deadline(context), context.is_active)
