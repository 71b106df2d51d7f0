"""Whoever says nothing is waited for no longer than said, whatever else went wrong meanwhile."""

import pytest

from faceserve.protocols import silence
from faceserve.protocols.silence import Silence
from tests.waiting import until


class Call:
    cancelled = False

    def cancel(self):
        self.cancelled = True


class Gone(Call):
    def cancel(self):
        self.cancelled = True
        raise ValueError("the call is over")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(silence, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(silence, "_CALM_SECONDS", 0.01)


def test_an_error_is_not_the_end_of_all_patience(quick, caplog):
    made, gone, late = Silence(lambda: 1.0), Gone(), Call()
    with made.until_read(gone, seconds=0):
        until(lambda: gone.cancelled, "the first to be cancelled")
    with made.until_read(late, seconds=0):
        until(lambda: late.cancelled, "the next one to be cancelled")
    made.end()
    assert "silent calls could not be looked at" in caplog.text
