"""Work that must not delay requests runs when nothing else wants the processor.

A process without privileges may lower its priority but never raise it again. So such work gets a thread of its own.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

log = logging.getLogger(__name__)

_NICEST = 19
# Several times what loading takes beside as many requests as a replica can answer.
_PATIENCE_SECONDS = 5.0
_Found = TypeVar("_Found")


def lower() -> None:
    """The calling thread, and all threads and processes it starts, get the lowest priority for good."""
    os.setpriority(os.PRIO_PROCESS, 0, _NICEST)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def take_short_turns() -> None:
    """Of Python's threads. Its own 5 ms are as long as a request, and whoever lets calls in would wait so long for his
    turn at each of them.
    """
    sys.setswitchinterval(0.001)


def aside(work: Callable[[], _Found], patience_seconds: float = _PATIENCE_SECONDS) -> _Found:
    """What `work` returns or raises; it is done at the lowest priority.

    For calls into libraries that release Python's lock: Python code at that priority would hold up its other threads.
    Where other programs leave it no processor for so long, it is done once more at the priority of the caller, and what
    comes of the first time is dropped: somebody waits for it, perhaps to roll back.
    """
    found: list[_Found] = []
    raised: list[BaseException] = []

    def run() -> None:
        lower()
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            raised.append(error)

    thread = threading.Thread(target=run, name="aside", daemon=True)
    thread.start()
    thread.join(patience_seconds)
    if thread.is_alive():
        log.warning("other programs keep the processor: what should give way to requests no longer does")
        return work()
    if raised:
        raise raised[0]
    return found[0]
