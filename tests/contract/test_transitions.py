"""The log of transitions, fake and PostgreSQL, through the same cases: one ledger a model type, appended to by one."""

import dataclasses
from contextlib import ExitStack
from datetime import timedelta

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as HP
from hypothesis import strategies as st

from pipeline.adapters.transition_log import TransitionLog
from pipeline.domain.blessing import Override, OverrideKind
from pipeline.domain.errors import StaleTransition
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType, Status
from pipeline.domain.outgoing_events import OutgoingEvent, RollbackIncompleteEvent
from pipeline.domain.transitions import (
    Archive,
    By,
    CanaryAbort,
    CanaryStart,
    ChampionChange,
    Entry,
    FreezeCleared,
    Kind,
    Phase,
    Restore,
)
from tests.builders import NOW
from tests.contract.test_tables import Fakes, Tables, a_blessing, versions
from tests.histories import a_history

LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE
LIFE = (
    *("promote v1.0.0", "promote v1.1.0", "try v1.2.0", "abort v1.2.0", "roll back v1.0.0", "archive v1.1.0"),
    *("try v1.3.0", "promote canary v1.3.0", "take down to v1.0.0", "clear freeze v1.0.0", "restore v1.1.0"),
)
NUMBERS = ("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0")


class FakeLog(Fakes):
    def empty(self):
        self.transitions.ledgers.clear()

    def edit(self, version, **columns):
        row = self.versions.rows[LAUNDRY, version]
        self.versions.rows[LAUNDRY, version] = dataclasses.replace(row, **columns)


class RealLog(Tables):
    def __init__(self, services):
        super().__init__(services.mlops)
        self.owner = services.owner

    def empty(self):
        with self.owner.transaction() as cursor:
            cursor.execute("ALTER TABLE transitions DISABLE TRIGGER never_emptied; TRUNCATE transitions")
            cursor.execute("ALTER TABLE transitions ENABLE TRIGGER never_emptied")

    def edit(self, version, **columns):
        with self.database.transaction() as cursor:
            for name, value in columns.items():
                cursor.execute(f"UPDATE model_versions SET {name} = %s WHERE version = %s", (value, version))


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.integration)])
def tables(request):
    return FakeLog() if request.param == "fake" else RealLog(request.getfixturevalue("services"))


def an_event(number):
    return OutgoingEvent(f"event-{number}", "ModelDeployedEvent", {"reason": "더 정확함"})


def append(tables, *entries, events=()):
    return tables.transitions.append(tables.transitions.ledger(entries[0].act.model_type), *entries, events=events)


def tell(tables, *acts):
    """The acts one by one, as `a_history` tells them; the ledger then."""
    for entry in a_history(*acts).entries[tables.transitions.ledger(LAUNDRY).position :]:
        append(tables, entry)
    return tables.transitions.ledger(LAUNDRY)


def statuses(tables):
    return {row.version: row.status for row in tables.versions.all(LAUNDRY)}


# One ledger, one writer


def test_a_model_type_nothing_happened_to_has_an_empty_ledger(tables):
    assert tables.transitions.ledger(FACE) == Ledger(FACE)


def test_of_two_who_decided_on_the_same_ledger_one_wins_and_of_the_other_nothing_is_kept(tables):
    versions(tables, *NUMBERS)
    seen = tell(tables, "promote v1.0.0")
    one, other = (a_history("promote v1.0.0", act).entries[-1] for act in ("promote v1.1.0", "promote v1.2.0"))
    other = dataclasses.replace(other, act=dataclasses.replace(other.act, id="of the other"))
    won = tables.transitions.append(seen, one, events=[an_event(1)])
    rows = statuses(tables)
    with pytest.raises(StaleTransition, match="meanwhile"):
        tables.transitions.append(seen, other, events=[an_event(2)])
    assert tables.transitions.ledger(LAUNDRY) == won
    assert won.champion == "v1.1.0"
    assert statuses(tables) == rows
    assert list(tables.outbox.pending()) == [an_event(1)]


def test_even_an_intent_is_stale_on_an_older_ledger(tables):
    tell(tables, "promote v1.0.0")
    intent = dataclasses.replace(a_history("promote v1.1.0").entries[0], phase=Phase.REQUESTED)
    with pytest.raises(StaleTransition):
        tables.transitions.append(Ledger(LAUNDRY), intent)
    assert tables.transitions.ledger(LAUNDRY).position == 1


def test_an_act_comes_true_once(tables):
    ledger = tell(tables, "promote v1.0.0")
    with pytest.raises(StaleTransition):
        tables.transitions.append(ledger, ledger.entries[0], events=[an_event(1)])
    assert tables.transitions.ledger(LAUNDRY) == ledger
    assert list(tables.outbox.pending()) == []


def test_what_happens_to_one_model_type_is_nothing_to_the_other(tables):
    laundry = tell(tables, "promote v1.0.0")
    act = ChampionChange("of faces", FACE, "v1.0.0", By("kim", "first", "run-2"), NOW, Kind.PROMOTE, None)
    face = append(tables, Entry(Phase.SERVED, act, NOW))
    assert tables.transitions.ledger(LAUNDRY) == laundry
    assert tables.transitions.ledger(FACE) == face == Ledger(FACE, (Entry(Phase.SERVED, act, NOW),))


def test_several_entries_and_their_events_come_together(tables):
    served = a_history("promote v1.0.0").entries[0]
    incomplete = Entry(Phase.INCOMPLETE, served.act, served.at, "replica-2 does not answer")
    after = append(tables, served, incomplete, events=[an_event(1), an_event(2)])
    assert tables.transitions.ledger(LAUNDRY) == after
    assert after.incomplete == incomplete
    assert list(tables.outbox.pending()) == [an_event(1), an_event(2)]


# What was forced has its override beside the verdict

FORCED = ChampionChange("forced", LAUNDRY, "v1.0.0", By("kim", "drill", "run-2"), NOW, Kind.FORCED, None, "blessing-1")
SAID = Override("run-1", OverrideKind.FORCED, "kim", "drill", NOW)


def judged(tables, *overrides):
    tables.blessings.grant(a_blessing(id="blessing-1", run_id="run-1"), None)
    for override in overrides:
        tables.blessings.override(override)


def override(tables):
    return tables.blessings.of_run("run-1").override


@pytest.mark.parametrize("phase", [Phase.REQUESTED, Phase.UNCONFIRMED, Phase.FAILED])
def test_a_force_that_was_only_tried_leaves_no_override(tables, phase):
    judged(tables)
    append(tables, Entry(phase, FORCED, NOW))
    assert override(tables) is None


def test_one_that_serves_has_its_override_with_the_entry_and_it_stays_the_first(tables):
    judged(tables)
    append(tables, Entry(Phase.REQUESTED, FORCED, NOW), Entry(Phase.SERVED, FORCED, NOW))
    again = dataclasses.replace(FORCED, id="again", by=By("lee", "once more", "run-3"))
    append(tables, Entry(Phase.SERVED, again, NOW))
    assert override(tables) == SAID


def test_a_persons_approval_before_stays_what_it_was(tables):
    judged(tables, approved := dataclasses.replace(SAID, kind=OverrideKind.APPROVED))
    append(tables, Entry(Phase.SERVED, FORCED, NOW))
    assert override(tables) == approved


def test_a_force_overrules_what_another_person_refused_and_no_later_word_overrules_it(tables):
    judged(tables, refused := Override("run-1", OverrideKind.REFUSED, "lee", "looks wrong", NOW - timedelta(days=1)))
    assert override(tables) == refused
    append(tables, Entry(Phase.SERVED, FORCED, NOW))
    assert override(tables) == SAID
    tables.blessings.override(dataclasses.replace(refused, at=NOW + timedelta(days=1)))
    assert override(tables) == SAID and not tables.blessings.of_run("run-1").refused


def test_an_ordinary_promotion_overrides_nothing(tables):
    judged(tables)
    append(tables, Entry(Phase.SERVED, dataclasses.replace(FORCED, kind=Kind.PROMOTE), NOW))
    assert override(tables) is None


# A ledger comes back as it was written

WORDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=20)
# What people and replicas say: anything.
TEXTS = st.text(max_size=20) | st.sampled_from(["\0", "half \ud83d a pair"])
TIMES = st.datetimes(NOW.replace(tzinfo=None), timezones=st.just(NOW.tzinfo))
VERSIONS = st.sampled_from(NUMBERS)
ACT = {"id": WORDS, "model_type": st.sampled_from(ModelType), "version": VERSIONS}
ACT |= {"by": st.builds(By, TEXTS, TEXTS, WORDS), "at": TIMES}
BLESSING = st.none() | WORDS
CHANGES = sorted(set(Kind) - {a.kind for a in (CanaryStart, CanaryAbort, FreezeCleared, Archive, Restore)})
MADE = st.builds(
    ChampionChange, **ACT, kind=st.sampled_from(CHANGES), from_version=st.none() | VERSIONS, blessing_id=BLESSING
)
NOTES = st.one_of(
    st.builds(CanaryStart, **ACT, beside=VERSIONS, blessing_id=BLESSING),
    st.builds(CanaryAbort, **ACT, beside=VERSIONS, trial_id=WORDS),
    *(st.builds(kind, **ACT) for kind in (FreezeCleared, Archive, Restore)),
)
NOTED = (Phase.REQUESTED, Phase.UNCONFIRMED, Phase.FAILED, Phase.NOTED)
ENTRIES = st.lists(
    st.one_of(
        st.builds(Entry, st.sampled_from(sorted(set(Phase) - {Phase.NOTED})), MADE, TIMES, TEXTS),
        st.builds(Entry, st.sampled_from(NOTED), NOTES, TIMES, TEXTS),
    ),
    max_size=8,
    unique_by=lambda entry: (entry.phase, entry.act.id),
)


# Not shrunk: an example is seconds of database, and its few entries can be read as they are.
@settings(
    max_examples=25,
    deadline=None,
    phases=[HP.explicit, HP.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(entries=ENTRIES)
def test_every_act_and_phase_comes_back_as_it_was_written(tables, entries):
    tables.empty()
    for entry in entries:
        append(tables, entry)
    for model_type in ModelType:
        of_it = tuple(entry for entry in entries if entry.act.model_type is model_type)
        assert tables.transitions.ledger(model_type) == Ledger(model_type, of_it)


@pytest.mark.parametrize("said", ["refuses (INTERNAL: \0)", "half \ud83d a pair"])
def test_whatever_a_replica_answers_can_be_kept_and_told(tables, said):
    missing = RollbackIncompleteEvent(
        id="incomplete", model_type=LAUNDRY, model_version="v1.0.0", missing=(said,), at=NOW
    ).outgoing()
    served = a_history("promote v1.0.0").entries[0]
    after = append(tables, served, Entry(Phase.INCOMPLETE, served.act, NOW, said), events=[missing])
    assert tables.transitions.ledger(LAUNDRY) == after
    assert list(tables.outbox.pending()) == [missing]
    assert "?" in after.incomplete.detail and "?" in missing.payload["missing"][0]


# Rows of `model_versions`


def test_the_rows_follow_the_ledger_after_every_entry(tables):
    versions(tables, *NUMBERS)
    for end in range(1, len(LIFE) + 1):
        ledger = tell(tables, *LIFE[:end])
        for row in tables.versions.all(LAUNDRY):
            said = ledger.rows.get(row.version)
            found = (row.status, row.deployed_at, row.previous_version)
            assert found == (dataclasses.astuple(said) if said else (Status.CANDIDATE, None, None)), LIFE[:end]
        assert list(tables.transitions.project(LAUNDRY)) == []


def test_rows_that_were_edited_by_hand_are_found_and_put_right(tables):
    versions(tables, *NUMBERS)
    tell(tables, *LIFE[:6])
    right = list(tables.versions.all(LAUNDRY))
    tables.edit("v1.0.0", status=Status.RETIRED, deployed_at=NOW - timedelta(days=9))
    tables.edit("v1.1.0", status=Status.ACTIVE)
    tables.edit("v1.3.0", status=Status.CANARY, previous_version="v1.0.0")
    assert list(tables.transitions.project(LAUNDRY)) == ["v1.0.0", "v1.1.0", "v1.3.0"]
    assert list(tables.versions.all(LAUNDRY)) == right
    assert list(tables.transitions.project(LAUNDRY)) == []


def test_before_anything_happened_no_row_is_touched(tables):
    versions(tables, "v1.0.0")
    assert list(tables.transitions.project(LAUNDRY)) == []
    assert statuses(tables) == {"v1.0.0": Status.CANDIDATE}


# Locks


def test_changing_preparing_and_moving_files_wait_neither_for_each_other_nor_for_the_other_model_type(tables):
    transitions = tables.transitions
    with ExitStack() as held:
        for lock in (transitions.preparing, transitions.exclusive, transitions.moving_files):
            for model_type in ModelType:
                held.enter_context(lock(model_type))
    with transitions.exclusive(LAUNDRY), transitions.preparing(LAUNDRY), transitions.moving_files(LAUNDRY):
        pass


# What PostgreSQL alone has to keep


@pytest.mark.integration
@pytest.mark.parametrize(
    "change",
    ["DELETE FROM transitions", "UPDATE transitions SET to_version = 'v9.9.9'", "TRUNCATE transitions CASCADE"],
)
def test_the_log_refuses_to_be_changed(services, change):
    ledger = tell(RealLog(services), "promote v1.0.0")
    with pytest.raises(psycopg2.errors.RaiseException, match="append-only"), services.owner.transaction() as cursor:
        cursor.execute(change)
    assert TransitionLog(services.mlops).ledger(LAUNDRY) == ledger


@pytest.mark.integration
def test_entries_rows_and_events_are_one_transaction(services):
    """The last event cannot be written: nothing before it stays."""
    tables = RealLog(services)
    versions(tables, "v1.0.0")
    broken = OutgoingEvent(None, "ModelDeployedEvent", {})  # type: ignore[arg-type]
    with pytest.raises(psycopg2.errors.NotNullViolation):
        append(tables, a_history("promote v1.0.0").entries[0], events=[an_event(1), broken])
    assert tables.transitions.ledger(LAUNDRY) == Ledger(LAUNDRY)
    assert statuses(tables) == {"v1.0.0": Status.CANDIDATE}
    assert list(tables.outbox.pending()) == []
