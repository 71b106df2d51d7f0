"""Work beside the requests goes on whatever it meets: a thread that died would say nothing."""

import builtins
import threading

import psycopg2
import pytest
from pika.exceptions import AMQPConnectionError

from include.stand_in.background import Background
from tests.waiting import until

FAULTS = sorted(
    (kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    key=lambda kind: kind.__name__,
)
# They need more than a text.
FAULTS = [kind for kind in FAULTS if not issubclass(kind, UnicodeError | BaseExceptionGroup)]


class Meets(Background):
    """Fails with each of the faults, and does its work afterwards."""

    name = "work"

    def __init__(self, *faults):
        super().__init__()
        self.faults, self.done = list(faults), threading.Event()

    def _work(self):
        if self.faults:
            raise self.faults.pop()
        self.done.set()


@pytest.fixture(autouse=True)
def soon_again(monkeypatch):
    monkeypatch.setattr("include.stand_in.background._MAX_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("include.stand_in.background.IDLE_SECONDS", 0.001)


def test_whatever_fails_is_tried_again_until_it_works():
    met = Meets(*(kind("year 10000 is out of range") for kind in FAULTS))
    met.start()
    until(met.done.is_set, "the work to be done")
    assert met.goes_on
    met.stop()
    assert not met.goes_on


@pytest.mark.parametrize("kind", [psycopg2.OperationalError, AMQPConnectionError, ConnectionError])
def test_what_is_away_takes_one_line_and_what_nobody_expected_its_traceback(kind, caplog):
    met = Meets(ValueError("odd"), kind("gone"))
    met.start()
    until(met.done.is_set, "the work to be done")
    met.stop()
    assert [(record.exc_info is not None, "work waits" in record.message) for record in caplog.records] == [
        (False, True),
        (True, True),
    ]
