"""Choose the photos of a dataset and freeze the choice (specification, messages 9-13; design D1, D2)."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pipeline.domain.clusters import cluster_ids
from pipeline.domain.dataset import ConfirmedTask, Fingerprint, Manifest, Photo, Quarantined, Source, Split
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.errors import DatasetRefused, PhotoMissing, PhotoRefused
from pipeline.domain.leakage import HeldOut, separate, without_contradictions
from pipeline.domain.models import ModelType
from pipeline.domain.selection import SelectionPolicy, select
from pipeline.ports.bundles import DataSources
from pipeline.steps.downloads import several_at_once

Printed = tuple[ConfirmedTask, Fingerprint]


@dataclass(frozen=True)
class _Gathered:
    """Each task once, in a stable order; `natural` are the ids drawn whatever their verdict."""

    tasks: Sequence[ConfirmedTask]
    natural: frozenset[str]


@dataclass(frozen=True)
class _Chosen:
    """Photos of the dataset, and those that were set aside with the reason."""

    photos: Sequence[Photo]
    aside: tuple[Quarantined, ...]


def collect(sources: DataSources, run_id: str, model_type: ModelType, *, since: datetime | None) -> str:
    """The dataset's id. Run again, the frozen selection stays as it was, whatever was confirmed meanwhile.

    `since` is when the champion's corrections ended. Raises `DatasetRefused` when nothing can be collected.
    """
    datasets = sources.datasets
    dataset_id = datasets.begin(run_id, model_type)
    if datasets.frozen_sha256(dataset_id) is not None:
        return dataset_id
    erased, holdout = sources.erasures.all(), datasets.holdout(model_type)
    gathered = _gather(sources, since, holdout, without={e.task_id for e in erased})
    found = _fingerprints(gathered.tasks, sources)
    forgotten = {sha256 for e in erased for sha256 in e.sha256s}
    usable = [(task, print_) for task, print_ in found if not print_.fault and print_.sha256 not in forgotten]
    chosen = _choose(usable, gathered.natural, holdout, since, sources)
    unusable = [Quarantined(t.task_id, t.photo_url, p.fault) for t, p in found if p.fault]
    manifest = Manifest(
        dataset_id=dataset_id,
        model_type=model_type,
        labels=sources.recipe.labels,
        corrections_since=since.isoformat() if since else None,
        corrections_through=max(task.confirmed_at for task in gathered.tasks).isoformat(),
        photos=tuple(chosen.photos),
        quarantined=(*unusable, *chosen.aside),
        policy=asdict(sources.recipe.selection),
        augmentation=sources.recipe.augmentation,
    )
    _freeze(manifest, _descriptors(chosen.photos, usable), sources)
    return dataset_id


def _gather(
    sources: DataSources, since: datetime | None, holdout: Sequence[HeldOut], *, without: set[str]
) -> _Gathered:
    """Never more tasks than the policy's limits add up to, however many the Helper database has."""
    source, policy = sources.source, sources.recipe.selection
    members = [member.task_id for member in holdout[: policy.holdout_limit]]
    natural = [
        *source.confirmed(limit=policy.sample_limit),
        *source.history(limit=policy.history_limit),
        *source.tasks(members),
    ]
    corrections = source.corrections(since=since, limit=policy.correction_limit)
    earlier = source.earlier_corrections(until=since, limit=policy.correction_limit) if since else ()
    tasks = {t.task_id: t for t in (*natural, *earlier, *corrections) if t.task_id not in without}
    if not tasks:
        raise DatasetRefused("no confirmed tasks in the Helper database: nothing to learn from")
    ordered = sorted(tasks.values(), key=lambda t: (t.confirmed_at, t.task_id))
    return _Gathered(ordered, frozenset(t.task_id for t in natural))


def _fingerprints(tasks: Sequence[ConfirmedTask], sources: DataSources) -> list[Printed]:
    def fingerprint(task: ConfirmedTask) -> Fingerprint:
        try:
            return sources.inspector.fingerprint(sources.photos.read(task.photo_url))
        except (PhotoMissing, PhotoRefused) as error:
            return Fingerprint(fault=str(error))

    return list(zip(tasks, several_at_once(fingerprint, tasks), strict=True))


def _choose(
    usable: Sequence[Printed],
    natural: frozenset[str],
    holdout: Sequence[HeldOut],
    since: datetime | None,
    sources: DataSources,
) -> _Chosen:
    policy = sources.recipe.selection
    rows = _rows(usable, policy, sources.datasets.clusters())
    agreed, contradictions = without_contradictions(rows)
    separated, near = separate(agreed, holdout)
    return _Chosen(select(separated, policy, natural=natural, since=since), (*contradictions, *near))


def _freeze(manifest: Manifest, descriptors: bytes, sources: DataSources) -> None:
    folder = DatasetFolder.of(sources.prefix, manifest.dataset_id)
    sources.objects.write(folder.descriptors, descriptors, "application/json")
    sources.objects.write(folder.manifest, manifest.to_json(), "application/json")
    sources.datasets.freeze(manifest.dataset_id, manifest, manifest.sha256)


def _rows(usable: Sequence[Printed], policy: SelectionPolicy, known: Mapping[int, Split]) -> list[Photo]:
    clusters = cluster_ids([print_.phash for _, print_ in usable], known)
    sides = {f"{founder:016x}": split for founder, split in known.items()}
    return [
        Photo(
            task_id=task.task_id,
            photo_url=task.photo_url,
            sha256=print_.sha256,
            phash=f"{print_.phash:016x}",
            cluster_id=cluster,
            label=task.final_result,
            corrected=task.corrected,
            source=Source.EVALUATION,
            split=policy.split_of(cluster, sides),
            confirmed_at=task.confirmed_at.astimezone(UTC).isoformat(),
            width=print_.width,
            height=print_.height,
            brightness=print_.brightness,
            sharpness=print_.sharpness,
            ai_result=task.ai_result,
            correction_reason=task.correction_reason,
            helper_id=task.helper_id,
        )
        for (task, print_), cluster in zip(usable, clusters, strict=True)
    ]


def _descriptors(chosen: Sequence[Photo], usable: Sequence[Printed]) -> bytes:
    """Kept beside the manifest, so that labels can be reviewed without fetching every photo again."""
    found = {task.task_id: print_.descriptor for task, print_ in usable}
    return json.dumps({p.task_id: base64.b64encode(found[p.task_id]).decode() for p in chosen}).encode()
