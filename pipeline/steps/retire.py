"""Move old versions' model files to the archive, and only what the archive was seen to have (specification §11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.artifact_folder import MANIFEST
from pipeline.domain.errors import ArchiveDamaged
from pipeline.domain.models import (
    NOTES,
    Artifact,
    Kind,
    ModelType,
    ModelVersion,
    Status,
    Transition,
    on_trial,
    rollback_target,
)
from pipeline.domain.retention import (
    RetentionPlan,
    RetentionPolicy,
    archive_uri,
    demand_whole,
    listed_files,
)
from pipeline.ports.clock import Clock
from pipeline.ports.data import ObjectFolders
from pipeline.ports.deployment import ModelVersions, ServingFleet, Transitions
from pipeline.ports.events import RetrainingRuns
from pipeline.ports.live import ArchiveStore


@dataclass(frozen=True)
class Retired:
    """`archived` is empty in a dry run; `failed` maps versions to why they stayed."""

    plan: RetentionPlan
    archived: tuple[str, ...]
    failed: Mapping[str, str]


def retire(
    model_type: ModelType,
    *,
    policy: RetentionPolicy,
    dry_run: bool,
    archive_prefix: str,
    actor: str,
    versions: ModelVersions,
    transitions: Transitions,
    runs: RetrainingRuns,
    fleet: ServingFleet,
    objects: ObjectFolders,
    archive: ArchiveStore,
    clock: Clock,
) -> Retired:
    """Archive what the policy selects; a version whose files are not what they should be stays as it is.

    Reports beside the model (verdict, predictions) are evidence and stay where they are. Raises what the fleet raised:
    without knowing what every replica serves, nothing is moved.
    """

    def plan() -> RetentionPlan:
        return policy.select(versions.all(model_type), _protected(model_type, versions, transitions, runs, fleet))

    planned = plan()
    archived: list[str] = []
    failed: dict[str, str] = {}
    for version in () if dry_run else planned.archive:
        row = versions.get(model_type, version)
        try:
            _copy(row.artifact, archive_uri(archive_prefix, row.artifact), objects, archive)
        except (ArchiveDamaged, KeyError) as error:
            failed[version] = f"its files are not whole: {error}"
            continue
        with transitions.exclusive(model_type):
            # Copying took a while: what is needed by now must not go.
            if version in plan().archive:
                transitions.note(_note(row, transitions, actor, f"older than the newest {policy.keep}", clock))
                archived.append(version)
    if not dry_run:
        _remove_archived(versions.all(model_type), objects)
    return Retired(planned, tuple(archived), failed)


def _protected(
    model_type: ModelType,
    versions: ModelVersions,
    transitions: Transitions,
    runs: RetrainingRuns,
    fleet: ServingFleet,
) -> dict[str, str]:
    facts = transitions.facts(model_type)
    served = [fact for fact in facts if fact.kind not in NOTES]
    protected: dict[str, str] = {}
    for serving in fleet.serving(model_type):
        protected |= {v: f"kept warm by {serving.replica}" for v in (serving.previous,) if v}
        protected |= {v: f"served by {serving.replica}" for v in (serving.version,) if v}
    if (running := runs.running(model_type)) and (made := versions.of_run(running)):
        protected[made.version] = f"made by the running retraining {running}"
    if (trial := on_trial(facts)) is not None:
        protected[trial.to_version] = "canary"
    if (target := rollback_target(served)) is not None:
        protected[target] = "previous: what a rollback brings back"
    if served:
        protected[served[-1].to_version] = "champion"
    return protected


def _copy(artifact: Artifact, destination: str, objects: ObjectFolders, archive: ArchiveStore) -> None:
    manifest = objects.read(f"{artifact.uri}{MANIFEST}")
    for path, sha256 in listed_files(manifest, artifact.manifest_sha256).items():
        archive.keep(f"{destination}{path}", demand_whole(path, objects.read(f"{artifact.uri}{path}"), sha256))
    archive.keep(f"{destination}{MANIFEST}", manifest)


def _remove_archived(versions: Sequence[ModelVersion], objects: ObjectFolders) -> None:
    """The manifest goes last: while it is there, a removal that was interrupted can be finished."""
    for version in versions:
        manifest_uri = f"{version.artifact.uri}{MANIFEST}"
        if version.status is Status.ARCHIVED and objects.exists(manifest_uri):
            for path in listed_files(objects.read(manifest_uri), version.artifact.manifest_sha256):
                objects.delete(f"{version.artifact.uri}{path}")
            objects.delete(manifest_uri)


def _note(row: ModelVersion, transitions: Transitions, actor: str, reason: str, clock: Clock) -> Transition:
    at, facts = clock.now(), transitions.facts(row.model_type)
    times = sum(fact.kind is Kind.ARCHIVE and fact.to_version == row.version for fact in facts)
    return Transition(
        # A version that was restored may be archived again.
        id=f"archive:{row.model_type}:{row.version}:{times + 1}",
        model_type=row.model_type,
        kind=Kind.ARCHIVE,
        from_version=None,
        to_version=row.version,
        expected_current=None,
        actor=actor,
        reason=reason,
        blessing_id=None,
        requested_at=at,
        confirmed_served_at=at,
    )
