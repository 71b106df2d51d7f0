"""What the caller of a stand-in is told when a model server did not answer it."""

from itertools import product

import grpc
import pytest
from pydantic import ValidationError

from include.access_service.settings import Settings
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


TLS = ("faceserve_tls_ca", "faceserve_tls_certificate", "faceserve_tls_key")
# Nothing, an authority alone, and all three.
WHOLE = {(False, False, False), (True, False, False), (True, True, True)}


@pytest.mark.parametrize("given", sorted(set(product((False, True), repeat=3)) - WHOLE))
def test_an_access_service_with_a_part_of_its_certificate_says_at_its_start_what_is_missing(tmp_path, given):
    """It would enrol without TLS, token and all, or end in the middle of its first enrolment."""
    file = tmp_path / "any.pem"
    file.touch()
    with pytest.raises(ValidationError, match="needs ACCESS_FACESERVE_TLS_KEY and ACCESS_FACESERVE_TLS_CA"):
        Settings(**{name: file for name, has in zip(TLS, given, strict=True) if has})


@pytest.mark.parametrize("given", sorted(WHOLE))
def test_an_access_service_begins_with_all_of_its_certificate_or_with_none(tmp_path, given):
    file = tmp_path / "any.pem"
    file.touch()
    made = Settings(**{name: file for name, has in zip(TLS, given, strict=True) if has})
    assert tuple(getattr(made, name) is not None for name in TLS) == given
