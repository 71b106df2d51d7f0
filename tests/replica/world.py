"""A real replica over real gRPC, with objects in memory."""

from contextlib import contextmanager

import boto3
import pytest

from faceserve.server import Server
from faceserve.settings import Settings
from faceserve.storage import S3Source
from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import LifecycleClient
from include.contract.manifest import MANIFEST
from tests.tiny_model import FolderSource, manifest_sha256, tiny_artifact

TOKEN = "only-the-pipeline-knows"


class Replica:
    def __init__(self, server, source):
        self.server = server
        self.source = source
        self._put = {}
        self.client = FaceserveClient([f"127.0.0.1:{server.port}"], timeout_seconds=60)
        self.lifecycle = LifecycleClient(f"127.0.0.1:{server.lifecycle_port}", token=TOKEN, timeout_seconds=60)

    @property
    def address(self):
        return f"127.0.0.1:{self.server.port}"

    @property
    def lifecycle_address(self):
        return f"127.0.0.1:{self.server.lifecycle_port}"

    def put(self, version, model="laundry", **artifact):
        """Where the artifact of a version lies, and the sha256 of its manifest; asked again, that is the same one."""
        uri = f"s3://models/{model}/{version}/"
        key = (uri, repr(sorted(artifact.items())))
        if key not in self._put:
            sharpness = 4.0 + int(version.split(".")[1])
            files = tiny_artifact(**{"sharpness": sharpness, "model_type": model.upper(), **artifact})
            self._put[key] = self.source.put(uri, files)
        return uri, self._put[key]

    def prepare(self, version, model="laundry", **artifact):
        return self.lifecycle.prepare(model, version, *self.put(version, model, **artifact), timeout_seconds=60)

    def serve(self, version, model="laundry", **artifact):
        self.prepare(version, model, **artifact)
        return self.lifecycle.activate(model, version)

    def generation(self, version, model="laundry"):
        """The server's own copy of a version, to make it misbehave."""
        found = self.server.manager.snapshot(model).loaded(version)
        assert found is not None
        return found

    def close(self):
        self.client.close()
        self.lifecycle.close()
        self.server.stop()


def _server(folder, source, **settings):
    fixed = {
        "grpc_port": 0,
        "lifecycle_port": 0,
        "metrics_port": 0,
        "vet_seconds": 0,
        "engine_threads": 1,
        "drain_seconds": 2,
        "calm_ms": 0,
        "lifecycle_token": TOKEN,
        "state_dir": folder,
    }
    return Server(Settings(**{**fixed, **settings}), source)


@contextmanager
def unstarted(folder, **settings):
    """A server before its start, stopped in the end."""
    server = _server(folder, FolderSource(), **settings)
    yield server
    server.stop()


@contextmanager
def replica(folder, source=None, **settings):
    source = source or FolderSource()
    server = _server(folder, source, **settings)
    server.start()
    made = Replica(server, source)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def vetting_replica(folder, endpoint, place):
    """One that tries candidates in a process of their own, out of a real S3; `offer` puts them there, in `place`."""
    # Of processor time, long enough for the slowest.
    settings = {"s3_endpoint": endpoint, "vet_seconds": 15, "vet_memory_mb": 2048}
    with pytest.MonkeyPatch.context() as patch, replica(folder, S3Source(endpoint), **settings) as made:
        # Tried at the lowest priority, a candidate waits long on a machine that has other tests to run.
        patch.setattr("faceserve.models.vetting._PATIENCE", 12)
        made.store, made.place = boto3.client("s3", endpoint_url=endpoint), place
        offer(made, "v1.0.0", tiny_artifact())
        made.lifecycle.activate("laundry", "v1.0.0")
        yield made


def offer(world, version, files):
    """A model's files go to S3, and the replica is asked to prepare them."""
    at = f"{world.place}/{version}/"
    for path, body in files.items():
        world.store.put_object(Bucket="models", Key=at + path, Body=body)
    sha256 = manifest_sha256(files) if MANIFEST in files else "0" * 64
    return world.lifecycle.prepare("laundry", version, f"s3://models/{at}", sha256, timeout_seconds=900)
