"""Three replicas as processes of their own; one is killed or hangs at every moment of a swap (faults 17-20)."""

import os
import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest

from include.bench.serving.replicas import MODEL, TOKEN, object_store, replicas
from include.contract.channel import FaceserveError
from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import LifecycleClient
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.adapters.serving_fleet import GrpcServingFleet, Replicas
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from tests.tiny_model import grey_photo, manifest_sha256, tiny_artifact
from tests.waiting import until

pytestmark = pytest.mark.integration

LAUNDRY = ModelType.LAUNDRY
# Long enough for a busy machine to load a model; short where a replica hangs that is to be waited for.
PREPARE_SECONDS, HURRIED_SECONDS = 60.0, 3.0
# For a test that waits for a hung replica once another one has prepared.
UNHURRIED_SECONDS = 12.0


class Fleet:
    """Each replica keeps its state in a folder of its own, so that it can die and come back."""

    def __init__(self, store, folder):
        self.store, self.folder = store, folder
        self.running, self.artifacts = {}, {}
        for name in "abc":
            self.start(name)

    def start(self, name):
        stack = ExitStack()
        # The candidate is tried out in the server: what hangs is then the server itself.
        settings = {"vet_seconds": 0, "engine_threads": 1, "calm_ms": 0}
        (replica,) = stack.enter_context(replicas(self.store, 1, state=self.folder / name, settings=settings))
        self.running[name] = (replica, stack)

    def come_back(self, name):
        """It listens before it has loaded what it served."""
        self.start(name)
        until(lambda: self.status(name).version, f"{name} to serve again")

    def kill(self, name):
        replica, stack = self.running[name]
        os.kill(replica.pid, signal.SIGKILL)
        stack.close()

    def signal(self, name, number):
        os.kill(self.running[name][0].pid, number)

    @contextmanager
    def hung(self, name):
        self.signal(name, signal.SIGSTOP)
        process = psutil.Process(self.running[name][0].pid)
        # On a busy machine it may answer one more call before it stops.
        until(lambda: process.status() == psutil.STATUS_STOPPED, f"{name} to stop")
        try:
            yield
        finally:
            self.signal(name, signal.SIGCONT)

    @contextmanager
    def client(self, name):
        with LifecycleClient(self.running[name][0].lifecycle_address, token=TOKEN, timeout_seconds=60) as client:
            yield client

    def status(self, name):
        with self.client(name) as client:
            return client.status(MODEL)

    def serving(self):
        return {name: self.status(name).version for name in self.running}

    def prepared(self):
        return {name: self.status(name).prepared for name in self.running}

    @property
    def pipeline(self):
        return self.known_with(PREPARE_SECONDS)

    def known_with(self, prepare_seconds):
        """What the pipeline knows of it."""
        addresses = [replica.lifecycle_address for replica, _ in self.running.values()]
        return GrpcServingFleet(Replicas(addresses, TOKEN, prepare_seconds, 60, 60))

    def address(self, name):
        return self.running[name][0].lifecycle_address

    def swap(self, version):
        swap(self.pipeline, version, self.artifact(version))

    def bring_back(self, version):
        """And how long it took."""
        started = time.monotonic()
        return self.pipeline.bring_back(LAUNDRY, version, self.artifact(version)), time.monotonic() - started

    def artifact(self, version):
        if version not in self.artifacts:
            self.artifacts[version] = self._made(version)
        return self.artifacts[version]

    def _made(self, version):
        files = tiny_artifact(sharpness=4 + int(version.split(".")[1]))
        uri = f"s3://models/{version}/"
        objects = S3ObjectStore(endpoint=self.store.s3_endpoint)
        for path, body in files.items():
            objects.write(f"{uri}{path}", body)
        return Artifact(uri, manifest_sha256(files))

    def close(self):
        for _, stack in self.running.values():
            stack.close()


def swap(pipeline, version, artifact):
    return pipeline.activate(LAUNDRY, pipeline.prepare(LAUNDRY, version, artifact))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with object_store() as store:
        made = Fleet(store, tmp_path_factory.mktemp("replicas"))
        yield made
        made.close()


@pytest.fixture(autouse=True)
def all_serve(fleet):
    """Whatever the test before did: one more swap brings everybody together."""
    fleet.swap("v1.0.0")
    assert set(fleet.serving().values()) == {"v1.0.0"}


def everywhere(version):
    return dict.fromkeys("abc", version)


def test_a_replica_that_hangs_while_it_prepares_stops_the_swap_and_keeps_nothing(fleet):
    artifact = fleet.artifact("v1.1.0")
    with fleet.hung("c"), pytest.raises(ServiceUnavailable):
        # The pipeline must not wait for it for ever.
        swap(fleet.known_with(HURRIED_SECONDS), "v1.1.0", artifact)
    until(lambda: fleet.serving() == everywhere("v1.0.0"), "the hung replica to answer again")
    until(lambda: not any(fleet.prepared().values()), "prepared copies to be dropped")


def test_a_replica_that_hangs_after_the_first_look_stops_the_swap_too(fleet):
    artifact = fleet.artifact("v1.1.0")
    pipeline = fleet.known_with(UNHURRIED_SECONDS)
    found = []

    def try_it():
        try:
            swap(pipeline, "v1.1.0", artifact)
        except ServiceUnavailable as error:
            found.append(error)

    thread = threading.Thread(target=try_it)
    # The first replica prepares alone, before the others: by then everybody said what serves.
    with fleet.client("a") as client:
        watching = client.watch(MODEL, timeout_seconds=60)
        next(watching)
        thread.start()
        while "v1.1.0" not in next(watching).prepared:
            continue
    with fleet.hung("c"):
        thread.join(timeout=60)
    assert not thread.is_alive()
    assert len(found) == 1
    until(lambda: fleet.serving() == everywhere("v1.0.0"), "the hung replica to answer again")
    until(lambda: not any(fleet.prepared().values()), "prepared copies to be dropped")


def test_a_replica_killed_while_it_prepares_keeps_everybody_on_the_old_version(fleet):
    pipeline, artifact = fleet.pipeline, fleet.artifact("v1.2.0")
    fleet.kill("c")
    with pytest.raises(ServiceUnavailable):
        pipeline.prepare(LAUNDRY, "v1.2.0", artifact)
    assert {name: fleet.status(name).version for name in "ab"} == dict.fromkeys("ab", "v1.0.0")
    assert not any(fleet.status(name).prepared for name in "ab")
    fleet.come_back("c")
    assert fleet.serving() == everywhere("v1.0.0")


def test_a_replica_killed_between_two_activations_is_brought_to_the_fleets_version(fleet):
    artifact = fleet.artifact("v1.3.0")
    for name in "abc":
        with fleet.client(name) as client:
            client.prepare(MODEL, "v1.3.0", artifact.uri, artifact.manifest_sha256, timeout_seconds=60)
    for name in "ab":
        with fleet.client(name) as client:
            client.activate(MODEL, "v1.3.0")
    fleet.kill("c")
    fleet.come_back("c")
    assert fleet.serving() == {"a": "v1.3.0", "b": "v1.3.0", "c": "v1.0.0"}
    fleet.pipeline.warm(LAUNDRY, "v1.3.0", artifact, [fleet.address("c")])
    back = fleet.pipeline.put_back(LAUNDRY, "v1.3.0", [fleet.address("c")])
    assert back.replicas == (fleet.address("c"),)
    assert fleet.serving() == everywhere("v1.3.0")


def test_a_replica_killed_while_it_serves_answers_with_the_same_version_from_its_first_answer_on(fleet):
    fleet.kill("b")
    fleet.start("b")
    answers = []
    with FaceserveClient([fleet.running["b"][0].address], timeout_seconds=60) as client:

        def answered():
            # It listens before it has loaded what it served, and says so.
            with suppress(FaceserveError):
                answers.append(client.classify(MODEL, grey_photo(20)).model_version)
            return answers

        until(answered, "the first answer")
    assert answers == ["v1.0.0"]


# Rollbacks: what is healthy is back at once


def test_a_replica_that_was_killed_keeps_no_other_from_a_rollback_and_comes_back_later(fleet):
    fleet.swap("v1.4.0")
    fleet.kill("b")
    gone = fleet.address("b")
    done, seconds = fleet.bring_back("v1.0.0")
    print(f"one of three killed: {seconds:.2f} s")
    assert {name: fleet.status(name).version for name in "ac"} == dict.fromkeys("ac", "v1.0.0")
    assert (len(done.replicas), list(done.missing)) == (2, [gone])
    assert done.missing[gone].startswith("does not answer (UNAVAILABLE")
    fleet.come_back("b")
    assert fleet.serving() == {"a": "v1.0.0", "b": "v1.4.0", "c": "v1.0.0"}
    fleet.bring_back("v1.0.0")
    assert fleet.serving() == everywhere("v1.0.0")


def test_healthy_replicas_are_back_while_a_hung_one_is_still_waited_for(fleet):
    fleet.swap("v1.4.0")
    started, back, done = time.monotonic(), [], []
    with fleet.hung("b"):
        thread = threading.Thread(target=lambda: done.append(fleet.bring_back("v1.0.0")))
        thread.start()
        until(lambda: {fleet.status(n).version for n in "ac"} == {"v1.0.0"}, "the healthy ones to be back")
        back.append(time.monotonic() - started)
        thread.join(timeout=60)
    ((outcome, seconds),) = done
    print(f"one of three hung: the healthy ones after {back[0]:.2f} s, the answer after {seconds:.2f} s")
    assert outcome.missing == {fleet.address("b"): "does not answer (DEADLINE_EXCEEDED)"}


def test_a_replica_that_refuses_is_missing_with_its_reason(fleet):
    fleet.swap("v1.4.0")
    with fleet.client("b") as client:
        # It has v1.5.0 from other files: a version never changes its files.
        other = fleet.artifact("v1.6.0")
        client.prepare(MODEL, "v1.5.0", other.uri, other.manifest_sha256, timeout_seconds=60)
    done, _ = fleet.bring_back("v1.5.0")
    assert fleet.serving() == {"a": "v1.5.0", "b": "v1.4.0", "c": "v1.5.0"}
    assert list(done.missing) == [fleet.address("b")]
    assert "another artifact" in done.missing[fleet.address("b")]
    with fleet.client("b") as client:
        client.discard(MODEL, "v1.5.0")


def test_a_canary_is_taken_off_where_replicas_answer(fleet):
    pipeline = fleet.pipeline
    pipeline.prepare(LAUNDRY, "v1.7.0", fleet.artifact("v1.7.0"))
    with fleet.hung("c"), pytest.raises(ServiceUnavailable):
        pipeline.give_canary(LAUNDRY, "v1.7.0", 10)
    with fleet.hung("c"):
        assert [seen.version for seen in pipeline.canaries(LAUNDRY)] == ["v1.7.0", "v1.7.0", None]
        with pytest.raises(ServiceUnavailable):
            pipeline.abort_canary(LAUNDRY, "v1.7.0", "test")
        assert [seen.verdict for seen in pipeline.canaries(LAUNDRY)] == ["aborted", "aborted", ""]
    # Calls that waited there may have arrived after it woke up: whoever settles asks again.
    until(lambda: fleet.status("c"), "the hung replica to answer again")
    pipeline.abort_canary(LAUNDRY, "v1.7.0", "test")
    pipeline.discard(LAUNDRY, "v1.7.0")
    assert not any(seen.running for seen in pipeline.canaries(LAUNDRY))
