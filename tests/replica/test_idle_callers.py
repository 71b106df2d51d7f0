"""Whoever only watches, waits or begins to ask takes nothing from those that ask, change and look."""

import itertools
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from tritonclient.grpc import service_pb2 as oip
from tritonclient.grpc import service_pb2_grpc

from faceserve.faces.enrolment import _CHANGES_AT_ONCE
from faceserve.load_test import round_robin
from faceserve.protocols.places import Patience
from faceserve.rollout.slot import MAX_LOADING
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.lifecycle_client import LifecycleClient
from tests.replica.idle import Watcher, saying_nothing
from tests.replica.world import TOKEN, replica, unstarted
from tests.tiny_model import grey_photo
from tests.waiting import until

DARK = grey_photo(20)
SWAPS = 500
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
STATUS = "/faceserve.v1.Lifecycle/GetStatus"
HEALTH = "/grpc.health.v1.Health/Check"
CLASSIFY = "/faceserve.v1.Inference/Classify"
READY = "/inference.GRPCInferenceService/ModelReady"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Nobody is sent away for saying nothing."""
    monkeypatch.setattr("faceserve.server.PATIENCE", Patience(message_seconds=600, silence_seconds=600))
    with replica(tmp_path) as made:
        made.serve("v1.0.0")
        made.serve("v1.1.0")
        yield made


def health(address, service="laundry"):
    with grpc.insecure_channel(address) as channel:
        asked = health_pb2.HealthCheckRequest(service=service)
        return health_pb2_grpc.HealthStub(channel).Check(asked, timeout=60).status


def everything_works(world):
    assert world.lifecycle.status("laundry").version == "v1.1.0"
    assert world.lifecycle.rollback("laundry").version == "v1.0.0"
    assert world.client.classify("laundry", DARK).model_version == "v1.0.0"
    assert {health(world.address), health(world.lifecycle_address)} == {health_pb2.HealthCheckResponse.SERVING}


def test_no_swap_waits_for_a_watcher_that_is_killed(world):
    """grpcio's own health servicer stops for ever when a watcher goes away at the moment of a change."""
    over, killed = threading.Event(), []

    def come_and_go():
        while not over.is_set():
            watchers = [Watcher(address) for address in (world.address, world.lifecycle_address) * 2]
            came = [one.watches() for one in watchers]
            for one in watchers:
                one.kill()
            killed.extend(came)

    coming = threading.Thread(target=come_and_go)
    coming.start()
    for swaps, version in enumerate(itertools.cycle(["v1.0.0", "v1.1.0"])):
        # So that each activation is news: every watcher is told by it, also one that is dying.
        world.server.health.set("laundry", health_pb2.HealthCheckResponse.NOT_SERVING)
        world.lifecycle.activate("laundry", version)
        assert health(world.address) == health_pb2.HealthCheckResponse.SERVING
        if swaps >= SWAPS and len(killed) >= 8:
            break
        time.sleep(0.002)
    over.set()
    coming.join()
    assert all(killed)
    world.lifecycle.activate("laundry", "v1.1.0")
    everything_works(world)


def test_a_fleet_of_clients_as_they_are_told_to_be_is_served_whoever_of_them_is_killed(world):
    """Each of their connections watches all the time."""
    dying = Watcher(world.address, connections=100)
    assert dying.watches()
    config = json.dumps(round_robin("laundry"))
    options = [("grpc.service_config", config), ("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as channels:
        clients = [channels.enter_context(grpc.insecure_channel(world.address, options)) for _ in range(200)]
        stubs = [pb_grpc.InferenceStub(client) for client in clients]

        def versions():
            asked = pb.ClassifyRequest(model="laundry", image=DARK)
            return {stub.Classify(asked, timeout=60).model_version for stub in stubs}

        assert versions() == {"v1.1.0"}
        dying.kill()
        # All are told that it serves no more, and again that it does.
        world.server.health.set("laundry", health_pb2.HealthCheckResponse.NOT_SERVING)
        with pytest.raises(grpc.RpcError):
            until(lambda: versions() is None, "clients to be told")
        world.lifecycle.activate("laundry", "v1.0.0")
        until(lambda: served(versions) == {"v1.0.0"}, "every client to be served again")
        late = Watcher(world.address, connections=100)
        assert late.watches()
        late.kill()
    assert world.lifecycle.activate("laundry", "v1.1.0").version == "v1.1.0"
    everything_works(world)


def served(versions):
    try:
        return versions()
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        return set()


@pytest.mark.parametrize(
    ("port", "method", "count"),
    [
        ("lifecycle_address", REFLECTION, 60),
        ("lifecycle_address", STATUS, 60),
        ("address", REFLECTION, 60),
        ("address", STREAM, 180),
    ],
)
def test_callers_that_say_nothing_take_no_place_of_another_kind(world, port, method, count):
    with saying_nothing(getattr(world, port), method, count) as calls:
        until(lambda: sum(call.done() for call in calls) >= 24, "the surplus to be refused")
        codes = {call.code() for call in calls if call.done()}
        assert codes <= {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAUTHENTICATED}
        everything_works(world)


SHARES = [
    ("lifecycle_address", HEALTH, 12),
    ("lifecycle_address", STATUS, 16),
    ("lifecycle_address", REFLECTION, 3),
    ("address", HEALTH, 12),
    ("address", READY, 12),
    ("address", STREAM, 96),
    ("address", CLASSIFY, 96),
]


def test_one_connection_leaves_places_of_each_kind_to_the_others(world):
    reflected = reflection_pb2.ServerReflectionRequest(list_services="")
    for port, method, share in SHARES:
        with saying_nothing(getattr(world, port), method, 150, TOKEN, connections=1) as calls:
            until(
                lambda calls=calls, share=share: sum(not one.done() for one in calls) <= share, f"{method} to be left"
            )
            refused = [call for call in calls if call.done()]
            assert {call.code() for call in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            assert len(refused) == 150 - share
            assert world.lifecycle.status("laundry").version == "v1.1.0"
            assert world.client.classify("laundry", DARK).model_version == "v1.1.0"
            assert health(world.address) == health(world.lifecycle_address) == health_pb2.HealthCheckResponse.SERVING
            assert answers(world, "lifecycle_address", REFLECTION, reflected)
            assert answers(world, "address", STREAM, oip.ModelInferRequest(model_name="nobody"))
            assert answers(world, "address", READY, oip.ModelReadyRequest(name="laundry"))


def test_a_rollback_finds_a_place_also_over_the_connection_by_which_as_much_loads_and_is_enrolled_as_can(world):
    most = 2 * MAX_LOADING + _CHANGES_AT_ONCE
    with (
        saying_nothing(world.lifecycle_address, STATUS, 60, TOKEN, connections=1) as calls,
        grpc.insecure_channel(world.lifecycle_address, [("number", 0)]) as same,
    ):
        until(lambda: sum(not one.done() for one in calls) <= 16, "the surplus to be refused")
        for surplus in [one for one in calls if not one.done()][most:]:
            surplus.cancel()

        def rolled_back():
            asked, metadata = (
                pb.RollbackRequest(model="laundry", expected_epoch=-1),
                (("authorization", f"Bearer {TOKEN}"),),
            )
            try:
                pb_grpc.LifecycleStub(same).Rollback(asked, metadata=metadata, timeout=60)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                return False
            return True

        until(rolled_back, "the surplus to have left")
        assert sum(not one.done() for one in calls) == most
        assert world.lifecycle.status("laundry").version == "v1.0.0"


def answers(world, port, method, request):
    with grpc.insecure_channel(getattr(world, port)) as channel:
        return next(channel.stream_stream(method)(iter([request.SerializeToString()]), timeout=60))


@pytest.fixture
def crowded(tmp_path):
    """No place is left: its model works for the only caller that may wait, until `finish`."""
    with replica(tmp_path, http_port=0, max_queued=0) as world, ThreadPoolExecutor(1) as pool:
        world.serve("v1.0.0")
        engine, begun, world.finish = world.generation("v1.0.0").engine, threading.Event(), threading.Event()
        plain = engine.infer
        engine.infer = lambda images: (begun.set(), world.finish.wait(600), plain(images))[2]
        first = pool.submit(world.client.classify, "laundry", DARK)
        assert begun.wait(60)
        yield world
        world.finish.set()
        assert first.result(60).model_version == "v1.0.0"


def refusals(world):
    labels = {"model": "laundry", "version": "", "side": "stable", "code": "RESOURCE_EXHAUSTED"}
    return world.server.metrics.registry.get_sample_value("faceserve_requests_total", labels) or 0


@pytest.mark.parametrize("method", [CLASSIFY, "/inference.GRPCInferenceService/ModelInfer"])
def test_whoever_is_one_too_many_is_told_so_before_he_has_sent_anything_but_the_headers(crowded, method):
    with saying_nothing(crowded.address, method, 60) as calls:
        until(lambda: all(call.done() for call in calls), "all to be refused")
        assert {call.code() for call in calls} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert {call.details()[:11] for call in calls} == {"1 requests "}
        assert {dict(call.trailing_metadata())["grpc-retry-pushback-ms"] for call in calls} == {"500"}
        assert refusals(crowded) == 60
        assert answers(crowded, "address", READY, oip.ModelReadyRequest(name="laundry"))


def test_over_http_too_and_each_is_counted_for_its_model(crowded):
    address = ("127.0.0.1", crowded.server.http_port)
    head = b"POST /v2/models/laundry/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n"
    for refused in range(1, 4):
        with socket.create_connection(address, timeout=60) as caller:
            caller.sendall(head)
            assert b" 429 " in caller.recv(1 << 16)
        assert refusals(crowded) == refused


def test_whoever_says_nothing_for_long_is_sent_away(tmp_path, monkeypatch):
    monkeypatch.setattr("faceserve.server.PATIENCE", Patience(message_seconds=0.3, silence_seconds=0.3))
    with (
        replica(tmp_path) as world,
        saying_nothing(world.lifecycle_address, STATUS, 3, TOKEN) as half,
        saying_nothing(world.address, STREAM, 3) as silent,
    ):
        until(lambda: all(call.done() for call in (*half, *silent)), "all to be sent away")
        assert {call.code() for call in (*half, *silent)} == {grpc.StatusCode.CANCELLED}


def test_streams_whose_answers_nobody_reads_keep_no_place(tmp_path, monkeypatch):
    monkeypatch.setattr("faceserve.server.PATIENCE", Patience(silence_seconds=0.3))
    asked = oip.ModelInferRequest(model_name="nobody", id="a" * 60_000)
    with replica(tmp_path) as world, ExitStack() as channels:
        stubs = [
            service_pb2_grpc.GRPCInferenceServiceStub(
                channels.enter_context(grpc.insecure_channel(world.address, [("number", n)]))
            )
            for n in range(4)
        ]
        # Kept, so that nobody calls them off.
        unread = [stub.ModelStreamInfer(itertools.repeat(asked)) for stub in stubs for _ in range(40)]

        def answered():
            try:
                return next(stubs[0].ModelStreamInfer(iter([oip.ModelInferRequest(model_name="nobody")]))).error_message
            except grpc.RpcError as error:
                assert error.code() in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED}
                return ""

        until(answered, "a place")
        assert len(unread) == 160


def test_a_health_watch_tells_each_change_once_and_ends_with_the_server(tmp_path):
    seen = []
    with replica(tmp_path) as world:
        channel = grpc.insecure_channel(world.address)
        asked = health_pb2.HealthCheckRequest(service="laundry")
        call = health_pb2_grpc.HealthStub(channel).Watch(asked)
        reader = threading.Thread(target=lambda: seen.extend(one.status for one in call))
        reader.start()
        until(lambda: seen, "the first state")
        world.serve("v1.0.0")
        until(lambda: len(seen) == 2, "it to serve")
        world.serve("v1.1.0")
        # A state that was said a moment ago may be on its way.
        time.sleep(0.1)
    reader.join(60)
    channel.close()
    assert seen == [2, 1, 2]


def test_an_unknown_service_is_watched_as_such_and_not_found_when_asked_for(world):
    with grpc.insecure_channel(world.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service="nobody")
        assert next(stub.Watch(asked)).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(asked, timeout=60)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_shutdown_waits_for_nobody_who_only_watches_or_says_nothing(tmp_path):
    with replica(tmp_path, drain_seconds=600) as world:
        watching = iter(world.lifecycle.watch("laundry", timeout_seconds=60))
        next(watching)
        with saying_nothing(world.address, STREAM, 4), saying_nothing(world.lifecycle_address, REFLECTION, 2):
            began = time.monotonic()
            world.server.stop()
            assert time.monotonic() - began < 300


def test_a_replica_that_asks_the_registry_still_answers_that_it_does_not_serve(tmp_path, monkeypatch):
    monkeypatch.setattr("faceserve.rollout.registry._SECONDS", 600)
    silent = socket.create_server(("127.0.0.1", 0))
    settings = {"registry_url": f"http://127.0.0.1:{silent.getsockname()[1]}", "models": ("laundry",)}
    with unstarted(tmp_path, **settings) as server:
        starting = threading.Thread(target=server.start)
        starting.start()
        asked, _ = silent.accept()
        assert health(f"127.0.0.1:{server.port}") == health_pb2.HealthCheckResponse.NOT_SERVING
        with LifecycleClient(f"127.0.0.1:{server.lifecycle_port}", token=TOKEN, timeout_seconds=60) as lifecycle:
            assert lifecycle.status("laundry").version is None
        assert starting.is_alive()
        asked.close()
        silent.close()
        starting.join(60)
