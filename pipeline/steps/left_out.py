"""Earlier corrections that a model did not learn from, and could have: whether it knows them is not said anywhere."""

from datetime import datetime

from pipeline.domain.dataset import ConfirmedTask, Manifest, Split
from pipeline.domain.lineage import Gone
from pipeline.domain.rows import oddity
from pipeline.ports.bundles import DataSources
from pipeline.steps.gather import earlier_pool
from pipeline.steps.trusted import Trusted


def left_out(sources: DataSources, manifest: Manifest) -> list[ConfirmedTask]:
    """As many as the policy has a model asked about. None of them is erased, set aside by a person, odd, or known to
    show what is only judged by: that is never learned from.
    """
    policy, through = sources.recipe.selection, manifest.corrections_through
    if through is None or not policy.asked_of_earlier:
        return []
    pool = earlier_pool(sources, Trusted(sources.withholdings), datetime.fromisoformat(through))
    clusters = sources.datasets.clusters_of([task.task_id for task in pool])
    judging = {f"{founder:016x}" for founder, side in sources.datasets.clusters().items() if side is not Split.TRAIN}
    learned, gone = {photo.task_id for photo in manifest.of(Split.TRAIN)}, Gone.of(sources.erasures.all()).task_ids
    now, labels = sources.clock.now(), sources.recipe.labels
    could = [
        task
        for task in pool
        if task.task_id not in learned | gone
        and clusters.get(task.task_id) not in judging
        and not oddity(task, labels, now)
    ]
    return policy.to_ask_of(could, clusters)
