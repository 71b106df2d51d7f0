"""Which versions stay at hand and which go to the archive (specification §11)."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.domain.artifact_folder import MANIFEST
from pipeline.domain.bounds import AtLeastOne
from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.errors import ArchiveDamaged, GiveUp
from pipeline.domain.models import Artifact, ModelVersion, newest_first


@dataclass(frozen=True)
class RetentionPlan:
    """`archive` oldest first; `kept` says why each of the others stays."""

    archive: tuple[str, ...]
    kept: Mapping[str, str]


@dataclass(frozen=True)
class RetentionPolicy:
    """Keep the `keep` newest versions of a model type, and every version that is needed, however old."""

    keep: AtLeastOne = 10
    """Newest versions of a model type whose files stay at hand."""

    def select(self, versions: Iterable[ModelVersion], protected: Mapping[str, str]) -> RetentionPlan:
        """The plan for the `versions` at hand; `protected` maps those that must stay to the reason, e.g. `champion`."""
        at_hand = [one.version for one in newest_first(versions)]
        kept = {version: f"among the newest {self.keep}" for version in at_hand[: self.keep]}
        kept |= {version: protected[version] for version in at_hand if version in protected}
        return RetentionPlan(tuple(v for v in reversed(at_hand) if v not in kept), kept)


def listed_files(manifest: bytes, manifest_sha256: str) -> Mapping[str, str]:
    """The model's files with their checksums, as its manifest lists them; the manifest itself is not among them.

    Raises `ArchiveDamaged` for a manifest that is not the registered one.
    """
    files: Mapping[str, str] = json.loads(demand_whole(MANIFEST, manifest, manifest_sha256))["files"]
    return files


def demand_whole(path: str, body: bytes, sha256: str) -> bytes:
    """Raises `ArchiveDamaged` for bytes other than the manifest promises."""
    return demand_unaltered(body, sha256, path, ArchiveDamaged)


def archive_uri(prefix: str, artifact: Artifact) -> str:
    """Where an artifact lies in the archive: the same path under `prefix`, `s3://bucket/folder/`.

    Raises `GiveUp` for a prefix that is not one, or that leads to the artifact itself, whose only copy would be
    removed.
    """
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+/(.*/)?", prefix):
        raise GiveUp(f"RETRAIN_ARCHIVE_URI is {prefix[:100]!r}, but must be like s3://bucket/folder/")
    uri = prefix + artifact.uri.removeprefix("s3://").partition("/")[2]
    if uri.startswith(artifact.uri) or artifact.uri.startswith(uri):
        raise GiveUp(f"RETRAIN_ARCHIVE_URI {prefix} leads to the models themselves: name another folder or bucket")
    return uri
