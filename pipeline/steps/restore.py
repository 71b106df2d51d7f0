"""Bring an archived version's files back, each compared with its checksum; then it can be rolled back to."""

from pipeline.domain.artifact_folder import MANIFEST
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.retention import archive_uri, demand_whole, listed_files
from pipeline.domain.transitions import By, Entry, Phase
from pipeline.ports.bundles import Keeping


def restore(k: Keeping, model_type: ModelType, version: str, by: By, archive_prefix: str) -> ModelVersion:
    """The restored version. Raises `UnknownVersion` unless it is archived, `StillFrozen` while Glacier thaws it (run it
    again later), `ArchiveDamaged` for what the archive lost; it then stays archived.
    """
    row = k.versions.get(model_type, version)
    with k.transitions.moving_files(model_type), k.transitions.exclusive(model_type):
        ledger = k.transitions.ledger(model_type)
        wanted = ledger.restore(version, by, k.clock.now())
        if not ledger.is_open(wanted):
            # From here on nobody removes what is written.
            k.transitions.append(ledger, Entry(Phase.REQUESTED, wanted, wanted.at))
    _fetch(k, row, archive_uri(archive_prefix, row.artifact))
    with k.transitions.exclusive(model_type):
        ledger = k.transitions.ledger(model_type)
        if ledger.is_open(wanted):
            k.transitions.append(ledger, Entry(Phase.NOTED, wanted, k.clock.now()))
    return k.versions.get(model_type, version)


def _fetch(k: Keeping, row: ModelVersion, source: str) -> None:
    manifest = k.archive.fetch(f"{source}{MANIFEST}")
    for path, sha256 in listed_files(manifest, row.artifact.manifest_sha256).items():
        body = demand_whole(path, k.archive.fetch(f"{source}{path}"), sha256)
        k.objects.write(f"{row.artifact.uri}{path}", body)
    # Last, as when it was made: without its manifest an artifact does not exist.
    k.objects.write(f"{row.artifact.uri}{MANIFEST}", manifest, "application/json")
