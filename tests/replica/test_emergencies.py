"""What is urgent waits for nobody, and said twice it is done once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from faceserve.rollout.slot import MAX_LOADING
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.lifecycle_client import FaceserveError, LifecycleClient
from pipeline.adapters.serving_fleet import GrpcServingFleet, Replicas
from pipeline.domain.models import Artifact, ModelType
from tests.replica.world import TOKEN, replica
from tests.tiny_model import grey_photo
from tests.waiting import until

DARK = grey_photo(20)
CALLERS = 40
HASTY_SECONDS = 0.3


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path) as made:
        yield made


@pytest.fixture
def stuck(world, monkeypatch):
    """v1.1.0 serves, v1.0.0 did before, v1.2.0 is prepared; what is v1.3.0 and later loads until `finish`."""
    world.serve("v1.0.0")
    world.serve("v1.1.0")
    world.prepare("v1.2.0")
    begun, finish = threading.Event(), threading.Event()
    plain = world.source.read

    def slow(uri, *limit):
        begun.set()
        finish.wait(60)
        return plain(uri, *limit)

    monkeypatch.setattr(world.source, "read", slow)
    with ThreadPoolExecutor(1) as pool:
        world.candidate = pool.submit(world.prepare, "v1.3.0")
        assert begun.wait(60)
        world.finish = finish
        yield world
        finish.set()


def versions_asked(world, count=5):
    return {world.client.classify("laundry", DARK).model_version for _ in range(count)}


@pytest.mark.parametrize("version", ["v1.0.0", "v1.2.0"])
def test_what_is_loaded_is_prepared_and_activated_while_a_candidate_is_loading(stuck, version):
    """As the pipeline does when it rolls back: it prepares, which is over at once, and activates."""
    found = stuck.prepare(version)
    assert found.load_seconds == 0
    assert stuck.lifecycle.activate("laundry", version, found.epoch).version == version
    assert versions_asked(stuck) == {version}
    assert not stuck.finish.is_set()


def test_a_rollback_does_not_wait_for_a_candidate_that_is_loading(stuck):
    assert stuck.lifecycle.rollback("laundry").version == "v1.0.0"
    assert versions_asked(stuck) == {"v1.0.0"}


def test_a_rollback_finds_a_thread_however_many_calls_wait_to_load(stuck):
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    with grpc.insecure_channel(stuck.lifecycle_address) as channel:
        stub = pb_grpc.LifecycleStub(channel)
        uri, sha256 = stuck.put("v1.4.0")
        asked = pb.PrepareRequest(model="laundry", version="v1.4.0", artifact_uri=uri, manifest_sha256=sha256)
        calls = [stub.Prepare.future(asked, timeout=60, metadata=metadata) for _ in range(CALLERS)]
        until(lambda: sum(call.done() for call in calls) >= CALLERS - 3, "the surplus to be refused")
        refused = [call for call in calls if call.done()]
        assert {call.code() for call in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert stuck.lifecycle.rollback("laundry").version == "v1.0.0"
        stuck.finish.set()
        assert {call.result().version for call in calls if call not in refused} == {"v1.4.0"}


def test_the_rollback_of_the_pipeline_is_loaded_before_all_that_others_asked_for(stuck):
    """v1.0.0 is in memory no more."""
    stuck.lifecycle.activate("laundry", "v1.2.0")
    slot = stuck.server.manager.slot("laundry")
    until(lambda: "v1.0.0" not in {one.version for one in slot.snapshot.generations}, "it to be dropped")
    uri, sha256 = stuck.put("v1.0.0")
    fleet = GrpcServingFleet(Replicas([stuck.lifecycle_address], TOKEN, 60, 60, 60))
    with ThreadPoolExecutor(MAX_LOADING) as pool:
        waiting = [pool.submit(stuck.prepare, f"v1.{number}.0") for number in range(4, 3 + MAX_LOADING)]
        until(lambda: slot._places._value == 0, "as many to wait as may")
        back = pool.submit(fleet.bring_back, ModelType.LAUNDRY, "v1.0.0", Artifact(uri, sha256))
        try:
            until(lambda: slot.loading.pressing, "it to be next")
        finally:
            stuck.finish.set()
        assert back.result(60).missing == {}
        assert stuck.candidate.exception(60).code == "RESOURCE_EXHAUSTED"
        assert stuck.lifecycle.status("laundry").version == "v1.0.0"
        for one in waiting:
            one.result(60)
    at = {one.version: one.loaded_at for one in slot.snapshot.generations}
    assert at["v1.0.0"] < min(at[f"v1.{number}.0"] for number in range(4, 3 + MAX_LOADING))


def test_a_caller_that_gave_up_leaves_no_copy_and_takes_none_from_another(stuck):
    with (
        ThreadPoolExecutor(1) as pool,
        LifecycleClient(stuck.lifecycle_address, token=TOKEN, timeout_seconds=60) as hasty,
    ):
        with pytest.raises(FaceserveError) as caught:
            hasty.prepare("laundry", "v1.3.0", *stuck.put("v1.3.0"), timeout_seconds=HASTY_SECONDS)
        assert caught.value.code == "DEADLINE_EXCEEDED"
        patient = pool.submit(stuck.prepare, "v1.3.0")
        stuck.finish.set()
        patient.result(60)
    assert stuck.lifecycle.activate("laundry", "v1.3.0").version == "v1.3.0"


def test_a_rollback_asked_for_twice_goes_back_once(world):
    for number in range(3):
        world.serve(f"v1.{number}.0")
    first, again = world.lifecycle.rollback("laundry"), world.lifecycle.rollback("laundry")
    assert (first.version, first.epoch) == (again.version, again.epoch) == ("v1.1.0", 4)
    assert world.lifecycle.rollback("laundry", "v1.0.0").version == "v1.0.0"
    assert world.lifecycle.rollback("laundry", "v1.0.0").epoch == 5


def test_activating_what_serves_ends_no_trial(world):
    world.serve("v1.0.0")
    world.prepare("v1.1.0")
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    before = world.lifecycle.status("laundry")
    world.lifecycle.activate("laundry", "v1.0.0", before.epoch - 1)
    world.lifecycle.rollback("laundry", "v1.0.0")
    world.lifecycle.promote_canary("laundry", "v1.0.0")
    after = world.lifecycle.status("laundry")
    assert (after.epoch, after.canary.version, after.canary.verdict) == (before.epoch, "v1.1.0", "inconclusive")


def test_a_trial_that_no_log_knows_is_found_and_ended_by_name(world):
    world.serve("v1.0.0")
    world.prepare("v1.1.0")
    world.lifecycle.set_canary("laundry", "v1.1.0", 100)
    with LifecycleClient(world.lifecycle_address, token=TOKEN, timeout_seconds=60) as stranger:
        stranger.abort_canary("laundry", "v9.9.9", "the one that the log names")
        found = stranger.status("laundry").canary
        assert (found.version, found.verdict) == ("v1.1.0", "inconclusive")
        for _ in range(2):
            stranger.abort_canary("laundry", found.version, "nobody asked for it")
        ended = stranger.status("laundry")
    assert (ended.canary.verdict, ended.canary.reason, ended.epoch) == ("aborted", "nobody asked for it", 3)
    assert versions_asked(world) == {"v1.0.0"}


def test_epochs_go_on_after_a_restart_also_those_of_trials(world, tmp_path):
    world.serve("v1.0.0")
    world.prepare("v1.1.0")
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    world.lifecycle.abort_canary("laundry", "v1.1.0", "as asked")
    epoch = world.lifecycle.status("laundry").epoch
    with replica(tmp_path, world.source) as restarted:
        assert restarted.lifecycle.status("laundry").epoch == epoch == 3
