"""The fake and the table of confirmations about faces, through the same cases."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.adapters.erasure_table import ErasureTable
from pipeline.adapters.face_confirmation_table import FaceConfirmationTable
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.faces.live import FaceTally
from pipeline.domain.lineage import Erased
from tests.builders import NOW, a_face_confirmation
from tests.fakes.data import FakeDatasets, FakeErasures
from tests.fakes.faces import FakeFaceConfirmations

KIM, LEE = person_key("kim"), person_key("lee")
EVER = NOW - timedelta(days=9), NOW + timedelta(days=9)


class Fakes:
    def __init__(self):
        datasets = FakeDatasets()
        self.erasures, self.said = FakeErasures(datasets), FakeFaceConfirmations(datasets)


class Tables:
    def __init__(self, database):
        self.erasures, self.said = ErasureTable(database), FaceConfirmationTable(database)


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
            st.sampled_from(["kim", "lee"]),
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
            **({} if accepted else {"ai_result": "different", "score": 0.1}),
        )
        for number, (check, minute, accepted, word, name) in enumerate(said)
    ]
    assert table.store(words) == fake.store(words)
    assert list(table.tallies(*EVER)) == list(fake.tallies(*EVER))
