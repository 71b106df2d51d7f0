"""Bring an archived version's files back, each compared with its checksum; then it can be rolled back to."""

from pipeline.domain.artifact_folder import MANIFEST
from pipeline.domain.errors import UnknownVersion
from pipeline.domain.models import Kind, ModelType, ModelVersion, Status, Transition
from pipeline.domain.retention import archive_uri, demand_whole, listed_files
from pipeline.ports.clock import Clock
from pipeline.ports.data import ObjectStore
from pipeline.ports.deployment import ModelVersions, Transitions
from pipeline.ports.live import ArchiveStore


def restore(
    model_type: ModelType,
    version: str,
    *,
    archive_prefix: str,
    actor: str,
    versions: ModelVersions,
    transitions: Transitions,
    objects: ObjectStore,
    archive: ArchiveStore,
    clock: Clock,
) -> ModelVersion:
    """The restored version. Raises `UnknownVersion` unless it is archived, `StillFrozen` while Glacier thaws it (run it
    again later), `ArchiveDamaged` for what the archive lost; it then stays archived.
    """
    row = versions.get(model_type, version)
    if row.status is not Status.ARCHIVED:
        raise UnknownVersion(f"{version} is not archived: its files are at hand")
    source = archive_uri(archive_prefix, row.artifact)
    manifest = archive.fetch(f"{source}{MANIFEST}")
    for path, sha256 in listed_files(manifest, row.artifact.manifest_sha256).items():
        body = demand_whole(path, archive.fetch(f"{source}{path}"), sha256)
        objects.write(f"{row.artifact.uri}{path}", body)
    # Last, as when it was made: without its manifest an artifact does not exist.
    objects.write(f"{row.artifact.uri}{MANIFEST}", manifest, "application/json")
    at, facts = clock.now(), transitions.facts(model_type)
    times = sum(fact.kind is Kind.ARCHIVE and fact.to_version == version for fact in facts)
    note = Transition(
        id=f"restore:{model_type}:{version}:{times}",
        model_type=model_type,
        kind=Kind.RESTORE,
        from_version=None,
        to_version=version,
        expected_current=None,
        actor=actor,
        reason="by hand",
        blessing_id=None,
        requested_at=at,
        confirmed_served_at=at,
    )
    transitions.note(note)
    return versions.get(model_type, version)
