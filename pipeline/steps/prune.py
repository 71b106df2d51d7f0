"""Throw away what grows and is not needed: images of old datasets, caches, models that were refused, what was noted of
old looks, decisions and experiments, and events that everybody has.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.lineage import Gone, runs_of
from pipeline.domain.models import ModelType
from pipeline.domain.pruning import PruningPolicy
from pipeline.ports.bundles import Pruning
from pipeline.steps.faces.forget_faces import erased_vectors
from pipeline.steps.stored_dataset import is_finished

# For every dataset that was ever made its id and the runs that trained on it.
Tried = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Pruned:
    """`datasets` lost their images, `refused_runs` their model files, `experiments` (by run) are in the tracker's bin.

    Readings, decisions and objects are counted, `vectors` of erased faces, which killed collections left, and `events`,
    of whatever model type. In a dry run all of it is what would go.
    """

    datasets: tuple[str, ...]
    refused_runs: tuple[str, ...]
    experiments: tuple[str, ...]
    objects: int
    vectors: int
    readings: int
    decisions: int
    events: int


def prune(pruning: Pruning, model_type: ModelType, policy: PruningPolicy, *, dry_run: bool) -> Pruned:
    """Killed anywhere and run again, it goes on. What the running retraining works with stays."""
    p = pruning
    tried, claim = _tried(p, model_type), p.runs.claim(model_type)
    running = {claim.run_id} if claim else set()
    in_use = {dataset for dataset, runs in tried if running & set(runs)}
    frozen = {dataset for dataset, _, _ in p.datasets.frozen()}
    # Datasets of faces have no images.
    old = policy.old_datasets([dataset for dataset, _ in tried if dataset in frozen], in_use)
    refused = [run for _, runs in tried for run in runs if run not in running and _is_over(p, policy, run)]
    images = list(_images(p, model_type, tried, old))
    models = {run: _files(p, ArtifactFolder.of(p.model_prefix, model_type, run)) for run in refused}
    gone = {*images, *(uri for files in models.values() for uri in files)}
    experiments = _old_experiments(p, model_type, policy, running)
    vectors = erased_vectors(p, Gone.of(p.erasures.all()).sha256s)
    if not dry_run:
        _delete(p, [*images, *vectors])
        for run in refused:
            _remove_model(p, model_type, policy, run)
        for run in experiments:
            p.experiments.delete(model_type, run)
    rows = _forget_rows(p, model_type, policy, dry_run=dry_run)
    return Pruned(old, tuple(refused), experiments, len(gone), len(vectors), *rows)


def _forget_rows(
    pruning: Pruning, model_type: ModelType, policy: PruningPolicy, *, dry_run: bool
) -> tuple[int, int, int]:
    """How many readings, decisions and events."""
    p, now = pruning, pruning.clock.now()
    before = policy.readings_before(now)
    readings = p.readings.forget(model_type, before=before, dry_run=dry_run)
    if model_type is ModelType.FACE:
        readings += p.face_looks.forget(before=before, dry_run=dry_run)
    decisions = p.decisions.forget(model_type, before=policy.decisions_before(now), dry_run=dry_run)
    return readings, decisions, p.outbox.forget(before=policy.events_before(now), dry_run=dry_run)


def _old_experiments(
    pruning: Pruning, model_type: ModelType, policy: PruningPolicy, running: Collection[str]
) -> tuple[str, ...]:
    """Experiments that led to a version stay: people look at them as long as the version exists."""
    old = pruning.experiments.begun_before(model_type, policy.experiments_before(pruning.clock.now()))
    return tuple(run for run in old if run not in running and pruning.versions.of_run(run) is None)


def _tried(pruning: Pruning, model_type: ModelType) -> Sequence[Tried]:
    d, frozen = pruning.datasets, {dataset for dataset, _, _ in pruning.datasets.frozen()}
    made = [one for one in d.of_type(model_type) if one[0] in frozen or is_finished(one[0], d)]
    return [(dataset, runs_of(run, pruning.training_runs.on(dataset))) for dataset, run in made]


def _is_over(pruning: Pruning, policy: PruningPolicy, run_id: str) -> bool:
    if pruning.versions.of_run(run_id) is not None:
        return False
    trained = pruning.training_runs.result(run_id)
    verdict = pruning.blessings.of_run(run_id)
    return policy.is_over(verdict, trained.trained_at if trained else None, pruning.clock.now())


def _images(pruning: Pruning, model_type: ModelType, tried: Sequence[Tried], old: Sequence[str]) -> Iterator[str]:
    """The index first: without it nobody takes what is left for a dataset."""
    p = pruning
    for dataset, runs in tried:
        if dataset not in old:
            continue
        folder = DatasetFolder.of(p.dataset_prefix, dataset)
        yield from (*p.objects.list(folder.index), *p.objects.list(folder.shards))
        for model in (ArtifactFolder.of(p.model_prefix, model_type, run) for run in runs):
            yield from (uri for uri in p.objects.list(model.uri) if model.is_cache(uri) or model.is_checkpoint(uri))


def _remove_model(pruning: Pruning, model_type: ModelType, policy: PruningPolicy, run_id: str) -> None:
    """The manifest first, while nobody can force the run live: without it no replica takes the rest for a model."""
    model = ArtifactFolder.of(pruning.model_prefix, model_type, run_id)
    with pruning.transitions.moving_files(model_type):
        if not _is_over(pruning, policy, run_id):
            return
        pruning.objects.delete(model.manifest)
    _delete(pruning, _files(pruning, model))


def _files(pruning: Pruning, model: ArtifactFolder) -> Sequence[str]:
    """All files of a run but those that say why it was refused."""
    return [uri for uri in pruning.objects.list(model.uri) if not model.is_evidence(uri)]


def _delete(pruning: Pruning, uris: Sequence[str]) -> None:
    for uri in uris:
        pruning.objects.delete(uri)
