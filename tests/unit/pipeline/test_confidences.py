"""What a confidence is said to mean is what it does: of a two-sided interval one end is surer than the number."""

from dataclasses import replace
from datetime import timedelta
from statistics import NormalDist
from typing import get_args, get_type_hints

import pytest

from pipeline.domain.bounds import Sides
from pipeline.domain.faces.live import Rate
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, State, Tally
from pipeline.domain.statistics import binomial_tail
from pipeline.settings import Settings
from pipeline.settings.variables import variables
from tests.builders import NOW


def _sides(one):
    hint = get_type_hints(one.owner, include_extras=True)[one.path[-1]]
    return next((extra for extra in get_args(hint)[1:] if isinstance(extra, Sides)), None)


CONFIDENCES = [one for one in variables(Settings) if one.name.endswith("CONFIDENCE")]


@pytest.mark.parametrize("one", CONFIDENCES, ids=lambda one: one.name)
def test_a_confidence_says_of_which_interval_it_is_and_how_sure_that_makes(one):
    sides = _sides(one)
    assert sides is not None
    of_one_end = f"{one.default:g} is {(1 + one.default) / 2 * 100:g} % sure"
    assert ("two-sided" in one.meaning and of_one_end in one.meaning) is (sides is Sides.TWO)


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.99])
def test_people_are_told_when_the_upper_end_of_that_two_sided_interval_is_below_the_bar(confidence):
    policy = replace(LiveAccuracyPolicy(), alert_confidence=confidence)
    of_one_end, n, bar = NormalDist().inv_cdf((1 + confidence) / 2), 1000, policy.alert_accuracy

    def told(agreed):
        tally = Tally((LabelTally("양호", n, agreed),), NOW - timedelta(hours=2))
        return policy.judge(Observation("v2.0.0", tally, Tally(), Tally()), NOW).state is not State.OK

    # A score test of the bar itself, which Wilson's interval turns round.
    beyond = [agreed for agreed in range(700, 900) if bar * n - agreed > of_one_end * (n * bar * (1 - bar)) ** 0.5]
    assert [agreed for agreed in range(700, 900) if told(agreed)] == beyond


def test_a_face_model_is_taken_down_by_one_end_of_a_two_sided_exact_interval():
    wrong = next(k for k in range(200) if Rate(k, 200, 200, 200.0).surely_above(0.1, 0.99))
    assert binomial_tail(wrong, 200, 0.1) <= 0.005 < binomial_tail(wrong - 1, 200, 0.1)
