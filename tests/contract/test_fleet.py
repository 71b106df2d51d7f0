"""The fake fleet, and two real replicas over gRPC, through the same cases."""

import pytest

from faceserve.server import Server
from faceserve.settings import Settings
from include.demo.traffic import Traffic
from pipeline.adapters.serving_fleet import GrpcServingFleet
from pipeline.domain.errors import ModelRefused, ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from tests.fakes.fleet import FakeFleet
from tests.tiny_model import FolderSource, grey_photo, tiny_artifact
from tests.waiting import until

LAUNDRY, TOKEN = ModelType.LAUNDRY, "only-the-pipeline-knows"


class Fake:
    def __init__(self):
        self.fleet = FakeFleet()

    def artifact(self, version):
        return Artifact(f"s3://models/{version}/", "a" * 64)

    def spoil(self, version):
        self.fleet.refuses.add(version)

    def stop_one(self):
        self.fleet.down = True

    def start_one(self):
        self.fleet.down = False

    def close(self):
        """Nothing runs."""


class Real:
    """Two servers in this process; each has a source of its own, so that one can be spoilt alone."""

    def __init__(self, folder):
        self.sources = [FolderSource(), FolderSource()]
        self.settings = [
            Settings(
                grpc_port=0,
                lifecycle_port=0,
                metrics_port=0,
                vet_seconds=0,
                replica=f"replica-{n}",
                state_dir=folder / f"{n}",
                lifecycle_token=TOKEN,
                engine_threads=1,
                drain_seconds=1,
            )
            for n in (1, 2)
        ]
        self.servers = [Server(s, source) for s, source in zip(self.settings, self.sources, strict=True)]
        for server in self.servers:
            server.start()
        self.addresses = [f"127.0.0.1:{s.port}" for s in self.servers]
        self.lifecycle_addresses = [f"127.0.0.1:{s.lifecycle_port}" for s in self.servers]
        self.fleet = GrpcServingFleet(
            self.lifecycle_addresses, token=TOKEN, prepare_timeout_seconds=20, activate_timeout_seconds=5
        )

    def artifact(self, version):
        uri = f"s3://models/{version}/"
        files = tiny_artifact(sharpness=4 + int(version.split(".")[1]))
        sha256 = [source.put(uri, files) for source in self.sources][0]
        return Artifact(uri, sha256)

    def spoil(self, version):
        self.sources[1].objects[f"s3://models/{version}/openvino/model.bin"] = b"truncated"

    def stop_one(self):
        self.servers[1].stop()

    def start_one(self):
        port, lifecycle_port = (int(one[1].split(":")[1]) for one in (self.addresses, self.lifecycle_addresses))
        settings = self.settings[1].model_copy(update={"grpc_port": port, "lifecycle_port": lifecycle_port})
        self.servers[1] = Server(settings, self.sources[1])
        self.servers[1].start()

    def close(self):
        for server in self.servers:
            server.stop()


@pytest.fixture(params=["fake", "real"])
def world(request, tmp_path):
    made = Fake() if request.param == "fake" else Real(tmp_path)
    yield made
    made.close()


def serving(world):
    return {s.version for s in world.fleet.serving(LAUNDRY)}


def test_after_a_swap_every_replica_says_it_serves_the_version(world):
    assert serving(world) == {None}
    swap = world.fleet.swap(LAUNDRY, "v1.0.0", world.artifact("v1.0.0"))
    assert {s.version for s in swap.replicas} == serving(world) == {"v1.0.0"}
    assert len(swap.replicas) == 2


def test_swapping_to_what_serves_already_changes_nothing(world):
    artifact = world.artifact("v1.0.0")
    for _ in range(2):
        world.fleet.swap(LAUNDRY, "v1.0.0", artifact)
    assert serving(world) == {"v1.0.0"}


def test_one_replica_that_refuses_keeps_all_on_the_old_version(world):
    world.fleet.swap(LAUNDRY, "v1.0.0", world.artifact("v1.0.0"))
    artifact = world.artifact("v1.1.0")
    world.spoil("v1.1.0")
    with pytest.raises(ModelRefused):
        world.fleet.swap(LAUNDRY, "v1.1.0", artifact)
    assert serving(world) == {"v1.0.0"}


def test_one_replica_out_of_reach_is_worth_another_try_and_nobody_switches_meanwhile(world):
    world.fleet.swap(LAUNDRY, "v1.0.0", world.artifact("v1.0.0"))
    artifact = world.artifact("v1.1.0")
    world.stop_one()
    with pytest.raises(ServiceUnavailable):
        world.fleet.swap(LAUNDRY, "v1.1.0", artifact)
    world.start_one()
    # The replica that was away remembers what it served.
    until_ready(world)
    assert serving(world) == {"v1.0.0"}
    world.fleet.swap(LAUNDRY, "v1.1.0", artifact)
    assert serving(world) == {"v1.1.0"}


def until_ready(world):
    until(lambda: None not in serving(world), "both replicas to serve")


def test_a_stranger_without_the_token_changes_nothing(tmp_path):
    world = Real(tmp_path)
    artifact = world.artifact("v1.0.0")
    stranger = GrpcServingFleet(
        world.lifecycle_addresses, token="guess", prepare_timeout_seconds=5, activate_timeout_seconds=5
    )
    with pytest.raises(ModelRefused, match="UNAUTHENTICATED"):
        stranger.swap(LAUNDRY, "v1.0.0", artifact)
    assert serving(world) == {None}
    world.close()


def test_requests_never_fail_and_always_name_a_version_while_versions_change(tmp_path):
    """Both replicas under load, swapped back and forth (invariant I1)."""
    world = Real(tmp_path)
    artifacts = {v: world.artifact(v) for v in ("v1.1.0", "v1.2.0")}
    world.fleet.swap(LAUNDRY, "v1.1.0", artifacts["v1.1.0"])
    traffic = Traffic(world.addresses, [grey_photo(10), grey_photo(240)], requests_per_second=200)
    traffic.start()
    for _ in range(25):
        for version in ("v1.2.0", "v1.1.0"):
            world.fleet.swap(LAUNDRY, version, artifacts[version])
    traffic.stop()
    answers = traffic.answers()
    assert len(answers) > 20
    assert [a.error for a in answers if a.error] == []
    assert {a.version for a in answers} == {"v1.1.0", "v1.2.0"}
    world.close()
