"""Every answer of the policy is kept."""

from pipeline.domain.models import ModelType
from pipeline.domain.retraining import RetrainingPolicy
from pipeline.steps.consider import consider
from tests.builders import a_backlog
from tests.fakes.events import FakeClock, FakeConfirmations, FakeDecisions


def test_the_answer_is_recorded_with_who_asked_whether_due_or_not():
    decisions = FakeDecisions()
    for corrections in (150, 20):
        consider(
            ModelType.LAUNDRY,
            asked_by="task_confirmed_intake",
            forced_by=None,
            policy=RetrainingPolicy(),
            confirmations=FakeConfirmations(waiting=a_backlog(corrections=corrections)),
            decisions=decisions,
            clock=FakeClock(),
        )
    assert [(d.due, d.rule, asked_by) for _, d, asked_by in decisions.recorded] == [
        (True, "threshold", "task_confirmed_intake"),
        (False, "too_few", "task_confirmed_intake"),
    ]
