"""Live metrics, readings, notes in the log, the archive and canaries: fake and real through the same cases."""

from datetime import timedelta

import pytest

from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.glacier import GlacierArchive
from pipeline.adapters.live_metrics import LiveMetricsView
from pipeline.adapters.outbox_table import OutboxTable
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.transition_log import TransitionLog
from pipeline.domain.errors import ArchiveDamaged, ModelRefused, PromotionFrozen, ServiceUnavailable
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, Tally
from pipeline.domain.model_events import OutgoingEvent
from pipeline.domain.models import Kind, ModelType, frozen_by, on_trial
from pipeline.ports.live import Episode
from tests.builders import NOW, an_event
from tests.contract.test_fleet import Fake as FakeReplicas
from tests.contract.test_fleet import Real as RealReplicas
from tests.contract.test_tables import a_transition
from tests.fakes.deployment import FakeTransitions
from tests.fakes.events import FakeConfirmations, FakeOutbox
from tests.fakes.live import FakeArchive, FakeLiveMetrics, FakeReadings

LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE
EVENT = OutgoingEvent("event-1", "CanaryStartedEvent", {"modelVersion": "v1.1.0"})
DAY = timedelta(days=1)


class Fakes:
    def __init__(self):
        self.outbox, self.confirmations = FakeOutbox(), FakeConfirmations()
        self.transitions = FakeTransitions(outbox=self.outbox)
        self.metrics, self.readings = FakeLiveMetrics(self.confirmations, self.transitions), FakeReadings(self.outbox)


class Tables:
    def __init__(self, database):
        self.outbox, self.confirmations = OutboxTable(database), ConfirmationTable(database)
        self.transitions, self.metrics = TransitionLog(database), LiveMetricsView(database)
        self.readings = ReadingTable(database)


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.integration)])
def tables(request):
    return Fakes() if request.param == "fake" else Tables(request.getfixturevalue("services").mlops)


def confirm(tables, number, *, corrected=False, label="양호", at=NOW, version="v1.0.0", **extra):
    other = "불량" if label == "양호" else "양호"
    event = an_event(
        f"event-{number}",
        ai_result=other if corrected else label,
        final_result=label,
        corrected=corrected,
        confirmed_at=at,
        model_version=version,
        extra=extra,
    )
    tables.confirmations.store([event])


def whole(tables, version, since=NOW - DAY, until=NOW + DAY):
    return tables.metrics.tally(LAUNDRY, version, since=since, until=until)


def serve(tables, version, current=None, at=NOW, kind=Kind.PROMOTE):
    t = a_transition(version, current, id=f"{kind}:{version}", kind=kind, confirmed_served_at=at)
    tables.transitions.request(t)
    tables.transitions.confirm(t, OutgoingEvent(t.id, "ModelDeployedEvent", {}))


# Metrics


def test_confirmations_are_counted_by_version_and_by_what_people_saw(tables):
    confirm(tables, 1)
    confirm(tables, 2, corrected=True, at=NOW + timedelta(minutes=1))
    confirm(tables, 3, label="불량")
    confirm(tables, 4, version="v1.1.0")
    confirm(tables, 1, corrected=True)
    assert whole(tables, "v1.0.0") == Tally(
        (LabelTally("불량", 1, 1), LabelTally("양호", 2, 1)), NOW + timedelta(minutes=1)
    )
    assert whole(tables, "'; DROP TABLE transitions; --") == Tally()


def test_an_event_without_a_version_belongs_to_whoever_served_then(tables):
    serve(tables, "v1.0.0", at=NOW)
    serve(tables, "v1.1.0", "v1.0.0", at=NOW + timedelta(hours=1))
    for number, hours in enumerate((-1, 0, 0.5, 1, 2)):
        confirm(tables, number, version=None, at=NOW + timedelta(hours=hours))
    assert (whole(tables, "v1.0.0").confirmed, whole(tables, "v1.1.0").confirmed) == (2, 2)


def test_the_period_is_open_at_its_start_and_closed_at_its_end(tables):
    for number in range(4):
        confirm(tables, number, at=NOW + timedelta(minutes=number))
    assert whole(tables, "v1.0.0", NOW, NOW + timedelta(minutes=2)).confirmed == 2
    assert whole(tables, "v1.0.0", NOW, NOW - DAY) == Tally()


def test_the_newest_are_the_newest(tables):
    for number in range(10):
        confirm(tables, number, corrected=number >= 7, at=NOW + timedelta(minutes=number))
    newest = tables.metrics.newest(LAUNDRY, "v1.0.0", 4, since=NOW - DAY, until=NOW + DAY)
    assert (newest.confirmed, newest.agreed) == (4, 1)


def test_only_a_plain_true_marks_the_blind_sample(tables):
    for number, mark in enumerate((True, False, "true", 1, None, {"odd": [1]})):
        confirm(tables, number, blindAudit=mark)
    assert tables.metrics.blind(LAUNDRY, "v1.0.0", since=NOW - DAY, until=NOW + DAY).confirmed == 1


def test_every_version_in_the_period_is_listed_and_of_faces_nothing_is_known(tables):
    serve(tables, "v1.0.0", at=NOW - DAY)
    confirm(tables, 1)
    confirm(tables, 2, version=None, corrected=True)
    confirm(tables, 3, version="v1.1.0")
    found = tables.metrics.by_version(LAUNDRY, since=NOW - DAY, until=NOW)
    assert {v: (t.confirmed, t.agreed) for v, t in found.items()} == {"v1.0.0": (2, 1), "v1.1.0": (1, 1)}
    assert tables.metrics.by_version(FACE, since=NOW - DAY, until=NOW) == {}
    assert tables.metrics.tally(FACE, "v1.0.0", since=NOW - DAY, until=NOW) == Tally()


# Readings


def test_one_episode_at_a_time_with_one_event_at_each_end(tables):
    first, second = Episode("first", "v1.0.0"), Episode("second", "v1.0.0")
    for episode in (first, first, second):
        tables.readings.begin_episode(LAUNDRY, episode, OutgoingEvent(f"low:{episode.id}", "Low", {}), at=NOW)
    assert tables.readings.open_episode(LAUNDRY) == first
    for _ in range(2):
        tables.readings.end_episode(first, "recovered", OutgoingEvent("up", "Recovered", {}), at=NOW)
    assert tables.readings.open_episode(LAUNDRY) is None
    assert [e.id for e in tables.outbox.pending()] == ["low:first", "up"]


def test_a_reading_of_nothing_is_kept_too(tables):
    seen = Observation("v1.0.0", Tally(), Tally(), Tally())
    reading = LiveAccuracyPolicy().judge(seen, NOW)
    tables.readings.record(LAUNDRY, reading, seen, versions={"v1.0.0": Tally()}, decision="unknown", at=NOW)


def test_what_was_told_is_told_no_more(tables):
    tables.outbox.add(EVENT)
    tables.outbox.mark_published(EVENT.id)
    assert list(tables.outbox.untold()) == [EVENT]
    tables.outbox.mark_told(EVENT.id)
    assert list(tables.outbox.untold()) == []


# Notes in the log


def a_note(kind, version="v1.1.0"):
    return a_transition(version, "v1.0.0", id=f"{kind}:{version}", kind=kind)


def test_a_note_is_kept_once_with_its_event_and_changes_no_champion(tables):
    serve(tables, "v1.0.0")
    for _ in range(2):
        tables.transitions.note(a_note(Kind.CANARY_START), EVENT)
    facts = tables.transitions.facts(LAUNDRY)
    assert [t.kind for t in facts] == [Kind.PROMOTE, Kind.CANARY_START]
    assert on_trial(facts) is not None
    assert [t.to_version for t in tables.transitions.served(LAUNDRY)] == ["v1.0.0"]
    assert [e.id for e in tables.outbox.pending()] == ["promote:v1.0.0", "event-1"]


def test_after_an_automatic_rollback_only_rollbacks_are_let_through(tables):
    serve(tables, "v1.0.0")
    serve(tables, "v1.1.0", "v1.0.0")
    serve(tables, "v1.0.0", "v1.1.0", kind=Kind.ROLLBACK_AUTO)
    with pytest.raises(PromotionFrozen):
        serve(tables, "v1.2.0", "v1.0.0")
    with pytest.raises(PromotionFrozen):
        serve(tables, "v1.2.0", "v1.0.0", kind=Kind.FORCED)
    tables.transitions.note(a_note(Kind.FREEZE_CLEARED, "v1.0.0"))
    assert frozen_by(tables.transitions.facts(LAUNDRY)) is None
    serve(tables, "v1.2.0", "v1.0.0")


def test_a_failure_is_the_latest_until_something_succeeds(tables):
    serve(tables, "v1.0.0")
    assert tables.transitions.latest_failure(LAUNDRY) is None
    tables.transitions.fail(a_transition("v1.1.0", "v1.0.0"), "replica-2 refused")
    failure = tables.transitions.latest_failure(LAUNDRY)
    assert failure is not None
    assert (failure.transition.to_version, failure.reason) == ("v1.1.0", "replica-2 refused")
    serve(tables, "v1.1.0", "v1.0.0")
    assert tables.transitions.latest_failure(LAUNDRY) is None


# Archive


@pytest.fixture(params=["fake", pytest.param("s3", marks=pytest.mark.integration)])
def archive(request):
    if request.param == "fake":
        return FakeArchive()
    return GlacierArchive(endpoint=request.getfixturevalue("services").stack.s3_endpoint)


def test_what_is_kept_comes_back_and_may_be_kept_again(archive):
    for body in (b"first", b"\x00" * 3_000_000, b""):
        archive.keep("s3://models/archive/LAUNDRY/run-1/model.bin", body)
        assert archive.fetch("s3://models/archive/LAUNDRY/run-1/model.bin") == body


def test_what_was_never_kept_is_missed_by_name(archive):
    with pytest.raises(ArchiveDamaged, match=r"archive/none\.bin"):
        archive.fetch("s3://models/archive/none.bin")


# Canaries


@pytest.fixture(params=["fake", "real"])
def replicas(request, tmp_path):
    made = FakeReplicas() if request.param == "fake" else RealReplicas(tmp_path)
    made.champion = made.artifact("v1.0.0")
    made.fleet.swap(LAUNDRY, "v1.0.0", made.champion)
    yield made
    made.close()


def on_trial_at(replicas):
    return {(seen.version, seen.verdict) for seen in replicas.fleet.canaries(LAUNDRY)}


def start(replicas, version="v1.1.0", times=1):
    artifact = replicas.artifact(version)
    for _ in range(times):
        replicas.fleet.start_canary(LAUNDRY, version, artifact, 10)
    return artifact


def test_a_canary_is_on_trial_everywhere_beside_the_champion(replicas):
    start(replicas, times=2)
    assert on_trial_at(replicas) == {("v1.1.0", "inconclusive")}
    assert {s.version for s in replicas.fleet.serving(LAUNDRY)} == {"v1.0.0"}


def test_an_aborted_canary_is_on_trial_nowhere_and_aborting_again_is_harmless(replicas):
    start(replicas)
    for _ in range(2):
        replicas.fleet.abort_canary(LAUNDRY, "v1.1.0", "too strict")
    assert on_trial_at(replicas) == {("v1.1.0", "aborted")}


def test_a_swap_to_the_canary_promotes_it_and_a_swap_to_another_version_ends_it(replicas):
    replicas.fleet.swap(LAUNDRY, "v1.1.0", start(replicas))
    assert on_trial_at(replicas) == {("v1.1.0", "promoted")}
    start(replicas, "v1.2.0")
    replicas.fleet.swap(LAUNDRY, "v1.0.0", replicas.champion)
    assert on_trial_at(replicas) == {("v1.2.0", "aborted")}


def test_one_replica_that_refuses_keeps_the_canary_off_everywhere(replicas):
    artifact = replicas.artifact("v1.1.0")
    replicas.spoil("v1.1.0")
    with pytest.raises(ModelRefused):
        replicas.fleet.start_canary(LAUNDRY, "v1.1.0", artifact, 10)
    assert on_trial_at(replicas) == {(None, "")}


def test_a_replica_out_of_reach_is_no_replica_without_a_canary(replicas):
    start(replicas)
    replicas.stop_one()
    for call in (
        lambda: replicas.fleet.canaries(LAUNDRY),
        lambda: replicas.fleet.abort_canary(LAUNDRY, "v1.1.0", "too strict"),
    ):
        with pytest.raises(ServiceUnavailable):
            call()
