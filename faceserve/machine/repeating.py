"""What is done again and again in a thread of its own: no error of one time is the end of it."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

# An error that nobody foresaw is told in the log each time, and not three times a second.
_CALM_SECONDS = 5.0


def repeated(what: str, work: Callable[[], None], seconds: float, over: threading.Event) -> None:
    """`work` every `seconds`, until it is over."""
    threading.Thread(target=_repeat, args=(what, work, seconds, over), name=what, daemon=True).start()


def _repeat(what: str, work: Callable[[], None], seconds: float, over: threading.Event) -> None:
    pause = seconds
    while not over.wait(pause):
        pause = seconds
        try:
            work()
        except Exception:
            pause = max(seconds, _CALM_SECONDS)
            log.exception("%s failed and is tried again in %g s", what, pause)
