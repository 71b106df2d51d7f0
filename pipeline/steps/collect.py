"""Choose the photos of a dataset and freeze the choice (specification, messages 9-13; design D1, D2)."""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from pipeline.domain.dataset import Manifest, Photo
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.errors import PhotosErased
from pipeline.domain.lineage import Erased
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import DataSources
from pipeline.steps.choose import choose
from pipeline.steps.gather import demand_needed, gather
from pipeline.steps.look_at import Printed, look_at


def collect(sources: DataSources, run_id: str, model_type: ModelType, *, since: datetime | None) -> str:
    """The dataset's id. Run again, the frozen selection stays as it was, whatever was confirmed meanwhile.

    Rows and photos are looked at first, and what cannot be used is set aside with its reason; what is frozen is good.
    Photos that are erased meanwhile are not among it: then everything is chosen again. `since` is when the champion's
    corrections ended. Raises `DatasetRefused` when nothing can be collected.
    """
    dataset_id = sources.datasets.begin(run_id, model_type)
    while sources.datasets.frozen_sha256(dataset_id) is None:
        gone = Gone.of(sources.erasures.all())
        try:
            _collect(sources, dataset_id, model_type, since, gone)
        except PhotosErased:
            if gone == Gone.of(sources.erasures.all()):
                # Nothing was erased meanwhile: the next try would end in the same way.
                raise
    return dataset_id


@dataclass(frozen=True)
class Gone:
    """What was erased: no photo of these tasks or with these bytes, used or set aside, goes into a dataset."""

    task_ids: frozenset[str]
    sha256s: frozenset[str]

    @classmethod
    def of(cls, erased: Sequence[Erased]) -> "Gone":
        return cls(frozenset(e.task_id for e in erased), frozenset(sha256 for e in erased for sha256 in e.sha256s))

    def has(self, task_id: str, sha256: str) -> bool:
        return task_id in self.task_ids or sha256 in self.sha256s


def _collect(sources: DataSources, dataset_id: str, model_type: ModelType, since: datetime | None, gone: Gone) -> None:
    holdout = sources.datasets.holdout(model_type)
    gathered = gather(sources, since, holdout, without=gone.task_ids)
    looked = look_at(gathered.tasks, sources)
    usable = [(task, print_) for task, print_ in looked.usable if not gone.has(task.task_id, print_.sha256)]
    chosen = choose(usable, gathered.natural, holdout, since, sources)
    aside = (*gathered.aside, *looked.aside, *chosen.aside)
    aside = tuple(row for row in aside if not gone.has(row.task_id, row.sha256))
    demand_needed(gathered, chosen.photos, aside)
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


def _freeze(manifest: Manifest, descriptors: bytes, sources: DataSources) -> None:
    folder = DatasetFolder.of(sources.prefix, manifest.dataset_id)
    sources.objects.write(folder.descriptors, descriptors, "application/json")
    sources.objects.write(folder.manifest, manifest.to_json(), "application/json")
    sources.datasets.freeze(manifest.dataset_id, manifest, manifest.sha256)


def _descriptors(chosen: Sequence[Photo], usable: Sequence[Printed]) -> bytes:
    """Kept beside the manifest, so that labels can be reviewed without fetching every photo again."""
    found = {task.task_id: print_.descriptor for task, print_ in usable}
    return json.dumps({p.task_id: base64.b64encode(found[p.task_id]).decode() for p in chosen}).encode()
