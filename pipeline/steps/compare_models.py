"""Where transition log, versions and objects of a restored database disagree (include/reliability.md, I4)."""

from collections.abc import Iterator
from datetime import datetime

from pipeline.domain.artifact_folder import MANIFEST
from pipeline.domain.checksums import sha256
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.ports.backup_bundles import OfOneDatabase
from pipeline.ports.data import ObjectStore


def faults_of_models(
    live: OfOneDatabase, restored: OfOneDatabase, objects: ObjectStore, known: datetime
) -> Iterator[str]:
    """Sentences; what happened until `known` has to be in the restored log."""
    for model_type in ModelType:
        ledger = restored.transitions.ledger(model_type)
        if not _is_beginning_of(live.transitions.ledger(model_type), ledger, known):
            yield f"the transition log of {model_type} is another one"
        if wrong := restored.transitions.project(model_type):
            yield f"rows of {', '.join(wrong)} do not say what the transition log of {model_type} says"
        for version in restored.versions.all(model_type):
            if version.version not in ledger.archived and not _has_files(objects, version):
                yield f"the files of {model_type} {version.version} are not in {version.artifact.uri}"


def _is_beginning_of(live: Ledger, restored: Ledger, known: datetime) -> bool:
    """Whether the restored log is the beginning of the live one, and lacks nothing from before `known`."""
    count = len(restored.entries)
    return restored.entries == live.entries[:count] and all(entry.at > known for entry in live.entries[count:])


def _has_files(objects: ObjectStore, version: ModelVersion) -> bool:
    try:
        return sha256(objects.read(f"{version.artifact.uri}{MANIFEST}")) == version.artifact.manifest_sha256
    except KeyError:
        return False
