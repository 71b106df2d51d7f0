"""Erase again, in a restored database, what was erased after the moment it was restored to."""

from collections.abc import Iterable, Sequence

from pipeline.domain.lineage import Erased
from pipeline.ports.data import Erasures, KeptErasures
from pipeline.ports.events import FaceConfirmations


def keep_erasures(journal: KeptErasures, erasures: Erasures) -> None:
    """Adds erasures from before the journal existed to it."""
    for one in erasures.all():
        journal.add(one)


def replay_erasures(kept: Iterable[Erased], erasures: Erasures, confirmations: FaceConfirmations) -> Sequence[str]:
    """Keys of erasures that the database did not know, or not completely. For what lies in S3 see `erase_again`."""
    missing = []
    known = {one.task_id: frozenset(one.sha256s) for one in erasures.all()}
    for one in kept:
        if one.task_id not in known or not known[one.task_id].issuperset(one.sha256s):
            missing.append(one.task_id)
        erasures.record(one)
        # Known erasures too: a database restored to a moment between recording and deleting still has the rows.
        erasures.strike(erasures.addresses(one.task_id))
        confirmations.forget(one.task_id)
        erasures.anonymise(one.task_id)
    return list(dict.fromkeys(missing))
