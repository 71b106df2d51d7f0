"""What people look at: the fake and PostgreSQL through the same cases; and a look that can do no harm."""

import dataclasses
from datetime import timedelta

import psycopg2
import pytest

from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.decision_table import DecisionTable
from pipeline.adapters.mlops_db import OneMoment
from pipeline.adapters.outbox_table import OutboxTable
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.sighting_table import SightingTable
from pipeline.adapters.training_table import TrainingTable
from pipeline.adapters.version_table import VersionTable
from pipeline.domain.blessing import Override, OverrideKind
from pipeline.domain.errors import ServiceTooSlow, ServiceUnavailable
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, Period, Tally
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.overview import Unpublished
from pipeline.domain.retraining import RetrainingPolicy
from pipeline.ports.live import Look
from tests.builders import NOW, a_backlog, a_blessing, a_dataset, a_model_version, a_training_result, an_asker
from tests.fakes.data import FakeDatasets
from tests.fakes.deployment import FakeVersions
from tests.fakes.events import FakeDecisions, FakeOutbox
from tests.fakes.live import FakeReadings
from tests.fakes.overview import FakeSightings
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings

LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE
HOUR = timedelta(hours=1)


class Fakes:
    def __init__(self):
        self.outbox, self.versions, self.training = FakeOutbox(), FakeVersions(), FakeTrainingRuns()
        self.blessings, self.datasets = FakeBlessings(self.outbox), FakeDatasets()
        self.readings, self.decisions = FakeReadings(self.outbox), FakeDecisions()
        self.sightings = FakeSightings(
            self.readings, self.versions, self.blessings, self.training, self.outbox, self.decisions
        )


class Tables:
    def __init__(self, database):
        self.outbox, self.versions, self.training = (
            OutboxTable(database),
            VersionTable(database),
            TrainingTable(database),
        )
        self.blessings, self.datasets = BlessingTable(database), DatasetTable(database)
        self.readings, self.decisions = ReadingTable(database), DecisionTable(database)
        self.sightings = SightingTable(database)


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.integration)])
def tables(request):
    return Fakes() if request.param == "fake" else Tables(request.getfixturevalue("services").mlops)


def look(tables, at, agreed=90, *, model_type=LAUNDRY, version="v1.0.0"):
    seen = Tally((LabelTally("양호", 100, agreed),), at)
    observed = Observation(version, seen, seen, Tally((LabelTally("양호", 10, 7),), at))
    reading = LiveAccuracyPolicy().judge(observed, at)
    tables.readings.record(Look(model_type, at, observed, reading, {version: seen.labels}, f"looked, {agreed} right"))


def within(tables, hours, most=100):
    found = tables.sightings.within(LAUNDRY, Period(NOW, NOW + hours * HOUR), most=most)
    return [(one.at - NOW) // HOUR for one in found]


def test_the_last_look_is_the_newest_of_its_model_type(tables):
    assert tables.sightings.last(LAUNDRY) is None
    for hours, agreed in ((2, 91), (1, 90)):
        look(tables, NOW + hours * HOUR, agreed)
    look(tables, NOW + 9 * HOUR, model_type=FACE)
    seen = tables.sightings.last(LAUNDRY)
    assert (seen.at, seen.version, seen.state, seen.confirmed, seen.accuracy) == (
        NOW + 2 * HOUR,
        "v1.0.0",
        "ok",
        100,
        0.91,
    )
    assert seen.low < 0.91 < seen.high and (seen.blind_confirmed, seen.blind_agreed) == (10, 7)
    assert seen.decision == "looked, 91 right"


def test_looks_of_a_period_come_oldest_first_and_of_many_one_a_span(tables):
    for hours in (8, 3, 1, 2, 4, 5, 6, 7, 0, 9):
        look(tables, NOW + hours * HOUR)
    assert within(tables, 8) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert within(tables, 8, most=4) == [1, 3, 5, 7, 8]
    assert within(tables, 0.5) == []


def test_the_policys_answers_come_newest_first(tables):
    for n in range(4):
        answer = RetrainingPolicy().decide(a_backlog(corrections=n), an_asker(), now=NOW)
        tables.decisions.record(LAUNDRY, answer, at=NOW + n * HOUR, asked_by=f"asker-{n}")
    tables.decisions.record(FACE, answer, at=NOW + 9 * HOUR, asked_by="other")
    found = tables.sightings.answers(LAUNDRY, most=2)
    assert [(a.at, a.due, a.rule, a.reason, a.asked_by) for a in found] == [
        (NOW + n * HOUR, False, "too_few", f"{n} corrections, 100 needed", f"asker-{n}") for n in (3, 2)
    ]


def test_what_is_not_published_is_counted_with_its_age(tables):
    assert tables.sightings.unpublished() == Unpublished(0, None)
    for name in ("one", "two"):
        tables.outbox.add(OutgoingEvent(name, "CanaryStartedEvent", {}))
    assert (tables.sightings.unpublished().events, tables.sightings.unpublished().since is None) == (2, False)
    for name in ("one", "two"):
        tables.outbox.mark_published(name)
    assert tables.sightings.unpublished() == Unpublished(0, None)


def judge(tables, run_id, hours, *, version=None, **verdict):
    """A run that trained and was judged; `version` is the number it got."""
    dataset = a_dataset(id=tables.datasets.begin(run_id, LAUNDRY), run_id=run_id)
    tables.training.succeed(a_training_result(run_id, dataset_id=dataset.id))
    blessing = a_blessing(run_id, decided_at=NOW + hours * HOUR, **verdict)
    tables.blessings.grant(blessing, None)
    if version:
        tables.versions.register(a_model_version(version, run_id=run_id, dataset_id=dataset.id))
    return blessing


def page(tables, most=10, skip=0):
    found = tables.sightings.page(LAUNDRY, most=most, skip=skip)
    return [(one.run_id, one.version and one.version.version) for one in found.judged], found.more


def test_models_are_shown_as_they_were_judged_a_refused_one_without_a_number(tables):
    judge(tables, "run-1", 1, version="v1.0.0")
    judge(tables, "run-3", 3, version="v1.1.0")
    judge(tables, "run-2", 2, accepted=False, reasons=("too weak",))
    assert page(tables) == ([("run-3", "v1.1.0"), ("run-2", None), ("run-1", "v1.0.0")], False)
    assert page(tables, most=1) == ([("run-3", "v1.1.0")], True)
    assert page(tables, most=2, skip=1) == ([("run-2", None), ("run-1", "v1.0.0")], False)
    assert tables.sightings.page(FACE, most=9, skip=0).judged == []


def test_a_model_is_shown_with_its_verdict_its_figures_and_what_a_person_added(tables):
    blessing = judge(tables, "run-1", 1, version="v1.0.0", accepted=False, held=True)
    override = Override("run-1", OverrideKind.APPROVED, "kim", "판단했습니다", NOW)
    tables.blessings.override(override)
    found = tables.sightings.judged(LAUNDRY, "v1.0.0")
    assert (found.run_id, found.at, found.version.version) == ("run-1", NOW + HOUR, "v1.0.0")
    assert found.blessing == dataclasses.replace(blessing, override=override)
    assert (found.result.f1_score, found.result.auc, found.result.confusion) == (0.94, 0.98, ((50, 2), (3, 45)))
    assert tables.sightings.judged(LAUNDRY, "v9.9.9") is None


# A look that can do no harm


def looking(services, **more):
    return OneMoment(services.stack.dsn("mlops_viewer", "mlops"), **{"statement_timeout_ms": 60_000, **more})


@pytest.mark.integration
def test_whoever_looks_can_write_nothing(services):
    database = looking(services)
    with database.held(), pytest.raises(ServiceUnavailable, match="read-only transaction"):
        OutboxTable(database).add(OutgoingEvent("one", "CanaryStartedEvent", {}))
    assert OutboxTable(services.mlops).pending() == []


@pytest.mark.integration
def test_everything_is_seen_as_of_one_moment(services):
    database, outbox = looking(services), OutboxTable(services.mlops)
    with database.held():
        before = SightingTable(database).unpublished()
        outbox.add(OutgoingEvent("one", "CanaryStartedEvent", {}))
        assert SightingTable(database).unpublished() == before == Unpublished(0, None)
    with database.held():
        assert SightingTable(database).unpublished().events == 1


@pytest.mark.integration
def test_a_question_that_takes_too_long_is_given_up(services):
    database = looking(services, statement_timeout_ms=50)
    with (
        database.held(),
        pytest.raises(ServiceTooSlow, match="answers, and did not end .* statement timeout"),
        database.transaction() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(20)")


@pytest.mark.integration
def test_a_question_that_is_wrong_is_no_database_that_is_away(services):
    database = looking(services)
    with database.held(), pytest.raises(psycopg2.errors.InvalidTextRepresentation), database.transaction() as cursor:
        cursor.execute("SELECT 'x'::integer")
