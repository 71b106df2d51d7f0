"""People hear of a question that waits for them, and when nobody answered it."""

from datetime import timedelta

from pipeline.domain.notices import notice_of
from pipeline.domain.troubles import Place, Question
from pipeline.steps.tell_question import tell_lapse, tell_question
from tests.builders import NOW
from tests.fakes.events import FakeClock, FakeOutbox

QUESTION = Question(Place("model_promotion", "hot_swap"), "run-7", "Serve v1.1.0 to everybody?", "http://airflow/log")
UNTIL = NOW + timedelta(hours=24)


def told(outbox):
    return [notice_of(event) for event in outbox.events.values()]


def test_a_question_says_what_is_asked_where_and_until_when():
    outbox = FakeOutbox()
    tell_question(outbox, FakeClock(), QUESTION, UNTIL)
    (notice,) = told(outbox)
    assert notice.subject == "model_promotion waits for your answer"
    for part in ("Serve v1.1.0 to everybody?", "2026-05-05", "http://airflow/log"):
        assert part in notice.body


def test_another_try_asks_the_same_question_and_a_new_deadline_makes_a_new_one():
    outbox, clock = FakeOutbox(), FakeClock()
    for until in (UNTIL, UNTIL, UNTIL + timedelta(hours=1)):
        tell_question(outbox, clock, QUESTION, until)
    assert len(told(outbox)) == 2


def test_a_question_that_nobody_answered_says_what_came_of_it():
    outbox = FakeOutbox()
    tell_lapse(outbox, FakeClock(), QUESTION, "nothing was changed: it was not answered within 24 hours")
    (notice,) = told(outbox)
    assert notice.subject == "model_promotion: nobody answered"
    assert "Serve v1.1.0 to everybody? nothing was changed" in notice.body
