"""When a retraining is due, and what the answer says."""

from datetime import timedelta

import pytest

from pipeline.domain.retraining import RetrainingPolicy
from tests.builders import NOW, a_backlog


def decide(**changes):
    return RetrainingPolicy().decide(a_backlog(**changes), now=NOW)


def test_enough_corrections_after_a_week_are_due():
    decision = decide()
    assert (decision.due, decision.rule) == (True, "threshold")
    assert decision.reason == "150 corrections and 8.0 days since the last training"


def test_one_correction_too_few_waits():
    assert not decide(corrections=99).due
    assert decide(corrections=99).reason == "99 corrections, 100 needed"


def test_exactly_the_threshold_after_exactly_a_week_is_due():
    assert decide(corrections=100, since_last_try=100, last_trained_at=NOW - timedelta(days=7)).due


def test_enough_corrections_too_soon_wait():
    decision = decide(last_trained_at=NOW - timedelta(days=2))
    assert (decision.due, decision.rule) == (False, "too_soon")


def test_urgently_many_corrections_do_not_wait_for_the_week():
    decision = decide(corrections=300, last_trained_at=NOW - timedelta(hours=1))
    assert (decision.due, decision.rule) == (True, "urgent")


def test_corrections_that_were_tried_already_do_not_retrain_for_ever():
    decision = decide(corrections=400, since_last_try=20)
    assert (decision.due, decision.rule) == (False, "tried")


def test_a_running_retraining_blocks_another_even_when_forced():
    policy = RetrainingPolicy()
    assert policy.decide(a_backlog(running=True), now=NOW, forced_by="kim").rule == "running"


def test_force_needs_no_corrections_and_names_who_asked():
    decision = RetrainingPolicy().decide(a_backlog(corrections=0), now=NOW, forced_by="kim")
    assert (decision.due, decision.reason) == (True, "forced by kim")


def test_without_any_model_only_force_starts_the_first_training():
    assert decide(last_trained_at=None).rule == "no_champion"


def test_a_policy_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="min_corrections"):
        RetrainingPolicy(min_corrections=400, urgent_corrections=300)
