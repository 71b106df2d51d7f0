"""Sign registered models again: those from before there was a key, or all of them with a new key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.domain.artifact_folder import MANIFEST, ArtifactFolder
from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.retention import demand_whole
from pipeline.ports.data import ObjectStore
from pipeline.ports.deployment import ModelVersions


@dataclass(frozen=True)
class Signed:
    """Versions that have a signature now, and why others have none by this key."""

    signed: tuple[str, ...]
    left: Mapping[str, str]


def sign_models(
    versions: ModelVersions, objects: ObjectStore, model_type: ModelType, sign: Callable[[bytes], bytes]
) -> Signed:
    """Signs every version whose manifest is the one that was registered: nothing else gets our signature."""
    signed: list[str] = []
    left: dict[str, str] = {}
    for row in versions.all(model_type):
        folder = ArtifactFolder(row.artifact.uri)
        try:
            manifest = demand_whole(MANIFEST, objects.read(folder.manifest), row.artifact.manifest_sha256)
        except KeyError:
            left[row.version] = f"its files are not at hand: {_restored(row)} brings those of an archived version back"
            continue
        except GiveUp as error:
            left[row.version] = str(error)
            continue
        objects.write(folder.signature, sign(manifest))
        signed.append(row.version)
    return Signed(tuple(signed), left)


def _restored(row: ModelVersion) -> str:
    return f"`python -m pipeline restore {row.version} --model-type {row.model_type}`"
