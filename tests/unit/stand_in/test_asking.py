"""What the caller of a stand-in is told when a model server did not answer it."""

import grpc
import pytest

from include.contract.channel import FaceserveError
from include.stand_in.asking import refusal

ABOUT_THE_REQUEST = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"}
NOT_ABOUT_IT = {
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNKNOWN",
    "INTERNAL",
}


@pytest.mark.parametrize("code", sorted(ABOUT_THE_REQUEST | NOT_ABOUT_IT))
def test_only_what_is_about_the_request_is_held_against_the_caller(code):
    assert code in grpc.StatusCode.__members__
    told = refusal("nobody was enrolled", FaceserveError("replica-1", code, "why"))
    assert (told.status_code, told.detail) == (422 if code in ABOUT_THE_REQUEST else 503, "nobody was enrolled: why")
