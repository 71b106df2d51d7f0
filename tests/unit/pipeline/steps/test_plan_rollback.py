"""Whoever is asked for leave to roll back knows which version they answer for."""

import pytest

from pipeline.domain.errors import UnknownVersion
from pipeline.domain.models import ModelType
from pipeline.steps.plan_rollback import RollbackPlan, plan_rollback
from tests.fakes.deployment import FakeTransitions
from tests.histories import a_history

LAUNDRY = ModelType.LAUNDRY
TWICE = ("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0", "promote v1.2.0")


def plan(target, *acts):
    return plan_rollback(FakeTransitions(ledgers={LAUNDRY: a_history(*acts)}), LAUNDRY, target)


def asked(version, until):
    return RollbackPlan(
        version, "v1.2.0", f"Roll LAUNDRY back from v1.2.0 to {version}, which served until 2026-05-04 {until} UTC?"
    )


def test_the_question_names_both_versions_and_when_the_old_one_served_last():
    assert plan("previous", *TWICE) == asked("v1.0.0", "16:00")
    assert plan("v1.1.0", *TWICE) == asked("v1.1.0", "15:00")


@pytest.mark.parametrize("acts", [(), ("promote v1.0.0",)])
def test_without_a_version_to_go_back_to_there_is_no_question_but_a_reason(acts):
    with pytest.raises(UnknownVersion):
        plan("previous", *acts)
