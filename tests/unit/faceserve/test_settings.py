"""Names that a setting of the model server had before go on working."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from faceserve.settings import LEAST_MESSAGE_BYTES, Settings
from include.contract.preprocessing import INPUT_PIXELS


@pytest.mark.parametrize("name", ["FACESERVE_VERIFYING_KEY", "FACESERVE_SIGNING_KEY"])
def test_the_public_key_is_read_under_its_name_and_under_the_older_one(monkeypatch, name):
    monkeypatch.setenv(name, "/keys/public.pem")
    assert Settings().verifying_key == Path("/keys/public.pem")


def test_the_newer_name_wins(monkeypatch):
    monkeypatch.setenv("FACESERVE_SIGNING_KEY", "/keys/old.pem")
    monkeypatch.setenv("FACESERVE_VERIFYING_KEY", "/keys/new.pem")
    assert Settings().verifying_key == Path("/keys/new.pem")


def test_without_a_key_checksums_alone_decide():
    assert Settings().verifying_key is None


def numbers():
    return [name for name, field in Settings.model_fields.items() if field.annotation in {int, float}]


@pytest.mark.parametrize("name", numbers())
@pytest.mark.parametrize("value", [-1, float("nan"), "many"])
def test_a_number_with_which_no_server_works_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_images", 0),
        ("batch_images", 65),
        ("grpc_port", 65_536),
        ("call_seconds", 0),
        ("canary_error_rate", 0),
        ("canary_latency_ratio", 1),
        ("canary_errors_in_a_row", 0),
        ("max_message_bytes", 3 * INPUT_PIXELS**2 - 1),
        ("models", ()),
        ("models", ("../laundry",)),
        ("models", ("",)),
    ],
)
def test_so_is_what_makes_every_request_or_every_trial_fail(name, value):
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_the_smallest_bound_of_a_message_lets_an_image_through():
    assert LEAST_MESSAGE_BYTES > 3 * INPUT_PIXELS**2


def test_the_largest_request_there_may_be_is_one_that_may_be_held():
    with pytest.raises(ValidationError, match="max_message_bytes: a request of 35651584 bytes would always be refused"):
        Settings(max_queued_mb=33)
    assert Settings(max_queued_mb=34).max_message_bytes == 34 << 20


def test_the_defaults_are_within_their_bounds():
    assert Settings.model_validate(Settings().model_dump()) == Settings()
