"""What people set aside and gave back: the fake and PostgreSQL through the same cases."""

from dataclasses import replace
from datetime import timedelta

import psycopg2
import pytest

from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.sighting_table import SightingTable
from pipeline.adapters.withholding_table import WithholdingTable
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.overview import Voice
from pipeline.domain.withholding import GivenBack, Scope, Word
from pipeline.domain.worth import Reviewed
from tests.builders import NOW, a_withheld, an_event
from tests.fakes.data import FakeWithholdings
from tests.fakes.deployment import FakeVersions
from tests.fakes.events import FakeConfirmations, FakeOutbox
from tests.fakes.live import FakeReadings
from tests.fakes.overview import FakeSightings
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings
from tests.histories import a_history

HOUR = timedelta(hours=1)
BACK = GivenBack("lee", "it was right", NOW + HOUR)
THE_DAY = Period(NOW - 24 * HOUR, NOW + 24 * HOUR)


class Fakes:
    def __init__(self):
        outbox = FakeOutbox()
        self.confirmations = FakeConfirmations()
        self.withholdings = FakeWithholdings(self.confirmations)
        others = FakeReadings(outbox), FakeVersions(), FakeBlessings(outbox), FakeTrainingRuns(), outbox
        self.sightings = FakeSightings(*others, withholdings=self.withholdings)


class Tables:
    def __init__(self, database):
        self.confirmations = ConfirmationTable(database)
        self.withholdings, self.sightings = WithholdingTable(database), SightingTable(database)

    @property
    def waiting(self):
        return self.confirmations.backlog(ModelType.LAUNDRY, None).corrections


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
