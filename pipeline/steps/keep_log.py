"""Bring the files of the log that are whole to where the copies are."""

from pipeline.domain.backups import Safeguard
from pipeline.ports.backup_bundles import ReceivingLog


def keep_log(d: ReceivingLog) -> int:
    """How many. A file goes only once it is kept: whatever breaks off in between keeps it once more."""
    whole = d.receiver.complete()
    for path in whole:
        d.archive.keep_log(path)
        path.unlink()
    if whole:
        d.safeguards.note(Safeguard.LOG, d.clock.now(), whole[-1].name)
    return len(whole)
