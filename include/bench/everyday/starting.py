"""How long the whole stack takes to start, anew and once more, and how much memory it needs."""

import tempfile
import time
from pathlib import Path

from include.bench.measurement import Found, Say, seconds
from include.stack import runner

_REST_SECONDS = 30.0


def starting(say: Say) -> Found:
    """A stack of its own, on free ports, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        try:
            first = seconds(lambda: runner.up(root, say, preferred_ports=False))
            runner.down(root)
            second = seconds(lambda: runner.up(root, say, preferred_ports=False))
            stack = runner.up(root, say, preferred_ports=False)
            time.sleep(_REST_SECONDS)
            memory_mb = runner.memory_mb(stack)
        finally:
            runner.clean(root)
    return Found(
        {"stack_seconds_first_start": first, "stack_seconds_second_start": second, "stack_memory_mb": memory_mb},
        f"every program of `make up`, no model yet; memory {_REST_SECONDS:.0f} s after the second start, what programs "
        "share counted once",
    )
