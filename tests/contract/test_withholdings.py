"""What people set aside and gave back: the fake and PostgreSQL through the same cases."""

import re
import threading
from dataclasses import replace
from datetime import timedelta

import psycopg2
import pytest

from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.evidence_table import EvidenceTable
from pipeline.adapters.sighting_table import SightingTable
from pipeline.adapters.version_table import VersionTable
from pipeline.adapters.withholding_table import WithholdingTable, demand_trusted
from pipeline.domain.dataset import Manifest
from pipeline.domain.errors import GiveUp, PhotosWithheld
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.overview import Voice
from pipeline.domain.transitions import By
from pipeline.domain.withholding import GivenBack, Scope, Withheld, Word
from pipeline.domain.worth import Reviewed
from tests.builders import NOW, a_model_version, a_photo, a_withheld, an_event
from tests.fakes.data import FakeDatasets, FakeWithholdings
from tests.fakes.deployment import FakeVersions
from tests.fakes.events import FakeConfirmations, FakeOutbox
from tests.fakes.live import FakeReadings
from tests.fakes.overview import FakeSightings
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings
from tests.histories import a_history
from tests.waiting import until

HOUR = timedelta(hours=1)
BACK = GivenBack("lee", "it was right", NOW + HOUR)
THE_DAY = Period(NOW - 24 * HOUR, NOW + 24 * HOUR)


class Fakes:
    def __init__(self):
        outbox = FakeOutbox()
        self.confirmations = FakeConfirmations()
        self.withholdings = FakeWithholdings(self.confirmations)
        self.datasets = FakeDatasets(withholdings=self.withholdings)
        others = FakeReadings(outbox), FakeVersions(), FakeBlessings(outbox), FakeTrainingRuns(), outbox
        self.sightings = FakeSightings(*others, withholdings=self.withholdings)

    def recognise(self, clusters):
        self.confirmations.clusters |= clusters


class Tables:
    def __init__(self, database):
        self.database, self.confirmations = database, ConfirmationTable(database)
        self.withholdings, self.sightings = WithholdingTable(database), SightingTable(database)
        self.datasets = DatasetTable(database)

    def recognise(self, clusters):
        EvidenceTable(self.database).recognise(clusters)

    @property
    def waiting(self):
        return self.backlog().corrections

    def backlog(self, champion=None):
        return self.confirmations.backlog(ModelType.LAUNDRY, champion)


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.integration)])
def tables(request):
    return Fakes() if request.param == "fake" else Tables(request.getfixturevalue("services").mlops)


def say(tables, key, reviewer=None, branch=None, hours=0, **changes):
    extra = {"reviewerId": reviewer, "branchId": branch}
    said = {name: value for name, value in extra.items() if value}
    tables.confirmations.store([an_event(key, extra=said, confirmed_at=NOW + hours * HOUR, **changes)])


def test_who_said_the_last_word_on_a_task_is_known_as_its_event_told_it(tables):
    say(tables, "a", "kim", "B-1")
    say(tables, "b", helper_id="H-7")
    say(tables, "a2", "lee", "B-1", hours=1, task_id="TASK-a")
    words = tables.withholdings.words(["TASK-a", "TASK-b", "TASK-unknown"])
    assert words == {"TASK-a": Word("B-1", "lee"), "TASK-b": Word("H-7", None)}


@pytest.mark.parametrize(
    ("scope", "name", "periods", "covered"),
    [
        (Scope.REVIEWER, "kim", (), 2),
        (Scope.BRANCH, "B-1", (), 1),
        (Scope.BRANCH, "H-7", (), 1),
        (Scope.REVIEWER, "B-1", (), 0),
        (Scope.VERSION, "v1.0.0", (Period(NOW, NOW + HOUR), Period(NOW + 3 * HOUR, NOW + 5 * HOUR)), 2),
    ],
)
def test_what_is_set_aside_says_how_many_corrections_it_covered(tables, scope, name, periods, covered):
    say(tables, "a", "kim", "B-1")
    say(tables, "b", "kim", "B-2", hours=1)
    say(tables, "c", "lee", hours=4, helper_id="H-7")
    say(tables, "unchanged", "kim", "B-1", hours=1, corrected=False)
    wanted = a_withheld(scope, name, periods=periods)
    assert tables.withholdings.withhold(wanted) == replace(wanted, corrections=covered)
    assert tables.withholdings.withhold(wanted).corrections == covered
    assert tables.withholdings.all() == [replace(wanted, corrections=covered)] == tables.sightings.withheld()


def test_what_is_covered_twice_is_counted_once_and_what_was_given_back_stays_known(tables):
    say(tables, "a", "kim", "B-1")
    kim, branch = a_withheld(Scope.REVIEWER, "kim"), a_withheld(Scope.BRANCH, "B-1", at=NOW + HOUR)
    assert [tables.withholdings.withhold(one).corrections for one in (kim, branch)] == [1, 0]
    for given in (BACK, GivenBack("other", "again", NOW)):
        assert tables.withholdings.give_back(branch.id, given).given_back == BACK
    assert [one.id for one in tables.withholdings.all()] == [branch.id, kim.id]
    assert [one.id for one in tables.sightings.withheld()] == [kim.id]


def test_a_request_is_done_once_and_says_so_when_it_was_taken_back_or_another_asks_for_the_same(tables):
    kim = tables.withholdings.withhold(a_withheld(Scope.REVIEWER, "kim"))
    other = a_withheld(Scope.REVIEWER, "kim", id="another")
    with pytest.raises(GiveUp, match="reviewer kim was set aside by kim: guessed already"):
        tables.withholdings.withhold(other)
    tables.withholdings.give_back(kim.id, BACK)
    with pytest.raises(GiveUp, match="lee gave reviewer-kim back at .* ask with a new one"):
        tables.withholdings.withhold(kim)
    assert [one.given_back for one in tables.withholdings.all()] == [BACK]
    assert tables.withholdings.withhold(other).id == "another"


def counted(tables):
    """Who has how many corrections that wait."""
    history = a_history("promote v1.0.0")
    told = tables.sightings.voices(history, THE_DAY, most=9)
    return {voice.name: voice.corrections for voice in told if voice.scope is Scope.REVIEWER}


@pytest.mark.parametrize(("corrected", "recognised"), [(True, False), (False, True)])
def test_of_a_photo_a_trusted_word_counts_before_one_that_is_set_aside_whichever_came_last(
    tables, corrected, recognised
):
    say(tables, "a", "lee", photo_url="s3://tasks/p.jpg")
    say(tables, "b", "kim", hours=1, photo_url="s3://tasks/p.jpg", corrected=corrected)
    if recognised:
        tables.recognise({"s3://tasks/p.jpg": f"{7:016x}"})
    both = {"kim": 1} if corrected else {}
    assert counted(tables) == both
    tables.withholdings.withhold(a_withheld(Scope.REVIEWER, "kim"))
    assert counted(tables) == {"lee": 1}
    # One who is set aside already says it of a photo of somebody else's.
    say(tables, "c", "lee", photo_url="s3://tasks/q.jpg")
    say(tables, "d", "kim", hours=1, photo_url="s3://tasks/q.jpg", corrected=corrected)
    assert counted(tables) == {"lee": 2}
    tables.withholdings.give_back("reviewer-kim", BACK)
    assert counted(tables) == ({"kim": 2} if corrected else {})


# What the form of `model_decision` takes.
FORM = r"[^\x00-\x1f]{0,250}"
NAMED = [" kim ", "x" * 200, "a:b", "가", "\u00a0kim"]
ODD = ["", " ", "x" * 300, "a\nb", "\t", *NAMED]


@pytest.mark.parametrize("field", ["reviewerId", "branchId"])
def test_whoever_is_offered_can_be_set_aside_whatever_clients_call_them(tables, field):
    """Who says no name of a branch speaks for the helper's."""
    tables.confirmations.store(
        [an_event(f"{n}", extra={field: name}, helper_id="H-9", confirmed_at=NOW) for n, name in enumerate(ODD)]
    )
    history = a_history("promote v1.0.0")
    told = tables.sightings.voices(history, THE_DAY, most=30)
    offered = {voice.name: voice for voice in told if voice.scope is not Scope.VERSION}
    of_helper = {"H-9": len(ODD) if field == "reviewerId" else 1}
    assert {name: voice.corrections for name, voice in offered.items()} == {**dict.fromkeys(NAMED, 1), **of_helper}
    for name in NAMED:
        about = f"{offered[name].scope}:{name}"
        assert re.fullmatch(FORM, about)
        wanted = Withheld.of(about, By("kim", "guessed", about), history, NOW)
        assert tables.withholdings.withhold(wanted).corrections == 1


def test_of_a_photo_another_word_counts_once_the_last_one_was_about_another_photo(tables):
    say(tables, "a", "lee", photo_url="s3://tasks/p.jpg")
    say(tables, "b", "kim", hours=1, photo_url="s3://tasks/p.jpg")
    say(tables, "b2", "kim", hours=2, task_id="TASK-b", photo_url="s3://tasks/q.jpg")
    assert counted(tables) == {"kim": 1, "lee": 1}


def test_no_dataset_is_frozen_with_what_is_set_aside(tables):
    say(tables, "a", "kim", task_id="TASK-00001")
    say(tables, "b", "lee", task_id="TASK-00002")
    kim = tables.withholdings.withhold(a_withheld(Scope.REVIEWER, "kim"))
    dataset_id = tables.datasets.begin("run-1", ModelType.LAUNDRY)
    manifest = Manifest(dataset_id, "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), (a_photo(1), a_photo(2)))
    with pytest.raises(PhotosWithheld, match=f"1 photos of {dataset_id} were set aside .* reviewer kim"):
        tables.datasets.freeze(dataset_id, manifest, "1" * 64)
    assert tables.datasets.frozen_sha256(dataset_id) is None
    assert not tables.datasets.appearances(dataset_id=dataset_id)
    tables.datasets.freeze(dataset_id, replace(manifest, photos=(a_photo(2),)), "2" * 64)
    assert tables.datasets.frozen_sha256(dataset_id) == "2" * 64
    # Frozen already, nothing changes.
    tables.datasets.freeze(dataset_id, manifest, "1" * 64)
    assert tables.datasets.frozen_sha256(dataset_id) == "2" * 64
    tables.withholdings.give_back(kim.id, BACK)
    again = tables.datasets.begin("run-2", ModelType.LAUNDRY)
    tables.datasets.freeze(again, replace(manifest, dataset_id=again), "3" * 64)
    assert tables.datasets.frozen_sha256(again) == "3" * 64


@pytest.mark.integration
def test_setting_aside_waits_for_the_dataset_that_is_being_frozen(services):
    tables, row = Tables(services.mlops), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    kim = a_withheld(Scope.REVIEWER, "kim")
    asking = threading.Thread(target=tables.withholdings.withhold, args=(kim,))
    with services.mlops.transaction() as freezing:
        demand_trusted(freezing, Manifest("DS-2026-001", "LAUNDRY", (), None, NOW.isoformat(), (a_photo(1),)))
        asking.start()

        def waits():
            with services.mlops.transaction() as cursor:
                cursor.execute(row)
                return cursor.fetchone() == (1,)

        until(waits, "setting aside to wait")
        assert tables.withholdings.all() == []
    asking.join(60)
    assert tables.withholdings.all() == [kim]


def test_whose_corrections_there_are_is_told_with_how_many_of_them_count(tables):
    history = a_history("promote v1.0.0", "promote v1.1.0")
    first, second = history.reigns
    for n, (reviewer, branch) in enumerate([("kim", "B-1"), ("kim", "B-2"), ("lee", None), (None, "B-2")]):
        say(tables, f"{n}", reviewer, branch, helper_id="H-7", photo_url=f"s3://tasks/{n}.jpg")
        moved = first.since + timedelta(seconds=1) if n else second.since + timedelta(seconds=1)
        tables.confirmations.store([an_event(f"of-{n}", confirmed_at=moved, corrected=True, helper_id="H-1")])
    period = Period(NOW - HOUR, NOW + HOUR)
    told = tables.sightings.voices(history, period, most=2)
    assert [voice.name for voice in told if voice.scope is Scope.VERSION] == ["v1.1.0", "v1.0.0"]
    assert Voice(Scope.REVIEWER, "kim", 2) in told and Voice(Scope.REVIEWER, "lee", 1) in told
    assert len([voice for voice in told if voice.scope is Scope.BRANCH]) == 2
    tables.withholdings.withhold(a_withheld(Scope.REVIEWER, "kim"))
    left = tables.sightings.voices(history, period, most=2)
    assert [voice for voice in left if voice.scope is Scope.REVIEWER] == [Voice(Scope.REVIEWER, "lee", 1)]


@pytest.mark.integration
def test_corrections_that_are_set_aside_wait_for_no_retraining_whenever_they_come(services):
    tables = Tables(services.mlops)
    for n in range(3):
        say(tables, f"{n}", "kim" if n else "lee")
    tables.withholdings.withhold(a_withheld(Scope.REVIEWER, "kim"))
    assert tables.waiting == 1
    say(tables, "later", "kim", hours=1)
    assert tables.waiting == 1
    tables.withholdings.withhold(a_withheld(Scope.BRANCH, "HELPER-001"))
    assert tables.waiting == 0
    tables.withholdings.give_back("branch-HELPER-001", BACK)
    assert tables.waiting == 1
    tables.withholdings.give_back("reviewer-kim", BACK)
    assert tables.waiting == 4


def run_a_try(services, run_id, *, champion=False):
    """A dataset is made, a model learns from it, and gets a verdict; later one of another model type is made, too."""
    tables = Tables(services.mlops)
    dataset_id = tables.datasets.begin(run_id, ModelType.LAUNDRY)
    with services.mlops.transaction() as cursor:
        cursor.execute("UPDATE datasets SET corrections_through = now(), completed_at = now()")
        cursor.execute(
            "INSERT INTO training_results (run_id, dataset_id, result) VALUES (%(run)s, %(dataset)s, '{}');"
            "INSERT INTO blessings (id, run_id, model_type, accepted, verdict, decided_at)"
            " VALUES (%(run)s, %(run)s, 'LAUNDRY', %(champion)s, '{}', now())",
            {"run": run_id, "dataset": dataset_id, "champion": champion},
        )
    tables.datasets.begin(f"faces-after-{run_id}", ModelType.FACE)
    if champion:
        VersionTable(services.mlops).register(a_model_version("v1.0.0", dataset_id=dataset_id, run_id=run_id))


@pytest.mark.integration
@pytest.mark.parametrize("champion", [None, "v1.0.0"])
def test_what_is_given_back_is_new_where_the_last_dataset_went_without_it(services, champion):
    tables = Tables(services.mlops)
    for n in range(5):
        say(tables, f"{n}", "kim" if n < 3 else "lee", photo_url=f"s3://tasks/{n}.jpg")
    tables.withholdings.withhold(a_withheld(Scope.REVIEWER, "kim"))
    run_a_try(services, "run-1", champion=champion is not None)
    backlog = tables.backlog(champion)
    assert (backlog.corrections, backlog.since_last_try) == (0 if champion else 2, 0)
    tables.withholdings.give_back("reviewer-kim", BACK)
    backlog = tables.backlog(champion)
    assert (backlog.corrections, backlog.since_last_try) == (3 if champion else 5, 3)
    # Tried with them, and set aside since: they are not new, whatever is made of faces meanwhile.
    run_a_try(services, "run-2")
    tables.withholdings.withhold(a_withheld(Scope.REVIEWER, "kim", id="again"))
    tables.datasets.begin("faces-later", ModelType.FACE)
    tables.withholdings.give_back("again", BACK)
    assert tables.backlog(champion).since_last_try == 0


@pytest.mark.integration
def test_what_two_cover_was_without_a_try_since_the_first_of_them(services):
    tables = Tables(services.mlops)
    say(tables, "a", "kim", "B-1")
    tables.withholdings.withhold(a_withheld(Scope.REVIEWER, "kim"))
    run_a_try(services, "run-1")
    tables.withholdings.withhold(a_withheld(Scope.BRANCH, "B-1"))
    tables.withholdings.give_back("reviewer-kim", BACK)
    assert tables.waiting == 0
    tables.withholdings.give_back("branch-B-1", BACK)
    assert (tables.waiting, tables.backlog().since_last_try) == (1, 1)


@pytest.mark.integration
@pytest.mark.parametrize("change", ["DELETE FROM withholdings", "UPDATE withholdings SET reason = 'x'"])
def test_postgres_itself_keeps_every_word_about_it(services, change):
    Tables(services.mlops).withholdings.withhold(a_withheld(Scope.REVIEWER, "kim"))
    with pytest.raises(psycopg2.Error), services.mlops.transaction() as cursor:
        cursor.execute(change)


def test_reviews_are_counted_by_version_and_what_came_of_them_with_their_time(tables):
    def reviewed(key, took, **changes):
        tables.confirmations.store([an_event(key, extra={"reviewSeconds": took}, model_version="v1.0.0", **changes)])

    reviewed("a", 4)
    reviewed("b", 6.5)
    reviewed("c", "a while", corrected=False)
    say(tables, "nobody's")
    # The last word on a task is the one that counts.
    reviewed("a2", 9, task_id="TASK-a", corrected=False, confirmed_at=NOW + HOUR, photo_url="s3://tasks/TASK-a.jpg")
    assert sorted(tables.sightings.reviews(), key=lambda one: one.corrected) == [
        Reviewed("v1.0.0", False, 2, 1, 9.0, 81.0),
        Reviewed("v1.0.0", True, 1, 1, 6.5, 42.25),
    ]
