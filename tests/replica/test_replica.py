"""A replica as operators meet it: watching, rolling back, draining, joining late, encrypted."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from faceserve.errors import StorageUnavailable
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import FaceserveError, LifecycleClient
from tests.replica.certificates import authority
from tests.replica.world import TOKEN, replica
from tests.tiny_model import FolderSource, grey_photo, tiny_artifact
from tests.waiting import until

DARK = grey_photo(20)


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
        with LifecycleClient(world.lifecycle_address, token=TOKEN) as client:
            seen.extend((status.version, status.prepared) for status in client.watch("laundry", timeout_seconds=3))

    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(0.3)
    world.serve("v1.0.0")
    watcher.join()
    assert seen[0] == (None, ())
    assert (None, ("v1.0.0",)) in seen
    assert seen[-1] == ("v1.0.0", ())


def test_health_watch_never_leaves_serving_while_models_change(world):
    world.serve("v1.0.0")
    states = []

    def watch():
        with grpc.insecure_channel(world.address) as channel:
            request = health_pb2.HealthCheckRequest(service="laundry")
            try:
                for answer in health_pb2_grpc.HealthStub(channel).Watch(request, timeout=3):
                    states.append(answer.status)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # noqa: PT017 - the end of the watch

    watcher = threading.Thread(target=watch)
    watcher.start()
    until(lambda: states, "the first state")
    for number in range(1, 11):
        world.serve(f"v1.{number}.0")
    with pytest.raises(FaceserveError):
        world.prepare("v2.0.0", golden_shift=0.5)
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


def test_a_rollback_does_not_wait_for_a_candidate_that_is_loading(world, monkeypatch):
    world.serve("v1.0.0")
    world.serve("v1.1.0")
    world.prepare("v1.2.0")
    loading, finish = threading.Event(), threading.Event()
    plain = world.source.read

    def slow(uri):
        if "v1.3.0" in uri:
            loading.set()
            finish.wait(20)
        return plain(uri)

    monkeypatch.setattr(world.source, "read", slow)
    candidate = threading.Thread(target=world.prepare, args=("v1.3.0",))
    candidate.start()
    assert loading.wait(10)
    assert world.lifecycle.rollback("laundry").version == "v1.0.0"
    finish.set()
    candidate.join()


# Overload and the end


def test_beyond_its_limit_a_replica_refuses_at_once_and_lives_on(tmp_path):
    with replica(tmp_path, max_queued=1) as world:
        world.serve("v1.0.0")
        engine = world.generation("v1.0.0").engine
        gate, plain = threading.Event(), engine.infer
        engine.infer = lambda images: (gate.wait(10), plain(images))[1]
        with grpc.insecure_channel(world.address) as channel:
            stub = pb_grpc.InferenceStub(channel)
            request = pb.ClassifyRequest(model="laundry", image=DARK)
            calls = [stub.Classify.future(request, timeout=20) for _ in range(4)]
            until(lambda: sum(call.done() for call in calls) >= 2, "the surplus to be refused")
            refused = [call for call in calls if call.done()]
            assert {call.code() for call in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            assert "ask another replica or later" in refused[0].details()
            status = world.lifecycle.status("laundry")
            gate.set()
            assert status.version == "v1.0.0"
            assert [call.result().label for call in calls if call not in refused] == ["불량", "불량"]


def test_a_request_whose_deadline_passes_is_told_so(world):
    world.serve("v1.0.0")
    engine = world.generation("v1.0.0").engine
    gate, plain = threading.Event(), engine.infer
    engine.infer = lambda images: (gate.wait(10), plain(images))[1]
    holder = threading.Thread(target=world.client.classify, args=("laundry", DARK))
    holder.start()
    with FaceserveClient([world.address], timeout_seconds=0.3) as hasty, pytest.raises(FaceserveError) as caught:
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
        gate.wait(10)
        return plain(images)

    engine.infer = held
    with grpc.insecure_channel(world.address) as channel:
        stub = pb_grpc.InferenceStub(channel)
        in_flight = stub.Classify.future(pb.ClassifyRequest(model="laundry", image=DARK), timeout=10)
        assert entered.wait(5)
        world.server._draining.begun.set()
        late = stub.Classify.future(pb.ClassifyRequest(model="laundry", image=DARK), timeout=10)
        assert late.exception().code() is grpc.StatusCode.UNAVAILABLE
        assert dict(late.trailing_metadata())["grpc-retry-pushback-ms"] == "200"
        gate.set()
        assert in_flight.result().label == "불량"


# Joining late, and coming back


class Registry(BaseHTTPRequestHandler):
    """MLflow's answer about the alias `champion`, as its REST API gives it."""

    champion = None

    def do_GET(self):
        found = type(self).champion if "name=laundry" in self.path else None
        body = json.dumps(found or {"error_code": "RESOURCE_DOES_NOT_EXIST"}).encode()
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def registry():
    class Own(Registry):
        pass

    with HTTPServer(("127.0.0.1", 0), Own) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Own.url = f"http://127.0.0.1:{server.server_port}"
        yield Own
        server.shutdown()


def promoted(source, version, at):
    uri = f"s3://models/laundry/{version}/"
    sha256 = source.put(uri, tiny_artifact(sharpness=4.0 + int(version.split(".")[1])))
    tags = {"retraining.version": version, "manifest_sha256": sha256, "promoted_at": f"{at:.3f}"}
    return {"model_version": {"source": uri, "tags": [{"key": k, "value": v} for k, v in tags.items()]}}


def test_a_replica_that_joins_late_serves_the_champion_before_it_answers_anybody(tmp_path, registry):
    source = FolderSource()
    registry.champion = promoted(source, "v1.4.0", time.time())
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert versions_asked(world, 1) == {"v1.4.0"}


def test_a_replica_that_was_away_during_a_promotion_comes_back_with_the_new_champion(tmp_path, registry):
    source = FolderSource()
    with replica(tmp_path, source) as world:
        world.serve("v1.0.0")
    registry.champion = promoted(source, "v1.1.0", time.time() + 1)
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert versions_asked(world, 1) == {"v1.1.0"}
        assert world.lifecycle.rollback("laundry").version == "v1.0.0"


def test_a_replica_that_knows_of_a_later_activation_than_the_registry_keeps_it(tmp_path, registry):
    source = FolderSource()
    registry.champion = promoted(source, "v1.0.0", time.time() - 60)
    with replica(tmp_path, source) as world:
        world.serve("v1.1.0")
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert versions_asked(world, 1) == {"v1.1.0"}


@pytest.mark.parametrize("champion", [{}, {"model_version": None}, {"model_version": {"tags": []}}, [1]])
def test_a_registry_that_answers_nonsense_does_not_stop_a_replica(tmp_path, registry, champion):
    source = FolderSource()
    with replica(tmp_path, source) as world:
        world.serve("v1.0.0")
    registry.champion = champion
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert versions_asked(world, 1) == {"v1.0.0"}


def test_an_unreachable_registry_does_not_stop_a_replica(tmp_path):
    with replica(tmp_path, registry_url="http://127.0.0.1:9") as world:
        assert world.lifecycle.status("laundry").version is None


def test_a_replica_that_starts_during_an_outage_of_the_store_serves_when_it_is_over(tmp_path, registry, monkeypatch):
    source = FolderSource()
    registry.champion = promoted(source, "v1.0.0", time.time())
    plain, down = source.read, threading.Event()
    down.set()

    def read(uri):
        if down.is_set():
            raise StorageUnavailable("S3: timed out")
        return plain(uri)

    monkeypatch.setattr(source, "read", read)
    monkeypatch.setattr("faceserve.server._RETRY_SECONDS", 0.1)
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert world.lifecycle.status("laundry").version is None
        down.clear()
        until(lambda: world.lifecycle.status("laundry").version == "v1.0.0", "the champion to be loaded")


# Certificates


def test_with_mutual_tls_only_certified_callers_may_change_models(tmp_path):
    ca = authority(tmp_path)
    settings = {"tls_certificate": ca.server.certificate, "tls_key": ca.server.key, "tls_client_ca": ca.certificate}
    with replica(tmp_path / "state", lifecycle_token="", **settings) as world:
        with LifecycleClient(world.lifecycle_address, tls=ca.client_tls()) as certified:
            assert certified.status("laundry").version is None
        for stranger in (
            LifecycleClient(world.lifecycle_address),
            LifecycleClient(world.lifecycle_address, tls=ca.stranger_tls()),
        ):
            with stranger, pytest.raises(FaceserveError) as caught:
                stranger.status("laundry", timeout_seconds=3)
            assert caught.value.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}


def test_half_a_tls_setting_is_refused_at_start(tmp_path):
    with pytest.raises(ValueError, match="needs both"), replica(tmp_path, tls_key=tmp_path / "key.pem"):
        pytest.fail("it started")
