"""Erase again, in a restored database, what was erased after the moment it was restored to."""

from collections.abc import Iterable, Sequence

from pipeline.domain.lineage import Erased
from pipeline.ports.data import Erasures, KeptErasures
from pipeline.ports.events import FaceConfirmations

_AT_ONCE = 200


def keep_erasures(journal: KeptErasures, erasures: Erasures) -> None:
    """Adds erasures from before the journal existed to it."""
    for one in erasures.all():
        journal.add(one)


def replay_erasures(kept: Iterable[Erased], erasures: Erasures, confirmations: FaceConfirmations) -> Sequence[str]:
    """Keys of erasures that the database did not know, or not completely. For what lies in S3 see `erase_again`."""
    known, kept = {one.task_id: frozenset(one.sha256s) for one in erasures.all()}, tuple(kept)
    for one in kept:
        erasures.record(one)
    # Known erasures too: a database restored to a moment between recording and deleting still has the rows.
    keys = tuple(dict.fromkeys(one.task_id for one in kept))
    _strike(keys, erasures)
    for key in keys:
        confirmations.forget(key)
        erasures.anonymise(key)
    partly = {one.task_id for one in kept if not known.get(one.task_id, frozenset()).issuperset(one.sha256s)}
    return [key for key in keys if key not in known or key in partly]


def _strike(keys: Sequence[str], erasures: Erasures) -> None:
    """All addresses, before any row is emptied: afterwards nobody knows them, and a replay that is killed here starts
    again. Many at once, because each call looks at every table.
    """
    addresses = sorted({url for key in keys for url in erasures.addresses(key)})
    for start in range(0, len(addresses), _AT_ONCE):
        erasures.strike(addresses[start : start + _AT_ONCE])
