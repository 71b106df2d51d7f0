"""Waiting for what another process does.

Also for what a page does: Playwright's `wait_for_function` looks a second time with `eval`, which our pages' own policy
forbids, so that it fails only where the first look came too early.
"""

import time
from collections.abc import Callable

# Mostly another thread is there in a moment; another process may take seconds, and each look costs something.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.001, 0.05


class WaitedInVain(TimeoutError):
    """What was waited for did not happen."""


def until(holds: Callable[[], object], what: str, seconds: float = 240) -> None:
    """Return as soon as `holds`; fail with what was waited for. A busy machine may take its time."""
    deadline, pause_seconds = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise WaitedInVain(f"waited {seconds:.0f} s for {what}")
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
