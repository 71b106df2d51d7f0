"""Rebuild the databases as they were at one moment, beside those that run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from pipeline.domain.errors import GiveUp, ServiceUnavailable
from pipeline.ports.backup_bundles import Restoring
from pipeline.ports.backups import Mark, Rebuilt

_POLL_SECONDS = 0.5


@contextmanager
def rebuilt(d: Restoring, at: datetime) -> Iterator[Rebuilt]:
    """Raises `GiveUp` when no backup reaches that moment."""
    if at > d.clock.now():
        raise GiveUp(f"{at.isoformat()} has not come yet")
    archive = d.archive.contents()
    base = archive.base_for(at)
    log = archive.log_for(base)
    with (
        d.archive.read_copy(base) as copy,
        d.builder.rebuild(copy, lambda folder: d.archive.fetch_log(log, folder), at) as cluster,
    ):
        yield cluster


def marked(d: Restoring) -> Mark:
    """This moment, once a restore can reach it. Raises `ServiceUnavailable` when the log does not come."""
    mark = d.cluster.mark()
    until = d.clock.now() + timedelta(seconds=d.policy.wait_seconds)
    while not d.archive.has_log(mark.file):
        if d.clock.now() > until:
            waited = f"{mark.file} of the log did not come within {d.policy.wait_seconds:g} s"
            asks = "does `python -m pipeline backups receive-log` run?"
            raise ServiceUnavailable("the archive of backups", f"{waited}: {asks}")
        time.sleep(_POLL_SECONDS)
    return mark
