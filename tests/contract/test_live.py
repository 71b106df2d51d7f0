"""Live metrics, readings and the archive: fake and real through the same cases."""

import random
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from pipeline.adapters import glacier
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.evidence_table import EvidenceTable
from pipeline.adapters.glacier import GlacierArchive
from pipeline.adapters.live_metrics import MOST_VERSIONS, LiveMetricsView
from pipeline.adapters.outbox_table import OutboxTable
from pipeline.adapters.reading_table import ReadingTable
from pipeline.domain.errors import ArchiveDamaged, StillFrozen
from pipeline.domain.ledger import Ledger
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, Period, Tally
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.ports.live import Episode, Look
from tests.builders import NOW, an_event
from tests.fakes.events import FakeConfirmations, FakeOutbox
from tests.fakes.live import FakeArchive, FakeEvidence, FakeLiveMetrics, FakeReadings
from tests.frozen_s3 import FrozenS3
from tests.histories import a_history

LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE
EVENT = OutgoingEvent("event-1", "CanaryStartedEvent", {"modelVersion": "v1.1.0"})
DAY = timedelta(days=1)


class Fakes:
    def __init__(self):
        self.outbox, self.confirmations = FakeOutbox(), FakeConfirmations()
        self.metrics, self.readings = FakeLiveMetrics(self.confirmations), FakeReadings(self.outbox)
        self.evidence = FakeEvidence(self.confirmations)

    def kept(self):
        """Of every reading: version, state, confirmations, accuracy, and the monitor's sentence."""
        return [(r.version, r.state, r.confirmed, r.accuracy, said) for r, said in self.readings.recorded]


class Tables:
    def __init__(self, database):
        self.outbox, self.confirmations = OutboxTable(database), ConfirmationTable(database)
        self.metrics, self.readings = LiveMetricsView(database), ReadingTable(database)
        self.evidence = EvidenceTable(database)
        self._database = database

    def kept(self):
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT version, state, confirmed, accuracy, decision FROM live_accuracy_readings ORDER BY id"
            )
            return cursor.fetchall()


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


NOBODY, ALWAYS = Ledger(LAUNDRY), Period(NOW - DAY, NOW + DAY)


def whole(tables, version, period=ALWAYS, history=NOBODY):
    return tables.metrics.tally(history, version, period)


# Metrics


def listed(tables, history=NOBODY):
    """Confirmed and agreed, by version."""
    found = tables.metrics.by_version(history, ALWAYS)
    return {
        version: (sum(of.confirmed for of in labels), sum(of.agreed for of in labels))
        for version, labels in found.items()
    }


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
    # Told one hour apart: v1.0.0 from +1 h, v1.1.0 from +2 h, v1.0.0 again from +3 h.
    history = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0")
    for number, hours in enumerate((0.5, 1, 1.5, 2, 2.5, 2.7, 3, 4)):
        confirm(tables, number, version=None, at=NOW + timedelta(hours=hours))
    found = {v: whole(tables, v, history=history).confirmed for v in ("v1.0.0", "v1.1.0")}
    assert found == {"v1.0.0": 4, "v1.1.0": 3}
    assert listed(tables, history) == {version: (count, count) for version, count in found.items()}


def test_a_change_that_did_not_come_true_is_no_reign(tables):
    history = a_history("promote v1.0.0", "try v1.1.0", "abort v1.1.0")
    confirm(tables, 1, version=None, at=NOW + timedelta(hours=5))
    assert whole(tables, "v1.0.0", history=history).confirmed == 1
    assert whole(tables, "v1.1.0", history=history).confirmed == 0


def test_the_period_is_open_at_its_start_and_closed_at_its_end(tables):
    for number in range(4):
        confirm(tables, number, at=NOW + timedelta(minutes=number))
    assert whole(tables, "v1.0.0", Period(NOW, NOW + timedelta(minutes=2))).confirmed == 2
    assert whole(tables, "v1.0.0", Period(NOW, NOW - DAY)) == Tally()


def test_the_newest_are_the_newest(tables):
    for number in range(10):
        confirm(tables, number, corrected=number >= 7, at=NOW + timedelta(minutes=number))
    newest = tables.metrics.newest(NOBODY, "v1.0.0", ALWAYS, 4)
    assert (newest.confirmed, newest.agreed) == (4, 1)


def test_of_a_task_the_last_word_counts_in_whatever_order_the_words_come(tables):
    said = [
        an_event(f"word-{n}", task_id="TASK-1", corrected=corrected, confirmed_at=NOW + timedelta(minutes=n))
        for n, corrected in enumerate((True, False, True))
    ]
    for events in ([said[1]], [said[0]], [said[2]], said):
        tables.confirmations.store([replace(e, model_version="v1.0.0") for e in events])
    found = whole(tables, "v1.0.0")
    assert (found.confirmed, found.agreed, found.newest) == (1, 0, NOW + timedelta(minutes=2))


def test_one_photo_ten_times_counts_once_for_each_version(tables):
    for number in range(10):
        for version in ("v1.0.0", "v1.1.0"):
            event = an_event(f"{version}-{number}", photo_url="s3://tasks/same.jpg", model_version=version)
            tables.confirmations.store([replace(event, confirmed_at=NOW + timedelta(minutes=number))])
    confirm(tables, 99)
    assert (whole(tables, "v1.0.0").confirmed, whole(tables, "v1.1.0").confirmed) == (2, 1)
    newest = tables.metrics.newest(NOBODY, "v1.0.0", ALWAYS, 10)
    assert (newest.confirmed, newest.newest) == (2, NOW + timedelta(minutes=9))
    assert {version: confirmed for version, (confirmed, _) in listed(tables).items()} == {"v1.0.0": 2, "v1.1.0": 1}


def test_copies_count_once_when_somebody_looked_and_are_not_looked_at_again(tables):
    for number in range(4):
        confirm(tables, number, corrected=number == 1, at=NOW + timedelta(minutes=number))
    confirm(tables, 5, version="v1.1.0", at=NOW + timedelta(minutes=5))
    urls = [f"s3://tasks/TASK-event-{n}.jpg" for n in (5, 3, 2, 1, 0)]
    assert list(tables.evidence.unseen(ALWAYS, limit=9)) == urls
    assert list(tables.evidence.unseen(ALWAYS, limit=2)) == urls[:2]
    assert tables.evidence.waiting(ALWAYS) == len(urls)
    same, other = f"{7:016x}", f"{(1 << 63) + 5:016x}"
    tables.evidence.recognise({urls[0]: same, urls[1]: other, urls[3]: same, urls[4]: same})
    found = whole(tables, "v1.0.0")
    assert (found.confirmed, found.agreed) == (3, 2)
    assert whole(tables, "v1.1.0").confirmed == 1
    assert list(tables.evidence.unseen(ALWAYS, limit=9)) == [urls[2]]
    assert list(tables.evidence.founders(ALWAYS)) == [7, (1 << 63) + 5]
    tables.evidence.recognise({urls[2]: "unread 0123456789abcdef"})
    tables.evidence.recognise({})
    assert list(tables.evidence.founders(ALWAYS)) == [7, (1 << 63) + 5]
    assert whole(tables, "v1.0.0").confirmed == 3


def test_only_a_plain_true_marks_the_blind_sample(tables):
    for number, mark in enumerate((True, False, "true", 1, None, {"odd": [1]})):
        confirm(tables, number, blindAudit=mark)
    assert tables.metrics.blind(NOBODY, "v1.0.0", ALWAYS).confirmed == 1


def test_every_version_in_the_period_is_listed(tables):
    history, later = a_history("promote v1.0.0"), NOW + timedelta(hours=2)
    confirm(tables, 1)
    confirm(tables, 2, version=None, corrected=True, at=later)
    confirm(tables, 3, version="v1.1.0")
    assert listed(tables, history) == {"v1.0.0": (2, 1), "v1.1.0": (1, 1)}


@pytest.mark.integration
def test_whoever_names_many_versions_pushes_none_that_served_out_of_the_list(services):
    tables, history = Tables(services.mlops), a_history("promote v1.0.0")
    confirm(tables, "served", version="v1.0.0")
    for number in range(3 * MOST_VERSIONS):
        for again in range(1 + number % 3):
            confirm(tables, f"{number}-{again}", version=f"build-{number:03d}")
    found = listed(tables, history)
    assert len(found) == MOST_VERSIONS and found.pop("v1.0.0") == (1, 1)
    # Of the others those that most were confirmed of.
    assert {confirmed for confirmed, _ in found.values()} == {3}


@pytest.mark.integration
def test_whoever_names_many_verdicts_pushes_none_that_is_common_out_of_the_count(services):
    tables, history = Tables(services.mlops), a_history("promote v1.0.0")
    odd = [an_event(f"odd-{n}", final_result=f"odd-{n}", confirmed_at=NOW, model_version="v1.0.0") for n in range(250)]
    tables.confirmations.store(odd)
    for number in range(2):
        confirm(tables, number, version="v1.0.0")
    common = LabelTally("양호", 2, 2)
    assert common in tables.metrics.tally(history, "v1.0.0", ALWAYS).labels
    assert common in tables.metrics.by_version(history, ALWAYS)["v1.0.0"]


@pytest.mark.integration
def test_whoever_names_many_verdicts_of_one_version_pushes_no_other_version_out_of_the_list(services):
    tables, history = Tables(services.mlops), a_history("promote v1.0.0", "promote v1.1.0")
    odd = [
        an_event(f"odd-{n}", final_result=f"odd-{n}", confirmed_at=NOW, model_version="v1.0.0") for n in range(1_200)
    ]
    tables.confirmations.store(odd)
    confirm(tables, 1, version="v1.1.0")
    assert listed(tables, history)["v1.1.0"] == (1, 1)


@pytest.mark.integration
def test_how_right_each_version_was_reads_no_row_for_each_that_is_named(services):
    """As reported: 8 000 versions in one quarter of an hour took nine seconds, and beyond a minute no look ended."""
    looked_up = []
    for number in range(30):
        confirm(Tables(services.mlops), number, version=f"build-{number}", at=NOW + timedelta(seconds=number))
        with services.mlops.transaction() as cursor:
            LiveMetricsView(Within(cursor)).by_version(NOBODY, ALWAYS)
            cursor.execute(
                "SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'task_confirmations'"
            )
            looked_up.append(cursor.fetchone())
    assert len(set(looked_up)) == 1


@dataclass(frozen=True)
class Within:
    """A database of which everything is asked in one transaction."""

    cursor: object

    @contextmanager
    def transaction(self):
        yield self.cursor


def moments(dice):
    """Within hours, often at the very end of a quarter of an hour or a microsecond beside it."""
    at = NOW + timedelta(minutes=15 * dice.randrange(-8, 24))
    return at + dice.choice(
        [timedelta(), timedelta(microseconds=1), -timedelta(microseconds=1), dice.random() * 2 * DAY]
    )


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_asked_of_whatever_was_confirmed_is_counted_row_by_row(services, seed):
    """The real one keeps counts by quarters of an hour; the fake looks at each confirmation."""
    dice, real, fake = random.Random(seed), Tables(services.mlops), Fakes()
    for number in range(120):
        label, version = dice.choice(["양호", "불량"]), dice.choice([None, None, "v1.0.0", "v1.1.0"])
        how = {"label": label, "corrected": dice.random() < 0.3, "at": moments(dice), "version": version}
        # Two at one moment would leave open which of them is newer.
        how["at"] += timedelta(microseconds=10 * number)
        for tables in (real, fake):
            confirm(tables, number, **how, blindAudit=number % 3 == 0)
    history = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0", "promote v1.2.0")
    for _ in range(60):
        period, version = Period(moments(dice), moments(dice)), dice.choice(["v1.0.0", "v1.1.0", "v1.2.0", "v9.0.0"])
        for of in (history, NOBODY):
            for ask in (
                lambda m: m.tally(of, version, period),  # noqa: B023 - asked at once
                lambda m: m.blind(of, version, period),  # noqa: B023
                lambda m: m.newest(of, version, period, 7),  # noqa: B023
                lambda m: m.by_version(of, period),  # noqa: B023
            ):
                assert ask(real.metrics) == ask(fake.metrics)


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
    tables.readings.record(Look(LAUNDRY, NOW, seen, reading, {"v1.0.0": ()}, "too few to say"))
    assert tables.kept() == [("v1.0.0", "unknown", 0, None, "too few to say")]


def test_readings_are_forgotten_by_model_type_and_moment(tables):
    seen = Observation("v1.0.0", Tally(), Tally(), Tally())
    for days, model_type in ((2, LAUNDRY), (1, LAUNDRY), (0, LAUNDRY), (2, FACE)):
        at = NOW - timedelta(days=days)
        reading = LiveAccuracyPolicy().judge(seen, at)
        tables.readings.record(Look(model_type, at, seen, reading, {}, f"{model_type} {days} days ago"))
    before = NOW - timedelta(days=1)
    assert [tables.readings.forget(LAUNDRY, before=before, dry_run=dry) for dry in (True, False, False)] == [1, 1, 0]
    assert [row[-1] for row in tables.kept()] == ["LAUNDRY 1 days ago", "LAUNDRY 0 days ago", "FACE 2 days ago"]


def test_what_was_told_is_told_no_more(tables):
    tables.outbox.add(EVENT)
    tables.outbox.mark_published(EVENT.id)
    assert list(tables.outbox.untold()) == [EVENT]
    tables.outbox.mark_told(EVENT.id)
    assert list(tables.outbox.untold()) == []


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


@pytest.fixture(params=["fake", "glacier"])
def frozen(request, monkeypatch):
    """An archive that takes four hours to thaw what it holds, and how to let hours pass."""
    if request.param == "fake":
        archive = FakeArchive(thaws_in_hours=4)
        return archive, archive.later
    s3 = FrozenS3(thaws_in_hours=4)
    monkeypatch.setattr(glacier, "client", lambda endpoint, keys: s3)

    def later(hours):
        s3.hours += hours

    return GlacierArchive(endpoint=None), later


def test_what_is_frozen_comes_back_hours_after_it_was_asked_for_and_freezes_again_after_a_week(frozen):
    archive, later = frozen
    uri = "s3://models/archive/LAUNDRY/run-1/model.bin"
    archive.keep(uri, b"a model")
    for hours in (0, 1, 2):
        later(hours)
        with pytest.raises(StillFrozen, match=r"model\.bin"):
            archive.fetch(uri)
    for hours in (1, 7 * 24 - 1):
        later(hours)
        assert archive.fetch(uri) == b"a model"
    later(1)
    with pytest.raises(StillFrozen):
        archive.fetch(uri)
