"""Nobody is compared by a photo that shows too little, and nobody is enrolled by one: a sentence says what is wrong."""

from dataclasses import asdict

import cv2
import grpc
import numpy as np
import pytest

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.client import FaceserveError
from include.contract.manifest import PORTRAIT_BOUNDS
from include.contract.portrait import PORTRAIT
from include.contract.preprocessing import decode
from include.demo.people import DrawnPerson
from tests.replica.test_canary_rollout import Failing
from tests.replica.world import replica

KIM, LEE = DrawnPerson(1), DrawnPerson(2)
DARK = cv2.imencode(".png", (decode(KIM.photo(1)) * 0.05).astype(np.uint8))[1].tobytes()
BOUNDED = {"extra": {PORTRAIT_BOUNDS: asdict(PORTRAIT)}}


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path, gallery_uri="s3://faces/") as made:
        made.serve("v1.0.0", "face", **BOUNDED)
        yield made


@pytest.mark.parametrize("asked", [{}, {"identity": "kim"}], ids=["1:N", "1:1"])
def test_a_poor_photo_gets_a_sentence_instead_of_a_verdict(world, asked):
    world.lifecycle.enroll("face", "kim", KIM.photo(0))
    assert world.client.compared("face", KIM.photo(1), **asked).matches[0].identity == "kim"
    with pytest.raises(FaceserveError, match="the photo is too dark: brightness 0.0.*; take another one") as refused:
        world.client.compared("face", DARK, **asked)
    assert refused.value.code == "INVALID_ARGUMENT"


def test_nobody_is_enrolled_by_a_poor_photo_and_the_one_of_before_stays(world):
    assert world.lifecycle.enroll("face", "kim", KIM.photo(0)) == 1
    with pytest.raises(FaceserveError, match="too dark"):
        world.lifecycle.enroll("face", "kim", DARK)
    with pytest.raises(FaceserveError, match="too dark"):
        world.lifecycle.enroll("face", "lee", DARK)
    (match,) = world.client.compare("face", KIM.photo(0), count=9)
    assert (match.identity, match.similarity) == ("kim", pytest.approx(1, abs=1e-3))


def compared_by(world, version, photo):
    """Whom a version that is asked for by name says it is, or why it names nobody."""
    with grpc.insecure_channel(world.address) as channel:
        request = pb.CompareRequest(model="face", image=photo, version=version)
        try:
            (match,) = pb_grpc.InferenceStub(channel).Compare(request, timeout=60).matches
        except grpc.RpcError as error:
            return error.code().name
        return match.identity


def test_the_version_that_answers_says_what_a_photo_has_to_show_whichever_serves(world):
    world.lifecycle.enroll("face", "kim", KIM.photo(0))
    world.serve("v1.1.0", "face")
    asked = ("", "v1.0.0", "v1.1.0")
    assert [compared_by(world, version, DARK) for version in asked] == ["kim", "INVALID_ARGUMENT", "kim"]
    world.lifecycle.rollback("face", "v1.0.0")
    assert [compared_by(world, version, DARK) for version in asked] == ["INVALID_ARGUMENT", "INVALID_ARGUMENT", "kim"]


def test_so_does_a_candidate_and_the_stable_version_where_that_answers_in_its_place(world):
    world.lifecycle.enroll("face", "kim", KIM.photo(0))
    world.prepare("v1.1.0", "face")
    world.lifecycle.set_canary("face", "v1.1.0", 100)
    assert compared_by(world, "", DARK) == "kim"
    world.generation("v1.1.0", "face").engine = Failing()
    assert compared_by(world, "", DARK) == "INVALID_ARGUMENT"
    assert compared_by(world, "", KIM.photo(1)) == "kim"


def test_where_no_version_serves_nobody_is_enrolled_by_a_photo_that_nobody_can_judge(tmp_path):
    with replica(tmp_path, gallery_uri="s3://faces/") as made:
        with pytest.raises(FaceserveError, match="no version of face serves") as refused:
            made.lifecycle.enroll("face", "lee", DARK)
        assert refused.value.code == "UNAVAILABLE" and not made.source.marks("s3://faces/")
        made.serve("v1.0.0", "face", **BOUNDED)
        assert made.lifecycle.enroll("face", "lee", LEE.photo(0)) == 1


def test_a_model_of_before_takes_the_photos_that_it_always_took(world):
    world.serve("v1.1.0", "face")
    world.lifecycle.enroll("face", "lee", DARK)
    assert world.client.compared("face", DARK, identity="lee").matches[0].identity == "lee"
    # Who is enrolled stays enrolled when bounds come.
    world.serve("v1.2.0", "face", **BOUNDED)
    assert world.client.compared("face", LEE.photo(1), identity="lee").matches[0].identity == "lee"
