"""Copy every database as it is now, and delete backups that are older than what was promised."""

from pipeline.domain.backups import Base, Safeguard
from pipeline.ports.backup_bundles import BackingUp


def back_up(d: BackingUp) -> Base:
    """The new copy. A copy that breaks off has no description, so nobody ever restores from it."""
    name = d.clock.now().strftime("%Y%m%dT%H%M%S.%fZ")
    copied = d.cluster.copy(lambda stream: d.archive.write_copy(name, stream))
    base = Base(name, copied.begins, copied.whole_at, copied.bytes)
    d.archive.finish(base)
    d.safeguards.note(Safeguard.BASE, d.clock.now(), base.name)
    d.archive.forget(d.archive.contents().needless(d.clock.now(), d.policy))
    return base
