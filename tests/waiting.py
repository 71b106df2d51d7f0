"""Waiting for what another process does.

Also for what a page does: Playwright's `wait_for_function` looks a second time with `eval`, which our pages' own policy
forbids, so that it fails only where the first look came too early.
"""

import time
from collections.abc import Callable


class WaitedInVain(TimeoutError):
    """What was waited for did not happen."""


def until(holds: Callable[[], object], what: str, seconds: float = 240) -> None:
    """Return as soon as `holds`; fail with what was waited for. A busy machine may take its time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise WaitedInVain(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)
