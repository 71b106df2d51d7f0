"""The fake fleet, and two real replicas over gRPC, through the same cases."""

import dataclasses
import functools
import threading

import pytest

from faceserve.server import Server
from faceserve.settings import Settings
from include.demo.traffic import Traffic
from pipeline.adapters.serving_fleet import GrpcServingFleet, Replicas
from pipeline.domain.errors import ModelRefused, ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from tests.fakes.fleet import FakeFleet
from tests.tiny_model import FolderSource, coloured_photo, grey_photo, tiny_artifact
from tests.waiting import until

LAUNDRY, TOKEN = ModelType.LAUNDRY, "only-the-pipeline-knows"

# How long one that never ends is waited for here.
HASTY_SECONDS = 0.3


@functools.cache
def _files(version):
    return tiny_artifact(sharpness=4 + int(version.split(".")[1]))


class Fake:
    gone = "replica-2"

    def __init__(self):
        self.fleet = FakeFleet()

    def artifact(self, version):
        return Artifact(f"s3://models/{version}/", "a" * 64)

    def spoil(self, version):
        self.fleet.refuses.add(version)

    def stop_one(self):
        self.fleet.down.add(self.gone)

    def start_one(self):
        self.fleet.down.clear()

    def stick_one(self):
        """The fleet, of which one replica answers, and never ends to load."""
        self.fleet.stuck.add(self.gone)
        return self.fleet

    def out_of_rotation(self):
        """The fleet when a person took out the replica that stops."""
        self.fleet.names, self.fleet.out = ("replica-1",), (self.gone,)
        return self.fleet

    def close(self):
        """Nothing runs."""


class SlowSource(FolderSource):
    """Gives nothing until it is `free`."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()
        self.free.set()

    def read(self, uri, at_most_bytes=1 << 30):
        self.free.wait()
        return super().read(uri, at_most_bytes)


class Real:
    """Two servers in this process; each has a source of its own, so that one can be spoilt alone."""

    def __init__(self, folder, **more):
        self.sources = [FolderSource(), SlowSource()]
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
                # A request under way may take long on a busy machine.
                drain_seconds=60,
                **more,
            )
            for n in (1, 2)
        ]
        self.servers = [Server(s, source) for s, source in zip(self.settings, self.sources, strict=True)]
        for server in self.servers:
            server.start()
        self.addresses = [f"127.0.0.1:{s.port}" for s in self.servers]
        self.lifecycle_addresses = [f"127.0.0.1:{s.lifecycle_port}" for s in self.servers]
        self.gone = self.lifecycle_addresses[1]
        self.replicas = Replicas(self.lifecycle_addresses, TOKEN, 60, 60, 60)
        self.fleet = GrpcServingFleet(self.replicas)

    def artifact(self, version):
        uri = f"s3://models/{version}/"
        sha256 = [source.put(uri, _files(version)) for source in self.sources][0]
        return Artifact(uri, sha256)

    def spoil(self, version):
        self.sources[1].objects[f"s3://models/{version}/openvino/model.bin"] = b"truncated"

    def out_of_rotation(self):
        """The fleet when a person took out the replica that stops."""
        return GrpcServingFleet(dataclasses.replace(self.replicas, out_of_rotation=[self.gone]))

    def stick_one(self):
        """The fleet, of which one replica answers, and never ends to load."""
        self.sources[1].free.clear()
        for_ever = dataclasses.replace(self.replicas, prepare_timeout_seconds=3600)
        return GrpcServingFleet(dataclasses.replace(for_ever, straggler_seconds=HASTY_SECONDS))

    def stop_one(self):
        self.servers[1].stop()

    def start_one(self, which=1):
        port, lifecycle_port = (int(one[which].split(":")[1]) for one in (self.addresses, self.lifecycle_addresses))
        settings = self.settings[which].model_copy(update={"grpc_port": port, "lifecycle_port": lifecycle_port})
        self.servers[which] = Server(settings, self.sources[which])
        self.servers[which].start()

    def close(self):
        self.sources[1].free.set()
        for server in self.servers:
            server.stop()


@pytest.fixture(params=["fake", "real"])
def gallery(request, tmp_path):
    """Replicas that share one, with somebody enrolled."""
    if request.param == "fake":
        made = Fake()
        made.fleet.enrolled = {"kim"}
        made.people = lambda: len(made.fleet.enrolled)
    else:
        made = Real(tmp_path, gallery_uri="s3://faces/")
        shared = made.sources[0].objects
        made.sources[1].objects = shared
        shared["s3://faces/face/kim"] = coloured_photo(200, 20, 20)
        made.people = lambda: sum(uri.startswith("s3://faces/face/") for uri in shared)
    yield made
    made.close()


def test_who_is_withdrawn_is_in_no_gallery_and_again_changes_nothing(gallery):
    assert gallery.people() == 1
    gallery.fleet.withdraw(ModelType.FACE, "kim")
    gallery.fleet.withdraw(ModelType.FACE, "kim")
    assert gallery.people() == 0


@pytest.mark.parametrize("name", ["ｋｉｍ", " kim "])
def test_who_is_withdrawn_is_so_in_whatever_form_the_name_is_typed(gallery, name):
    gallery.fleet.withdraw(ModelType.FACE, name)
    assert gallery.people() == 0


def test_one_replica_is_enough_to_withdraw_somebody(gallery):
    gallery.stop_one()
    gallery.fleet.withdraw(ModelType.FACE, "kim")
    assert gallery.people() == 0


def test_where_nobody_can_be_enrolled_nobody_can_be_withdrawn(world):
    with pytest.raises(ModelRefused, match="no gallery"):
        world.fleet.withdraw(ModelType.FACE, "kim")


@pytest.fixture(params=["fake", "real"])
def world(request, tmp_path):
    made = Fake() if request.param == "fake" else Real(tmp_path)
    yield made
    made.close()


def serving(world):
    return {s.version for s in world.fleet.serving(LAUNDRY)}


def swap(fleet, version, artifact):
    return fleet.activate(LAUNDRY, fleet.prepare(LAUNDRY, version, artifact))


@pytest.fixture
def live(world):
    """v1.0.0 serves on both."""
    world.champion = world.artifact("v1.0.0")
    swap(world.fleet, "v1.0.0", world.champion)
    return world


# Two phases


def test_after_a_swap_every_replica_says_it_serves_the_version(world):
    assert serving(world) == {None}
    done = swap(world.fleet, "v1.0.0", world.artifact("v1.0.0"))
    assert serving(world) == {"v1.0.0"}
    assert (len(done.replicas), done.missing) == (2, {})


def test_what_is_only_prepared_does_not_serve_and_can_be_dropped(live):
    prepared = live.fleet.prepare(LAUNDRY, "v1.1.0", live.artifact("v1.1.0"))
    assert (prepared.version, len(prepared.epochs), serving(live)) == ("v1.1.0", 2, {"v1.0.0"})
    for _ in range(2):
        live.fleet.discard(LAUNDRY, "v1.1.0")
    assert serving(live) == {"v1.0.0"}


def test_swapping_to_what_serves_already_changes_nothing(live):
    swap(live.fleet, "v1.0.0", live.champion)
    assert serving(live) == {"v1.0.0"}


def test_one_replica_that_refuses_keeps_all_on_the_old_version(live):
    artifact = live.artifact("v1.1.0")
    live.spoil("v1.1.0")
    with pytest.raises(ModelRefused):
        live.fleet.prepare(LAUNDRY, "v1.1.0", artifact)
    assert serving(live) == {"v1.0.0"}


def test_one_replica_out_of_reach_is_worth_another_try_and_nobody_switches_meanwhile(live):
    artifact = live.artifact("v1.1.0")
    live.stop_one()
    with pytest.raises(ServiceUnavailable):
        live.fleet.prepare(LAUNDRY, "v1.1.0", artifact)
    live.start_one()
    # The replica that was away remembers what it served.
    until_ready(live)
    assert serving(live) == {"v1.0.0"}
    swap(live.fleet, "v1.1.0", artifact)
    assert serving(live) == {"v1.1.0"}


def test_a_replica_lost_between_the_phases_fails_the_activation_and_the_other_goes_back(live):
    prepared = live.fleet.prepare(LAUNDRY, "v1.1.0", live.artifact("v1.1.0"))
    live.stop_one()
    with pytest.raises(ServiceUnavailable):
        live.fleet.activate(LAUNDRY, prepared)
    there = [s for s in live.fleet.serving(LAUNDRY) if not s.fault]
    assert [s.version for s in there] == ["v1.0.0"]


def until_ready(world):
    until(lambda: None not in serving(world), "both replicas to serve")


# Who is asked


def test_a_replica_that_does_not_answer_is_named_with_its_fault(live):
    live.stop_one()
    one, other = live.fleet.serving(LAUNDRY)
    assert (one.version, one.fault) == ("v1.0.0", "")
    assert other.version is None
    assert other.fault.startswith("does not answer")


def test_a_replica_out_of_rotation_is_named_and_neither_asked_nor_changed(live):
    fleet = live.out_of_rotation()
    live.stop_one()
    done = swap(fleet, "v1.1.0", live.artifact("v1.1.0"))
    assert (len(done.replicas), list(fleet.skipped())) == (1, [live.gone])
    assert live.gone not in {s.replica for s in fleet.serving(LAUNDRY)}
    assert {s.version for s in fleet.serving(LAUNDRY)} == {"v1.1.0"}
    assert fleet.bring_back(LAUNDRY, "v1.0.0", live.champion).missing == {}
    assert [seen.replica for seen in fleet.canaries(LAUNDRY)] == list(done.replicas)


# Bringing back


def test_a_rollback_reaches_the_replica_that_answers_and_says_what_is_missing(live):
    swap(live.fleet, "v1.1.0", live.artifact("v1.1.0"))
    live.stop_one()
    done = live.fleet.bring_back(LAUNDRY, "v1.0.0", live.champion)
    one, other = live.fleet.serving(LAUNDRY)
    assert (one.version, done.replicas, list(done.missing)) == ("v1.0.0", (one.replica,), [other.replica])
    assert done.missing[other.replica].startswith("does not answer")
    live.start_one()
    until_ready(live)
    with pytest.raises(ModelRefused, match=r"NOT_FOUND"):
        live.fleet.put_back(LAUNDRY, "v1.7.0", [other.replica])
    assert list(live.fleet.warm(LAUNDRY, "v1.0.0", live.champion, [other.replica])) == [other.replica]
    done = live.fleet.put_back(LAUNDRY, "v1.0.0", [other.replica])
    assert (done.replicas, serving(live)) == ((other.replica,), {"v1.0.0"})


def test_a_rollback_waits_no_longer_for_one_that_never_ends_to_load(live):
    artifact, fleet = live.artifact("v1.1.0"), live.stick_one()
    done = fleet.bring_back(LAUNDRY, "v1.1.0", artifact)
    assert done.missing == {live.gone: "does not answer (DEADLINE_EXCEEDED)"}
    assert {s.replica: s.version for s in fleet.serving(LAUNDRY)}[live.gone] == "v1.0.0"
    # Nor did it change what it waited for in vain: the next emergency finds everybody as they are.
    assert live.fleet.bring_back(LAUNDRY, "v1.0.0", live.champion).missing == {}
    assert serving(live) == {"v1.0.0"}


def test_a_rollback_that_reaches_nobody_says_so(live):
    live.stop_one()
    with pytest.raises(ServiceUnavailable, match="no replica could be brought back to"):
        live.fleet.put_back(LAUNDRY, "v1.0.0", [live.gone])


def test_warming_changes_nothing_that_serves_and_makes_the_way_back_short(live):
    artifact, everywhere = live.artifact("v1.1.0"), [s.replica for s in live.fleet.serving(LAUNDRY)]
    assert list(live.fleet.warm(LAUNDRY, "v1.1.0", artifact, everywhere)) == everywhere
    assert serving(live) == {"v1.0.0"}
    assert live.fleet.put_back(LAUNDRY, "v1.1.0", everywhere).missing == {}
    assert serving(live) == {"v1.1.0"}


def test_warming_passes_over_a_replica_that_is_gone_or_refuses(live):
    artifact, everywhere = live.artifact("v1.1.0"), [s.replica for s in live.fleet.serving(LAUNDRY)]
    live.spoil("v1.1.0")
    assert live.gone not in live.fleet.warm(LAUNDRY, "v1.1.0", artifact, everywhere)
    assert serving(live) == {"v1.0.0"}
    live.stop_one()
    assert list(live.fleet.warm(LAUNDRY, "v1.0.0", live.champion, everywhere)) == everywhere[:1]
    assert {s.version for s in live.fleet.serving(LAUNDRY) if not s.fault} == {"v1.0.0"}


# Canaries


def on_trial_at(world):
    return {(seen.version, seen.verdict) for seen in world.fleet.canaries(LAUNDRY)}


def start(world, version="v1.1.0", times=1):
    artifact = world.artifact(version)
    for _ in range(times):
        world.fleet.prepare(LAUNDRY, version, artifact)
        world.fleet.give_canary(LAUNDRY, version, 10)
    return artifact


def test_a_canary_is_on_trial_everywhere_beside_the_champion(live):
    start(live, times=2)
    assert on_trial_at(live) == {("v1.1.0", "inconclusive")}
    assert serving(live) == {"v1.0.0"}


def test_an_aborted_canary_is_on_trial_nowhere_and_aborting_again_is_harmless(live):
    start(live)
    live.fleet.abort_canary(LAUNDRY, "v1.9.0", "another one")
    assert on_trial_at(live) == {("v1.1.0", "inconclusive")}
    for _ in range(2):
        live.fleet.abort_canary(LAUNDRY, "v1.1.0", "too strict")
    assert on_trial_at(live) == {("v1.1.0", "aborted")}


def test_a_swap_to_the_canary_promotes_it_and_a_swap_to_another_version_ends_it(live):
    swap(live.fleet, "v1.1.0", start(live))
    assert on_trial_at(live) == {("v1.1.0", "promoted")}
    start(live, "v1.2.0")
    live.fleet.bring_back(LAUNDRY, "v1.0.0", live.champion)
    assert on_trial_at(live) == {("v1.2.0", "replaced")}
    assert not any(seen.running or seen.harm for seen in live.fleet.canaries(LAUNDRY))


def test_bringing_back_what_serves_already_ends_a_trial_and_blames_it_for_nothing(live):
    start(live)
    live.fleet.bring_back(LAUNDRY, "v1.0.0", live.champion)
    assert [(seen.running, seen.harm) for seen in live.fleet.canaries(LAUNDRY)] == [(False, False)] * 2


def test_a_canary_is_given_to_the_replicas_that_are_named_alone(live):
    artifact = live.artifact("v1.1.0")
    live.fleet.prepare(LAUNDRY, "v1.1.0", artifact)
    one, _ = (seen.replica for seen in live.fleet.canaries(LAUNDRY))
    live.fleet.give_canary(LAUNDRY, "v1.1.0", 10, [one])
    assert [seen.running for seen in live.fleet.canaries(LAUNDRY)] == [True, False]


def test_one_replica_that_refuses_keeps_the_canary_off_everywhere(live):
    artifact = live.artifact("v1.1.0")
    live.spoil("v1.1.0")
    with pytest.raises(ModelRefused):
        live.fleet.prepare(LAUNDRY, "v1.1.0", artifact)
    assert on_trial_at(live) == {(None, "")}


def test_with_a_replica_out_of_reach_the_others_end_the_trial_and_it_may_go_on_there(live):
    start(live)
    live.stop_one()
    seen, gone = live.fleet.canaries(LAUNDRY)
    assert seen.running
    assert (gone.replica, gone.running, gone.harm) == (live.gone, False, False)
    assert gone.fault.startswith("does not answer")
    with pytest.raises(ServiceUnavailable):
        live.fleet.abort_canary(LAUNDRY, "v1.1.0", "too strict")
    seen, _ = live.fleet.canaries(LAUNDRY)
    assert (seen.verdict, seen.reason) == ("aborted", "too strict")


def test_a_canary_that_one_replica_cannot_get_may_run_on_the_others(live):
    live.fleet.prepare(LAUNDRY, "v1.1.0", live.artifact("v1.1.0"))
    live.stop_one()
    with pytest.raises(ServiceUnavailable):
        live.fleet.give_canary(LAUNDRY, "v1.1.0", 10)
    assert {seen.version for seen in live.fleet.canaries(LAUNDRY)} <= {"v1.1.0", None}


# Real replicas alone


@pytest.mark.parametrize("call", ["prepare", "bring_back"])
def test_without_a_replica_in_rotation_nothing_can_serve_and_a_sentence_says_so(call):
    fleet = GrpcServingFleet(Replicas(["127.0.0.1:1"], TOKEN, out_of_rotation=["127.0.0.1:1"]))
    with pytest.raises(ServiceUnavailable, match="no replica is in rotation"):
        getattr(fleet, call)(LAUNDRY, "v1.0.0", Artifact("s3://models/v1.0.0/", "a" * 64))
    assert (fleet.serving(LAUNDRY), fleet.canaries(LAUNDRY)) == ([], [])


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no such host:50051", "", "http://127.0.0.1", "127.0.0.1:port"])
def test_whatever_the_address_a_replica_that_cannot_be_asked_has_a_fault(address):
    (one,) = GrpcServingFleet(Replicas([address], TOKEN)).serving(LAUNDRY)
    assert (one.replica, one.version) == (address, None)
    assert one.fault


def test_a_stranger_without_the_token_changes_nothing(tmp_path):
    world = Real(tmp_path)
    artifact = world.artifact("v1.0.0")
    stranger = GrpcServingFleet(Replicas(world.lifecycle_addresses, "guess", 60, 60))
    for act in (stranger.prepare, stranger.bring_back):
        with pytest.raises(ModelRefused, match="UNAUTHENTICATED"):
            act(LAUNDRY, "v1.0.0", artifact)
    assert all("UNAUTHENTICATED" in one.fault for one in stranger.serving(LAUNDRY))
    assert serving(world) == {None}
    world.close()


def test_requests_never_fail_and_always_name_a_version_while_versions_change(tmp_path):
    """Both replicas under load, swapped back and forth (invariant I1)."""
    world = Real(tmp_path)
    artifacts = {v: world.artifact(v) for v in ("v1.1.0", "v1.2.0")}
    swap(world.fleet, "v1.1.0", artifacts["v1.1.0"])
    traffic = Traffic(world.addresses, [grey_photo(10), grey_photo(240)], requests_per_second=200)
    traffic.start()
    for _ in range(25):
        for version in ("v1.2.0", "v1.1.0"):
            swap(world.fleet, version, artifacts[version])
    traffic.stop()
    answers = traffic.answers()
    assert len(answers) > 20
    assert [a.error for a in answers if a.error] == []
    assert {a.version for a in answers} == {"v1.1.0", "v1.2.0"}
    world.close()
