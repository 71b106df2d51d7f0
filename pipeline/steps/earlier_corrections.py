"""Corrections of before the last training: which could be learned again, and which only judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.dataset import ConfirmedTask, Split
from pipeline.domain.rows import oddity
from pipeline.ports.bundles import DataSources
from pipeline.steps.trusted import Trusted


@dataclass(frozen=True)
class EarlierCorrections:
    """`judging` are of clusters known to judge models, which are never learned from; `learnable` all others, of which
    nobody may know the side yet. `clusters` by task, of those that were looked at for a dataset.
    """

    learnable: Sequence[ConfirmedTask] = ()
    judging: Sequence[ConfirmedTask] = ()
    clusters: Mapping[str, str] = field(default_factory=dict)


def earlier_corrections(sources: DataSources, trusted: Trusted, until: datetime) -> EarlierCorrections:
    """So many that rare kinds are among them. What a dataset is made of and what a model is asked about are both
    chosen among these, so that neither spends anything on what cannot be learned: no row is odd, either.
    """
    pool = trusted.up_to(
        sources.recipe.selection.earlier_pool,
        lambda most: sources.source.earlier_corrections(until=until, limit=most),
    )
    clusters = sources.datasets.clusters_of([task.task_id for task in pool])
    judges = {f"{founder:016x}" for founder, side in sources.datasets.clusters().items() if side is not Split.TRAIN}
    now, labels = sources.clock.now(), sources.recipe.labels
    usable = [task for task in pool if not oddity(task, labels, now)]
    judging = [task for task in usable if clusters.get(task.task_id) in judges]
    learnable = [task for task in usable if clusters.get(task.task_id) not in judges]
    return EarlierCorrections(learnable, judging, clusters)
