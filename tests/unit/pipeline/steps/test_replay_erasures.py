"""A database that comes back from a backup has nobody again who was erased since."""

from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from pipeline.adapters.erasure_journal import ErasureJournal, JournaledErasures
from pipeline.bootstrap.backups import BackupSteps
from pipeline.domain.dataset import Quarantined
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.lineage import Erased
from pipeline.steps.replay_erasures import keep_erasures, replay_erasures
from tests.builders import NOW, a_face_confirmation
from tests.fakes.data import FakeDatasets, FakeErasures, FakeObjects
from tests.fakes.faces import FakeFaceConfirmations
from tests.fakes.faults import Fault, Killed, every_fault

NO_FAULT = Fault()
KIM = Erased(person_key("kim"), (), "lee", "withdrew", NOW)


class Database:
    def __init__(self, journal):
        self.datasets = FakeDatasets()
        self.table, self.said = FakeErasures(self.datasets), FakeFaceConfirmations(self.datasets)
        self.erasures = JournaledErasures(self.table, journal)


@pytest.fixture
def objects():
    return FakeObjects()


@pytest.fixture
def journal(objects):
    return ErasureJournal(objects, "s3://datasets/erasures/")


def test_who_was_erased_after_the_backup_is_not_there_again(journal):
    live, restored = Database(journal), Database(journal)
    live.erasures.record(KIM)
    live.erasures.record(replace(KIM, sha256s=("b", "a"), at=NOW + timedelta(hours=1)))
    instead = {"shown": KIM.task_id, "final_result": "different"}
    said = [("1", "kim", {}), ("2", "park", {}), ("3", "park", instead)]
    restored.said.store([a_face_confirmation(key, name, **more) for key, name, more in said])
    assert replay_erasures(journal.all(), restored.table, restored.said) == [KIM.task_id]
    assert list(restored.said.stored) == ["2"]
    assert restored.table.all() == live.table.all() and restored.table.all()[0].sha256s == ("a", "b")
    assert replay_erasures(journal.all(), restored.table, restored.said) == [], "a second time changes nothing"


ERASED = [Erased(f"TASK-{n}", (f"{n}",), "lee", "asked", NOW + timedelta(minutes=n)) for n in range(1, 5)]
DATASET = "DS-2026-001"


def restored_with_rows(journal):
    """Of ten tasks: each reason names the photo of the next task, and of one whose address begins alike."""
    database = Database(journal)
    urls = [f"s3://tasks/{n}.jpg" for n in range(11)]
    database.datasets.aside[DATASET] = [
        Quarantined(f"TASK-{n}", urls[n], f"like {urls[n + 1]}, or {urls[n + 1]}.bak", "repeated", f"{n}")
        for n in range(10)
    ]
    return database


def replayed(journal, database, fault=NO_FAULT):
    bundle = fault.on_ports(Ports(database.table, database.said), but=())
    return replay_erasures(journal.all(), bundle.table, bundle.said)


@dataclass(frozen=True)
class Ports:
    table: FakeErasures
    said: FakeFaceConfirmations


def test_a_replay_that_is_killed_anywhere_and_comes_again_leaves_nothing_that_names_an_erased_photo(journal):
    """Rows say where a photo lay until nothing else does: emptied earlier, nobody could find it in texts any more."""
    for one in ERASED:
        journal.add(one)
    for fault in every_fault(lambda fault: replayed(journal, restored_with_rows(journal), fault)):
        database = restored_with_rows(journal)
        with pytest.raises(Killed):
            replayed(journal, database, fault)
        replayed(journal, database)
        rows = database.datasets.aside[DATASET]
        said = "\n".join(f"{row.photo_url} {row.reason} {row.sha256}" for row in rows)
        for one in ERASED:
            assert f"s3://tasks/{one.task_id.removeprefix('TASK-')}.jpg" not in said.replace(".jpg.bak", "")
        assert [row.photo_url for row in rows if row.photo_url] == [
            f"s3://tasks/{n}.jpg" for n in (0, *range(5, 10))
        ], "and of nobody else"
        assert replayed(journal, database) == [], "a second time changes nothing"


def test_an_erasure_of_which_the_database_lacks_a_photo_is_said(journal):
    database = Database(journal)
    for one in (ERASED[0], ERASED[1]):
        journal.add(one)
        database.table.record(one)
    journal.add(replace(ERASED[0], sha256s=("another",), at=NOW + timedelta(days=1)))
    assert replayed(journal, database) == [ERASED[0].task_id]


def test_however_many_were_erased_each_table_is_looked_at_a_few_times_only(journal):
    looks = []

    class Counting(FakeErasures):
        def strike(self, addresses):
            looks.append(len(addresses))
            return super().strike(addresses)

    database = Database(journal)
    database.datasets.aside[DATASET] = [Quarantined(f"TASK-{n}", f"s3://tasks/{n}.jpg", "") for n in range(450)]
    for n in range(450):
        journal.add(Erased(f"TASK-{n}", (), "lee", "asked", NOW))
    database.table = Counting(database.datasets)
    replayed(journal, database)
    assert sum(looks) == 450 and len(looks) < 10


def test_an_erasure_is_written_down_before_it_is_in_the_database(journal):
    class Away(FakeErasures):
        def record(self, erased):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        JournaledErasures(Away(FakeDatasets()), journal).record(KIM)
    assert journal.all() == [KIM]


def test_what_is_written_down_stays_and_names_nobody(objects, journal):
    for one in (KIM, replace(KIM, at=NOW + timedelta(days=9))):
        journal.add(one)
    assert journal.all() == [KIM] and b"kim" not in b"".join(objects.bodies.values())


def test_erasures_of_before_there_was_a_journal_come_into_it(journal):
    old = Database(journal)
    old.table.record(KIM)
    keep_erasures(journal, old.erasures)
    assert journal.all() == [KIM]


def test_what_cannot_be_written_down_leaves_no_copy_that_each_try_makes_again(objects, monkeypatch):
    class Away(ErasureJournal):
        def add(self, erased):
            raise ServiceUnavailable("S3", "gone")

    old = Database(journal := Away(objects, "s3://datasets/erasures/"))
    old.table.record(KIM)
    monkeypatch.setattr(BackupSteps, "_copied", lambda steps: pytest.fail("copied"))
    with pytest.raises(ServiceUnavailable, match="gone"):
        BackupSteps(SimpleNamespace(erasure_journal=journal, erasures=old.table)).back_up()
