"""A replica that could not come back tries again, unless the model itself was refused."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from faceserve.errors import BadArtifact, DiskUnusable, NoVerdict, ObjectRefused, StorageUnavailable
from faceserve.rollout.coming_back import ComingBack
from faceserve.rollout.registry import ModelRegistry
from tests.listening import listen
from tests.unit.faceserve.rollout.world import Replica
from tests.waiting import until

REFUSED = BadArtifact("damaged")
PASSING = [
    NoVerdict("the machine is too busy to try a model"),
    DiskUnusable("full"),
    StorageUnavailable("S3: timed out"),
    ObjectRefused("S3: 403"),
    OSError(5, "Input/output error"),
    MemoryError(),
]


@pytest.fixture(autouse=True)
def soon_again(monkeypatch):
    monkeypatch.setattr("faceserve.rollout.coming_back._RETRY_SECONDS", 0.05)


@pytest.fixture
def replica(tmp_path):
    before = Replica(tmp_path)
    before.serve("v1", "v2")
    before.settle()
    return Replica(tmp_path)


def coming_back(replica, fails, registry_url=""):
    replica.loader.fails = fails
    made = ComingBack(replica.manager, ModelRegistry(registry_url) if registry_url else None)
    made.restore()
    return made


@pytest.mark.parametrize("error", PASSING, ids=repr)
@pytest.mark.parametrize("first", [True, False])
def test_what_may_pass_is_tried_again_also_of_a_version_that_only_stands_in(replica, error, first):
    """Of v2 or of v1, whichever may be loaded later; the other one is refused."""
    may, never = ("v2", "v1") if first else ("v1", "v2")
    back = coming_back(replica, {may: error, never: REFUSED})
    assert replica.serving is None
    replica.loader.fails = {never: REFUSED}
    until(lambda: replica.serving == may, "what may serve to be tried again")
    back.stop()


def test_what_is_refused_is_not_tried_again(replica):
    coming_back(replica, {"v1": REFUSED, "v2": REFUSED}).stop()
    assert not [one for one in threading.enumerate() if one.name == "coming back"]


@pytest.mark.parametrize("url", ["http://mlflow:port", "http://[", "mlflow"])
def test_without_a_registry_that_can_be_asked_the_state_on_disk_serves(replica, url):
    coming_back(replica, {}, url).stop()
    assert replica.serving == "v2"


def test_a_failure_that_nobody_foresaw_is_tried_again(replica, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(replica.changes, "restored", lambda *about: 1 / 0)
        back = coming_back(replica, {})
    until(lambda: not [one for one in threading.enumerate() if one.name == "coming back"], "the next attempt")
    assert replica.serving == "v2"
    back.stop()


@pytest.mark.parametrize("set_right", [True, False])
def test_a_clock_that_was_ahead_hides_no_promotion(tmp_path, monkeypatch, set_right):
    """v1 is activated, by a clock five minutes ahead; two minutes later v2 is promoted while the replica is away."""
    right = time.time
    monkeypatch.setattr("time.time", lambda: right() + 300)
    before = Replica(tmp_path)
    before.serve("v1")
    before.settle()
    if set_right:
        monkeypatch.undo()
    with champion("v2", promoted_at=right() + 120, now=right) as url:
        back = Replica(tmp_path)
        coming_back(back, {}, url).stop()
    assert back.serving == "v2"


@contextmanager
def champion(version, promoted_at, now):
    """A registry that says so, with the right time."""

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self):
            tags = {"retraining.version": version, "manifest_sha256": "ab", "promoted_at": f"{promoted_at}"}
            said = [{"key": key, "value": value} for key, value in tags.items()]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"model_version": {"source": "s3://models/", "tags": said}}).encode())

        def date_time_string(self, timestamp=None):
            return super().date_time_string(now())

        def log_message(self, *args):
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        listen(server)
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
