"""What is counted as it happens: fake and real through the same cases."""

from datetime import timedelta

import pytest

from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.decision_table import DecisionTable
from pipeline.adapters.erasure_table import ErasureTable
from pipeline.adapters.outbox_table import OutboxTable
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.retraining_run_table import RetrainingRunTable
from pipeline.adapters.total_tables import TotalTables
from pipeline.domain.figures.production import Confirmed, LookedAt, Predicted
from pipeline.domain.figures.retraining import Decided
from pipeline.domain.lineage import Erased
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, State, Tally
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.retraining import RetrainingDecision, RunOutcome
from pipeline.ports.live import Look
from tests.builders import NOW, a_backlog, an_event
from tests.fakes.data import FakeDatasets, FakeErasures
from tests.fakes.events import FakeConfirmations, FakeDecisions, FakeOutbox, FakeRetrainingRuns
from tests.fakes.facts import FakeTotals
from tests.fakes.live import FakeReadings

LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE


class Fakes:
    def __init__(self):
        self.confirmations, self.decisions, self.runs = FakeConfirmations(), FakeDecisions(), FakeRetrainingRuns()
        self.outbox, self.erasures = FakeOutbox(), FakeErasures(FakeDatasets())
        self.readings = FakeReadings(self.outbox)
        self.totals = FakeTotals(
            self.confirmations, self.decisions, self.runs, self.readings, self.outbox, self.erasures
        )


class Tables:
    def __init__(self, database):
        self.confirmations, self.decisions = ConfirmationTable(database), DecisionTable(database)
        self.runs, self.readings = RetrainingRunTable(database), ReadingTable(database)
        self.outbox, self.erasures, self.totals = OutboxTable(database), ErasureTable(database), TotalTables(database)


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.integration)])
def tables(request):
    return Fakes() if request.param == "fake" else Tables(request.getfixturevalue("services").mlops)


def confirm(tables, *numbers, version="v1.0.0", **changes):
    events = [an_event(f"event-{number}", model_version=version, **changes) for number in numbers]
    tables.confirmations.store(events)


def confirmed(tables):
    return sorted(tables.totals.confirmed(), key=lambda one: (one.version, one.corrected))


def test_every_confirmation_is_counted_once_by_what_it_says(tables):
    confirm(tables, 1, 2)
    confirm(tables, 2, 3)
    confirm(tables, 4, ai_result="양호", corrected=False)
    confirm(tables, 5, version=None)
    assert confirmed(tables) == [
        Confirmed("", "양호", True, 1, 0, 0.0),
        Confirmed("v1.0.0", "양호", False, 1, 0, 0.0),
        Confirmed("v1.0.0", "양호", True, 3, 0, 0.0),
    ]


def test_a_word_that_was_taken_back_later_still_was_work(tables):
    confirm(tables, 1, task_id="TASK-1")
    confirm(tables, 2, task_id="TASK-1", confirmed_at=NOW + timedelta(hours=1))
    assert [one.stored for one in confirmed(tables)] == [2]


@pytest.mark.parametrize(
    ("said", "timed", "seconds"),
    [(12.5, 1, 12.5), (0, 1, 0.0), (3600, 1, 3600.0), (3601, 0, 0.0), (-1, 0, 0.0)]
    + [(odd, 0, 0.0) for odd in ("12", True, None, [5], {"a": 1})],
)
def test_seconds_of_review_are_those_that_can_be(tables, said, timed, seconds):
    confirm(tables, 1, extra={"reviewSeconds": said})
    assert [(one.stored, one.reviews_timed, one.review_seconds) for one in confirmed(tables)] == [(1, timed, seconds)]


def test_verdicts_are_counted_by_branch_and_how_sure_they_were(tables):
    confirm(tables, 1, 2, extra={"branchId": "강남점", "confidence": 0.75})
    confirm(tables, 2, 3, extra={"branchId": "강남점"})
    confirm(tables, 4, ai_result="양호", corrected=False)
    confirm(tables, 5, version="v1.1.0")
    assert tables.totals.predicted({"v1.0.0", "v9.0.0"}) == [
        Predicted("v1.0.0", "", "양호", 1, 0, 0.0),
        Predicted("v1.0.0", "강남점", "불량", 3, 2, 1.5),
    ]


@pytest.mark.parametrize("branch", [None, 7, ["a"], {"a": 1}, "x" * 65])
@pytest.mark.parametrize("confidence", [-0.1, 1.1, "0.5", True, None, [0.5]])
def test_odd_branches_and_confidences_count_as_none(tables, branch, confidence):
    confirm(tables, 1, extra={"branchId": branch, "confidence": confidence})
    assert tables.totals.predicted({"v1.0.0"}) == [Predicted("v1.0.0", "", "불량", 1, 0, 0.0)]


def test_decisions_are_counted_by_rule_and_answer(tables):
    for due, rule in ((False, "too_few"), (False, "too_few"), (True, "urgent")):
        decision = RetrainingDecision(due, rule, "because", a_backlog())
        tables.decisions.record(LAUNDRY, decision, at=NOW, asked_by="the night")
    assert tables.totals.decided(LAUNDRY) == [Decided("too_few", False, 2, NOW), Decided("urgent", True, 1, NOW)]
    assert tables.totals.decided(FACE) == []


def test_runs_that_ended_are_told_newest_first(tables):
    for number, outcome in enumerate([RunOutcome.DEPLOYED, RunOutcome.REFUSED, "died"]):
        tables.runs.begin(f"run-{number}", LAUNDRY, at=NOW)
        tables.runs.end(f"run-{number}", at=NOW + timedelta(hours=number), outcome=outcome)
    tables.runs.begin("run-that-goes-on", LAUNDRY, at=NOW)
    assert tables.totals.ended(LAUNDRY) == ["died", "refused", "deployed"]
    assert tables.totals.ended(FACE) == []


def test_the_newest_look_of_the_monitor_is_told(tables):
    assert tables.totals.newest_look(LAUNDRY) is None
    for hours, agreed in ((0, 100), (2, 190), (1, 150)):
        tally, blind = Tally((LabelTally("양호", 200, agreed),), NOW), Tally((LabelTally("양호", 9, 8),), NOW)
        seen = Observation("v1.0.0", tally, tally, blind)
        reading = LiveAccuracyPolicy().judge(seen, NOW)
        tables.readings.record(Look(LAUNDRY, NOW + timedelta(hours=hours), seen, reading, {}, "looked"))
    assert tables.totals.newest_look(LAUNDRY) == LookedAt("v1.0.0", NOW + timedelta(hours=2), State.OK, 200, 190, 9, 8)
    assert tables.totals.newest_look(FACE) is None


def test_the_newest_look_at_each_version_is_told(tables):
    for hours, version, agreed in ((0, "v1.1.0", 100), (1, "v1.0.0", 190), (2, "v1.1.0", 150), (3, "v1.2.0", 1)):
        tally = Tally((LabelTally("양호", 200, agreed),), NOW)
        seen = Observation(version, tally, tally, Tally())
        reading = LiveAccuracyPolicy().judge(seen, NOW)
        tables.readings.record(Look(LAUNDRY, NOW + timedelta(hours=hours), seen, reading, {}, "looked"))
    looks = tables.totals.looks(LAUNDRY, {"v1.0.0", "v1.1.0", "v9.9.9"})
    assert [(look.version, look.agreed) for look in looks] == [("v1.0.0", 190), ("v1.1.0", 150)]
    assert list(tables.totals.looks(FACE, {"v1.0.0"})) == list(tables.totals.looks(LAUNDRY, set())) == []


def test_what_waits_is_counted(tables):
    for number in (1, 2, 3):
        tables.outbox.add(OutgoingEvent(f"event-{number}", "ModelDeployedEvent", {}))
    tables.outbox.mark_published("event-1")
    assert tables.totals.waiting().unpublished == 2
    for number in (1, 2, 3):
        tables.outbox.mark_published(f"event-{number}")
        tables.outbox.mark_told(f"event-{number}")
    waiting = tables.totals.waiting()
    assert (waiting.unpublished, waiting.unpublished_seconds, waiting.untold_seconds) == (0, 0.0, 0.0)


def test_a_photo_that_was_forgotten_twice_is_one(tables):
    for task_id in ("TASK-1", "TASK-1", "TASK-2"):
        tables.erasures.record(Erased(task_id, (), "kim", "asked for it", NOW))
    assert tables.totals.erased() == 2
