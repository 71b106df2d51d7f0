"""Choose the photos of a dataset and freeze the choice (specification, messages 9-13; design D1, D2)."""

from dataclasses import asdict

from pipeline.domain.dataset import Manifest
from pipeline.domain.errors import PhotosErased, PhotosWithheld
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import DataSources
from pipeline.steps.choose import choose
from pipeline.steps.freeze import freeze, frozen
from pipeline.steps.gather import Gone, Learned, demand_new, gather
from pipeline.steps.look_at import look_at
from pipeline.steps.trusted import demand_trusted


def collect(sources: DataSources, run_id: str, model_type: ModelType, *, learned: Learned) -> str:
    """The dataset's id. Run again, the frozen selection stays as it was, whatever was confirmed meanwhile; it is
    refused when a person has set some of it aside.

    Rows and photos are looked at first, and what cannot be used is set aside with its reason; what is frozen is good.
    Photos that are erased or set aside meanwhile are not among it: then everything is chosen again. `learned` is what
    the champion has. Raises `DatasetRefused` when nothing can be collected.
    """
    dataset_id = sources.datasets.begin(run_id, model_type)
    if before := frozen(sources, dataset_id):
        demand_trusted(sources, before)
    while sources.datasets.frozen_sha256(dataset_id) is None:
        gone, withheld = Gone.of(sources.erasures.all()), sources.withholdings.all()
        try:
            _collect(sources, dataset_id, model_type, learned, gone)
        except (PhotosErased, PhotosWithheld):
            if (gone, withheld) == (Gone.of(sources.erasures.all()), sources.withholdings.all()):
                # Nobody erased or set anything aside meanwhile, so the next try would end in the same way.
                raise
    return dataset_id


def _collect(sources: DataSources, dataset_id: str, model_type: ModelType, learned: Learned, gone: Gone) -> None:
    holdout, since = sources.datasets.holdout(model_type), learned.through
    gathered = gather(sources, learned, holdout, without=gone)
    looked = look_at(gathered.tasks, sources)
    usable = [(task, print_) for task, print_ in looked.usable if not gone.has(task.task_id, print_.sha256)]
    chosen = choose(usable, gathered, holdout, since, sources)
    aside = (*gathered.aside, *looked.aside, *chosen.aside)
    aside = tuple(row for row in aside if not gone.has(row.task_id, row.sha256))
    demand_new(gathered, chosen.photos, aside)
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
    freeze(manifest, usable, sources)
