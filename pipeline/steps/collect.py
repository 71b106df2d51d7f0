"""Choose the photos of a dataset and freeze the choice (specification, messages 9-13; design D1, D2)."""

import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime

from pipeline.domain.dataset import ConfirmedTask, Manifest, Photo, Quarantined, of_helper
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.errors import DatasetRefused, PhotosErased
from pipeline.domain.leakage import HeldOut
from pipeline.domain.models import ModelType
from pipeline.domain.quality import worst
from pipeline.ports.bundles import DataSources
from pipeline.steps.choose import choose
from pipeline.steps.look_at import Printed, look_at
from pipeline.steps.trusted import Trusted


@dataclass(frozen=True)
class _Gathered:
    """Each task once, in a stable order; `natural` are the ids drawn whatever their verdict; others were set `aside`.

    A dataset has some of `needed`: what people confirmed, for the first model the photos that somebody labelled.
    """

    tasks: Sequence[ConfirmedTask]
    natural: frozenset[str]
    needed: frozenset[str]
    aside: tuple[Quarantined, ...]


def collect(sources: DataSources, run_id: str, model_type: ModelType, *, since: datetime | None) -> str:
    """The dataset's id. Run again, the frozen selection stays as it was, whatever was confirmed meanwhile.

    Rows and photos are looked at first, and what cannot be used is set aside with its reason; what is frozen is good.
    Photos that are erased meanwhile are not among it: then everything is chosen again. `since` is when the champion's
    corrections ended. Raises `DatasetRefused` when nothing can be collected.
    """
    dataset_id = sources.datasets.begin(run_id, model_type)
    while sources.datasets.frozen_sha256(dataset_id) is None:
        with suppress(PhotosErased):
            _collect(sources, dataset_id, model_type, since)
    return dataset_id


def _collect(sources: DataSources, dataset_id: str, model_type: ModelType, since: datetime | None) -> None:
    erased, holdout = sources.erasures.all(), sources.datasets.holdout(model_type)
    gathered = _gather(sources, since, holdout, without={e.task_id for e in erased})
    looked = look_at(gathered.tasks, sources)
    forgotten = {sha256 for e in erased for sha256 in e.sha256s}
    usable = [(task, print_) for task, print_ in looked.usable if print_.sha256 not in forgotten]
    chosen = choose(usable, gathered.natural, holdout, since, sources)
    aside = (*gathered.aside, *looked.aside, *chosen.aside)
    _demand_needed(gathered, chosen.photos, aside)
    manifest = Manifest(
        dataset_id=dataset_id,
        model_type=model_type,
        labels=sources.recipe.labels,
        corrections_since=since.isoformat() if since else None,
        corrections_through=max(task.confirmed_at for task, _ in usable).isoformat(),
        photos=tuple(chosen.photos),
        quarantined=aside,
        policy=asdict(sources.recipe.selection),
        augmentation=sources.recipe.augmentation,
    )
    _freeze(manifest, _descriptors(chosen.photos, usable), sources)


def _gather(
    sources: DataSources, since: datetime | None, holdout: Sequence[HeldOut], *, without: set[str]
) -> _Gathered:
    """Never more tasks than the policy's limits add up to, however many the Helper database has."""
    source, policy, trusted = sources.source, sources.recipe.selection, Trusted(sources.withholdings)
    members = [member.task_id for member in holdout[: policy.holdout_limit]]
    sample = trusted.up_to(policy.sample_limit, lambda most: source.confirmed(limit=most))
    natural = [
        *sample,
        *trusted.up_to(policy.history_limit, lambda most: source.history(limit=most)),
        *trusted.of(source.tasks(members)),
    ]
    corrections = trusted.up_to(policy.correction_limit, lambda most: source.corrections(since=since, limit=most))
    # So that rare kinds are among them; only photos of those that are taken are looked at.
    pool = source.earlier_corrections(until=since, limit=policy.earlier_pool) if since else ()
    earlier = policy.earlier_of(trusted.of(pool))
    tasks = {t.task_id: t for t in (*natural, *earlier, *corrections) if t.task_id not in without}
    known = {*tasks, *(row.task_id for row in trusted.aside)}
    is_first = not any(of_helper(task_id) for task_id in (*(t.task_id for t in sample), *known))
    needed = frozenset(task_id for task_id in known if is_first or of_helper(task_id))
    if not needed:
        raise DatasetRefused("no confirmed tasks in the Helper database: nothing to learn from")
    ordered = sorted(tasks.values(), key=lambda t: (t.confirmed_at, t.task_id))
    return _Gathered(ordered, frozenset(t.task_id for t in natural), needed, trusted.aside)


def _demand_needed(gathered: _Gathered, photos: Sequence[Photo], aside: Sequence[Quarantined]) -> None:
    """A retraining on the first model's photos alone would have nothing new to learn, and pass for the first model's
    dataset ever after.
    """
    if not any(photo.task_id in gathered.needed for photo in photos):
        why = worst([row for row in aside if row.task_id in gathered.needed])
        why = why or "their photos were erased, or others chosen"
        raise DatasetRefused(f"none of {len(gathered.needed)} confirmed tasks can be used: {why}")


def _freeze(manifest: Manifest, descriptors: bytes, sources: DataSources) -> None:
    folder = DatasetFolder.of(sources.prefix, manifest.dataset_id)
    sources.objects.write(folder.descriptors, descriptors, "application/json")
    sources.objects.write(folder.manifest, manifest.to_json(), "application/json")
    sources.datasets.freeze(manifest.dataset_id, manifest, manifest.sha256)


def _descriptors(chosen: Sequence[Photo], usable: Sequence[Printed]) -> bytes:
    """Kept beside the manifest, so that labels can be reviewed without fetching every photo again."""
    found = {task.task_id: print_.descriptor for task, print_ in usable}
    return json.dumps({p.task_id: base64.b64encode(found[p.task_id]).decode() for p in chosen}).encode()
