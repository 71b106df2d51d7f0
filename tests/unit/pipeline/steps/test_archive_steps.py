"""Old versions move to the archive whole, and come back whole or not at all."""

import pytest

from pipeline.domain.errors import (
    ArchiveDamaged,
    ObjectArchived,
    ServiceUnavailable,
    StillFrozen,
    UnknownVersion,
)
from pipeline.domain.models import Status
from tests.builders import NOW
from tests.fakes.faults import Killed, every_fault
from tests.unit.pipeline.steps.live_world import LAUNDRY, World


def aged(count=4):
    world = World().live(*(f"run-{n}" for n in range(count)))
    for number in range(count):
        world.put_files(f"v1.{number}.0")
    return world


def statuses(world):
    return {v.version: v.status for v in world.versions.all(LAUNDRY)}


def test_old_versions_go_to_the_archive_with_their_files_and_reports_stay():
    world = aged()
    done = world.retire()
    assert done.archived == ("v1.0.0", "v1.1.0")
    assert statuses(world)["v1.0.0"] is Status.ARCHIVED
    assert world.archive.objects["s3://models/archive/LAUNDRY/v1.0.0/model.bin"] == b"v1.0.0"
    left = [uri for uri in world.objects.bodies if "/v1.0.0/" in uri]
    assert left == ["s3://models/LAUNDRY/v1.0.0/verification-report.json"]


def test_champion_previous_canary_and_running_work_stay_whatever_their_age():
    world = aged(5)
    world.roll_back("v1.2.0", request="far back")
    world.start(world.candidate("candidate"))
    world.runs.begin("run-3", LAUNDRY, at=NOW)
    kept = world.plan_retirement().kept
    assert kept["v1.2.0"] == "champion"
    assert kept["v1.1.0"].startswith("previous")
    assert kept["v1.3.0"] == "made by the running retraining run-3"
    assert kept["v1.5.0"] == "canary"


def test_a_dry_run_moves_nothing():
    world = aged()
    before = dict(world.objects.bodies)
    assert world.plan_retirement().archive == ("v1.0.0", "v1.1.0")
    assert (world.objects.bodies, world.archive.objects) == (before, {})


def test_a_version_whose_files_are_damaged_stays_and_says_why():
    world = aged()
    world.objects.write("s3://models/LAUNDRY/v1.0.0/model.bin", b"tampered")
    del world.objects.bodies["s3://models/LAUNDRY/v1.1.0/manifest.json"]
    done = world.retire()
    assert done.archived == ()
    assert "not what was recorded" in done.failed["v1.0.0"]
    assert set(done.failed) == {"v1.0.0", "v1.1.0"}
    assert statuses(world)["v1.0.0"] is Status.RETIRED


def test_one_version_in_the_cold_does_not_keep_its_neighbours_from_the_archive():
    world = aged()
    read = world.objects.read

    def cold(uri):
        if uri.endswith("v1.0.0/model.bin"):
            raise ObjectArchived(f"{uri} lies in Glacier")
        return read(uri)

    world.objects.read = cold
    done = world.retire()
    assert done.archived == ("v1.1.0",)
    assert "lies in Glacier" in done.failed["v1.0.0"]


def test_a_damaged_manifest_keeps_only_its_own_files_from_going():
    world = aged(5)
    delete, world.objects.delete = world.objects.delete, killed
    with pytest.raises(Killed):
        world.retire(keep=2)
    world.objects.delete = delete
    world.objects.write("s3://models/LAUNDRY/v1.0.0/manifest.json", b"{}")
    assert set(world.retire(keep=2).failed) == {"v1.0.0"}
    assert not world.objects.exists("s3://models/LAUNDRY/v1.1.0/model.bin")


def killed(uri):
    raise Killed


def test_without_knowing_what_every_replica_serves_nothing_is_moved():
    world = aged()
    world.fleet.down = {"replica-2"}
    with pytest.raises(ServiceUnavailable):
        world.retire()
    assert world.archive.objects == {}


def test_an_archived_version_comes_back_and_can_be_rolled_back_to():
    world = aged()
    world.retire()
    with pytest.raises(UnknownVersion, match="restore it"):
        world.roll_back("v1.0.0")
    assert world.restore("v1.0.0").status is Status.RETIRED
    assert world.objects.read("s3://models/LAUNDRY/v1.0.0/model.bin") == b"v1.0.0"
    world.roll_back("v1.0.0")
    world.demand_one_story("v1.0.0")


@pytest.mark.parametrize("way", ["hot_swap", "start"])
def test_an_archived_version_does_not_go_live(way):
    world = aged()
    world.retire()
    with pytest.raises(UnknownVersion, match="is archived: restore it"):
        getattr(world, way)("v1.1.0")


def test_restored_it_may_be_archived_again():
    world = aged()
    world.retire()
    world.restore("v1.0.0")
    world.retire()
    assert statuses(world)["v1.0.0"] is Status.ARCHIVED


@pytest.mark.parametrize("before", [None, b"of another key"])
def test_restored_it_has_a_signature_of_the_key_in_use_whatever_it_was_archived_with(before):
    world = aged()
    if before:
        world.objects.write("s3://models/LAUNDRY/v1.0.0/manifest.sig", before)
    world.retire()
    world.sign = lambda manifest: b"signed: " + manifest
    world.restore("v1.0.0")
    manifest = world.objects.read("s3://models/LAUNDRY/v1.0.0/manifest.json")
    assert world.objects.read("s3://models/LAUNDRY/v1.0.0/manifest.sig") == b"signed: " + manifest


@pytest.mark.parametrize("hours", [5, 12, 24, 72])
def test_a_frozen_version_comes_back_with_the_third_try_within_days_of_each_other(hours):
    world = aged()
    world.put_files("v1.0.0", more=8)
    world.retire()
    world.archive.thaws_in_hours = 4
    for still in (r"manifest\.json", "10 of 10 files of v1.0.0, which takes hours: run the same command later"):
        with pytest.raises(StillFrozen, match=still):
            world.restore("v1.0.0")
        world.archive.later(hours)
    assert world.restore("v1.0.0").status is Status.RETIRED


def test_what_came_with_an_earlier_try_is_not_asked_for_again():
    world = aged()
    world.retire()
    world.archive.thaws_in_hours = 4
    uri, late = "s3://models/LAUNDRY/v1.0.0/", world.archive.objects
    with pytest.raises(StillFrozen):
        world.restore("v1.0.0")
    world.archive.later(5)
    golden = late.pop("s3://models/archive/LAUNDRY/v1.0.0/golden.npz")
    world.objects.write(f"{uri}golden.npz", golden)
    with pytest.raises(StillFrozen, match="1 of 2 files"):
        world.restore("v1.0.0")
    world.archive.later(5)
    assert world.restore("v1.0.0").status is Status.RETIRED


@pytest.mark.parametrize("damage", ["missing", "checksum", "manifest"])
def test_what_the_archive_lost_is_not_restored(damage):
    world = aged()
    world.retire()
    uri = "s3://models/archive/LAUNDRY/v1.0.0/"
    if damage == "missing":
        del world.archive.objects[f"{uri}model.bin"]
    else:
        world.archive.objects[uri + ("model.bin" if damage == "checksum" else "manifest.json")] = b"{}"
    with pytest.raises(ArchiveDamaged):
        world.restore("v1.0.0")
    assert statuses(world)["v1.0.0"] is Status.ARCHIVED


def test_what_is_at_hand_needs_no_restoring():
    with pytest.raises(UnknownVersion, match="at hand"):
        aged().restore("v1.3.0")


@pytest.mark.parametrize("fault", every_fault(lambda fault: aged(3).retire(fault=fault)), ids=str)
def test_archiving_killed_at_any_call_never_loses_a_file(fault):
    world = aged(3)
    with pytest.raises(Killed):
        world.retire(fault=fault)
    if statuses(world)["v1.0.0"] is not Status.ARCHIVED:
        assert world.objects.read("s3://models/LAUNDRY/v1.0.0/model.bin") == b"v1.0.0"
    world.retire()
    assert statuses(world)["v1.0.0"] is Status.ARCHIVED
    assert not [uri for uri in world.objects.bodies if uri.endswith("v1.0.0/model.bin")]
    world.restore("v1.0.0")


def archived():
    world = aged(3)
    world.retire()
    return world


@pytest.mark.parametrize("fault", every_fault(lambda fault: archived().restore("v1.0.0", fault)), ids=str)
def test_restoring_killed_at_any_call_and_repeated_restores(fault):
    world = archived()
    with pytest.raises(Killed):
        world.restore("v1.0.0", fault)
    if statuses(world)["v1.0.0"] is Status.ARCHIVED:
        world.restore("v1.0.0")
    assert world.objects.exists("s3://models/LAUNDRY/v1.0.0/manifest.json")
