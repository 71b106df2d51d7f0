"""Sends requests at a fixed rate, however long the answers take, or as fast as answers come."""

import asyncio
import csv
import itertools
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import cv2
import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as oip
from tritonclient.grpc import service_pb2_grpc as oip_grpc

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.certificate_files import CertificateFiles
from include.contract.preprocessing import INPUT_PIXELS, to_input

_TIMEOUT_SECONDS = 10.0
_PERCENT = 100
_CLIENTS = 4


@dataclass(frozen=True)
class Request:
    """`due` in seconds of the machine's monotonic clock; latency counts from then, so that waiting is not hidden."""

    due: float
    milliseconds: float
    code: str
    version: str


@dataclass(frozen=True)
class Plan:
    """`rate` requests a second in all (open load), or `in_flight` at once when it is 0 (closed load).

    `protocol` says how photos travel: as they are to `faceserve.v1`, or decoded by the Open Inference Protocol, which
    other model servers understand too. With `round_robin` each of several clients knows all addresses as those of one
    name, leaves out whoever is not ready, and asks another one again where a request found nobody. `ca` signed the
    replicas' certificates; None: they have none.
    """

    addresses: Sequence[str]
    model: str
    photos: Sequence[bytes]
    seconds: float
    rate: float = 0.0
    in_flight: int = 4
    protocol: Literal["photos", "open-inference"] = "photos"
    round_robin: bool = False
    ca: Path | None = None


def run(plan: Plan) -> list[Request]:
    """Everything that was sent, in the order of its answers."""
    return asyncio.run(_run(plan))


def sample_photo(pixels: int = 640) -> bytes:
    """A JPEG of noise that was smoothed, about as hard to decode as a photo."""
    noise = np.random.default_rng(1).integers(0, 256, (pixels * 3 // 4, pixels, 3), np.uint8)
    ok, encoded = cv2.imencode(".jpg", cv2.GaussianBlur(noise, (0, 0), 3))
    assert ok
    return encoded.tobytes()


def summary(requests: Sequence[Request], seconds: float) -> dict[str, object]:
    """Counts, rates and percentiles of the answered requests."""
    answered = [request.milliseconds for request in requests if request.code == "OK"]
    errors = Counter(request.code for request in requests if request.code != "OK")
    found: dict[str, object] = {
        "requests": len(requests),
        "failed": sum(errors.values()),
        "errors": dict(errors),
        "requests_per_second": round(len(answered) / seconds, 1),
        "versions": dict(Counter(request.version for request in requests if request.version)),
    }
    if len(answered) > 1:
        percentiles = statistics.quantiles(answered, n=_PERCENT, method="inclusive")
        found |= {f"p{p}_ms": round(percentiles[p - 1], 2) for p in (50, 95, 99)}
        found |= {"mean_ms": round(statistics.fmean(answered), 2), "max_ms": round(max(answered), 2)}
    return found


def write(requests: Sequence[Request], path: Path) -> None:
    """One line a request."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(field.name for field in fields(Request))
        out.writerows(astuple(request) for request in requests)


def read(path: Path) -> list[Request]:
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        return [Request(float(r["due"]), float(r["milliseconds"]), r["code"], r["version"]) for r in rows]


async def _run(plan: Plan) -> list[Request]:
    channels = _channels(plan)
    stub: Any = pb_grpc.InferenceStub if plan.protocol == "photos" else oip_grpc.GRPCInferenceServiceStub
    stubs = [stub(channel) for channel in channels]
    calls = itertools.cycle([one.Classify if plan.protocol == "photos" else one.ModelInfer for one in stubs])
    bodies = itertools.cycle([_body(plan, photo) for photo in plan.photos])
    found: list[Request] = []

    async def ask(due: float) -> None:
        try:
            answer = await next(calls)(next(bodies), timeout=_TIMEOUT_SECONDS)
            code, version = "OK", answer.model_version
        except grpc.aio.AioRpcError as error:
            code, version = error.code().name, ""
        found.append(Request(due, (time.monotonic() - due) * 1000, code, version))

    await (_open(plan, ask) if plan.rate else _closed(plan, ask))
    for channel in channels:
        await channel.close(None)
    return found


def _channels(plan: Plan) -> list[grpc.aio.Channel]:
    # Connections of its own for each client, as different machines have.
    options: list[tuple[str, Any]] = [("grpc.max_send_message_length", 34 << 20), ("grpc.use_local_subchannel_pool", 1)]
    if not plan.round_robin:
        return [_channel(address, options, plan.ca) for address in plan.addresses]
    options += [
        ("grpc.service_config", json.dumps(round_robin(plan.model))),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    target = f"ipv4:{','.join(plan.addresses)}"
    if plan.ca:
        # Behind one name there are several addresses: each shows the name by which the first is called.
        options.append(("grpc.ssl_target_name_override", plan.addresses[0].rpartition(":")[0]))
    return [_channel(target, options, plan.ca) for _ in range(_CLIENTS)]


def _channel(target: str, options: list[tuple[str, Any]], ca: Path | None) -> grpc.aio.Channel:
    if ca is None:
        return grpc.aio.insecure_channel(target, options=options)
    credentials = grpc.ssl_channel_credentials(CertificateFiles(ca).read().authority)
    return grpc.aio.secure_channel(target, credentials, options=options)


def round_robin(model: str) -> dict[str, Any]:
    """gRPC's service config for clients of a fleet: in turn, ready ones only, and again where nobody took a request."""
    retries = {
        "maxAttempts": 4,
        "initialBackoff": "0.05s",
        "maxBackoff": "1s",
        "backoffMultiplier": 3,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": model},
        "methodConfig": [{"name": [{}], "retryPolicy": retries}],
    }


def _body(plan: Plan, photo: bytes) -> pb.ClassifyRequest | oip.ModelInferRequest:
    if plan.protocol == "photos":
        return pb.ClassifyRequest(model=plan.model, image=photo)
    body = oip.ModelInferRequest(model_name=plan.model, raw_input_contents=[to_input(photo).tobytes()])
    body.inputs.add(name="images", datatype="UINT8", shape=[1, INPUT_PIXELS, INPUT_PIXELS, 3])
    return body


async def _open(plan: Plan, ask: Callable[[float], Coroutine[None, None, None]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for due in _times(plan):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.create_task(ask(due))


async def _closed(plan: Plan, ask: Callable[[float], Coroutine[None, None, None]]) -> None:
    until = time.monotonic() + plan.seconds

    async def one() -> None:
        while time.monotonic() < until:
            await ask(time.monotonic())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(plan.in_flight):
            tasks.create_task(one())


def _times(plan: Plan) -> Iterator[float]:
    start = time.monotonic()
    return (start + number / plan.rate for number in range(int(plan.seconds * plan.rate)))
