"""Earlier corrections that a model did not learn from, and could have: whether it knows them is not said anywhere."""

from datetime import datetime

from pipeline.domain.dataset import ConfirmedTask, Manifest, Split
from pipeline.domain.lineage import Gone
from pipeline.ports.bundles import DataSources
from pipeline.steps.earlier_corrections import earlier_corrections
from pipeline.steps.trusted import Trusted


def left_out(sources: DataSources, manifest: Manifest, *, without: Gone) -> list[ConfirmedTask]:
    """As many as the policy has a model asked about, of those that the next dataset could learn from."""
    policy, through = sources.recipe.selection, manifest.corrections_through
    if through is None or not policy.asked_of_earlier:
        return []
    trusted = Trusted(sources.withholdings, without.task_ids)
    earlier = earlier_corrections(sources, trusted, datetime.fromisoformat(through))
    learned = {photo.task_id for photo in manifest.of(Split.TRAIN)}
    could = [task for task in earlier.learnable if task.task_id not in learned]
    return policy.to_ask_of(could, earlier.clusters)
