"""Work that must not delay requests runs when nothing else wants the processor.

A process without privileges may lower its priority but never raise it again. So such work gets a thread of its own.
"""

import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

log = logging.getLogger(__name__)

_NICEST = 19
# Several times as long as loading takes beside a full load of requests.
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
    """What `work` returns or raises; it is done at the lowest priority, as `each_aside` does."""
    (found,) = each_aside([work], patience_seconds)
    return found


def each_aside(works: Sequence[Callable[[], _Found]], patience_seconds: float = _PATIENCE_SECONDS) -> list[_Found]:
    """What `works` return, or what the first of them raises that raises; they are done in turn at the lowest priority.

    For calls into libraries that release Python's lock: Python code at that priority would hold up its other threads.
    Where other programs leave one of them no processor for so long, it and those after it are done at the priority of
    the caller, and what comes of it the first time is dropped: somebody waits for it, perhaps to roll back. A caller
    that has the lowest priority himself has no other.
    """
    if os.sched_getscheduler(0) == os.SCHED_IDLE:
        return [work() for work in works]
    done: queue.SimpleQueue[Future[_Found]] = queue.SimpleQueue()
    over = threading.Event()
    threading.Thread(target=_do, args=(works, done, over), name="aside", daemon=True).start()
    found: list[_Found] = []
    try:
        while len(found) < len(works):
            found.append(done.get(timeout=patience_seconds).result())
        return found
    except queue.Empty:
        log.warning("other programs keep the processor: what should give way to requests no longer does")
    finally:
        over.set()
    return found + [work() for work in works[len(found) :]]


def _do(
    works: Sequence[Callable[[], _Found]], done: "queue.SimpleQueue[Future[_Found]]", over: threading.Event
) -> None:
    """Works until `over`: what nobody waits for any more is not begun."""
    lower()
    for work in works:
        if over.is_set():
            return
        done.put(_done(work))


def _done(work: Callable[[], _Found]) -> "Future[_Found]":
    said: Future[_Found] = Future()
    try:
        said.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
        said.set_exception(error)
    return said
