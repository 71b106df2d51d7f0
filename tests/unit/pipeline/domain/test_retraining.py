"""When a retraining is due, and what the answer says."""

import math
import random
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.cheap_hours import CheapHours
from pipeline.domain.promises import Lately, Promise
from pipeline.domain.retraining import LONGEST_RUN, LONGEST_SILENCE, Claim, RetrainingDecision, RetrainingPolicy, Try
from tests.builders import NOW, a_backlog, a_blessing, a_holdout, a_validation, an_asker

ANY_HOUR = RetrainingPolicy(cheap=CheapHours("00:00", "24:00"))
NIGHT = CheapHours("02:00", "06:00", "Asia/Seoul")
# 12:00 and 03:00 in Seoul.
BY_DAY, AT_NIGHT = NOW.replace(hour=3, minute=0), NOW.replace(hour=18, minute=0)


def decide(*, asker=None, now=NOW, policy=ANY_HOUR, **changes):
    return policy.decide(a_backlog(**changes), asker or an_asker(), now=now)


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
    decision = decide(corrections=300, last_trained_at=NOW - timedelta(hours=12))
    assert (decision.due, decision.rule) == (True, "urgent")


def test_urgently_many_corrections_of_a_few_hours_wait_for_the_pause():
    decision = decide(corrections=300, last_trained_at=NOW - timedelta(hours=11, minutes=59))
    assert (decision.due, decision.rule) == (False, "too_soon")
    assert decision.reason == ("300 corrections, but 0.5 of 7 days since the last training; urgent ones wait 12 hours")


@given(
    a_day=st.integers(0, 200_000),
    pause_hours=st.integers(1, 72),
    refused=st.lists(st.booleans(), min_size=1, max_size=9),
)
def test_however_many_correct_a_month_has_no_more_trainings_than_pauses(a_day, pause_hours, refused):
    """At ten million confirmations 16 700 corrections come in a day: urgent by the number alone every half hour."""
    policy = RetrainingPolicy(urgent_pause_hours=pause_hours, cheap=CheapHours("00:00", "24:00"))
    trained_at, corrections, since_last_try, trainings = NOW, 0.0, 0.0, 0
    for hour in range(1, 30 * 24 + 1):
        now = NOW + timedelta(hours=hour)
        corrections, since_last_try = corrections + a_day / 24, since_last_try + a_day / 24
        backlog = a_backlog(
            corrections=int(corrections), since_last_try=int(since_last_try), last_trained_at=trained_at
        )
        if policy.decide(backlog, an_asker(), now=now).due:
            # A refused model has learned, too; what it learned from still waits.
            corrections = corrections if refused[trainings % len(refused)] else 0.0
            trained_at, since_last_try, trainings = now, 0.0, trainings + 1
    assert trainings <= 30 * 24 / pause_hours
    if a_day >= 300 * 24:
        assert trainings >= 30 * 24 // (pause_hours + 1)


# Beside what was promised


def lately(share, *, confirmed=8000, promised=0.06, photos=200):
    return Lately(Promise("v1.2.0", promised, photos), confirmed, round(confirmed * share), 24)


def test_more_corrections_than_were_promised_are_urgent_and_the_answer_says_by_how_much():
    decision = decide(corrections=1600, lately=lately(0.2), last_trained_at=NOW - timedelta(days=2))
    assert (decision.due, decision.rule) == (True, "urgent")
    assert decision.reason == (
        "1600 corrections reach the urgent 300: of 8000 verdicts of v1.2.0 confirmed within 24 hours 1600 were "
        "corrected (20.0%), and 10.2% at most were promised (6.0% of 200 holdout photos)"
    )


def test_as_many_corrections_as_were_promised_wait_for_the_week_and_the_answer_says_so():
    decision = decide(corrections=1600, lately=lately(0.06), last_trained_at=NOW - timedelta(days=2))
    assert (decision.due, decision.rule) == (False, "too_soon")
    assert decision.reason == (
        "1600 corrections, but 2.0 of 7 days since the last training; not urgent: of 8000 verdicts of v1.2.0 confirmed "
        "within 24 hours 480 were corrected (6.0%), and 10.2% at most were promised (6.0% of 200 holdout photos)"
    )


def test_corrections_that_say_nothing_of_the_champion_are_not_urgent():
    found = decide(corrections=400, lately=lately(0, confirmed=0), last_trained_at=NOW - timedelta(days=2))
    assert found.rule == "too_soon"
    assert "of 0 verdicts of v1.2.0 confirmed within 24 hours 0 were corrected, and" in found.reason


def test_a_week_after_the_training_it_does_not_matter_what_was_promised():
    assert decide(corrections=1600, lately=lately(0.06)).rule == "threshold"


@dataclass
class Fortnight:
    """At the busiest and the quietest: `a_day` verdicts are confirmed, the same share of them corrected all the time.

    Each look is drawn by chance, as people's work is; a training ends at once, and what it learned is no better.
    """

    a_day: int
    promised: Promise
    seed: int = 7
    urgent: int = 0

    def of(self, share):
        chance, trained_at, corrections = random.Random(self.seed), NOW, 0
        for hour in range(1, 14 * 24 + 1):
            now = NOW + timedelta(hours=hour)
            corrections += drawn(chance, self.a_day / 24, share)
            seen = Lately(self.promised, self.a_day, drawn(chance, self.a_day, share), 24)
            backlog = a_backlog(
                corrections=corrections, since_last_try=corrections, last_trained_at=trained_at, lately=seen
            )
            if (decision := ANY_HOUR.decide(backlog, an_asker(), now=now)).due:
                trained_at, corrections = now, 0
                self.urgent += decision.rule == "urgent"
        return self


def drawn(chance, of, share):
    """As many as come true of so many, each with that chance."""
    spread = math.sqrt(of * share * (1 - share))
    return min(max(round(chance.gauss(of * share, spread)), 0), int(of))


@given(
    a_day=st.integers(24, 400_000),
    wrong=st.integers(0, 300),
    photos=st.integers(100, 1000),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=20)
def test_as_wrong_as_promised_nothing_is_ever_urgent_however_many_work(a_day, wrong, photos, seed):
    promised = Promise("v1.2.0", min(wrong, photos) / photos, photos)
    assert Fortnight(a_day, promised, seed).of(share=promised.error).urgent == 0


@given(
    a_day=st.integers(2000, 400_000),
    wrong=st.integers(0, 50),
    photos=st.integers(100, 1000),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=20)
def test_surely_more_wrong_than_promised_is_urgent_soon_and_again_after_each_pause(a_day, wrong, photos, seed):
    promised = Promise("v1.2.0", wrong / photos, photos)
    lived = Fortnight(a_day, promised, seed).of(share=promised.at_most + 0.05)
    days_of_many = 300 / (a_day * promised.at_most)
    assert 14 // (days_of_many + 1) <= lived.urgent <= 14 * 24 / ANY_HOUR.urgent_pause_hours


@given(confirmed=st.integers(0, 10**6), wrong=st.integers(0, 1000), photos=st.integers(1, 1000))
def test_more_corrections_never_make_it_less_urgent(confirmed, wrong, photos):
    promised = Promise("v1.2.0", min(wrong, photos) / photos, photos)
    answers = [
        Lately(promised, confirmed, confirmed * n // 20, 24).surely_worse(ANY_HOUR.urgent_confidence) for n in range(21)
    ]
    assert answers == sorted(answers)


@pytest.mark.parametrize(
    "verdict",
    [
        None,
        a_blessing(),
        a_blessing(checks=(a_holdout(None),)),
        a_blessing(checks=(a_holdout(math.nan),)),
        a_blessing(checks=(a_holdout(0.94, photos=0),)),
    ],
)
def test_where_the_holdout_was_not_measured_nothing_was_promised_and_the_number_alone_is_urgent(verdict):
    assert Promise.of("v1.2.0", verdict) is None
    assert decide(corrections=300, lately=None, last_trained_at=NOW - timedelta(days=2)).rule == "urgent"


def test_what_was_promised_is_the_error_on_the_holdout_with_its_photos():
    promised = Promise.of("v1.2.0", a_blessing(checks=(a_validation(0.99), a_holdout(0.94))))
    assert (promised.version, round(promised.error, 9), promised.photos) == ("v1.2.0", 0.06, 200)
    assert promised.error < promised.at_most < 0.11


def test_few_photos_promise_little():
    assert Promise("v1.2.0", 0.1, 20).at_most > Promise("v1.2.0", 0.1, 2000).at_most > 0.1


def test_what_fails_at_once_is_not_begun_again_within_the_pause_however_fast_corrections_come():
    """Of ten million confirmations a month a hundred new corrections come in nine minutes."""
    failed = in_vain(at=NOW - timedelta(minutes=20), new_since=200)
    waiting = {"corrections": 9000, "in_vain": failed, "last_trained_at": NOW - timedelta(days=2)}
    found = decide(**waiting, lately=lately(0.3))
    assert (found.due, found.rule) == (False, "too_soon")
    assert found.reason.endswith("; urgent ones wait 12 hours")
    assert decide(**waiting, lately=lately(0.3), asker=an_asker(by_hand=True)).rule == "urgent"
    failed = in_vain(at=NOW - timedelta(hours=12), new_since=200)
    assert decide(**{**waiting, "in_vain": failed}, lately=lately(0.3)).rule == "urgent"


def test_corrections_that_were_tried_already_do_not_retrain_for_ever():
    decision = decide(corrections=400, since_last_try=20)
    assert (decision.due, decision.rule) == (False, "tried")


def test_a_running_retraining_blocks_another_even_when_forced():
    decision = RetrainingPolicy().decide(a_backlog(), an_asker(forced_by="kim"), now=NOW, claim=Claim("run-1", NOW))
    assert (decision.due, decision.rule) == (False, "running")
    assert decision.reason == (
        f"a retraining is already running: run-1, since {NOW:%Y-%m-%d %H:%M} UTC; if it is dead, "
        "python -m pipeline release-claim run-1 --actor YOU --reason WHY frees the model type"
    )


def test_a_claim_is_worth_nothing_once_no_run_can_be_alive_any_more():
    claim = Claim("run-1", NOW, "a dag")
    assert claim.over(NOW + LONGEST_RUN) is None
    assert claim.over(NOW + LONGEST_RUN + timedelta(seconds=1)).startswith("lease expired")


@pytest.mark.parametrize(
    ("by", "idle", "over"),
    [("a dag", "a dag", True), ("a dag", "another", False), ("a dag", None, False), ("", "", False)],
)
def test_a_claim_is_over_when_whoever_began_its_run_has_none_that_lives(by, idle, over):
    assert (Claim("run-1", NOW, by).over(NOW, idle) is not None) is over


@pytest.mark.parametrize("hours", [0, 30])
def test_a_process_that_says_that_it_lives_is_dead_once_it_is_silent_however_young_its_run(hours):
    seen = NOW + timedelta(hours=hours)
    claim = Claim("run-1", NOW, "command line", seen)
    assert claim.over(seen + LONGEST_SILENCE) is None, "it may be in the middle of something"
    assert claim.over(seen + LONGEST_SILENCE + timedelta(seconds=1)).startswith("died: nothing was heard of it since")
    assert f"heard of at {seen:%H:%M} (silent for 5 minutes, it is dead)" in str(claim)


def test_force_needs_no_corrections_and_names_who_asked():
    decision = decide(corrections=0, asker=an_asker(forced_by="kim"))
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
    decision = ANY_HOUR.decide(backlog, an_asker(forced_by=forced_by), now=NOW)
    assert decision == RetrainingDecision(due, rule, reason, backlog)


@pytest.mark.parametrize(("least", "urgent"), [(400, 300), (0, 300), (-1, 300)])
def test_a_policy_that_makes_no_sense_is_refused(least, urgent):
    with pytest.raises(ValueError, match="^need 0 < min_corrections <= urgent_corrections$"):
        RetrainingPolicy(min_corrections=least, urgent_corrections=urgent)


def test_one_correction_may_be_enough_and_urgent_at_once():
    policy = RetrainingPolicy(min_corrections=1, urgent_corrections=1)
    assert decide(policy=policy, corrections=1, since_last_try=1).rule == "urgent"


# At night


def test_what_becomes_due_by_day_waits_for_the_cheap_hours_and_says_so():
    by_day = decide(policy=RetrainingPolicy(cheap=NIGHT), now=BY_DAY)
    assert (by_day.due, by_day.rule) == (False, "waits_for_night")
    assert by_day.reason.endswith("it begins when computing is cheap, 02:00-06:00 Asia/Seoul")
    assert decide(policy=RetrainingPolicy(cheap=NIGHT), now=AT_NIGHT).due


@pytest.mark.parametrize(
    ("asker", "corrections", "rule"),
    [(an_asker(), 300, "urgent"), (an_asker(by_hand=True), 150, "threshold"), (an_asker(forced_by="kim"), 1, "forced")],
)
def test_what_is_urgent_and_people_do_not_wait_for_the_night(asker, corrections, rule):
    found = decide(policy=RetrainingPolicy(cheap=NIGHT), now=BY_DAY, asker=asker, corrections=corrections)
    assert (found.due, found.rule) == (True, rule)


@pytest.mark.parametrize(
    ("hours", "cheap"),
    [
        (NIGHT, {2, 3, 4, 5}),
        (CheapHours("22:00", "01:00", "Asia/Seoul"), {22, 23, 0}),
        (CheapHours("22:00", "24:00", "Asia/Seoul"), {22, 23}),
        (CheapHours("00:00", "24:00", "Asia/Seoul"), set(range(24))),
    ],
    ids=str,
)
def test_every_hour_of_the_day_is_cheap_or_not_by_the_clock_of_its_zone(hours, cheap):
    midnight_in_seoul = NOW.replace(hour=15, minute=0, second=0, microsecond=0)
    assert {n for n in range(24) if hours.has(midnight_in_seoul + timedelta(hours=n))} == cheap
    assert {n for n in range(24) if hours.has(midnight_in_seoul + timedelta(hours=n, minutes=59))} == cheap


def test_hours_that_never_come_are_refused():
    with pytest.raises(ValueError, match="begin and end at different times"):
        CheapHours("02:00", "02:00")


# Tries without a verdict


def in_vain(**changes):
    return Try(**{"run_id": "run-7", "at": NOW - timedelta(hours=1), "outcome": "failed", "new_since": 5, **changes})


@pytest.mark.parametrize("corrections", [150, 400])
def test_a_try_without_a_verdict_is_a_try_and_the_answer_says_when_the_next_one_may_be(corrections):
    found = decide(corrections=corrections, in_vain=in_vain())
    again = NOW + timedelta(hours=19)
    assert (found.due, found.rule) == (False, "tried_in_vain")
    assert found.reason == (
        "run-7 was begun with these corrections and ended without a verdict (failed), only 5 are new since: they are "
        f"tried again from {again:%Y-%m-%d %H:%M} UTC, or when somebody triggers it"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"in_vain": in_vain(at=NOW - timedelta(hours=20))},
        {"in_vain": in_vain(new_since=100)},
        {"in_vain": in_vain(), "asker": an_asker(by_hand=True)},
        {"in_vain": in_vain(), "policy": RetrainingPolicy(retry_hours=0, cheap=CheapHours("00:00", "24:00"))},
    ],
    ids=["a day later", "as many new ones", "a person", "at once by the setting"],
)
def test_the_same_corrections_are_tried_again_after_a_while_or_with_new_ones_or_by_a_person(changes):
    assert decide(**changes).rule == "threshold"
