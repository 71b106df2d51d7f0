"""A face model is taken down when it is surely bad, and a sound one is left alone however often anybody looks."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from pipeline.domain.faces.live import LiveFaceRates, rate_of_people
from pipeline.domain.faces.watching import FaceObservation, FaceState, FaceWatchPolicy, Which
from tests.builders import NOW

POLICY = FaceWatchPolicy()
NONE = rate_of_people([])
SOUND = rate_of_people([(0, 10)] * 190 + [(2, 10)] * 10)
RATHER_BAD = rate_of_people([(0, 10)] * 60 + [(5, 10)] * 40)
BAD = rate_of_people([(0, 10)] * 40 + [(8, 10)] * 60)


def rates(refused=SOUND, accepted=SOUND, version="v2.0.0"):
    return LiveFaceRates(version, refused, accepted)


def seen(window=None, recent=None, before=None, newest=NOW):
    window = window or rates()
    return FaceObservation(window, recent or rates(NONE, NONE), before, newest)


def judged(*parts, policy=POLICY, **named):
    return policy.judge(seen(*parts, **named), NOW)


@pytest.mark.parametrize("which", Which)
@pytest.mark.parametrize(
    ("rate", "state"),
    [(SOUND, FaceState.OK), (RATHER_BAD, FaceState.WARN), (BAD, FaceState.FAILING)],
    ids=["sound", "rather bad", "bad"],
)
def test_each_rate_alone_says_how_well_a_version_does_and_why(which, rate, state):
    policy = FaceWatchPolicy(alert_accepted=0.1, max_accepted=0.2)
    rate_of = {Which.REFUSED: rates(refused=rate), Which.ACCEPTED: rates(accepted=rate)}
    reading = judged(rate_of[which], policy=policy)
    assert (reading.state, reading.failing, reading.version) == (state, state is FaceState.FAILING, "v2.0.0")
    assert state is FaceState.OK or (reading.reasons[0].which, reading.reasons[0].state) == (which, state)
    assert f"{rate.failed} of {rate.checks} checks of {rate.people} people" in reading.reason


@pytest.mark.parametrize("rate", [NONE, rate_of_people([(10, 10)] * 29)], ids=["nobody", "29 people"])
def test_few_people_say_nothing_however_bad_it_looks(rate):
    for one in (rates(refused=rate), rates(accepted=rate), rates(rate, rate)):
        reading = judged(one, recent=one, before=rates(version="v1.0.0"))
        assert reading.state is FaceState.UNKNOWN and not reading.recovered
        assert "people, 30 needed" in reading.reason


def test_what_one_rate_hides_the_other_one_says():
    assert judged(rates(refused=BAD, accepted=NONE)).state is FaceState.FAILING
    assert judged(rates(refused=NONE, accepted=BAD)).state is FaceState.FAILING


@pytest.mark.parametrize("newest", [None, NOW - timedelta(hours=50)])
def test_silence_is_not_health_and_condemns_nobody(newest):
    reading = judged(rates(BAD, BAD), newest=newest)
    assert reading.state is FaceState.UNKNOWN and len(reading.reasons) == 1


@given(
    st.floats(0.1, 24 * 365), st.floats(0, 0.99), st.floats(0.001, 24 * 365), st.floats(0.001, 365), st.floats(0, 0.001)
)
def test_however_long_confirmations_take_to_mature_a_version_that_fails_now_is_seen(hours, part, stale, silent, ago):
    policy = FaceWatchPolicy(
        window_hours=hours, matured_minutes=hours * 60 * part, stale_hours=stale, silent_days=silent
    )
    newest = policy.window(NOW - timedelta(days=9999), NOW).until - timedelta(hours=ago)
    assert judged(rates(BAD, BAD), newest=newest, policy=policy).failing
    assert policy.silent_since(newest, NOW - timedelta(days=9999), NOW) is None


def test_a_long_good_past_does_not_hide_what_happens_today():
    assert judged(rates(), recent=rates(refused=BAD)).state is FaceState.FAILING
    assert judged(rates(), recent=rates(refused=RATHER_BAD)).state is FaceState.OK


def test_a_version_is_held_against_the_one_that_would_come_back():
    policy = FaceWatchPolicy(alert_refused=0.9, max_refused=0.9)
    before = rates(version="v1.0.0")
    for rate, state in ((BAD, FaceState.FAILING), (SOUND, FaceState.OK)):
        reading = judged(rates(refused=rate), before=before, policy=policy)
        assert reading.state is state
    worse = judged(rates(refused=BAD), before=before, policy=policy)
    assert "v1.0.0 1.0%: more by over 10.0 pp" in worse.reason
    assert judged(rates(refused=BAD), before=rates(refused=BAD), policy=policy).state is FaceState.OK
    assert judged(rates(refused=BAD), before=rates(NONE, NONE), policy=policy).state is FaceState.OK


def test_a_version_is_well_again_only_well_below_what_people_are_told_of():
    just_below = rate_of_people([(0, 10)] * 91 + [(10, 10)] * 9)
    assert judged(rates(refused=just_below)).state is FaceState.OK
    assert (judged(rates(refused=just_below)).recovered, judged(rates()).recovered) == (False, True)


def test_people_are_told_before_it_acts():
    with pytest.raises(ValueError, match="must not be above"):
        FaceWatchPolicy(alert_refused=0.3, max_refused=0.2)
    with pytest.raises(ValueError, match="must not be above"):
        FaceWatchPolicy(alert_accepted=0.06)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 20).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), max_size=80))
def test_the_worst_of_the_reasons_is_the_state_and_only_enough_people_make_an_alarm(counts):
    rate = rate_of_people(counts)
    reading = judged(rates(rate, SOUND), recent=rates(rate, NONE), before=rates(version="v1.0.0"))
    order = list(FaceState)
    assert reading.state is min((one.state for one in reading.reasons), key=order.index)
    assert not reading.alarming or rate.people >= POLICY.min_people
    assert not reading.recovered or reading.state is FaceState.OK


@pytest.mark.parametrize("which", Which)
@settings(max_examples=60)
@given(people=st.integers(30, 400), wrong=st.floats(0.02, 0.5), lately=st.booleans())
@example(people=34, wrong=5 / 34, lately=False)
def test_one_look_takes_a_version_down_that_is_as_bad_as_may_be_as_seldom_as_it_says(which, people, wrong, lately):
    """Each once at a door: were the share that of the bar, so many would be wrong, or more, that seldom."""
    failed = round(people * wrong)
    rate = rate_of_people([(1, 1)] * failed + [(0, 1)] * (people - failed))
    found = rates(**{"refused" if which is Which.REFUSED else "accepted": rate})
    reading = judged(rates(), recent=found) if lately else judged(found)
    sure = POLICY.recent_confidence if lately else POLICY.confidence
    by_chance = binom.sf(failed - 1, people, POLICY.bars(which).most)
    assert reading.failing == (by_chance <= (1 - sure) / 2 and rate.share > POLICY.bars(which).most)


@settings(max_examples=40)
@given(failed=st.integers(0, 10), people=st.integers(30, 200), theirs=st.integers(0, 10), before=st.integers(30, 400))
@example(failed=4, people=30, theirs=0, before=280)
def test_beside_the_version_before_as_little_is_said_of_few(failed, people, theirs, before):
    """Only where even a share at the exact lower bound is more by the margin, whatever the other's truly was."""
    policy = FaceWatchPolicy(alert_accepted=1, max_accepted=1)
    ours = rate_of_people([(1, 1)] * failed + [(0, 1)] * (people - failed))
    others = rate_of_people([(1, 1)] * theirs + [(0, 1)] * (before - theirs))
    reading = judged(rates(accepted=ours), before=rates(accepted=others, version="v1.0.0"), policy=policy)
    low = binomtest(failed, people).proportion_ci(0.99, "exact").low
    assert not reading.failing or low - others.share > policy.accepted_margin


# What the defaults keep of their promise: weeks of looks at people who differ, four a day, over a sliding window.


# The fewer, the more people differ.
_ALIKE = 10


class Door:
    """`people` who come about once a day, each refused, or mistaken for somebody, in shares of their own."""

    def __init__(self, seed, people, refused, accepted):
        self.dice, self.people = np.random.default_rng(seed), people
        self.shares = [self._shares(share) for share in (refused, accepted)]
        self.quarters = []

    def turns(self, refused, accepted):
        self.shares = [self._shares(share) for share in (refused, accepted)]

    def states(self, days, before=None):
        for _ in range(days * 4):
            checks = self.dice.poisson(1 / 4, (2, self.people))
            self.quarters.append((self.dice.binomial(checks, self.shares), checks))
            yield POLICY.judge(seen(self.last(28), self.last(4), before), NOW).state

    def last(self, quarters, version="v2.0.0"):
        failed, checks = (sum(one[n] for one in self.quarters[-quarters:]) for n in (0, 1))
        both = [list(zip(failed[n].tolist(), checks[n].tolist(), strict=True)) for n in (0, 1)]
        return LiveFaceRates(version, *map(rate_of_people, both))

    def _shares(self, share):
        return self.dice.beta(share * _ALIKE, (1 - share) * _ALIKE, self.people)


@pytest.mark.parametrize("people", [40, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside one as good"])
def test_a_sound_model_is_left_alone_for_weeks_of_looks(people, beside):
    """It refuses and mistakes half as often as people would be told of. Of so many models a rollback hits none."""
    told, models = 0, 10
    for seed in range(models):
        before = None
        if beside:
            earlier = Door(1000 + seed, people, refused=0.05, accepted=0.01)
            *_, _ = earlier.states(days=7)
            before = earlier.last(28, "v1.0.0")
        states = set(Door(seed, people, refused=0.05, accepted=0.01).states(days=14, before=before))
        assert FaceState.FAILING not in states
        told += FaceState.WARN in states
    assert told <= 1


@pytest.mark.parametrize("people", [60, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("refused", "accepted"), [(0.4, 0.005), (0.03, 0.15)], ids=["refuses", "lets in"])
def test_a_truly_bad_model_is_found_within_days(people, refused, accepted):
    for seed in range(6):
        assert FaceState.FAILING in Door(seed, people, refused, accepted).states(days=6)


def test_a_model_that_turns_bad_after_a_good_week_is_found_within_days():
    for seed in range(6):
        door = Door(seed, 200, refused=0.03, accepted=0.005)
        assert FaceState.FAILING not in door.states(days=8)
        door.turns(refused=0.5, accepted=0.005)
        assert FaceState.FAILING in door.states(days=2)
