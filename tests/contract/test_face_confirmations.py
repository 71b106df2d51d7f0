"""The fake and the table of confirmations about faces, through the same cases."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.erasure_table import ErasureTable
from pipeline.adapters.face_confirmation_table import FaceConfirmationTable
from pipeline.adapters.retraining_run_table import RetrainingRunTable
from pipeline.adapters.version_table import VersionTable
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.faces.live import FaceTally
from pipeline.domain.lineage import Erased
from pipeline.domain.models import ModelType
from tests.builders import NOW, a_blessing, a_dataset, a_face_confirmation, a_model_version
from tests.fakes.data import FakeDatasets, FakeErasures
from tests.fakes.faces import FakeFaceConfirmations

FACE = ModelType.FACE
KIM, LEE = person_key("kim"), person_key("lee")
EVER = NOW - timedelta(days=9), NOW + timedelta(days=9)


class Fakes:
    def __init__(self):
        datasets = FakeDatasets()
        self.erasures, self.said = FakeErasures(datasets), FakeFaceConfirmations(datasets)

    def kept(self):
        return {(one.check_id, one.photo_url, one.correction_reason, *one.extra) for one in self.said.stored.values()}


class Tables:
    def __init__(self, database):
        self.erasures, self.said = ErasureTable(database), FaceConfirmationTable(database)
        self.database = database

    def kept(self):
        with self.database.transaction() as cursor:
            cursor.execute("SELECT check_id, photo_url, correction_reason, extra FROM face_confirmations")
            return {(check, url, reason, *extra) for check, url, reason, extra in cursor.fetchall()}


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.integration)])
def tables(request):
    if request.param == "fake":
        return Fakes()
    return Tables(request.getfixturevalue("services").mlops)


def test_a_confirmation_is_stored_once(tables):
    one, other = a_face_confirmation("1"), a_face_confirmation("2", extra={"branchId": "강남점"})
    first, again = tables.said.store([one, one]), tables.said.store([other, one])
    assert (first.new, first.duplicates, again.new, again.duplicates) == (1, 1, 1, 1)
    assert tables.said.store([]).new == 0


def test_checks_are_counted_by_version_and_person_as_the_last_word_has_them(tables):
    wrong = {"ai_result": "different", "score": 0.2}
    tables.said.store(
        [
            a_face_confirmation("1"),
            a_face_confirmation("2", **wrong),
            a_face_confirmation("3", final_result="different"),
            a_face_confirmation("4", "lee", final_result="different", **wrong),
            a_face_confirmation("5", model_version="v1.1.0"),
            a_face_confirmation(
                "6", check_id="CHECK-5", model_version="v1.1.0", confirmed_at=NOW + timedelta(seconds=1)
            ),
        ]
    )
    assert set(tables.said.tallies(*EVER)) == {
        FaceTally("v1.0.0", KIM, genuine=2, refused=1, accepted=2, wrong=1),
        FaceTally("v1.0.0", LEE, genuine=0, refused=0, accepted=0, wrong=0),
        FaceTally("v1.1.0", KIM, genuine=1, refused=0, accepted=1, wrong=0),
    }


def test_who_was_sought_among_all_counts_where_somebody_said_who_it_was(tables):
    sought, shut = {"claimed": False, "final_result": "different"}, {"ai_result": "different", "score": 0.2}
    tables.said.store(
        [
            a_face_confirmation("1", **sought, **shut, shown=LEE),
            a_face_confirmation("2", **sought, shown=LEE),
            a_face_confirmation("3", **sought, **shut),
            a_face_confirmation("4", "lee", claimed=False),
            a_face_confirmation("5", "lee", claimed=False, **shut),
            # Whoever uses another one's card is no right person at the door.
            a_face_confirmation("6", final_result="different", shown=LEE),
        ]
    )
    assert set(tables.said.tallies(*EVER)) == {
        FaceTally("v1.0.0", KIM, genuine=0, refused=0, accepted=2, wrong=2),
        FaceTally("v1.0.0", LEE, genuine=0, refused=0, accepted=1, wrong=0, sought=4, unnamed=2, misnamed=1),
    }
    backlog = tables.said.backlog(FACE, None)
    assert (backlog.corrections, backlog.people) == (4, 2), "the unnamed one is a correction about whoever stood there"


def test_nothing_stays_of_who_stood_there_either(tables):
    word = {"final_result": "different", "shown": LEE}
    tables.said.store([a_face_confirmation("1", **word), a_face_confirmation("2")])
    tables.erasures.record(Erased(LEE, (), "kim", "withdrew", NOW))
    assert tables.said.forget(LEE) == 1
    assert tables.said.store([a_face_confirmation("3", **word)]).new == 0


def test_a_check_counts_in_the_time_of_its_last_word(tables):
    later = NOW + timedelta(hours=1)
    tables.said.store([a_face_confirmation("1"), a_face_confirmation("2", check_id="CHECK-1", confirmed_at=later)])
    for since, until, checks in ((NOW - timedelta(1), NOW, 0), (NOW, later, 1), (later, later + timedelta(1), 0)):
        assert sum(one.genuine for one in tables.said.tallies(since, until)) == checks


def test_nothing_stays_and_nothing_comes_of_who_was_erased(tables):
    tables.said.store([a_face_confirmation("1"), a_face_confirmation("2", "lee"), a_face_confirmation("3")])
    tables.erasures.record(Erased(KIM, (), "kim", "withdrew", NOW))
    assert (tables.said.forget(KIM), tables.said.forget(KIM)) == (2, 0)
    assert tables.said.store([a_face_confirmation("4"), a_face_confirmation("5", "lee")]).new == 1
    assert [one.person for one in tables.said.tallies(*EVER)] == [LEE]


def test_nothing_of_an_erased_check_comes_back_with_a_later_word(tables):
    tables.erasures.record(Erased("CHECK-1", (), "kim", "asked", NOW))
    told = {"correction_reason": "it was my twin", "extra": {"camera": "2"}}
    tables.said.store([a_face_confirmation("1", **told), a_face_confirmation("2", **told)])
    other = ("CHECK-2", "s3://tasks/CHECK-2.jpg", "it was my twin", "camera")
    assert tables.kept() == {("CHECK-1", "", None), other}


def test_corrections_wait_by_the_last_word_and_people_are_counted_once(tables):
    wrong = {"final_result": "different"}
    tables.said.store([a_face_confirmation(f"{n}", "kim", **wrong) for n in range(3)])
    tables.said.store([a_face_confirmation("3", "lee", **wrong), a_face_confirmation("4", "park")])
    later = NOW + timedelta(seconds=1)
    tables.said.store([a_face_confirmation("5", "lee", check_id="CHECK-3", confirmed_at=later)])
    backlog = tables.said.backlog(FACE, None)
    assert (backlog.corrections, backlog.since_last_try, backlog.people) == (3, 3, 1)


def judged(services, run_id, through, at, version=None):
    """A run's dataset with confirmations up to `through`, its verdict and its version."""
    datasets = DatasetTable(services.mlops)
    dataset_id = datasets.begin(run_id, FACE)
    datasets.complete(a_dataset(id=dataset_id, run_id=run_id, model_type=FACE, corrections_through=through))
    BlessingTable(services.mlops).grant(a_blessing(run_id, model_type=FACE, decided_at=at), None)
    if version:
        made = a_model_version(version, run_id=run_id, dataset_id=dataset_id, model_type=FACE)
        VersionTable(services.mlops).register(made)


@pytest.mark.integration
def test_corrections_are_consumed_by_the_champions_dataset_and_tried_by_any_that_asked_doors(services):
    said = FaceConfirmationTable(services.mlops)
    wrong = [a_face_confirmation(f"{n}", f"guest-{n}", final_result="different") for n in range(3)]
    said.store(wrong)
    judged(services, "by-hand", None, NOW, "v1.0.0")
    first = said.backlog(FACE, "v1.0.0")
    assert (first.corrections, first.since_last_try, first.people, first.last_trained_at) == (3, 3, 3, NOW)
    later = NOW + timedelta(hours=1)
    judged(services, "refused", NOW, later)
    second = said.backlog(FACE, "v1.0.0")
    assert (second.corrections, second.since_last_try, second.last_trained_at) == (3, 0, later)
    judged(services, "deployed", NOW, later, "v1.1.0")
    said.store([a_face_confirmation("9", confirmed_at=later, final_result="different")])
    assert (said.backlog(FACE, "v1.1.0").corrections, said.backlog(FACE, "v1.1.0").people) == (1, 1)
    assert said.backlog(FACE, "v1.0.0").corrections == 4, "what went back to it waits again"


@pytest.mark.integration
def test_a_run_that_came_to_no_verdict_is_a_try_until_the_next_one(services):
    said, runs, now = FaceConfirmationTable(services.mlops), RetrainingRunTable(services.mlops), datetime.now(UTC)
    said.store([a_face_confirmation("1", final_result="different")])
    runs.begin("vain", FACE, at=now - timedelta(hours=1))
    assert said.backlog(FACE, None).in_vain is None
    runs.end("vain", at=now, outcome="failed")
    vain = said.backlog(FACE, None).in_vain
    assert (vain.run_id, vain.outcome, vain.new_since) == ("vain", "failed", 1)
    BlessingTable(services.mlops).grant(a_blessing("next", model_type=FACE, decided_at=now), None)
    assert said.backlog(FACE, None).in_vain is None


@pytest.mark.integration
def test_of_a_photo_that_is_erased_nothing_stays_and_its_check_counts_on(services):
    tables = Tables(services.mlops)
    said = a_face_confirmation("1", final_result="different", correction_reason="twins", extra={"camera": "2"})
    tables.said.store([said])
    before = list(tables.said.tallies(*EVER))
    assert [tables.erasures.anonymise(said.check_id)["face_confirmations"] for _ in range(2)] == [1, 0]
    with services.mlops.transaction() as cursor:
        cursor.execute("SELECT photo_url, correction_reason, extra FROM face_confirmations")
        assert cursor.fetchall() == [("", None, {})]
    assert list(tables.said.tallies(*EVER)) == before


@pytest.mark.integration
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 3), st.booleans(), st.sampled_from(["same", "different"]),
            st.sampled_from(["kim", "lee"]), st.booleans(), st.booleans(),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_whatever_is_said_both_count_the_same(services, said):
    fake, table = FakeFaceConfirmations(), FaceConfirmationTable(services.mlops)
    for person in (KIM, LEE):
        table.forget(person)
    words = [
        a_face_confirmation(
            f"{number}",
            name,
            check_id=f"C-{check}",
            confirmed_at=NOW + timedelta(minutes=minute),
            final_result=word,
            claimed=claimed,
            shown=(LEE if name == "kim" else KIM) if instead and word == "different" else None,
            **({} if accepted else {"ai_result": "different", "score": 0.1}),
        )
        for number, (check, minute, accepted, word, name, claimed, instead) in enumerate(said)
    ]
    assert table.store(words) == fake.store(words)
    assert list(table.tallies(*EVER)) == list(fake.tallies(*EVER))
    assert table.backlog(FACE, None).people == fake.backlog(FACE, None).people
