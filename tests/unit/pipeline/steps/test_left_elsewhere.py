"""What an erasure says is left to people: dead letters that may name what was erased, and no others."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.errors import NotTaken, ServiceUnavailable
from pipeline.ports.events import DeadLetter
from pipeline.steps.left_elsewhere import in_dead_letters

TASK, PHOTO, NAME = "TASK-1", "s3://tasks/b3/TASK-1.jpg", "김 민지"


class Letters:
    def __init__(self, *bodies, headers="", error=None):
        self._all = [DeadLetter(str(number), None, "bad", body, headers) for number, body in enumerate(bodies)]
        self._error = error

    def all(self):
        if self._error:
            raise self._error
        return self._all


def names(body, *words, headers=""):
    return bool(in_dead_letters(Letters(body, headers=headers), words))


def said(**fields):
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (said(taskId=TASK), TASK),
        (said(photoUrl=PHOTO), PHOTO),
        (said(more={"names": [{"person": NAME}]}), NAME),
        (json.dumps({"person": NAME}, ensure_ascii=False).encode(), NAME),
        (said(correctionReason=f"as in {TASK}, see there"), TASK),
        (f"no JSON: {TASK}".encode(), TASK),
        (said(number=4711), "4711"),
        (said(correctionReason=f"{NAME}님이 아님"), NAME),
        (f"사진은 {PHOTO}이다".encode(), PHOTO),
        (said(photoUrl=f"s3://tasks/{TASK}_front.jpg"), TASK),
        (b"[" * 100_000 + TASK.encode(), TASK),
    ],
)
def test_a_letter_that_names_it_is_said(body, word):
    assert names(body, word)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (said(taskId="TASK-12345"), TASK),
        (said(taskId="MY-TASK-1"), TASK),
        (said(photoUrl="s3://tasks/b3/TASK-11.jpg"), PHOTO),
        # What a field is called names nobody.
        (said(photo=1, taskId="TASK-2"), "photo"),
        (said(taskId="TASK-2"), ""),
        (said(taskId="TASK-2"), " "),
        (b"no JSON: TASK-12", TASK),
    ],
)
def test_a_letter_of_others_is_not(body, word):
    assert not names(body, word)


def test_a_name_in_the_headers_counts():
    assert names(b"{}", TASK, headers=f"x-task: {TASK}")


@given(word=st.text(min_size=1).filter(str.strip), beside=st.dictionaries(st.text(), st.text(), max_size=3))
def test_whatever_it_is_called_a_field_that_holds_it_is_found(word, beside):
    assert names(json.dumps({**beside, "it": word}).encode(), word)


@pytest.mark.parametrize(
    "error", [ServiceUnavailable("RabbitMQ", "gone"), NotTaken("the queue of dead letters is full")]
)
def test_what_was_erased_is_erased_although_nobody_can_be_asked(error):
    (sentence,) = in_dead_letters(Letters(error=error), [TASK])
    assert "nobody could be asked" in sentence
