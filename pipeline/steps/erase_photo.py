"""Forget a photo (privacy): from manifests, shards, caches and every future selection; what it touched is listed."""

from functools import partial

from pipeline.domain.dataset import Manifest, Split
from pipeline.domain.errors import GiveUp
from pipeline.domain.lineage import ROLES, Appearance, Erased, Erasure
from pipeline.domain.training import TrainingResult
from pipeline.ports.clock import Clock
from pipeline.ports.data import Augmenter, Datasets, Erasures, ObjectFolders
from pipeline.ports.deployment import ModelVersions
from pipeline.ports.training import Experiments, TrainingRuns
from pipeline.steps.erase_from_dataset import Stores, erase_from_dataset


def erase_photo(
    task_id: str,
    *,
    actor: str,
    reason: str,
    prefix: str,
    model_prefix: str,
    datasets: Datasets,
    erasures: Erasures,
    runs: TrainingRuns,
    versions: ModelVersions,
    experiments: Experiments,
    augmenter: Augmenter,
    objects: ObjectFolders,
    clock: Clock,
) -> Erasure:
    """Killed anywhere and run again, it goes on. Models that learned from the photo are listed, not deleted.

    `prefix` and `model_prefix` are the `s3://…/` under which datasets and models live.
    Raises `GiveUp` for a task that is unknown everywhere.
    """
    known = datasets.appearances(task_id=task_id)
    manifests = [(row, _manifest(f"{prefix}{row[0]}/", objects)) for row in datasets.frozen()]
    named = [(row, manifest) for row, manifest in manifests if manifest is not None and manifest.names(task_id)]
    if not known and not named and all(erased.task_id != task_id for erased in erasures.all()):
        raise GiveUp(f"no dataset has task {task_id[:40]!r}: nothing to erase")
    # First of all no selection takes it again; its bytes are known by their hash when they come as another task.
    hashes = tuple(sorted({row.sha256 for row in known if row.sha256}))
    erasures.record(Erased(task_id, hashes, actor, reason, clock.now()))
    found = Erasure(task_id)
    for (dataset_id, model_type, run_id), manifest in named:
        erase_from_dataset(
            manifest,
            task_id,
            uri=f"{prefix}{dataset_id}/",
            run_id=run_id,
            model_uri=f"{model_prefix}{model_type}/{run_id}/",
            stores=Stores(datasets, erasures, augmenter, objects),
            show=partial(_show, runs.result(run_id), experiments, found),
            found=found,
        )
    for row in known:
        _list_model(row, versions, found)
    found.rows = erasures.anonymise(task_id)
    urls = sorted({row.photo_url for row in known if row.photo_url})
    found.left += [f"the original {url} belongs to the Helper service: delete it there" for url in urls]
    return found


def _manifest(uri: str, objects: ObjectFolders) -> Manifest | None:
    try:
        return Manifest.from_json(objects.read(f"{uri}manifest.json"))
    except KeyError:
        return None


def _show(result: TrainingResult | None, experiments: Experiments, found: Erasure, sheet: bytes) -> None:
    """In the place of the contact sheet that the training attached to its run."""
    if result and result.experiment_run_id:
        experiments.replace_file(result.experiment_run_id, "contact-sheet.png", sheet)
        found.rewritten.append(f"run {result.experiment_run_id} of the experiment tracker: contact-sheet.png")


def _list_model(row: Appearance, versions: ModelVersions, found: Erasure) -> None:
    if (version := versions.of_run(row.run_id)) is None:
        return
    found.models.append(f"{version.model_type} {version.version} {ROLES[row.split]} it")
    if row.split is Split.VALIDATION:
        found.left.append(f"{version.artifact.uri} may hold it, 224 pixels wide, among its golden samples")
