"""A replica that joins late, or was away, asks the registry before it is ready."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from faceserve.errors import StorageUnavailable
from include.contract.lifecycle_client import FaceserveError
from include.contract.manifest import MANIFEST
from include.contract.signature import SIGNATURE, sign
from include.stack.signing_keys import SigningKeys
from tests.listening import listen
from tests.replica.world import replica
from tests.tiny_model import FolderSource, grey_photo, tiny_artifact
from tests.waiting import until

DARK = grey_photo(20)
NOWHERE = "http://127.0.0.1:9"


class Registry(BaseHTTPRequestHandler):
    """MLflow's answer about the alias `champion`, as its REST API gives it; `up` says whether it answers."""

    champion = None
    up = True

    def do_GET(self):
        found = type(self).champion if "name=laundry" in self.path else None
        body = json.dumps(found or {"error_code": "RESOURCE_DOES_NOT_EXIST"}).encode()
        self.send_response((200 if found else 404) if self.up else 503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def registry():
    class Own(Registry):
        pass

    with HTTPServer(("127.0.0.1", 0), Own) as server:
        listen(server)
        Own.url = f"http://127.0.0.1:{server.server_port}"
        yield Own
        server.shutdown()


@pytest.fixture
def source():
    return FolderSource()


@pytest.fixture(autouse=True)
def soon_again(monkeypatch):
    monkeypatch.setattr("faceserve.rollout.coming_back._RETRY_SECONDS", 0.1)


def promoted(source, version, at, *, with_files=True):
    """What the registry says of a champion, as `pipeline/adapters/mlflow_registry.py` writes it."""
    uri = f"s3://models/laundry/{version}/"
    files = tiny_artifact(sharpness=4.0 + int(version.split(".")[1]))
    sha256 = (source if with_files else FolderSource()).put(uri, files)
    tags = {"retraining.version": version, "manifest_sha256": sha256, "promoted_at": f"{at:.3f}"}
    return {"model_version": {"source": uri, "tags": [{"key": k, "value": v} for k, v in tags.items()]}}


def served(folder, source, *versions):
    """A replica served these and went away."""
    with replica(folder, source) as world:
        for version in versions:
            world.serve(version)


def answered(world):
    return world.client.classify("laundry", DARK).model_version


def health(world):
    with grpc.insecure_channel(world.address) as channel:
        request = health_pb2.HealthCheckRequest(service="laundry")
        found = health_pb2_grpc.HealthStub(channel).Check(request, timeout=60).status
        return health_pb2.HealthCheckResponse.ServingStatus.Name(found)


@contextmanager
def store_down(source, monkeypatch, prefix="s3://"):
    """The store does not answer about what begins with `prefix`."""
    plain = source.read

    def read(uri, *limit):
        if uri.startswith(prefix):
            raise StorageUnavailable("S3: timed out")
        return plain(uri, *limit)

    monkeypatch.setattr(source, "read", read)
    yield
    monkeypatch.setattr(source, "read", plain)


def test_a_replica_that_joins_late_serves_the_champion_before_it_answers_anybody(tmp_path, registry, source):
    registry.champion = promoted(source, "v1.4.0", time.time())
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert (answered(world), health(world)) == ("v1.4.0", "SERVING")


def test_a_replica_that_missed_a_promotion_comes_back_with_the_new_champion(tmp_path, registry, source):
    served(tmp_path, source, "v1.0.0")
    registry.champion = promoted(source, "v1.1.0", time.time() + 1)
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert (answered(world), health(world)) == ("v1.1.0", "SERVING")
        assert world.lifecycle.rollback("laundry").version == "v1.0.0"


def test_whatever_the_registry_says_a_replica_that_knows_its_trainer_takes_nothing_unsigned(tmp_path, registry, source):
    keys = SigningKeys.of_stack(tmp_path)
    keys.make()
    ours = {"registry_url": registry.url, "verifying_key": keys.public}
    for version in ("v1.0.0", "v1.1.0"):
        registry.champion = promoted(source, version, time.time())
        if version == "v1.0.0":
            uri = registry.champion["model_version"]["source"]
            source.objects[uri + SIGNATURE] = sign(source.objects[uri + MANIFEST], keys.private)
        with replica(tmp_path, source, **ours) as world:
            # The registry names v1.1.0 the second time, and nobody signed that.
            assert (answered(world), health(world)) == ("v1.0.0", "SERVING")


def test_a_replica_that_missed_a_rollback_comes_back_with_the_version_before(tmp_path, registry, source):
    served(tmp_path, source, "v1.0.0", "v1.1.0")
    registry.champion = promoted(source, "v1.0.0", time.time() + 1)
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert answered(world) == "v1.0.0"
        assert world.lifecycle.rollback("laundry").version == "v1.0.0"
        assert world.lifecycle.versions("laundry") == ["v1.0.0", "v1.1.0"]


def test_a_replica_that_knows_of_a_later_activation_than_the_registry_keeps_it(tmp_path, registry, source):
    registry.champion = promoted(source, "v1.0.0", time.time() - 60)
    served(tmp_path, source, "v1.1.0")
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert answered(world) == "v1.1.0"


def test_until_the_champion_can_be_loaded_what_served_last_answers(tmp_path, registry, source, monkeypatch, caplog):
    served(tmp_path, source, "v1.0.0")
    registry.champion = promoted(source, "v1.1.0", time.time() + 1)
    with (
        store_down(source, monkeypatch, "s3://models/laundry/v1.1.0/"),
        replica(tmp_path, source, registry_url=registry.url) as world,
    ):
        assert (answered(world), health(world)) == ("v1.0.0", "SERVING")
        assert "laundry serves v1.0.0 and not what it should: S3: timed out" in caplog.text
        epoch = world.lifecycle.status("laundry").epoch
        monkeypatch.undo()
        until(lambda: answered(world) == "v1.1.0", "the champion to be loaded")
        assert world.lifecycle.status("laundry").epoch > epoch


def test_without_the_champions_files_what_served_last_answers_and_the_pipeline_is_asked(
    tmp_path, registry, source, caplog
):
    served(tmp_path, source, "v1.0.0")
    registry.champion = promoted(source, "v1.1.0", time.time() + 1, with_files=False)
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert (health(world), answered(world)) == ("SERVING", "v1.0.0")
        assert "laundry serves v1.0.0 and not what it should: manifest.json is missing at s3://models/" in caplog.text
        assert "`python -m pipeline reconcile --model-type LAUNDRY` brings it back" in caplog.text
        # As reconcile does, when the files are there again.
        assert world.prepare("v1.1.0").epoch == 1
        world.lifecycle.activate("laundry", "v1.1.0", 1)
        assert (health(world), answered(world)) == ("SERVING", "v1.1.0")
        assert world.lifecycle.versions("laundry") == ["v1.1.0", "v1.0.0"]


def test_a_replica_with_neither_serves_nothing_and_says_so(tmp_path, registry, source):
    registry.champion = promoted(source, "v1.1.0", time.time(), with_files=False)
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert (health(world), world.lifecycle.status("laundry").version) == ("NOT_SERVING", None)
        with pytest.raises(FaceserveError, match="no version of laundry serves on this replica yet") as caught:
            answered(world)
        assert caught.value.code == "UNAVAILABLE"


def test_while_the_registry_is_away_a_replica_comes_back_with_what_it_served(tmp_path, source, caplog):
    served(tmp_path, source, "v1.0.0")
    with replica(tmp_path, source, registry_url=NOWHERE) as world:
        assert (answered(world), health(world)) == ("v1.0.0", "SERVING")
        assert "laundry comes back with what it served, until the registry answers: the registry cannot" in caplog.text


@pytest.mark.parametrize("names", ["v1.1.0", "v1.0.0"])
def test_a_registry_that_comes_late_is_asked_although_something_serves(tmp_path, registry, source, names):
    """It names what was promoted while the replica was away, or what serves already."""
    served(tmp_path, source, "v1.0.0")
    registry.champion, registry.up = promoted(source, names, time.time() + 1), False
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert (answered(world), health(world)) == ("v1.0.0", "SERVING")
        registry.up = True
        until(lambda: world.server.manager.settled("laundry"), "the registry's word to count")
        assert (answered(world), health(world)) == (names, "SERVING")
        known = ["v1.0.0", names] if names != "v1.0.0" else [names]
        assert sorted(world.lifecycle.versions("laundry")) == sorted(known)


def test_a_change_made_while_the_registry_was_away_is_not_undone_by_its_word(tmp_path, registry, source):
    served(tmp_path, source, "v1.0.0")
    registry.champion, registry.up = promoted(source, "v1.1.0", time.time() + 1), False
    with replica(tmp_path, source, registry_url=registry.url) as world:
        world.serve("v1.2.0")
        registry.up = True
        until(lambda: not [one for one in threading.enumerate() if one.name == "coming back"], "the asking to end")
        assert answered(world) == "v1.2.0"


def test_a_replica_that_joins_while_the_registry_is_away_serves_when_it_is_back(tmp_path, registry, source):
    registry.champion, registry.up = promoted(source, "v1.0.0", time.time()), False
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert (health(world), world.lifecycle.status("laundry").version) == ("NOT_SERVING", None)
        registry.up = True
        until(lambda: health(world) == "SERVING", "the champion to be loaded")
        assert answered(world) == "v1.0.0"


def test_what_the_pipeline_activates_meanwhile_stays(tmp_path, registry, source):
    registry.champion, registry.up = promoted(source, "v1.0.0", time.time()), False
    with replica(tmp_path, source, registry_url=registry.url) as world:
        world.serve("v1.2.0")
        registry.up = True
        time.sleep(0.5)
        assert answered(world) == "v1.2.0"


@pytest.mark.parametrize("champion", [{}, {"model_version": None}, {"model_version": {"tags": []}}, [1]])
def test_a_registry_that_answers_nonsense_does_not_stop_a_replica(tmp_path, registry, source, champion):
    served(tmp_path, source, "v1.0.0")
    registry.champion = champion
    with replica(tmp_path, source, registry_url=registry.url) as world:
        assert answered(world) == "v1.0.0"


def test_a_replica_that_starts_during_an_outage_of_the_store_serves_when_it_is_over(
    tmp_path, registry, source, monkeypatch
):
    registry.champion = promoted(source, "v1.0.0", time.time())
    with store_down(source, monkeypatch), replica(tmp_path, source, registry_url=registry.url) as world:
        assert world.lifecycle.status("laundry").version is None
        monkeypatch.undo()
        until(lambda: world.lifecycle.status("laundry").version == "v1.0.0", "the champion to be loaded")
