"""A database that comes back from a backup has nobody again who was erased since."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from pipeline.adapters.erasure_journal import ErasureJournal, JournaledErasures
from pipeline.bootstrap.backups import BackupSteps
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.lineage import Erased
from pipeline.steps.replay_erasures import keep_erasures, replay_erasures
from tests.builders import NOW, a_face_confirmation
from tests.fakes.data import FakeDatasets, FakeErasures, FakeObjects
from tests.fakes.faces import FakeFaceConfirmations

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
