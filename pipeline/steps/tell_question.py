"""Tell people that a run waits for their word, or that it waited in vain."""

from datetime import datetime

from pipeline.domain.outgoing_events import QuestionAskedEvent, QuestionLapsedEvent
from pipeline.domain.troubles import Question
from pipeline.ports.clock import Clock
from pipeline.ports.events import Outbox


def tell_question(outbox: Outbox, clock: Clock, question: Question, until: datetime) -> None:
    """Another try asks the same question: it is told once until its time is over."""
    event = QuestionAskedEvent(
        id=f"question-asked:{question.id}:{until.isoformat()}",
        dag_id=question.place.dag_id,
        run_id=question.run_id,
        question=question.text,
        until=until,
        link=question.link,
        at=clock.now(),
    )
    outbox.add(event.outgoing())


def tell_lapse(outbox: Outbox, clock: Clock, question: Question, outcome: str) -> None:
    """Nobody answered; `outcome` says what that led to."""
    now = clock.now()
    event = QuestionLapsedEvent(
        id=f"question-lapsed:{question.id}:{now.isoformat()}",
        dag_id=question.place.dag_id,
        run_id=question.run_id,
        question=question.text,
        outcome=outcome,
        link=question.link,
        at=now,
    )
    outbox.add(event.outgoing())
