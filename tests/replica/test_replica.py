"""A replica as operators meet it: watching, rolling back, draining, encrypted."""

import threading
import time
from contextlib import suppress

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import FaceserveError, LifecycleClient
from include.stack.ports import free_ports
from tests.replica.world import TOKEN, replica
from tests.tiny_model import grey_photo
from tests.waiting import until

DARK = grey_photo(20)
HASTY_SECONDS = 0.3


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path) as made:
        yield made


def versions_asked(world, count=5):
    return {world.client.classify("laundry", DARK).model_version for _ in range(count)}


# Watching


def test_a_watcher_sees_every_change_as_it_happens(world):
    seen = []

    def watch():
        with LifecycleClient(world.lifecycle_address, token=TOKEN, timeout_seconds=60) as client:
            for status in client.watch("laundry", timeout_seconds=300):
                seen.append((status.version, status.prepared))
                if status.version:
                    return

    watcher = threading.Thread(target=watch)
    watcher.start()
    until(lambda: seen, "the first state")
    world.serve("v1.0.0")
    watcher.join()
    assert seen[0] == (None, ())
    assert (None, ("v1.0.0",)) in seen
    assert seen[-1] == ("v1.0.0", ())


def test_health_watch_never_leaves_serving_while_models_change(world):
    world.serve("v1.0.0")
    states = []
    with grpc.insecure_channel(world.address) as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="laundry"))

        def watch():
            with suppress(grpc.FutureCancelledError, grpc.RpcError):
                states.extend(answer.status for answer in watching)

        watcher = threading.Thread(target=watch)
        watcher.start()
        until(lambda: states, "the first state")
        for number in range(1, 11):
            world.serve(f"v1.{number}.0")
        with pytest.raises(FaceserveError):
            world.prepare("v2.0.0", golden_shift=0.5)
        # A state that was said a moment ago may be on its way.
        time.sleep(0.5)
        watching.cancel()
        watcher.join()
    assert set(states) == {health_pb2.HealthCheckResponse.SERVING}


# Rolling back


def test_any_of_the_last_ten_that_served_can_be_rolled_back_to(world):
    for number in range(1, 13):
        world.serve(f"v1.{number}.0")
    assert world.lifecycle.versions("laundry") == [f"v1.{n}.0" for n in range(12, 2, -1)]
    assert world.lifecycle.rollback("laundry", "v1.3.0").version == "v1.3.0"
    assert versions_asked(world) == {"v1.3.0"}


@pytest.mark.parametrize("version", ["v1.1.0", "v9.9.9", "../../etc/passwd", "9" * 5000])
def test_a_version_that_did_not_serve_lately_cannot(world, version):
    for number in range(1, 13):
        world.serve(f"v1.{number}.0")
    with pytest.raises(FaceserveError, match="among the last 10 that served") as caught:
        world.lifecycle.rollback("laundry", version)
    assert caught.value.code == "NOT_FOUND"


def test_without_memory_to_keep_it_warm_the_previous_version_is_loaded_again(tmp_path):
    with replica(tmp_path, warm_memory_mb=1) as world:
        world.serve("v1.0.0")
        world.serve("v1.1.0")
        until(lambda: world.lifecycle.status("laundry").previous is None, "the previous version to be freed")
        assert world.lifecycle.rollback("laundry").version == "v1.0.0"


# Overload and the end


def test_beyond_its_limit_a_replica_refuses_at_once_and_lives_on(tmp_path):
    with replica(tmp_path, max_queued=1) as world:
        world.serve("v1.0.0")
        engine = world.generation("v1.0.0").engine
        gate, plain = threading.Event(), engine.infer
        engine.infer = lambda images: (gate.wait(60), plain(images))[1]
        with grpc.insecure_channel(world.address) as channel:
            stub = pb_grpc.InferenceStub(channel)
            request = pb.ClassifyRequest(model="laundry", image=DARK)
            calls = [stub.Classify.future(request, timeout=60) for _ in range(4)]
            until(lambda: sum(call.done() for call in calls) >= 2, "the surplus to be refused")
            refused = [call for call in calls if call.done()]
            assert {call.code() for call in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            assert "ask another replica or later" in refused[0].details()
            assert {dict(call.trailing_metadata())["grpc-retry-pushback-ms"] for call in refused} == {"500"}
            status = world.lifecycle.status("laundry")
            gate.set()
            assert status.version == "v1.0.0"
            # The second one waits, unless it came before the first had left the queue.
            answered = [call.result().label for call in calls if call.code() is grpc.StatusCode.OK]
            assert answered in (["불량"], ["불량", "불량"])


def test_a_request_whose_deadline_passes_is_told_so(world):
    world.serve("v1.0.0")
    engine = world.generation("v1.0.0").engine
    gate, plain = threading.Event(), engine.infer
    engine.infer = lambda images: (gate.wait(60), plain(images))[1]
    holder = threading.Thread(target=world.client.classify, args=("laundry", DARK))
    holder.start()
    with (
        FaceserveClient([world.address], timeout_seconds=HASTY_SECONDS) as hasty,
        pytest.raises(FaceserveError) as caught,
    ):
        hasty.classify("laundry", DARK)
    gate.set()
    holder.join()
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_while_it_drains_work_in_flight_finishes_and_new_work_is_sent_elsewhere(world):
    world.serve("v1.0.0")
    engine = world.generation("v1.0.0").engine
    gate, entered, plain = threading.Event(), threading.Event(), engine.infer

    def held(images):
        entered.set()
        gate.wait(60)
        return plain(images)

    engine.infer = held
    with grpc.insecure_channel(world.address) as channel:
        stub = pb_grpc.InferenceStub(channel)
        in_flight = stub.Classify.future(pb.ClassifyRequest(model="laundry", image=DARK), timeout=60)
        assert entered.wait(60)
        world.server._draining.begun.set()
        late = stub.Classify.future(pb.ClassifyRequest(model="laundry", image=DARK), timeout=60)
        assert late.exception().code() is grpc.StatusCode.UNAVAILABLE
        assert dict(late.trailing_metadata())["grpc-retry-pushback-ms"] == "200"
        gate.set()
        assert in_flight.result().label == "불량"


def test_a_client_is_told_which_version_every_replica_answers_with_and_nothing_of_one_that_is_away(world):
    (closed,) = free_ports(1)
    away = f"127.0.0.1:{closed}"
    with FaceserveClient([world.address, away], timeout_seconds=60) as client:
        assert client.serving("laundry", timeout_seconds=60) == {world.address: None, away: None}
        for version in ("v1.0.0", "v1.1.0"):
            world.serve(version)
            assert client.serving("laundry", timeout_seconds=60) == {world.address: version, away: None}
