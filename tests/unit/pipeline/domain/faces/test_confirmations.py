"""What a person's word on a face may look like on the wire, and what is kept of it."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.identification import threshold_among
from pipeline.domain.event_bounds import InvalidEvent
from pipeline.domain.events import TaskConfirmedEvent
from pipeline.domain.faces.confirmations import FaceConfirmation, parse_confirmation
from pipeline.domain.faces.dataset import person_key
from tests.builders import BUCKETS, NOW, event_body, event_fields, face_body, face_fields
from tests.corpus.json_values import ANY_JSON


def parse(body):
    return parse_confirmation(body, now=NOW, photo_buckets=BUCKETS)


def test_a_message_says_itself_which_model_it_is_about_and_an_old_one_is_about_laundry():
    assert type(parse(event_body())) is type(parse(event_body(modelType="LAUNDRY"))) is TaskConfirmedEvent
    assert type(parse(face_body())) is FaceConfirmation


def test_of_a_persons_name_only_a_hash_is_kept():
    said = parse(face_body(branchId="강남점"))
    assert (said.check_id, said.person, said.claimed) == ("TASK-12345", person_key("kim"), True)
    assert (said.ai_result, said.final_result, said.score, said.threshold) == ("same", "different", 0.75, 0.5)
    assert said.extra == {"branchId": "강남점"} and "kim" not in repr(said)


def test_a_check_without_a_claim_asked_who_it_is():
    for none in (..., None):
        assert parse(face_body(claimedIdentity=none)).claimed is False


def test_a_refusal_counts_where_the_model_names_nobody_among_so_many():
    """As the model server answers it, and the access service tells it."""
    nobody = threshold_among(1_000, [(300, 0.5)], alone=0.4)
    said = parse(face_body(claimedIdentity=..., aiResult="different", finalResult="same", score=0.9, threshold=nobody))
    assert said.threshold == nobody > said.score
    for wrong in ({"score": nobody}, {"threshold": 1.5}, {"threshold": -nobody}):
        with pytest.raises(InvalidEvent, match="expected a cosine"):
            parse(face_body(aiResult="different", finalResult="same", **wrong))


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_name_is_one_person_in_whatever_form_it_comes(form):
    typed = unicodedata.normalize(form, "이영희")
    assert parse(face_body(identity=typed, claimedIdentity="이영희")).person == person_key("이영희")


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_who_stood_there_instead_is_one_person_in_whatever_form_the_name_comes(form):
    said = parse(face_body(shownIdentity=unicodedata.normalize(form, "이영희")))
    assert (said.shown, said.people) == (person_key("이영희"), (person_key("kim"), person_key("이영희")))
    assert said.extra == {} and "이영희" not in repr(said)


def test_a_word_of_before_says_nothing_of_who_stood_there_and_who_was_meant_is_nobody_else():
    for none in ({}, {"shownIdentity": None}, {"shownIdentity": "kim", "finalResult": "same", "corrected": False}):
        assert parse(face_body(**none)).shown is None


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"identity": ...}, "field identity is missing, expected str"),
        ({"identity": 5}, "field identity is int, expected str"),
        ({"identity": " "}, "field identity names nobody"),
        ({"identity": "k" * 101, "claimedIdentity": None}, "field identity has 101 characters"),
        ({"claimedIdentity": "lee"}, "claimedIdentity is another person"),
        ({"claimedIdentity": ["kim"]}, "field claimedIdentity is list"),
        ({"shownIdentity": "kim"}, "finalResult is different but shownIdentity says otherwise"),
        ({"shownIdentity": "lee", "finalResult": "same", "corrected": False}, "finalResult is same but shownIdentity"),
        ({"shownIdentity": ""}, "field shownIdentity names nobody"),
        ({"shownIdentity": 5}, "field shownIdentity is int"),
        ({"modelVersion": None}, "modelVersion is missing"),
        ({"modelVersion": ""}, "modelVersion is missing"),
        ({"score": ...}, "field score is 'None', expected a cosine"),
        ({"score": True}, "field score is 'True', expected a cosine"),
        ({"score": "0.9"}, "field score is '0.9', expected a cosine"),
        ({"score": 1.5}, "field score is '1.5', expected a cosine"),
        ({"score": 10**400}, "expected a cosine"),
        ({"threshold": -2}, "field threshold is '-2', expected a cosine"),
        ({"score": 0.4}, "aiResult is same but score 0.4 and threshold 0.5 say otherwise"),
        ({"finalResult": "양호"}, "finalResult '양호' is not one of same, different"),
        ({"corrected": False}, "say otherwise"),
        ({"photoUrl": "s3://secrets/a.jpg"}, "not in an allowed bucket"),
    ],
)
def test_what_contradicts_itself_or_says_too_little_is_refused_with_the_reason(changes, because):
    with pytest.raises(InvalidEvent) as refused:
        parse(face_body(**changes))
    assert because in str(refused.value)


@pytest.mark.parametrize("word", ["same", "different"])
def test_a_word_for_faces_is_none_for_laundry(word):
    with pytest.raises(InvalidEvent, match="not one of 양호, 불량"):
        parse(event_body(finalResult=word))


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(list(face_fields())), ANY_JSON), st.dictionaries(st.text(), ANY_JSON))
def test_any_fields_are_a_word_of_one_kind_or_refused_in_words(known, unknown):
    fields = {**unknown, **face_fields(**known)}
    try:
        said = parse(json.dumps(fields).encode())
    except InvalidEvent as refused:
        assert str(refused)
    else:
        assert isinstance(said, FaceConfirmation) == (fields.get("modelType") == "FACE")


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(["identity", "claimedIdentity", "shownIdentity", "score", "threshold"]), ANY_JSON)
)
def test_fields_of_faces_change_nothing_of_a_word_on_laundry(beside):
    plain = parse(event_body())
    try:
        said = parse(json.dumps({**event_fields(), **beside}).encode())
    except InvalidEvent as refused:
        assert "unknown fields" in str(refused) or "body" in str(refused)
    else:
        assert isinstance(said, TaskConfirmedEvent) and said.extra == beside
        assert (said.key, said.corrected, said.final_result) == (plain.key, plain.corrected, plain.final_result)
