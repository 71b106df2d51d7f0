"""A copy exists when it is whole, the log goes once it is kept, and a restore that differs is no success."""

from datetime import timedelta

import pytest

from pipeline.domain.artifact_folder import MANIFEST
from pipeline.domain.backups import BackupPolicy, Base, Safeguard, Segment
from pipeline.domain.checksums import sha256
from pipeline.domain.errors import GiveUp, ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from pipeline.ports.backup_bundles import BackingUp, ReceivingLog, Restoring
from pipeline.steps.back_up import back_up
from pipeline.steps.keep_log import keep_log
from pipeline.steps.restore_databases import marked, rebuilt
from pipeline.steps.try_restore import try_restore
from tests.builders import NOW, a_model_version
from tests.fakes.backups import FakeBackupArchive, FakeBuilder, FakeCluster, FakeDatabase, FakeSafeguards
from tests.fakes.data import FakeObjects
from tests.fakes.events import FakeClock
from tests.histories import a_history

LAUNDRY, DAY = ModelType.LAUNDRY, timedelta(days=1)


class World:
    """A cluster, its archive, and the records of what runs and of what is rebuilt."""

    def __init__(self):
        self.archive, self.safeguards, self.clock = FakeBackupArchive(), FakeSafeguards(), FakeClock(NOW)
        self.cluster, self.builder, self.objects = FakeCluster(self.archive, NOW), FakeBuilder(), FakeObjects()
        self.live, self.restored = FakeDatabase(), FakeDatabase()
        self.policy = BackupPolicy(wait_seconds=0.0001)

    @property
    def restoring(self):
        return Restoring(self.cluster, self.archive, self.builder, self.clock, self.policy)

    def back_up(self):
        made = back_up(BackingUp(self.cluster, self.archive, self.safeguards, self.clock, self.policy))
        self.clock.at = max(self.clock.at, self.cluster.now)
        return made

    def try_restore(self):
        # After everything that happens in a history of the tests'.
        self.clock.at += 400 * DAY
        self.cluster.now = self.clock.at - timedelta(seconds=2)
        return try_restore(self.restoring, self.live, lambda _: self.restored, self.objects, self.safeguards)


@pytest.fixture
def world():
    return World()


def test_a_copy_is_described_once_it_is_whole_and_noted(world):
    made = world.back_up()
    assert world.archive.contents().bases == (made,)
    assert (made.begins, made.bytes) == (Segment(1, 1), len(b"everything"))
    assert set(world.safeguards.newest()) == {Safeguard.BASE}


def test_a_copy_that_breaks_off_is_none(world):
    world.cluster.breaks_off = True
    with pytest.raises(ServiceUnavailable, match="it went away"):
        world.back_up()
    assert world.archive.contents().bases == () and world.safeguards.newest() == {}


def test_with_a_new_copy_goes_what_is_older_than_anybody_was_promised(world):
    for number, days in enumerate((70, 40, 31, 29), start=1):
        name = f"{days} days old"
        world.archive.copies[name] = b"everything"
        world.archive.bases[name] = Base(name, Segment(number, 1), NOW - days * DAY, 10)
        world.archive.log[str(Segment(number, 1))] = b"log"
    world.cluster.number = 5
    made = world.back_up()
    assert set(world.archive.bases) == set(world.archive.copies) == {"31 days old", "29 days old", made.name}
    assert sorted(world.archive.log) == [str(Segment(number, 1)) for number in (3, 4, 5)]


# The log


class Receiver:
    """Its folder is the receiver's own."""

    def __init__(self, folder):
        self.folder = folder

    def complete(self):
        return sorted(self.folder.iterdir())


def test_a_file_of_the_log_goes_once_it_is_kept_and_stays_while_it_cannot_be(world, tmp_path):
    d = ReceivingLog(Receiver(tmp_path), world.archive, world.safeguards, world.clock)
    for number in (1, 2):
        (tmp_path / str(Segment(number, 1))).write_bytes(b"log")
    world.archive.away = True
    with pytest.raises(ServiceUnavailable):
        keep_log(d)
    assert len(list(tmp_path.iterdir())) == 2 and world.safeguards.newest() == {}
    world.archive.away = False
    assert keep_log(d) == 2
    assert list(tmp_path.iterdir()) == [] and len(world.archive.log) == 2
    assert world.safeguards.newest() == {Safeguard.LOG: world.clock.at}
    assert keep_log(d) == 0


def test_a_moment_can_be_restored_once_its_log_is_kept(world):
    assert world.archive.has_log(marked(world.restoring).file)
    world.cluster.received = False
    with pytest.raises(
        ServiceUnavailable, match="did not come within 0.0001 s: does `python -m pipeline backups receive-log` run?"
    ):
        marked(world.restoring)


# A restore


def test_what_is_rebuilt_is_the_newest_copy_before_then_and_the_log_after_it(world):
    world.back_up()
    mark = world.cluster.mark()
    world.clock.at = mark.at
    with rebuilt(world.restoring, mark.at):
        pass
    assert world.builder.asked == [(b"everything", [str(Segment(1, 1)), str(Segment(2, 1))], mark.at)]


def test_the_future_is_not_restored(world):
    world.back_up()
    with pytest.raises(GiveUp, match="has not come yet"), rebuilt(world.restoring, world.clock.now() + DAY):
        pass


def test_a_restore_that_is_as_what_runs_is_noted_with_what_was_compared(world):
    world.back_up()
    for database in (world.live, world.restored):
        lived(world, database)
    world.live.tables.came["confirmations"].append(("since then", world.clock.now() + 500 * DAY))
    tried = world.try_restore()
    assert (tried.rows, tried.versions) == (2, 1)
    assert Safeguard.RESTORE_TEST in world.safeguards.newest()


def lived(world, database):
    """One version served, and two confirmations came."""
    body = b"manifest"
    version = a_model_version("v1.0.0", artifact=Artifact("s3://models/one/", sha256(body)))
    world.objects.bodies[f"s3://models/one/{MANIFEST}"] = body
    database.versions.register(version)
    history = a_history("promote v1.0.0")
    database.transitions.versions = database.versions
    database.transitions.append(database.transitions.ledger(LAUNDRY), *history.entries)
    database.transitions.project(LAUNDRY)
    database.tables.came["confirmations"] = [("a", NOW - DAY), ("b", NOW - DAY)]


def lose_a_row(world):
    world.restored.tables.came["confirmations"].pop()


def lose_the_log(world):
    world.restored.transitions = FakeDatabase().transitions


def lose_the_model(world):
    world.objects.bodies.clear()


def change_the_model(world):
    world.objects.bodies[f"s3://models/one/{MANIFEST}"] = b"another"


def count_a_confirmation_twice(world):
    world.restored.tables.twice = ("the totals count 3 confirmations, and 2 are stored",)


def damage_a_page(world):
    world.builder.damaged = "btree index is corrupt"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose_a_row, "table confirmations has 1 rows restored, 2 live"),
        (lose_the_log, "the transition log of LAUNDRY is another one"),
        (lose_the_model, r"the files of LAUNDRY v1\.0\.0 are not in s3://models/one/"),
        (change_the_model, r"the files of LAUNDRY v1\.0\.0 are not in s3://models/one/"),
        (count_a_confirmation_twice, "the totals count 3 confirmations, and 2 are stored"),
        (damage_a_page, "btree index is corrupt"),
    ],
)
def test_a_restore_that_differs_says_how_and_is_no_success(world, harm, said):
    world.back_up()
    for database in (world.live, world.restored):
        lived(world, database)
    harm(world)
    with pytest.raises(GiveUp, match=said):
        world.try_restore()
    assert Safeguard.RESTORE_TEST not in world.safeguards.newest()
