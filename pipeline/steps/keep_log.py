"""Upload complete files of the write-ahead log to where the copies of the cluster are."""

from pipeline.domain.backups import Safeguard
from pipeline.ports.backup_bundles import ReceivingLog


def keep_log(d: ReceivingLog) -> int:
    """How many were uploaded. A file is deleted here only after its upload: after an interruption it is uploaded once
    more.
    """
    whole = d.receiver.complete()
    for path in whole:
        d.archive.keep_log(path)
        path.unlink()
    if whole:
        d.safeguards.note(Safeguard.LOG, d.clock.now(), whole[-1].name)
    return len(whole)
