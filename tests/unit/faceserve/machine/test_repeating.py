"""What is done again and again goes on whatever one time came to."""

import threading

import pytest

from faceserve.machine.repeating import repeated
from tests.waiting import until


class Over(threading.Event):
    """Notes each pause and takes none."""

    def __init__(self, times):
        super().__init__()
        self.pauses, self._times = [], times

    def wait(self, timeout=None):
        self.pauses.append(timeout)
        return len(self.pauses) > self._times


@pytest.mark.parametrize("seconds", [0.3, 60.0])
def test_an_error_is_not_the_end_and_is_not_told_several_times_a_second(caplog, seconds):
    done, over = [], Over(4)

    def work():
        done.append(len(done))
        if len(done) in {1, 2}:
            raise RuntimeError("nobody foresaw this")

    repeated("work", work, seconds, over)
    until(lambda: len(over.pauses) == 5, "it to be over")
    calm = max(seconds, 5.0)
    assert (done, over.pauses) == ([0, 1, 2, 3], [seconds, calm, calm, seconds, seconds])
    assert caplog.text.count("work failed and is tried again") == 2
