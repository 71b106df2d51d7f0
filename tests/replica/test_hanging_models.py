"""A model that never comes back stops nobody but itself."""

import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import FaceserveError
from tests.replica.world import replica
from tests.tiny_model import grey_photo
from tests.waiting import until

DARK = grey_photo(20)


class Hanging:
    """In place of an engine: every call waits for `finish`."""

    def __init__(self, plain):
        self.plain = plain
        self.begun, self.finish = threading.Semaphore(0), threading.Event()

    def prepare(self, sizes):
        self.plain.prepare(sizes)

    def infer(self, images):
        self.begun.release()
        self.finish.wait(60)
        return self.plain.infer(images)

    def close(self):
        """As engines do that are still at work: what the call needs stays."""


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path, call_seconds=0.7, models=("laundry", "face")) as made:
        made.serve("v1.0.0")
        made.serve("v1.0.0", "face")
        made.prepare("v1.1.0")
        made.hanging = []
        yield made
        for engine in made.hanging:
            engine.finish.set()


def hang(world, version, model="laundry"):
    generation = world.generation(version, model)
    generation.engine = Hanging(generation.engine)
    world.hanging.append(generation.engine)
    return generation.engine


def answers(world, count, model="laundry"):
    return {
        (a.model_version, a.side) for a in (world.client.classify(model, DARK, task_id=f"t-{n}") for n in range(count))
    }


def test_a_candidate_that_hangs_is_taken_off_and_every_request_is_answered(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    engine = hang(world, "v1.1.0")
    assert answers(world, 20) == {("v1.0.0", "stable")}
    assert engine.begun.acquire(blocking=False)
    status = world.lifecycle.status("laundry")
    assert (status.canary.version, status.canary.verdict) == ("v1.1.0", "aborted")
    assert "did not come back from a call within 0.7 s" in status.canary.reason


def test_the_failures_of_a_candidate_are_counted_on_its_side(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    hang(world, "v1.1.0")
    answers(world, 10)
    count = lambda **labels: world.server.metrics.registry.get_sample_value(  # noqa: E731
        "faceserve_requests_total", {"model": "laundry", **labels}
    )
    assert count(version="v1.1.0", side="canary", code="UNAVAILABLE") == 1
    assert count(version="v1.0.0", side="stable", code="OK") == 10


def test_while_a_candidate_hangs_nobody_else_waits_for_it(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 100)
    engine = hang(world, "v1.1.0")
    asking = threading.Thread(target=answers, args=(world, 1))
    asking.start()
    assert engine.begun.acquire(timeout=60)
    assert answers(world, 3, "face") == {("v1.0.0", "stable")}
    assert world.lifecycle.rollback("face", "v1.0.0").version == "v1.0.0"
    asking.join(60)
    assert world.prepare("v1.2.0").epoch


def test_a_copy_that_hangs_in_shadow_ends_the_trial_and_disturbs_nobody(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 100, shadow=True)
    hang(world, "v1.1.0")
    assert answers(world, 3) == {("v1.0.0", "stable")}
    until(lambda: world.lifecycle.status("laundry").canary.verdict == "aborted", "the trial to end")


def test_a_version_that_hangs_and_is_asked_for_by_name_stops_only_those_who_name_it(world):
    world.serve("v1.1.0")
    hang(world, "v1.0.0")
    with pytest.raises(FaceserveError) as caught:
        world.client.classify("laundry", DARK, version="v1.0.0")
    assert caught.value.code == "UNAVAILABLE"
    assert answers(world, 3) == {("v1.1.0", "stable")}


def test_a_stable_version_that_hangs_leaves_the_other_model_and_the_way_back(world):
    world.serve("v1.1.0")
    engine = hang(world, "v1.1.0")
    asking = threading.Thread(target=answers, args=(world, 1))
    asking.start()
    assert engine.begun.acquire(timeout=60)
    assert answers(world, 3, "face") == {("v1.0.0", "stable")}
    with pytest.raises(FaceserveError, match="ask another replica") as caught:
        world.client.classify("laundry", DARK)
    assert caught.value.code == "UNAVAILABLE"
    assert world.lifecycle.rollback("laundry").version == "v1.0.0"
    assert answers(world, 3) == {("v1.0.0", "stable")}
    engine.finish.set()
    asking.join(60)


def test_waiting_is_not_the_candidates_slowness(world):
    """In shadow, and with a crowd: a model is as fast as its engine."""
    world.lifecycle.set_canary("laundry", "v1.1.0", 100, shadow=True)
    slow = world.generation("v1.0.0")
    plain = slow.engine.infer
    slow.engine.infer = lambda images: (time.sleep(0.03), plain(images))[1]
    copy = world.generation("v1.1.0")
    copied = copy.engine.infer
    copy.engine.infer = lambda images: (time.sleep(0.03), copied(images))[1]
    crowd = [threading.Thread(target=answers, args=(world, 25)) for _ in range(4)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    until(lambda: world.lifecycle.status("laundry").canary.compared >= 20 or answers(world, 5) is None, "copies")
    canary = world.lifecycle.status("laundry").canary
    assert canary.verdict != "aborted"
    assert canary.canary.mean_seconds < 0.2


_SERVER = """
import sys, threading
from pathlib import Path
from faceserve.models.generation import Origin
from faceserve.server import Server
from faceserve.settings import Settings
from tests.tiny_model import FolderSource, tiny_artifact
source = FolderSource()
sha256 = source.put("s3://models/v1/", tiny_artifact())
server = Server(Settings(grpc_port=0, lifecycle_port=0, metrics_port=0, vet_seconds=0, drain_seconds=1,
                         state_dir=Path(sys.argv[1])), source)
server.manager.prepare("laundry", Origin("v1", "s3://models/v1/", sha256))
server.manager.activate("laundry", "v1")
server.manager.snapshot("laundry").active.engine.infer = lambda images: (
    print("hangs", flush=True), threading.Event().wait())
print(server.port, flush=True)
server.run()
"""


def test_a_replica_whose_model_hangs_still_stops_when_told_to(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", _SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        with FaceserveClient([f"127.0.0.1:{int(process.stdout.readline())}"], timeout_seconds=120) as client:
            asking = threading.Thread(target=lambda: suppressed(client))
            asking.start()
            assert process.stdout.readline() == "hangs\n"
            process.terminate()
            assert process.wait(240) == 0
            asking.join(60)
    finally:
        process.kill()


def suppressed(client):
    with suppress(FaceserveError):
        client.classify("laundry", DARK)
