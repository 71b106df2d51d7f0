"""Bring an archived version's files back, each compared with its checksum; then it can be rolled back to."""

import hashlib

from pipeline.domain.artifact_folder import MANIFEST, ArtifactFolder
from pipeline.domain.errors import StillFrozen
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
        if ledger.done(wanted.id):
            return row
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
    listed = listed_files(manifest, row.artifact.manifest_sha256)
    # All files are requested before anybody waits: thawed ones would freeze again before the last is thawed.
    frozen = [path for path, sha256 in listed.items() if not _fetched(k, (source, row.artifact.uri), path, sha256)]
    if frozen:
        raise StillFrozen(
            f"Glacier is thawing {len(frozen)} of {len(listed)} files of {row.version}, which takes hours: "
            "run the same command later"
        )
    folder = ArtifactFolder(row.artifact.uri)
    if k.sign is not None:
        # What was archived before this key existed has no signature of it, and no replica would take it.
        k.objects.write(folder.signature, k.sign(manifest))
    # Last, as when it was made: without its manifest an artifact does not exist.
    k.objects.write(folder.manifest, manifest, "application/json")


def _fetched(k: Keeping, way: tuple[str, str], path: str, sha256: str) -> bool:
    """False while it is frozen. A file that an earlier try brought is not asked for again."""
    source, target = way
    if _lies_whole(k, f"{target}{path}", sha256):
        return True
    try:
        body = demand_whole(path, k.archive.fetch(f"{source}{path}"), sha256)
    except StillFrozen:
        return False
    k.objects.write(f"{target}{path}", body)
    return True


def _lies_whole(k: Keeping, uri: str, sha256: str) -> bool:
    try:
        return hashlib.sha256(k.objects.read(uri)).hexdigest() == sha256
    except KeyError:
        return False
