"""The fake and the PostgreSQL adapter of each table port, through the same cases."""

import dataclasses
import functools
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from pipeline.adapters import mlops_db
from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.check_table import CheckTable
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.decision_table import DecisionTable
from pipeline.adapters.erasure_table import ErasureTable, wait_for_erasures
from pipeline.adapters.outbox_table import OutboxTable
from pipeline.adapters.retraining_run_table import RetrainingRunTable
from pipeline.adapters.safeguard_table import GrowingTableRows
from pipeline.adapters.training_table import TrainingTable
from pipeline.adapters.transition_log import TransitionLog
from pipeline.adapters.trouble_table import TroubleTable
from pipeline.adapters.version_table import VersionTable
from pipeline.domain.backups import lost
from pipeline.domain.blessing import Blessing, Override, OverrideKind
from pipeline.domain.checks import Check, Outcome
from pipeline.domain.dataset import Manifest, Quarantined, Split
from pipeline.domain.errors import GiveUp, PhotosErased, RunBusy, ServiceUnavailable, UnknownVersion
from pipeline.domain.lineage import Erased, Kept
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.retraining import Claim, RetrainingDecision
from pipeline.domain.training import RUNNING, Attempt, Hyperparameters
from pipeline.domain.troubles import Place, Trouble
from tests.builders import NOW, a_backlog, a_dataset, a_model_version, a_photo, a_training_result, an_event
from tests.fakes.data import FakeErasures
from tests.fakes.deployment import FakeTransitions, FakeVersions
from tests.fakes.events import FakeConfirmations, FakeDecisions, FakeOutbox, FakeRetrainingRuns, FakeTroubles
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings, FakeChecks
from tests.waiting import until

LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE
EVENT = OutgoingEvent("event-1", "ModelDeployedEvent", {"modelVersion": "v1.0.0", "reason": "더 정확함"})


class Fakes:
    def __init__(self):
        self.outbox, self.versions = FakeOutbox(), FakeVersions()
        self.confirmations, self.runs, self.training = FakeConfirmations(), FakeRetrainingRuns(), FakeTrainingRuns()
        self.blessings, self.datasets = FakeBlessings(self.outbox), self.versions.datasets
        self.transitions = FakeTransitions(self.versions, self.outbox, self.blessings)
        self.checks, self.erasures = FakeChecks(self.blessings), FakeErasures(self.datasets)
        self.troubles, self.decisions = FakeTroubles(self.outbox), FakeDecisions()


class Tables:
    def __init__(self, database):
        self.database = database
        self.outbox, self.versions = OutboxTable(database), VersionTable(database)
        self.confirmations, self.runs = ConfirmationTable(database), RetrainingRunTable(database)
        self.training, self.transitions = TrainingTable(database), TransitionLog(database)
        self.blessings, self.datasets, self.checks = (
            BlessingTable(database),
            DatasetTable(database),
            CheckTable(database),
        )
        self.erasures, self.troubles = ErasureTable(database), TroubleTable(database)
        self.decisions = DecisionTable(database)


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.integration)])
def tables(request):
    if request.param == "fake":
        return Fakes()
    return Tables(request.getfixturevalue("services").mlops)


def a_blessing(run_id="run-1", **changes):
    values = {
        "id": f"blessing:{run_id}",
        "run_id": run_id,
        "model_type": "LAUNDRY",
        "accepted": False,
        "reasons": ("class_accuracy.양호 0.85, ≥ 0.9 needed (n=40)",),
        "checks": (Check("class_accuracy.양호", Outcome.FAILED, 0.85, 0.9, 40, "0.85, ≥ 0.9 needed"),),
        "champion_version": "v1.0.0",
        "first_model": False,
        "artifact_manifest_sha256": "a" * 64,
        "dataset_sha256": "d" * 64,
        "thresholds_sha256": "t" * 64,
        "report_uri": "s3://models/run-1/report.json",
        "decided_at": NOW,
        **changes,
    }
    return Blessing(**values)


def a_small_manifest(dataset_id):
    return Manifest(dataset_id, "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), (a_photo(1), a_photo(2)))


def a_completed_dataset(tables, run_id="run-1"):
    dataset = a_dataset(id=tables.datasets.begin(run_id, LAUNDRY), run_id=run_id)
    manifest = a_small_manifest(dataset.id)
    tables.datasets.freeze(dataset.id, manifest, manifest.sha256)
    tables.datasets.complete(dataset)
    return tables.datasets.get(dataset.id)


def judged(tables, run_id, dataset_id, **verdict):
    tables.training.succeed(a_training_result(run_id, dataset_id=dataset_id))
    tables.blessings.grant(a_blessing(run_id, **verdict), None)


def versions(tables, *numbers):
    for number in numbers:
        dataset = a_completed_dataset(tables, f"run-of-{number}")
        tables.versions.register(a_model_version(number, dataset_id=dataset.id))


# Decisions


def test_old_decisions_against_a_retraining_go_and_why_one_began_stays_for_ever(tables):
    for days, model_type, due in ((3, LAUNDRY, False), (3, LAUNDRY, True), (3, FACE, False), (1, LAUNDRY, False)):
        decision = RetrainingDecision(due, "threshold", "150 corrections", a_backlog())
        tables.decisions.record(model_type, decision, at=NOW - timedelta(days=days), asked_by="the intake")
    before = NOW - timedelta(days=2)
    assert [tables.decisions.forget(LAUNDRY, before=before, dry_run=dry) for dry in (True, False, False)] == [1, 1, 0]
    # Of the three that are left one is of the other model type, and one against a retraining that is not old yet.
    assert [tables.decisions.forget(kind, before=NOW, dry_run=False) for kind in (LAUNDRY, FACE)] == [1, 1]


@pytest.mark.integration
def test_what_is_pruned_or_erased_is_not_missed_in_a_restored_copy(services):
    tables, rows = Tables(services.mlops), GrowingTableRows(services.mlops)
    for due in (False, True):
        decision = RetrainingDecision(due, "threshold", "150 corrections", a_backlog())
        tables.decisions.record(LAUNDRY, decision, at=NOW - timedelta(days=401), asked_by="the intake")
    event = an_event(1)
    tables.confirmations.store([event])
    at = datetime(9999, 1, 1, tzinfo=UTC)
    restored = rows.counted(at)
    assert sum(one.rows for one in restored) == 2
    assert tables.decisions.forget(LAUNDRY, before=NOW - timedelta(days=400), dry_run=False) == 1
    assert tables.erasures.anonymise(event.task_id)["task_confirmations"] == 1
    assert lost(rows.counted(at), restored) == ()
    assert lost(rows.counted(at), [dataclasses.replace(one, rows=0) for one in restored]) != ()


@pytest.mark.integration
def test_totals_that_are_not_those_of_the_rows_are_said_and_no_event_makes_any(services):
    tables, rows = Tables(services.mlops), GrowingTableRows(services.mlops)
    tables.confirmations.store([an_event(1), an_event(2)])
    tables.confirmations.store([an_event(2)])
    dataset = a_completed_dataset(tables)
    for photo in a_small_manifest(dataset.id).photos:
        assert tables.erasures.anonymise(photo.task_id)["dataset_photos"] == 1
    tables.erasures.anonymise(an_event(1).task_id)
    assert rows.counted_twice() == []
    with services.mlops.transaction() as cursor:
        cursor.execute("UPDATE confirmation_totals SET stored = stored + 1")
        cursor.execute("SELECT sum(stored), count(*) FROM confirmation_totals")
        total, _ = cursor.fetchone()
        cursor.execute("UPDATE verdict_quarters SET confirmed = confirmed + 1")
        cursor.execute("SELECT sum(confirmed) FROM verdict_quarters")
        (verdicts,) = cursor.fetchone()
    assert rows.counted_twice() == [
        f"the totals count {total} confirmations, and 2 are stored",
        f"quarters of an hour have {verdicts} verdicts, and 2 count",
    ]


# Troubles


DRAIN = Place("task_confirmed_intake", "drain")


def news(event_id):
    return dataclasses.replace(EVENT, id=event_id)


def a_trouble(place=DRAIN, since=NOW):
    return Trouble(place, since, since).failed(-1, "불량 …", since)


@pytest.mark.parametrize("place", [DRAIN, Place("model_rollback")])
def test_a_trouble_is_kept_with_its_events_until_it_is_over(tables, place):
    begun, later = a_trouble(place), NOW + timedelta(hours=12)
    stages = {"begun": begun, "again": begun.failed(3, "another", later)}
    for event_id, trouble in stages.items():
        tables.troubles.keep(trouble, news(event_id))
        assert tables.troubles.at(place) == trouble and list(tables.troubles.open()) == [trouble]
    works = stages["again"].worked(3, later).worked(-1, later)
    tables.troubles.keep(works, None)
    assert tables.troubles.at(place) == works
    tables.troubles.keep(works.ended(later), news("over"))
    assert tables.troubles.at(place) is None and list(tables.troubles.open()) == []
    assert [e.id for e in tables.outbox.pending()] == ["begun", "again", "over"]


def test_of_two_that_saw_the_same_trouble_one_tells_it(tables):
    for event, since in (("first", NOW), ("second", NOW + timedelta(seconds=1))):
        tables.troubles.keep(a_trouble(since=since), news(event))
    assert tables.troubles.at(DRAIN).since == NOW
    over = tables.troubles.at(DRAIN).ended(NOW)
    for event in ("over", "over, said again"):
        tables.troubles.keep(over, news(event))
    assert [e.id for e in tables.outbox.pending()] == ["first", "over"]


def test_troubles_of_two_places_do_not_know_each_other(tables):
    for number, step in enumerate(("drain", "consider")):
        at = NOW + timedelta(seconds=number)
        tables.troubles.keep(a_trouble(Place("task_confirmed_intake", step), at), news(step))
    assert [t.place.step for t in tables.troubles.open()] == ["drain", "consider"]


# Confirmations


def test_a_database_that_answers_can_store(tables):
    tables.confirmations.demand_reachable()


def test_a_confirmation_is_stored_once(tables):
    first = tables.confirmations.store([an_event("a"), an_event("b"), an_event("a")])
    again = tables.confirmations.store([an_event("b"), an_event("c", extra={"branch": "강남점"})])
    assert ((first.new, first.duplicates), (again.new, again.duplicates)) == ((2, 1), (1, 1))


def test_an_empty_batch_stores_nothing(tables):
    assert tables.confirmations.store([]).new == 0


# Outbox


def test_an_event_waits_until_it_is_marked_and_is_added_once(tables):
    tables.outbox.add(EVENT)
    tables.outbox.add(dataclasses.replace(EVENT, payload={"another": "story"}))
    assert list(tables.outbox.pending()) == [EVENT]
    tables.outbox.mark_published(EVENT.id)
    assert list(tables.outbox.pending()) == []


def test_pending_events_come_oldest_first(tables):
    for name in ("z", "a", "m"):
        tables.outbox.add(dataclasses.replace(EVENT, id=name))
    assert [e.id for e in tables.outbox.pending()] == ["z", "a", "m"]


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_events_that_were_published_and_told_are_forgotten_after_their_time(tables, monkeypatch, at_once):
    monkeypatch.setattr(mlops_db, "_DELETED_AT_ONCE", at_once)
    has_it, told = tables.outbox.mark_published, tables.outbox.mark_told
    ways = {"over": (has_it, told), "nobody was told": (has_it,), "nobody has it": (told,), "new": ()}
    for event_id, marks in ((f"{name} {n}", marks) for name, marks in ways.items() for n in range(3)):
        tables.outbox.add(dataclasses.replace(EVENT, id=event_id))
        for mark in marks:
            mark(event_id)
    now = datetime.now(UTC)
    for before, gone in ((now - timedelta(hours=1), 0), (now + timedelta(hours=1), 3)):
        assert [tables.outbox.forget(before=before, dry_run=dry) for dry in (True, True, False)] == [gone] * 3
    assert {event.id[:-2] for event in tables.outbox.pending()} == {"nobody has it", "new"}
    assert {event.id[:-2] for event in tables.outbox.untold()} == {"nobody was told", "new"}
    assert tables.outbox.forget(before=now + timedelta(hours=1), dry_run=False) == 0


def test_people_are_told_by_one_at_a_time_and_by_the_next_one_afterwards(tables):
    with tables.outbox.telling() as first, tables.outbox.telling() as second:
        assert (first, second) == (True, False)
    with tables.outbox.telling() as next_one:
        assert next_one


# One retraining at a time


def test_a_second_run_waits_until_the_first_ended(tables):
    assert tables.runs.begin("one", LAUNDRY, at=NOW)
    assert tables.runs.begin("one", LAUNDRY, at=NOW)
    assert not tables.runs.begin("two", LAUNDRY, at=NOW)
    tables.runs.end("one", at=NOW, outcome="deployed")
    assert tables.runs.begin("two", LAUNDRY, at=NOW)
    assert (tables.runs.holds("one"), tables.runs.holds("two")) == (False, True)


def test_laundry_and_face_do_not_wait_for_each_other(tables):
    assert tables.runs.begin("one", LAUNDRY, at=NOW)
    assert tables.runs.begin("two", FACE, at=NOW)


def test_who_holds_a_claim_since_when_and_how_it_ended(tables):
    assert tables.runs.claim(LAUNDRY) is tables.runs.outcome("one") is None
    tables.runs.begin("one", LAUNDRY, at=NOW)
    assert tables.runs.claim(LAUNDRY) == Claim("one", NOW) and tables.runs.claim(FACE) is None
    assert tables.runs.outcome("one") is None
    tables.runs.end("one", at=NOW, outcome="deployed")
    tables.runs.end("one", at=NOW, outcome="too late")
    assert tables.runs.claim(LAUNDRY) is None and tables.runs.outcome("one") == "deployed"


def test_a_run_that_ended_otherwise_was_deployed_once_its_model_serves_after_all(tables):
    tables.runs.end("one", at=NOW, outcome="deployed")
    assert tables.runs.outcome("one") is None
    tables.runs.begin("one", LAUNDRY, at=NOW)
    tables.runs.end("one", at=NOW, outcome="failed")
    tables.runs.begin("two", LAUNDRY, at=NOW)
    tables.runs.end("one", at=NOW, outcome="deployed")
    assert (tables.runs.outcome("one"), tables.runs.holds("two")) == ("deployed", True)


def test_a_run_that_is_cleared_by_hand_claims_once_more(tables):
    for _ in range(2):
        assert tables.runs.begin("one", LAUNDRY, at=NOW) and tables.runs.outcome("one") is None
        tables.runs.end("one", at=NOW, outcome="failed")


# Datasets


def test_a_run_keeps_its_dataset_id_and_the_next_gets_the_next_number(tables):
    one, again, two = (tables.datasets.begin(run, LAUNDRY) for run in ("one", "one", "two"))
    assert one == again
    assert int(two.split("-")[2]) == int(one.split("-")[2]) + 1


@pytest.mark.parametrize(("first", "second"), [(LAUNDRY, FACE), (FACE, LAUNDRY)])
def test_no_run_goes_on_with_the_dataset_or_the_claim_of_another_model_type(tables, first, second):
    dataset_id = tables.datasets.begin("one", first)
    assert tables.runs.begin("one", first, at=NOW)
    for ended in (False, True):
        if ended:
            tables.runs.end("one", at=NOW, outcome="failed")
        for begin in (tables.datasets.begin, functools.partial(tables.runs.begin, at=NOW)):
            with pytest.raises(GiveUp, match=f"^run one is one of {first}: name that of {second} otherwise$"):
                begin("one", second)
    assert tables.runs.claim(second) is None and tables.datasets.of_type(second) == []
    assert tables.datasets.of_type(first) == [(dataset_id, "one")]


def test_the_first_freeze_stands_and_founders_are_kept_in_order(tables):
    dataset_id = tables.datasets.begin("run-1", LAUNDRY)
    assert tables.datasets.frozen_sha256(dataset_id) is None
    # The highest bit set: a hash is unsigned, whatever the database thinks.
    photos = (a_photo(1, cluster_id=f"{(1 << 63) + 5:016x}"), a_photo(2, cluster_id=f"{3:016x}"))
    manifest = Manifest(dataset_id, "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), photos)
    for sha256 in ("1" * 64, "2" * 64):
        tables.datasets.freeze(dataset_id, manifest, sha256)
    assert tables.datasets.frozen_sha256(dataset_id) == "1" * 64
    assert list(tables.datasets.clusters().items()) == [((1 << 63) + 5, Split.TRAIN), (3, Split.TRAIN)]


def a_frozen_dataset(tables, run_id, *photos, model_type=LAUNDRY, aside=()):
    """Frozen, and found good."""
    dataset_id = tables.datasets.begin(run_id, model_type)
    manifest = Manifest(dataset_id, model_type, ("양호", "불량"), None, NOW.isoformat(), photos, aside)
    tables.datasets.freeze(dataset_id, manifest, "1" * 64)
    tables.datasets.hold_out(dataset_id, manifest)
    return dataset_id


def held(*numbers):
    return [a_photo(n, split=Split.HOLDOUT) for n in numbers]


def test_the_cluster_of_a_task_is_that_of_the_newest_dataset_with_it(tables):
    a_frozen_dataset(tables, "one", a_photo(1, cluster_id="a" * 16), a_photo(2, cluster_id="b" * 16))
    a_frozen_dataset(tables, "two", a_photo(1, cluster_id="c" * 16))
    asked = ["TASK-00001", "TASK-00002", "TASK-00003"]
    assert tables.datasets.clusters_of(asked) == {"TASK-00001": "c" * 16, "TASK-00002": "b" * 16}
    assert tables.datasets.clusters_of([]) == {}


def test_a_cluster_keeps_the_side_it_took_first(tables):
    a_frozen_dataset(tables, "one", a_photo(1), a_photo(2, split=Split.HELD_OUT_CORRECTIONS))
    a_frozen_dataset(tables, "two", a_photo(1, split=Split.HOLDOUT), a_photo(3, split=Split.VALIDATION))
    assert tables.datasets.clusters() == {1: Split.TRAIN, 2: Split.HOLDOUT, 3: Split.VALIDATION}


def test_the_holdout_grows_by_versions_and_loses_nobody(tables):
    first = a_frozen_dataset(tables, "one", *held(1, 2), a_photo(9))
    second = a_frozen_dataset(tables, "two", *held(2, 3))
    third = a_frozen_dataset(tables, "three", *held(3))
    for dataset_id in (first, second, third):
        tables.datasets.complete(a_dataset(id=dataset_id))
    assert [tables.datasets.get(i).holdout_version for i in (first, second, third)] == [1, 2, 2]
    members = [member.task_id for member in tables.datasets.holdout(LAUNDRY)]
    assert members == ["TASK-00003", "TASK-00001", "TASK-00002"]


def test_what_was_only_frozen_is_not_held_out_and_holding_it_out_again_changes_nothing(tables):
    dataset_id = tables.datasets.begin("one", LAUNDRY)
    manifest = Manifest(dataset_id, "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), tuple(held(1)))
    tables.datasets.freeze(dataset_id, manifest, "1" * 64)
    assert list(tables.datasets.holdout(LAUNDRY)) == []
    for _ in range(2):
        tables.datasets.hold_out(dataset_id, manifest)
    a_frozen_dataset(tables, "two", *held(2))
    tables.datasets.hold_out(dataset_id, manifest)
    tables.datasets.complete(a_dataset(id=dataset_id))
    assert tables.datasets.get(dataset_id).holdout_version == 1
    assert [m.task_id for m in tables.datasets.holdout(LAUNDRY)] == ["TASK-00002", "TASK-00001"]


def test_what_was_set_aside_is_kept_with_its_reason_and_without_its_address_once_erased(tables):
    odd = Quarantined("TASK-9", "s3://tasks/9.jpg", "no photo at s3://tasks/9.jpg")
    twice = Quarantined(
        "TASK-8", "s3://tasks/8.jpg", "the same photo was confirmed as 불량 and as 양호", "contradiction", "8" * 64
    )
    dataset_id = a_frozen_dataset(tables, "one", a_photo(1), aside=(odd, twice))
    assert list(tables.datasets.set_aside(dataset_id)) == [twice, odd]
    assert list(tables.datasets.kept("TASK-9")) == [Kept("TASK-9", odd.photo_url, "")]
    assert tables.erasures.anonymise("TASK-9")["set_aside_tasks"] == 1
    assert list(tables.datasets.kept("TASK-9")) == []
    assert list(tables.datasets.set_aside(dataset_id)) == [twice, Quarantined("TASK-9", "", "", "unusable")]
    assert sum(tables.erasures.anonymise("TASK-9").values()) == 0
    tables.erasures.anonymise("TASK-8")
    assert list(tables.datasets.set_aside(dataset_id))[0] == Quarantined("TASK-8", "", "", "contradiction", "")


def test_what_went_after_it_was_frozen_is_set_aside_once_and_never_once_it_is_erased(tables):
    odd, there = Quarantined("TASK-9", "s3://tasks/9.jpg", "no photo"), a_photo(1)
    dataset_id = a_frozen_dataset(tables, "one", there, aside=(odd,))
    manifest = Manifest(dataset_id, LAUNDRY, ("양호", "불량"), None, NOW.isoformat(), (there,), (odd,))
    for reason in ("no photo there any more", "another reason, at the next try"):
        tables.datasets.lose(manifest, [Quarantined(there.task_id, there.photo_url, reason, "unusable", there.sha256)])
    lost = Quarantined(there.task_id, there.photo_url, "no photo there any more", "unusable", there.sha256)
    assert list(tables.datasets.set_aside(dataset_id)) == sorted([lost, odd], key=lambda row: row.task_id)
    tables.datasets.look_for_again(manifest, [lost])
    assert list(tables.datasets.set_aside(dataset_id)) == [odd]
    tables.erasures.record(Erased("TASK-9", (), "kim", "asked for it", NOW))
    with pytest.raises(PhotosErased):
        tables.datasets.lose(manifest, [lost])


def test_a_task_leads_to_the_others_that_show_its_photo_whatever_became_of_them(tables):
    used, other = a_photo(1, sha256="1" * 64), a_photo(2, sha256="2" * 64)
    same_bytes = Quarantined("SAME-BYTES", "s3://tasks/copy.jpg", "shows the same", "repeated", used.sha256)
    same_address = Quarantined("SAME-ADDRESS", used.photo_url, "no label is called 'x'")
    unread = [Quarantined(f"UNREAD-{n}", "unknown", "no photo at unknown") for n in (1, 2)]
    a_frozen_dataset(tables, "one", used, other, aside=(same_bytes, *unread))
    a_frozen_dataset(tables, "two", used, aside=(same_address,))
    one, by_bytes, by_address = (
        Kept(row.task_id, row.photo_url, row.sha256) for row in (used, same_bytes, same_address)
    )
    assert list(tables.datasets.kept(used.task_id)) == sorted([one, by_bytes, by_address])
    assert list(tables.datasets.kept("SAME-BYTES")) == sorted([by_bytes, one])
    assert list(tables.datasets.kept("SAME-ADDRESS")) == sorted([by_address, one])
    assert [row.task_id for row in tables.datasets.kept(other.task_id)] == [other.task_id]
    assert [row.task_id for row in tables.datasets.kept("UNREAD-1")] == ["UNREAD-1"]
    assert list(tables.datasets.kept("TASK-404")) == []
    tables.erasures.anonymise(used.task_id)
    assert list(tables.datasets.kept("SAME-BYTES")) == [by_bytes]


@pytest.mark.integration
def test_a_photo_that_was_erased_while_its_dataset_was_checked_is_held_out_without_its_hash(services):
    tables = Tables(services.mlops)
    dataset_id = tables.datasets.begin("one", LAUNDRY)
    manifest = Manifest(dataset_id, "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), tuple(held(1, 2)))
    tables.datasets.freeze(dataset_id, manifest, "1" * 64)
    tables.erasures.record(Erased("TASK-00001", (), "kim", "asked by the customer", NOW))
    tables.datasets.hold_out(dataset_id, manifest)
    assert {m.task_id: bool(m.sha256) for m in tables.datasets.holdout(LAUNDRY)} == {
        "TASK-00001": False,
        "TASK-00002": True,
    }


@pytest.mark.integration
def test_the_thousandth_dataset_of_a_year_has_a_number_of_its_own(services):
    datasets = DatasetTable(services.mlops)
    year = datasets.begin("first", LAUNDRY).split("-")[1]
    with services.mlops.transaction() as cursor:
        cursor.execute("UPDATE datasets SET dataset_id = %s", (f"DS-{year}-999",))
    assert [datasets.begin(run, LAUNDRY) for run in ("a", "b")] == [f"DS-{year}-1000", f"DS-{year}-1001"]


def test_each_model_type_has_a_holdout_of_its_own(tables):
    a_frozen_dataset(tables, "one", *held(1))
    a_frozen_dataset(tables, "two", *held(2), model_type=FACE)
    assert [m.task_id for m in tables.datasets.holdout(FACE)] == ["TASK-00002"]


def test_a_frozen_dataset_says_where_each_photo_was_used(tables):
    a_frozen_dataset(tables, "one", a_photo(1), *held(2))
    second = a_frozen_dataset(tables, "two", a_photo(1, label="불량"))
    found = tables.datasets.appearances(task_id="TASK-00001")
    assert [(a.run_id, a.split, a.label) for a in found] == [("one", "train", "양호"), ("two", "train", "불량")]
    assert [a.task_id for a in tables.datasets.appearances(dataset_id=second)] == ["TASK-00001"]
    assert list(tables.datasets.appearances(task_id="TASK-404")) == []
    assert [row[1:] for row in tables.datasets.frozen()] == [(LAUNDRY, "one"), (LAUNDRY, "two")]


def test_the_first_model_was_made_of_the_last_photos_that_a_person_labelled_and_are_not_erased(tables):
    a_frozen_dataset(tables, "refused", a_photo(1, task_id="first:good/1.jpg"))
    labelled = [a_photo(n, task_id=f"first:good/{n}.jpg") for n in (2, 3)]
    a_frozen_dataset(tables, "first", *labelled)
    a_frozen_dataset(tables, "later", labelled[0], a_photo(4))
    a_frozen_dataset(tables, "face", a_photo(5, task_id="first:good/5.jpg"), model_type=FACE)
    tables.erasures.record(Erased("first:good/3.jpg", (), "kim", "asked", NOW))
    tables.erasures.anonymise("first:good/3.jpg")
    (one,) = tables.datasets.first_photos(LAUNDRY)
    assert (one.run_id, one.task_id, one.photo_url) == ("first", "first:good/2.jpg", labelled[0].photo_url)


def test_the_previous_dataset_is_the_last_complete_one_of_the_same_model(tables):
    first = a_frozen_dataset(tables, "one", a_photo(1))
    tables.datasets.complete(a_dataset(id=first))
    a_frozen_dataset(tables, "not complete", a_photo(2))
    other = a_frozen_dataset(tables, "face", a_photo(3), model_type=FACE)
    tables.datasets.complete(a_dataset(id=other))
    last = a_frozen_dataset(tables, "last", a_photo(4))
    assert tables.datasets.previous(first) is None
    assert tables.datasets.previous(last).id == first
    begun = tables.datasets.begin("begun", FACE)
    assert tables.datasets.of_type(FACE) == [(other, "face"), (begun, "begun")]


def test_an_erased_photo_leaves_its_rows_without_address_and_hash(tables):
    erased = Erased("TASK-00001", ("a" * 64,), "kim", "asked by the customer", NOW)
    a_frozen_dataset(tables, "one", *held(1, 2))
    tables.confirmations.store([an_event("a", task_id="TASK-00001")])
    for _ in range(2):
        tables.erasures.record(erased)
        tables.erasures.record(dataclasses.replace(erased, actor="somebody else"))
        tables.erasures.anonymise("TASK-00001")
    assert list(tables.erasures.all()) == [erased]
    one, other = tables.datasets.appearances()
    assert (one.photo_url, one.sha256, one.split) == ("", "", "holdout")
    assert other.photo_url and other.sha256
    members = {m.task_id: m for m in tables.datasets.holdout(LAUNDRY)}
    assert members["TASK-00001"].sha256 == "" and members["TASK-00001"].cluster_id
    assert sum(tables.erasures.anonymise("TASK-00001").values()) == 0


def test_hashes_of_an_erased_photo_that_become_known_later_are_added(tables):
    erased = Erased("TASK-00001", (), "kim", "asked by the customer", NOW)
    for sha256s in ((), ("b" * 64,), ("a" * 64,), ()):
        tables.erasures.record(dataclasses.replace(erased, sha256s=sha256s))
    assert list(tables.erasures.all()) == [dataclasses.replace(erased, sha256s=("a" * 64, "b" * 64))]


@pytest.mark.parametrize(
    "erased",
    [
        Erased("TASK-00001", (), "kim", "the task", NOW),
        Erased("TASK-00009", (), "kim", "a task that was set aside", NOW),
        Erased("TASK-00077", (a_photo(2).sha256,), "kim", "the same bytes under another task", NOW),
        Erased("TASK-00078", ("9" * 64,), "kim", "the same bytes under a task that was set aside", NOW),
    ],
    ids=lambda erased: erased.reason,
)
def test_nothing_that_was_erased_is_frozen_and_what_is_frozen_stays(tables, erased):
    before = a_frozen_dataset(tables, "before", a_photo(1), a_photo(2))
    tables.erasures.record(erased)
    aside = (Quarantined("TASK-00009", "s3://tasks/9.jpg", "shows the same", "repeated", "9" * 64),)
    with pytest.raises(PhotosErased, match=r"1 photos of DS-\d+-002 were erased while it was made"):
        a_frozen_dataset(tables, "after", a_photo(1), a_photo(2), aside=aside)
    after = tables.datasets.begin("after", LAUNDRY)
    assert tables.datasets.frozen_sha256(after) is None and not tables.datasets.appearances(dataset_id=after)
    tables.datasets.freeze(
        before, Manifest(before, "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), (a_photo(1),)), "2" * 64
    )
    assert tables.datasets.frozen_sha256(before) == "1" * 64


def test_nothing_that_was_erased_is_finished_and_what_is_finished_stays(tables):
    dataset_id = a_frozen_dataset(tables, "run-1", a_photo(1), a_photo(2))
    manifest = Manifest(dataset_id, "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), (a_photo(1), a_photo(2)))
    made = a_dataset(id=dataset_id, run_id="run-1")
    tables.erasures.record(Erased("TASK-00001", (), "kim", "asked by the customer", NOW))
    with pytest.raises(PhotosErased, match=f"1 photos of {dataset_id} were erased while it was made"):
        tables.datasets.finish(made, manifest)
    assert tables.datasets.finished_sha256(dataset_id) is None
    tables.datasets.finish(made, manifest.without("TASK-00001"))
    assert tables.datasets.finished_sha256(dataset_id) == made.sha256


@pytest.mark.integration
def test_an_erasure_waits_for_the_dataset_that_is_being_frozen(services):
    tables, row = Tables(services.mlops), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    erasing = threading.Thread(
        target=tables.erasures.record, args=(Erased("TASK-00001", (), "kim", "asked by the customer", NOW),)
    )
    with services.mlops.transaction() as freezing:
        wait_for_erasures(freezing)
        erasing.start()

        def waits():
            with services.mlops.transaction() as cursor:
                cursor.execute(row)
                return cursor.fetchone() == (1,)

        until(waits, "the erasure to wait")
        assert list(tables.erasures.all()) == []
    erasing.join(60)
    assert [e.task_id for e in tables.erasures.all()] == ["TASK-00001"]


@pytest.mark.integration
def test_freezing_waits_for_whoever_takes_the_selection_away(services):
    tables, row = Tables(services.mlops), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    dataset_id = tables.datasets.begin("run-1", LAUNDRY)
    manifest = Manifest(dataset_id, "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), (a_photo(1),))
    freezing = threading.Thread(target=tables.datasets.freeze, args=(dataset_id, manifest, "1" * 64))

    def waits():
        with services.mlops.transaction() as cursor:
            cursor.execute(row)
            return cursor.fetchone() == (1,)

    with tables.datasets.unfrozen(dataset_id) as unfrozen:
        assert unfrozen
        freezing.start()
        until(waits, "freezing to wait")
    freezing.join(60)
    with tables.datasets.unfrozen(dataset_id) as unfrozen:
        assert not unfrozen


@pytest.mark.integration
def test_no_field_of_a_confirmation_brings_the_address_of_an_erased_photo_back(services):
    tables, row = Tables(services.mlops), "SELECT photo_url, extra FROM task_confirmations ORDER BY key"
    unknown = {"blindAudit": True, "thumbnail": "s3://tasks/small.jpg"}
    tables.confirmations.store([an_event("before", task_id="TASK-00001", extra=unknown)])
    tables.erasures.record(Erased("TASK-00001", (), "kim", "asked by the customer", NOW))
    tables.erasures.anonymise("TASK-00001")
    tables.confirmations.store([an_event("late", task_id="TASK-00001", extra=unknown)])
    with services.mlops.transaction() as cursor:
        cursor.execute(row)
        assert cursor.fetchall() == [("", {"blindAudit": True})] * 2


def test_a_manifest_that_lost_a_photo_is_frozen_anew(tables):
    dataset_id = a_frozen_dataset(tables, "one", a_photo(1))
    manifest = Manifest(dataset_id, "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), ())
    tables.erasures.replace_manifest(dataset_id, manifest, "2" * 64)
    assert tables.datasets.frozen_sha256(dataset_id) == "2" * 64


@pytest.mark.integration
def test_every_verdict_on_a_holdout_counts_as_a_use(services):
    tables = Tables(services.mlops)
    one, two = a_frozen_dataset(tables, "one", *held(1)), a_frozen_dataset(tables, "two", *held(2))
    for run_id, dataset_id in (("one", one), ("two", two), ("two", two)):
        judged(tables, run_id, dataset_id)
    assert tables.datasets.holdout_uses(LAUNDRY, ["TASK-00001", "TASK-00002"]) == 2
    assert tables.datasets.holdout_uses(LAUNDRY, ["TASK-00002"]) == 1
    assert tables.datasets.holdout_uses(LAUNDRY, ["TASK-404"]) == 0
    judged(tables, "retry-of-two", two)
    assert tables.datasets.holdout_uses(LAUNDRY, ["TASK-00002"]) == 2


@pytest.mark.integration
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM holdout_photos",
        "UPDATE holdout_photos SET version = 9, sha256 = ''",
        "TRUNCATE holdout_photos",
        "TRUNCATE datasets CASCADE",
    ],
)
def test_postgres_itself_lets_the_holdout_only_grow(services, change):
    tables = Tables(services.mlops)
    a_frozen_dataset(tables, "one", *held(1))
    with pytest.raises(psycopg2.errors.RaiseException, match="append-only"), services.owner.transaction() as cursor:
        cursor.execute(change)


def test_a_completed_dataset_is_read_back_with_its_counts(tables):
    dataset = a_completed_dataset(tables)
    assert tables.datasets.get(dataset.id) == dataset


def test_a_dataset_stays_with_the_run_that_made_it_whoever_completes_it_again(tables):
    dataset = a_completed_dataset(tables)
    tables.datasets.complete(dataclasses.replace(dataset, run_id="retry-of-run-1"))
    assert tables.datasets.get(dataset.id) == dataset


@pytest.mark.parametrize("through", [NOW + timedelta(hours=1), None], ids=["a later one", "none"])
def test_of_a_dataset_that_is_not_frozen_the_last_try_says_which_word_is_in_it(tables, through):
    dataset = a_dataset(id=tables.datasets.begin("run-1", FACE), model_type=FACE)
    tables.datasets.complete(dataset)
    tables.datasets.complete(dataclasses.replace(dataset, corrections_through=through))
    assert tables.datasets.get(dataset.id).corrections_through == through


def test_a_dataset_is_finished_when_it_is_complete(tables):
    dataset_id = tables.datasets.begin("run-0", LAUNDRY)
    assert tables.datasets.finished_sha256(dataset_id) is None
    assert tables.datasets.finished_sha256("DS-404") is None
    dataset = a_completed_dataset(tables)
    assert tables.datasets.finished_sha256(dataset.id) == dataset.sha256


def test_an_incomplete_dataset_cannot_be_used(tables):
    with pytest.raises(GiveUp, match="unknown or not complete"):
        tables.datasets.get(tables.datasets.begin("run-1", LAUNDRY))


# Training


def test_the_first_result_of_a_run_stands(tables):
    dataset = a_completed_dataset(tables)
    result = a_training_result("run-1", dataset_id=dataset.id)
    assert tables.training.result("run-1") is None
    tables.training.record("run-1", dataset.id, Attempt(1, Hyperparameters(), "diverged", "NaN", "rate / 10"))
    tables.training.succeed(result)
    tables.training.succeed(dataclasses.replace(result, accuracy=0.1))
    assert tables.training.result("run-1") == result


def test_attempts_come_back_oldest_first_with_the_newest_word_on_each(tables):
    dataset, training = a_completed_dataset(tables), tables.training
    assert training.attempts("run-1") == []
    second = Attempt(2, Hyperparameters(batch_size=16, accumulation=2), RUNNING)
    training.record("run-1", dataset.id, second)
    training.record("run-1", dataset.id, Attempt(1, Hyperparameters(), RUNNING))
    first = Attempt(1, Hyperparameters(), "out_of_memory", "killed", "batch size 32 → 16")
    training.record("run-1", dataset.id, first)
    assert training.attempts("run-1") == [first, second]
    assert training.attempts("run-2") == []
    training.forget("run-1")
    assert training.attempts("run-1") == []


def test_a_dataset_knows_every_run_that_was_trained_on_it_or_tried_to(tables):
    dataset, training = a_completed_dataset(tables), tables.training
    assert training.on(dataset.id) == []
    for run_id in ("run-1", "retry-of-run-1", "a-third"):
        training.record(run_id, dataset.id, Attempt(1, Hyperparameters(), RUNNING))
    training.record("run-1", dataset.id, Attempt(2, Hyperparameters(), RUNNING))
    training.succeed(a_training_result("run-1", dataset_id=dataset.id))
    assert training.on(dataset.id) == ["run-1", "retry-of-run-1", "a-third"]
    training.forget("a-third")
    assert set(training.on(dataset.id)) == {"run-1", "retry-of-run-1", "a-third"}, "its pictures are in the tracker"


def test_a_run_that_begins_anew_on_another_dataset_is_known_to_both(tables):
    first, training = a_completed_dataset(tables), tables.training
    second = a_completed_dataset(tables, run_id="run-2")
    training.record("retry", first.id, Attempt(1, Hyperparameters(), RUNNING))
    for _ in range(2):
        training.forget("retry")
        training.record("retry", second.id, Attempt(1, Hyperparameters(), RUNNING))
    assert [training.on(one.id) for one in (first, second)] == [["retry"], ["retry"]]


def test_one_process_trains_a_run_the_second_is_told_to_come_back(tables):
    with tables.training.exclusive("run-1"):
        with (
            pytest.raises(RunBusy, match="run-1 is being trained by another process"),
            tables.training.exclusive("run-1"),
        ):
            pytest.fail("both train")
        with tables.training.exclusive("run-2"):
            pass
    with tables.training.exclusive("run-1"):
        pass


# Verification


def test_checks_are_replaced_part_by_part_until_there_is_a_verdict(tables):
    def check(value):
        return Check("holdout_accuracy", Outcome.PASSED, value, 0.88, 40, f"holdout {value}", "v1.0.0")

    tables.checks.save("run-1", "accuracy", [check(0.9)])
    tables.checks.save("run-1", "accuracy", [check(0.95)])
    tables.blessings.grant(a_blessing(), None)
    tables.checks.save("run-1", "accuracy", [check(0.1)])
    assert list(tables.checks.of("run-1")) == [check(0.95)]


def test_a_verdict_and_its_event_are_given_once(tables):
    tables.blessings.grant(a_blessing(), EVENT)
    tables.blessings.grant(a_blessing(accepted=True, reasons=()), dataclasses.replace(EVENT, id="event-2"))
    assert tables.blessings.of_run("run-1") == a_blessing()
    assert list(tables.outbox.pending()) == [EVENT]


def test_a_persons_word_stands_beside_the_verdict_and_the_first_one_counts(tables):
    tables.blessings.grant(a_blessing(), None)
    first = Override("run-1", OverrideKind.FORCED, "kim", "심각한 오류를 고치려고", NOW)
    tables.blessings.override(first)
    tables.blessings.override(dataclasses.replace(first, actor="lee"))
    assert tables.blessings.of_run("run-1") == a_blessing(override=first)


# Versions


def test_a_run_has_one_version_and_the_newest_comes_first(tables):
    versions(tables, "v1.9.0", "v1.10.0", "v1.2.0")
    again = tables.versions.register(a_model_version("v9.9.9", run_id="run-of-v1.2.0"))
    assert again.version == "v1.2.0"
    # Of the same data as v1.2.0, made after the others.
    later = NOW + timedelta(days=1)
    tables.versions.register(a_model_version("v1.2.1", run_id="another", dataset_id=again.dataset_id, trained_at=later))
    assert [v.version for v in tables.versions.all(LAUNDRY)] == ["v1.2.1", "v1.10.0", "v1.9.0", "v1.2.0"]
    assert tables.versions.all(FACE) == []


def test_an_unknown_version_is_named(tables):
    with pytest.raises(UnknownVersion, match="v3.0.0"):
        tables.versions.get(LAUNDRY, "v3.0.0")


def test_until_when_a_version_has_learned_is_when_the_corrections_of_its_dataset_end(tables):
    versions(tables, "v1.0.0")
    assert tables.versions.learned_until(LAUNDRY, "v1.0.0") == NOW
    assert tables.versions.learned_until(FACE, "v1.0.0") is None
    assert tables.versions.learned_until(LAUNDRY, "v3.0.0") is None


# Watermarks


def store(tables, count, confirmed_at, start=0):
    tables.confirmations.store([an_event(f"c{start + n}", confirmed_at=confirmed_at) for n in range(count)])


@pytest.mark.integration
def test_corrections_are_consumed_by_promotion_alone_and_tried_by_any_verdict(services):
    """A refusal leaves the corrections waiting, but the same ones are not tried again (design D15)."""
    tables = Tables(services.mlops)
    store(tables, 3, NOW - timedelta(hours=1))
    dataset = a_completed_dataset(tables, "refused")
    backlog = tables.confirmations.backlog(LAUNDRY, None)
    assert (backlog.corrections, backlog.since_last_try) == (3, 3)
    judged(tables, "refused", dataset.id)
    backlog = tables.confirmations.backlog(LAUNDRY, None)
    assert (backlog.corrections, backlog.since_last_try) == (3, 0)
    store(tables, 2, NOW + timedelta(hours=1), start=10)
    assert tables.confirmations.backlog(LAUNDRY, None).since_last_try == 2
    judged(tables, "promoted", dataset.id, accepted=True)
    tables.versions.register(a_model_version("v1.0.0", run_id="promoted", dataset_id=dataset.id))
    # The champion's dataset saw corrections up to NOW: two came later. Of a version nobody knows nothing is consumed.
    assert tables.confirmations.backlog(LAUNDRY, "v1.0.0").corrections == 2
    assert tables.confirmations.backlog(LAUNDRY, "v9.9.9").corrections == 5


@pytest.mark.integration
def test_the_verdict_on_a_retry_counts_as_a_try_of_the_dataset_that_another_run_made(services):
    tables = Tables(services.mlops)
    store(tables, 3, NOW - timedelta(hours=1))
    dataset = a_completed_dataset(tables, "could-not-be-trained")
    assert tables.confirmations.backlog(LAUNDRY, None).since_last_try == 3
    store(tables, 2, NOW - timedelta(hours=1), start=10)
    judged(tables, "retry", dataset.id)
    # Those that came after the dataset was begun were tried by nobody.
    assert tables.confirmations.backlog(LAUNDRY, None).since_last_try == 2


def vain(tables):
    found = tables.confirmations.backlog(LAUNDRY, None).in_vain
    return (found.run_id, found.outcome, found.new_since) if found else None


@pytest.mark.integration
def test_the_last_run_that_ended_without_a_verdict_is_a_try_until_the_next_verdict(services):
    tables, now = Tables(services.mlops), datetime.now(UTC)
    store(tables, 3, NOW - timedelta(hours=1))
    tables.runs.begin("first", LAUNDRY, at=now + timedelta(hours=1))
    assert vain(tables) is None
    tables.runs.end("first", at=now + timedelta(hours=2), outcome="failed")
    tables.runs.begin("face", FACE, at=now + timedelta(hours=2))
    tables.runs.end("face", at=now + timedelta(hours=2), outcome="failed")
    assert vain(tables) == ("first", "failed", 0)
    tables.runs.begin("second", LAUNDRY, at=now - timedelta(hours=1))
    tables.runs.end("second", at=now, outcome="released by kim: dead")
    assert vain(tables) == ("first", "failed", 0)
    dataset = a_completed_dataset(tables, "judged")
    judged(tables, "judged", dataset.id, decided_at=now + timedelta(hours=3))
    assert vain(tables) is None
    tables.runs.begin("third", LAUNDRY, at=now + timedelta(hours=4))
    tables.runs.end("third", at=now + timedelta(hours=5), outcome="failed")
    assert vain(tables) == ("third", "failed", 0)


@pytest.mark.integration
def test_what_came_since_a_try_in_vain_is_counted(services):
    tables = Tables(services.mlops)
    tables.runs.begin("first", LAUNDRY, at=datetime.now(UTC) - timedelta(hours=1))
    tables.runs.end("first", at=datetime.now(UTC), outcome="failed")
    store(tables, 3, NOW)
    assert vain(tables) == ("first", "failed", 3)


def test_a_claim_says_when_its_process_was_heard_of_and_nothing_of_an_earlier_one(tables):
    with tables.runs.attended("run-1") as attendance:
        assert not attendance.lives(at=NOW)
        tables.runs.begin("run-1", LAUNDRY, at=NOW, by="command line")
        assert tables.runs.claim(LAUNDRY).seen_at is None
        assert attendance.lives(at=NOW + timedelta(minutes=1))
        assert tables.runs.claim(LAUNDRY) == Claim("run-1", NOW, "command line", NOW + timedelta(minutes=1))
        tables.runs.end("run-1", at=NOW, outcome="failed")
        assert not attendance.lives(at=NOW)
    assert tables.runs.begin("run-1", LAUNDRY, at=NOW) and tables.runs.claim(LAUNDRY).seen_at is None


def test_a_claim_says_who_began_its_run_also_when_it_goes_on(tables):
    tables.runs.begin("run-1", LAUNDRY, at=NOW, by="a dag")
    assert tables.runs.claim(LAUNDRY) == Claim("run-1", NOW, "a dag")
    tables.runs.end("run-1", at=NOW, outcome="held")
    tables.runs.begin("run-1", LAUNDRY, at=NOW + timedelta(hours=1))
    assert tables.runs.claim(LAUNDRY) == Claim("run-1", NOW + timedelta(hours=1), "a dag")


def test_one_process_works_at_a_run_by_hand_the_second_is_told_to_come_back(tables):
    tables.runs.begin("run-1", LAUNDRY, at=NOW, by="command line")
    with tables.runs.attended("run-1") as attendance:
        with pytest.raises(RunBusy, match="another process works at run run-1"), tables.runs.attended("run-1"):
            pytest.fail("both work")
        with tables.runs.attended("run-2"):
            assert attendance.lives(at=NOW)
    with tables.runs.attended("run-1"):
        pass


def lose_the_session(tables):
    """As when the database is restarted."""
    if isinstance(tables, Fakes):
        tables.runs.at_work.clear()
        return
    with tables.database.transaction() as cursor:
        # Waited for, so that the lock is free afterwards.
        cursor.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'")


def test_a_process_whose_session_broke_goes_on_unless_another_one_took_the_run_meanwhile(tables):
    def heard_of(attendance):
        # The first word is what meets the broken session.
        with suppress(ServiceUnavailable):
            return attendance.lives(at=NOW)
        return attendance.lives(at=NOW)

    tables.runs.begin("run-1", LAUNDRY, at=NOW, by="command line")
    with tables.runs.attended("run-1") as first:
        lose_the_session(tables)
        assert heard_of(first)
        with pytest.raises(RunBusy), tables.runs.attended("run-1"):
            pytest.fail("both work")
        lose_the_session(tables)
        with tables.runs.attended("run-1") as second:
            assert heard_of(second) and not heard_of(first)
