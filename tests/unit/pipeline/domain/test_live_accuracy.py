"""Unknown, ok, low, failing; and whether the monitor may act on it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.live_accuracy import (
    LabelTally,
    LiveAccuracyPolicy,
    Observation,
    Period,
    Reading,
    State,
    Tally,
    decide_rollback,
)
from tests.builders import NOW
from tests.histories import a_history

POLICY = LiveAccuracyPolicy()


def tally(agreed, confirmed, newest=NOW - timedelta(hours=2)):
    return Tally((LabelTally("양호", confirmed, agreed),), newest if confirmed else None)


def judged(window, recent=None, blind=None, now=NOW):
    return POLICY.judge(Observation("v2.0.0", window, recent or window, blind or Tally()), now)


@pytest.mark.parametrize(
    ("agreed", "confirmed", "state"),
    [
        (0, 0, State.UNKNOWN),
        (0, 99, State.UNKNOWN),
        (99, 99, State.UNKNOWN),
        (90, 100, State.OK),
        (95, 100, State.OK),
        # 84 of 100 is below 85 %, but so would be every eighth hundred of an 87 % model.
        (84, 100, State.OK),
        (830, 1000, State.LOW),
        (80, 100, State.LOW),
        (75, 100, State.LOW),
        (72, 100, State.FAILING),
        (760, 1000, State.FAILING),
        (0, 100, State.FAILING),
    ],
)
def test_the_state_follows_what_is_sure(agreed, confirmed, state):
    assert judged(tally(agreed, confirmed)).state is state


def test_old_confirmations_say_nothing_of_today():
    reading = judged(tally(10, 500, NOW - timedelta(hours=50)))
    assert reading.state is State.UNKNOWN
    assert "none matured for 48 hours" in reading.reason


@given(
    st.floats(0.1, 24 * 365), st.floats(0, 0.99), st.floats(0.001, 24 * 365), st.floats(0.001, 365), st.floats(0, 0.001)
)
def test_however_long_confirmations_take_to_mature_a_model_that_is_wrong_now_fails(hours, part, stale, silent, ago):
    policy = LiveAccuracyPolicy(
        window_hours=hours, matured_minutes=hours * 60 * part, stale_hours=stale, silent_days=silent
    )
    newest = policy.window(NOW).until - timedelta(hours=ago)
    seen = tally(200, 1000, newest)
    assert policy.judge(Observation("v2.0.0", seen, seen, Tally()), NOW).failing
    assert policy.silent_since(newest, NOW - timedelta(days=9999), NOW) is None


def test_a_fall_shows_in_the_newest_confirmations_before_the_window_notices():
    reading = judged(tally(9000, 10_000), recent=tally(60, 100))
    assert reading.state is State.FAILING
    assert "60 of 100 newest confirmations (60.0%)" in reading.reason


def test_the_blind_sample_alone_is_enough_when_people_wave_everything_through():
    reading = judged(tally(9900, 10_000), blind=tally(140, 200))
    assert reading.state is State.FAILING
    assert "blindly reviewed" in reading.reason
    assert judged(tally(9900, 10_000), blind=tally(40, 60)).state is State.OK


def test_an_episode_ends_only_clearly_above_the_alert():
    assert not judged(tally(860, 1000)).recovered
    assert judged(tally(870, 1000)).recovered
    assert not judged(Tally()).recovered


def test_a_new_champion_starts_a_fresh_window_and_the_newest_hour_is_left_out():
    young, old = NOW - timedelta(hours=3), NOW - timedelta(days=90)
    assert POLICY.period(young, NOW) == Period(young, NOW - timedelta(hours=1))
    assert POLICY.period(old, NOW) == POLICY.window(NOW) == Period(NOW - timedelta(days=7), NOW - timedelta(hours=1))


def failing(version="v2.0.0"):
    return Reading(version, State.FAILING, "too bad", 200, 100, 0.5, 0.43, 0.57, False)


def decided(*history, reading=None):
    return decide_rollback(reading or failing(), a_history("promote v1.0.0", "promote v2.0.0", *history))


def test_a_failing_champion_goes_back_to_the_version_that_served_before():
    decision = decided()
    assert (decision.act, decision.target) == (True, "v1.0.0")


@pytest.mark.parametrize("state", [State.UNKNOWN, State.OK, State.LOW])
def test_anything_less_than_failing_is_left_alone(state):
    reading = Reading("v2.0.0", state, "why", 200, 170, 0.85, 0.79, 0.89, False)
    assert not decided(reading=reading).act


def test_after_one_automatic_rollback_nothing_more_happens_until_a_person_looked():
    decision = decided("take down to v1.0.0", reading=failing("v1.0.0"))
    assert not decision.act
    assert "a person has to look" in decision.reason


def test_a_version_that_a_person_put_back_is_not_taken_down_again():
    decision = decided("take down to v1.0.0", "clear freeze v1.0.0", "roll back v2.0.0")
    assert not decision.act
    assert "a person put it back" in decision.reason


def test_it_never_goes_back_to_a_version_that_anybody_took_down():
    for history in (("take down to v1.0.0", "clear freeze v1.0.0"), ("roll back v1.0.0",)):
        decision = decided(*history, reading=failing("v1.0.0"))
        assert not decision.act
        assert "no sound version" in decision.reason


def test_an_archived_version_is_no_target():
    assert decided("promote v3.0.0", "archive v2.0.0", reading=failing("v3.0.0")).target == "v1.0.0"
