"""What a dataset is chosen from: confirmed tasks, without those that were erased or that a person set aside."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.dataset import ConfirmedTask, Photo, Quarantined, of_helper
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.leakage import HeldOut
from pipeline.domain.learned import Learned
from pipeline.domain.lineage import Gone
from pipeline.domain.quality import demand_needed
from pipeline.ports.bundles import DataSources
from pipeline.steps.earlier_corrections import EarlierCorrections, earlier_corrections
from pipeline.steps.trusted import Trusted


@dataclass(frozen=True)
class Gathered:
    """Each task once, in a stable order; `natural` are the ids drawn whatever their verdict; others were set `aside`.

    `missed` are of kinds that the champion gets wrong. A dataset has some of `needed`: what people confirmed, for the
    first model the photos that somebody labelled.
    """

    tasks: Sequence[ConfirmedTask]
    natural: frozenset[str]
    missed: frozenset[str]
    needed: frozenset[str]
    aside: tuple[Quarantined, ...]


def gather(sources: DataSources, learned: Learned, holdout: Sequence[HeldOut], *, without: Gone) -> Gathered:
    """Never more tasks than the policy's limits and `to_judge_by` add up to, however many the Helper database has; of
    those that are set aside, as many as lie before the ones that are taken.
    """
    source, policy = sources.source, sources.recipe.selection
    trusted = Trusted(sources.withholdings, without.task_ids)
    sample = trusted.up_to(policy.sample_limit, lambda most: source.confirmed(limit=most))
    natural = [
        *sample,
        *trusted.up_to(policy.history_limit, lambda most: source.history(limit=most)),
        *trusted.first_of(policy.holdout_limit, [member.task_id for member in holdout], source.tasks),
    ]
    waiting = trusted.at_least(
        policy.correction_pool, lambda most: source.corrections(since=learned.through, limit=most)
    )
    earlier = earlier_corrections(sources, trusted, learned.through) if learned.through else EarlierCorrections()
    wrong = {task.task_id for task in earlier.learnable if learned.misses(task)}
    missed = frozenset(task.task_id for task in policy.of_missed_kinds(earlier.learnable, earlier.clusters, wrong))
    again = [
        *policy.earlier_of(earlier.learnable, earlier.clusters, missed),
        *policy.to_judge_by(earlier.judging, earlier.clusters),
    ]
    # Only photos of those that are taken are looked at.
    tasks = {task.task_id: task for task in (*natural, *again, *policy.new_of(waiting))}
    known = {*tasks, *(row.task_id for row in trusted.aside)}
    # The Helper database is not asked for the first model, and confirms none of its photos for a later one.
    is_first = any(not of_helper(task.task_id) for task in sample)
    needed = frozenset(task_id for task_id in known if is_first or of_helper(task_id))
    if not needed:
        raise DatasetRefused("no confirmed tasks in the Helper database: nothing to learn from")
    ordered = sorted(tasks.values(), key=lambda t: (t.confirmed_at, t.task_id))
    return Gathered(ordered, frozenset(t.task_id for t in natural), missed, needed, trusted.aside)


def demand_new(gathered: Gathered, photos: Sequence[Photo], aside: Sequence[Quarantined]) -> None:
    """A dataset of the first model's photos alone would count as the first model's ever after.
    Raises `DatasetRefused`.
    """
    needed = [row for row in aside if row.task_id in gathered.needed]
    demand_needed(gathered.needed, {photo.task_id for photo in photos}, needed, "confirmed tasks")
