"""Names that a setting of the model server had before go on working."""

from pathlib import Path

import pytest

from faceserve.settings import Settings


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
