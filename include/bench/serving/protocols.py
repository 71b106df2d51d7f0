"""Raw tensors over HTTP beside gRPC: one replica, one image, as many callers, in turns."""

import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as oip
from tritonclient.grpc import service_pb2_grpc as oip_grpc

from faceserve.protocols.bodies import JSON_BYTES
from include.bench.measurement import Figures, Found, Say, calls_per_second
from include.bench.serving.batching import uploaded
from include.bench.serving.replicas import MODEL, Artifact, deploy, object_store, replicas
from include.bench.spread import Spread
from include.contract.preprocessing import INPUT_PIXELS
from include.stack.layout import Stack
from include.stack.ports import free_ports

_NETWORKS, _CALLERS = ("small", "EfficientNetLite0"), 4
_TURNS, _SECONDS = 6, 5.0
_SHAPE = (1, INPUT_PIXELS, INPUT_PIXELS, 3)
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Turn:
    """Requests a second over each."""

    http: float
    grpc: float


class Http:
    """Requests of the binary extension, as Triton's client sends them; each thread has a connection that stays."""

    def __init__(self, port: int, image: bytes) -> None:
        size = {"binary_data_size": len(image)}
        tensor = {"name": "images", "shape": _SHAPE, "datatype": "UINT8", "parameters": size}
        beginning = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        self._body = beginning + image
        self._headers = {JSON_BYTES: str(len(beginning)), "Content-Type": "application/octet-stream"}
        self._port = port
        self._kept = threading.local()

    def infer(self) -> bytes:
        if not hasattr(self._kept, "connection"):
            self._kept.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS)
        connection: http.client.HTTPConnection = self._kept.connection
        connection.request("POST", f"/v2/models/{MODEL}/infer", self._body, self._headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{answer.status}: {body[:500]!r}")
        return body


def protocols(say: Say) -> Found:
    figures: Figures = {}
    with object_store(say) as store:
        for network in _NETWORKS:
            figures |= _figures(network, turns(store, uploaded(network, store), say))
    return Found(
        figures,
        f"One decoded image a request, {_CALLERS} callers that ask again once answered, in a process beside the "
        f"replica's on the same cores: Python's own HTTP client with the binary extension, and gRPC's. {_TURNS} turns "
        f"of {_SECONDS:g} s each, first one and then the other first; ratio: HTTP over gRPC in each turn.",
    )


def turns(
    store: Stack, model: Artifact, say: Say, *, times: int = _TURNS, turn_seconds: float = _SECONDS
) -> list[Turn]:
    image = np.random.default_rng(1).integers(0, 256, _SHAPE, np.uint8).tobytes()
    (port,) = free_ports(1)
    found = []
    with replicas(store, 1, settings={"http_port": port}) as (replica,), replica.lifecycle() as client:
        deploy([client], model)
        with grpc.insecure_channel(replica.address) as channel:
            by_http, by_grpc = Http(port, image).infer, _by_grpc(channel, image)
            _demand_same(by_http(), by_grpc())
            for number in range(times):
                found.append(_turn(by_http, by_grpc, turn_seconds, http_first=number % 2 == 0))
                say(f"turn {number + 1}: HTTP {found[-1].http:.0f}/s, gRPC {found[-1].grpc:.0f}/s")
    return found


def _by_grpc(channel: grpc.Channel, image: bytes) -> Callable[[], oip.ModelInferResponse]:
    infer = oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer
    body = oip.ModelInferRequest(model_name=MODEL, raw_input_contents=[image])
    body.inputs.add(name="images", datatype="UINT8", shape=_SHAPE)
    return lambda: infer(body, timeout=_TIMEOUT_SECONDS)


def _demand_same(by_http: bytes, by_grpc: oip.ModelInferResponse) -> None:
    """What is compared does the same work."""
    if not by_http.endswith(b"".join(by_grpc.raw_output_contents)):
        raise RuntimeError("HTTP answers with other tensors than gRPC")


def _turn(
    by_http: Callable[[], object], by_grpc: Callable[[], object], turn_seconds: float, *, http_first: bool
) -> Turn:
    if http_first:
        return Turn(_pace(by_http, turn_seconds), _pace(by_grpc, turn_seconds))
    over_grpc = _pace(by_grpc, turn_seconds)
    return Turn(_pace(by_http, turn_seconds), over_grpc)


def _pace(call: Callable[[], object], turn_seconds: float) -> float:
    return calls_per_second(call, callers=_CALLERS, at_least_seconds=turn_seconds)


def _figures(network: str, found: list[Turn]) -> Figures:
    name = network.lower()
    spread = Spread.of([turn.http / turn.grpc for turn in found])
    return spread.figures(f"http_beside_grpc_{name}", worst=spread.least) | {
        f"http_{name}_requests_per_second": Spread.of([turn.http for turn in found]).median,
        f"grpc_{name}_requests_per_second": Spread.of([turn.grpc for turn in found]).median,
    }
