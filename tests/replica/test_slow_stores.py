"""Requests that name a photo in a store that stalls: they fail in time, and nobody else notices."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.lifecycle_client import FaceserveError
from tests.replica.world import replica
from tests.tiny_model import grey_photo
from tests.waiting import until

DARK = grey_photo(20)
URI = "s3://tasks/dark.jpg"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """The store gives out photos once `open`."""
    with replica(tmp_path, drain_seconds=0.2, max_queued=16) as made:
        made.source.objects[URI] = DARK
        made.serve("v1.0.0")
        made.open, made.reads, plain = threading.Event(), [], made.source.read

        def stalled(uri, *limit):
            if uri.startswith("s3://tasks/"):
                made.reads.append(uri)
                made.open.wait(60)
            return plain(uri, *limit)

        monkeypatch.setattr(made.source, "read", stalled)
        yield made
        made.open.set()


def code(world):
    try:
        return world.client.classify("laundry", URI).model_version
    except FaceserveError as error:
        return error.code


def test_other_requests_are_answered_and_changes_made_while_the_store_stalls(world):
    with ThreadPoolExecutor(12) as pool:
        named = [pool.submit(code, world) for _ in range(12)]
        until(lambda: len(world.reads) >= 6, "half of what one connection may ask to wait for the store")
        assert {world.client.classify("laundry", DARK).model_version for _ in range(3)} == {"v1.0.0"}
        for version in ("v1.1.0", "v1.2.0", "v1.3.0"):
            world.serve(version)
        world.open.set()
        # Who waited is answered by what serves now, since what served then is freed, or was told to ask again.
        assert {one.result(60) for one in named} <= {"v1.3.0", "UNAVAILABLE", "RESOURCE_EXHAUSTED"}
    until(lambda: code(world) == "v1.3.0", "the places to be free again")


def test_a_store_that_never_answers_is_told_within_seconds(world):
    with grpc.insecure_channel(world.address, [("grpc.enable_retries", 0)]) as channel:
        with pytest.raises(grpc.RpcError, match="did not come within 5 s") as caught:
            pb_grpc.InferenceStub(channel).Classify(pb.ClassifyRequest(model="laundry", uri=URI), timeout=60)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_an_object_larger_than_a_photo_may_be_is_refused(world):
    world.open.set()
    world.source.objects[URI] = b"x" * ((32 << 20) + 1)
    with pytest.raises(FaceserveError, match="over the limit") as caught:
        world.client.classify("laundry", URI)
    assert caught.value.code == "INVALID_ARGUMENT"
