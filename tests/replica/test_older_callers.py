"""Callers that were built before changes had names and trials had epochs, and answers that are lost on their way."""

import grpc
import pytest

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.lifecycle_client import FaceserveError
from tests.replica.world import TOKEN, replica


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path) as made:
        made.serve("v1.0.0")
        made.serve("v1.1.0")
        made.prepare("v1.2.0")
        yield made


@pytest.fixture
def older(world):
    """Sends what an older client would: no field that came later."""
    with grpc.insecure_channel(world.lifecycle_address) as channel:
        stub = pb_grpc.LifecycleStub(channel)

        def call(name, request):
            return getattr(stub, name)(request, timeout=60, metadata=(("authorization", f"Bearer {TOKEN}"),))

        yield call


def test_an_older_caller_tries_promotes_aborts_and_goes_back_as_before(world, older):
    tried = older("SetCanary", pb.SetCanaryRequest(model="laundry", version="v1.2.0", percent=10))
    assert (tried.version, tried.verdict) == ("v1.2.0", "inconclusive")
    older("AbortCanary", pb.AbortCanaryRequest(model="laundry", version="v1.2.0"))
    world.prepare("v1.2.0")
    older("SetCanary", pb.SetCanaryRequest(model="laundry", version="v1.2.0", percent=10))
    done = older("PromoteCanary", pb.PromoteCanaryRequest(model="laundry", version="v1.2.0", expected_epoch=-1))
    assert done.version == "v1.2.0"
    back = older("Rollback", pb.RollbackRequest(model="laundry", expected_epoch=-1))
    assert back.version == older("Rollback", pb.RollbackRequest(model="laundry", expected_epoch=-1)).version == "v1.1.0"
    assert older("Discard", pb.DiscardRequest(model="laundry", version="v1.2.0")) == pb.DiscardResponse()


def test_a_rollback_whose_answer_was_lost_is_not_made_again_after_somebody_went_on(world):
    first = world.lifecycle.rollback("laundry", request_id="r1")
    world.lifecycle.activate("laundry", "v1.2.0")
    again = world.lifecycle.rollback("laundry", request_id="r1")
    assert (again.version, again.epoch) == (first.version, first.epoch) == ("v1.0.0", 3)
    assert world.lifecycle.status("laundry").version == "v1.2.0"


def test_a_trial_may_demand_the_epoch_that_its_caller_saw(world, older):
    asked = pb.SetCanaryRequest(model="laundry", version="v1.2.0", percent=10, expected_epoch=0)
    with pytest.raises(grpc.RpcError) as caught:
        older("SetCanary", asked)
    assert caught.value.code() is grpc.StatusCode.ABORTED
    asked.expected_epoch = 2
    assert older("SetCanary", asked).version == "v1.2.0"


def test_on_a_full_disk_a_change_is_refused_with_the_reason_and_may_be_made_later(world, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FaceserveError, match="No space left on device") as caught:
        world.lifecycle.activate("laundry", "v1.2.0")
    assert (caught.value.code, world.lifecycle.status("laundry").version) == ("RESOURCE_EXHAUSTED", "v1.1.0")
    monkeypatch.undo()
    assert world.lifecycle.activate("laundry", "v1.2.0").version == "v1.2.0"
