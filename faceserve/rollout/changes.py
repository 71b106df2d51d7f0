"""Who is told when what serves has changed: metrics, health, the log, and callers that watch."""

import logging
import threading
import time
from collections.abc import Callable

from faceserve.metrics import Metrics
from faceserve.rollout.snapshot import Canary, Snapshot

log = logging.getLogger(__name__)

# In case a caller goes in the moment between its look and its wait.
_LOOK_SECONDS = 1.0


class Changes:
    """`on_serving` is called with a model's name whenever a version of it begins to serve."""

    def __init__(self, metrics: Metrics, on_serving: Callable[[str], None] = lambda model: None) -> None:
        self._metrics = metrics
        self._on_serving = on_serving
        self._revision = 0
        self.ended = False
        self._changed = threading.Condition()

    def announce(self) -> None:
        """Wake those that watch."""
        with self._changed:
            self._revision += 1
            self._changed.notify_all()

    def look(self) -> None:
        """Have those that watch look whether somebody still wants to know."""
        with self._changed:
            self._changed.notify_all()

    def end(self) -> None:
        """For good: whoever watches is let go."""
        self.ended = True
        self.announce()

    def wait(self, revision: int, seconds: float, wanted: Callable[[], bool] = lambda: True) -> int:
        """Wait until something changed since `revision` or it is not `wanted`, at most `seconds`; the revision now."""
        until = time.monotonic() + seconds
        while wanted():
            with self._changed:
                left = until - time.monotonic()
                if self._revision != revision or left <= 0:
                    break
                self._changed.wait(min(left, _LOOK_SECONDS))
        return self._revision

    def prepared(self, model: str, load_seconds: float, warm_up_seconds: float) -> None:
        """A version waits beside the one that serves."""
        self._metrics.load_seconds.labels(model).observe(load_seconds)
        self._metrics.warm_up_seconds.labels(model).observe(warm_up_seconds)
        self.announce()

    def refused(self, model: str) -> None:
        """An artifact must not serve."""
        self._metrics.refusals.labels(model).inc()

    def counted(self, before: Snapshot, after: Snapshot) -> None:
        """Called under the lock of the exchange, so that figures follow the order of exchanges; it calls nobody."""
        self._metrics.serves(after.model, str(_active(after)), instead_of=_active(before))
        self._metrics.canary_share.labels(after.model).set(_share(after))

    def activated(self, before: Snapshot, after: Snapshot, seconds: float) -> None:
        """Another version serves; the exchange took `seconds`."""
        self._metrics.swap_seconds.labels(after.model).observe(seconds)
        self._metrics.swaps.labels(after.model, "activated").inc()
        about = {"version": _active(after)}
        log.info("%s hot-swapped: %s -> %s", after.model, _active(before), _active(after), extra=about)
        self._told(after)

    def restored(self, before: Snapshot, after: Snapshot) -> None:
        """After a restart a version serves again."""
        self.counted(before, after)
        self._told(after)

    def _told(self, after: Snapshot) -> None:
        self._on_serving(after.model)
        self.announce()

    def tried(self, model: str, canary: Canary) -> None:
        """A trial began, or goes on with another share."""
        percent = canary.share.percent
        in_shadow, about = " in shadow" * canary.shadow, {"version": canary.version}
        log.info("%s %s gets %g %% of the requests%s", model, canary.version, percent, in_shadow, extra=about)
        self.announce()

    def aborted(self, model: str, version: str, reason: str) -> None:
        """A trial ended without success."""
        self._metrics.swaps.labels(model, "canary_aborted").inc()
        log.warning("%s %s is off: %s", model, version, reason, extra={"version": version})
        self.announce()


def _active(snapshot: Snapshot) -> str | None:
    return snapshot.active.version if snapshot.active else None


def _share(snapshot: Snapshot) -> float:
    """Of the requests, that a candidate answers."""
    canary = snapshot.canary
    return 0.0 if canary is None or canary.shadow else canary.share.percent / 100
