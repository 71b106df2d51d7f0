"""When a retraining is due, and what the answer says."""

from datetime import timedelta

import pytest

from pipeline.domain.retraining import LONGEST_RUN, Claim, RetrainingDecision, RetrainingPolicy
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
    decision = RetrainingPolicy().decide(a_backlog(), now=NOW, claim=Claim("run-1", NOW), forced_by="kim")
    assert (decision.due, decision.rule) == (False, "running")
    assert decision.reason == f"a retraining is already running: run-1, since {NOW:%Y-%m-%d %H:%M} UTC"


def test_a_claim_is_worth_nothing_once_no_run_can_be_alive_any_more():
    claim = Claim("run-1", NOW)
    assert not claim.expired(NOW + LONGEST_RUN)
    assert claim.expired(NOW + LONGEST_RUN + timedelta(seconds=1))


def test_force_needs_no_corrections_and_names_who_asked():
    decision = RetrainingPolicy().decide(a_backlog(corrections=0), now=NOW, forced_by="kim")
    assert (decision.due, decision.reason) == (True, "forced by kim")


def test_without_any_model_only_force_starts_the_first_training():
    assert decide(last_trained_at=None).rule == "no_champion"


@pytest.mark.parametrize(
    ("changes", "forced_by", "due", "rule", "reason"),
    [
        ({}, "kim", True, "forced", "forced by kim"),
        ({"last_trained_at": None}, None, False, "no_champion", "no model yet: run the first training with force"),
        ({"corrections": 99}, None, False, "too_few", "99 corrections, 100 needed"),
        ({"since_last_try": 99}, None, False, "tried", "150 corrections were tried already, only 99 are new since"),
        ({"corrections": 300}, None, True, "urgent", "300 corrections reach the urgent 300"),
        (
            {"last_trained_at": NOW - timedelta(days=2)},
            None,
            False,
            "too_soon",
            "150 corrections, but 2.0 of 7 days since the last training",
        ),
        ({}, None, True, "threshold", "150 corrections and 8.0 days since the last training"),
    ],
)
def test_every_answer_names_its_rule_its_reason_and_the_backlog_it_judged(changes, forced_by, due, rule, reason):
    backlog = a_backlog(**changes)
    decision = RetrainingPolicy().decide(backlog, now=NOW, forced_by=forced_by)
    assert decision == RetrainingDecision(due, rule, reason, backlog)


@pytest.mark.parametrize(("least", "urgent"), [(400, 300), (0, 300), (-1, 300)])
def test_a_policy_that_makes_no_sense_is_refused(least, urgent):
    with pytest.raises(ValueError, match="^need 0 < min_corrections <= urgent_corrections$"):
        RetrainingPolicy(min_corrections=least, urgent_corrections=urgent)


def test_one_correction_may_be_enough_and_urgent_at_once():
    policy = RetrainingPolicy(min_corrections=1, urgent_corrections=1)
    assert policy.decide(a_backlog(corrections=1, since_last_try=1), now=NOW).rule == "urgent"
