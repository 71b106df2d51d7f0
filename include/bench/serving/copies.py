"""One artifact in S3 under as many names as a benchmark deploys."""

from dataclasses import replace

from include.bench.artifacts import artifact
from include.bench.serving.replicas import Artifact
from include.contract.manifest import MANIFEST, ArtifactManifest, sha256
from include.stack.layout import Stack
from pipeline.adapters.s3 import S3ObjectStore

_ORIGIN = "s3://models/bench/"


class Copies:
    """Exports the network once; of its copies none was ever in a replica's cache. The last `kept` stay in S3."""

    def __init__(self, store: Stack, network: str, *, kept: int) -> None:
        self._objects = S3ObjectStore(endpoint=store.s3_endpoint)
        self._kept = kept
        self._made = 0
        artifact(network, self._objects, _ORIGIN)

    def fresh(self) -> Artifact:
        """Under another run's name: its manifest differs, so replicas take it for another artifact."""
        number, self._made = self._made, self._made + 1
        manifest = ArtifactManifest.from_json(self._objects.read(f"{_ORIGIN}{MANIFEST}"))
        body = replace(manifest, run_id=f"run-{number}").to_json()
        target = f"s3://models/bench-{number % self._kept}/"
        for path in manifest.files:
            if path.startswith("openvino/") or path == manifest.golden.file:
                self._objects.write(f"{target}{path}", self._objects.read(f"{_ORIGIN}{path}"))
        self._objects.write(f"{target}{MANIFEST}", body)
        return Artifact(f"v2.{number}.0", target, sha256(body))

    def broken(self, body: bytes) -> Artifact:
        """One with other weights than its manifest says."""
        copy = self.fresh()
        self._objects.write(f"{copy.uri}openvino/model.bin", body)
        return copy
