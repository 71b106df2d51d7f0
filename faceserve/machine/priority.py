"""Work that must not delay requests runs when nothing else wants the processor.

A process without privileges may lower its priority but never raise it again. So such work gets a thread of its own.
"""

import os
import threading
from collections.abc import Callable
from typing import TypeVar

_NICEST = 19
_Found = TypeVar("_Found")


def lower() -> None:
    """The calling thread, and all threads and processes it starts, get the lowest priority for good."""
    os.setpriority(os.PRIO_PROCESS, 0, _NICEST)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def aside(work: Callable[[], _Found]) -> _Found:
    """What `work` returns or raises; it is done at the lowest priority.

    For calls into libraries that release Python's lock: Python code at that priority would hold up its other threads.
    """
    found: list[_Found] = []
    raised: list[BaseException] = []

    def run() -> None:
        lower()
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            raised.append(error)

    thread = threading.Thread(target=run, name="aside")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]
