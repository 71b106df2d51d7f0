"""A face model as servers take it: network, head and the threshold that belongs to them."""

import json

from include.contract.manifest import HEAD, ArtifactManifest, sha256
from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.errors import ModelRefused
from pipeline.domain.models import Artifact, ModelType
from pipeline.learning.export import Destination, write_artifact
from pipeline.learning.faces.exported import exported
from pipeline.learning.faces.network import KerasFaceNetwork
from pipeline.ports.faces import FaceHead


class StoredFaceArtifacts:
    """Under `to.uri`, the prefix of all models."""

    def __init__(self, network: KerasFaceNetwork, to: Destination) -> None:
        self._network = network
        self._to = to

    def write(self, head: FaceHead, run_id: str, dataset_id: str) -> Artifact:
        made, uri = exported(self._network.model, head.matrix), self._uri(run_id)
        files, fields = {**made.files, HEAD: head.matrix}, dict(made.fields)
        said = {"base_sha256": self._network.sha256, "way": head.way, "score": head.score}
        manifest = ArtifactManifest(
            model_type=ModelType.FACE,
            backbone=self._network.name,
            files={path: sha256(body) for path, body in files.items()},
            run_id=run_id,
            dataset_id=dataset_id,
            threshold=head.threshold,
            identification=tuple(head.identification),
            extra={**fields.pop("extra"), **said},
            **fields,
        )
        to = Destination(self._to.objects, uri, self._to.signing_key)
        return Artifact(uri, write_artifact(files, manifest.to_json(), to))

    def of_run(self, run_id: str) -> Artifact | None:
        uri = self._uri(run_id)
        manifest = ArtifactFolder(uri).manifest
        if not self._to.objects.exists(manifest):
            return None
        return Artifact(uri, sha256(self._to.objects.read(manifest)))

    def head(self, artifact: Artifact) -> FaceHead:
        manifest_uri = ArtifactFolder(artifact.uri).manifest
        try:
            body = self._to.objects.read(manifest_uri)
            manifest = json.loads(demand_unaltered(body, artifact.manifest_sha256, manifest_uri, ModelRefused))
            uri = f"{artifact.uri}{HEAD}"
            kept = demand_unaltered(self._to.objects.read(uri), manifest["files"].get(HEAD), uri, ModelRefused)
        except KeyError:
            raise ModelRefused(f"{artifact.uri} is gone: nobody is compared by it any more") from None
        said = manifest["extra"]
        among = tuple((people, threshold) for people, threshold in manifest.get("identification", ()))
        return FaceHead(kept, manifest["threshold"], said["way"], said["score"], said["base_sha256"], among)

    def _uri(self, run_id: str) -> str:
        return ArtifactFolder.of(self._to.uri, ModelType.FACE, run_id).uri
