"""A figure in a sentence does not contradict the verdict that it stands beside."""

import re

import pytest

from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, Tally
from pipeline.domain.percents import percent
from pipeline.domain.statistics import wilson
from tests.builders import NOW


@pytest.mark.parametrize(
    ("share", "bars", "said"),
    [
        (0.8496, (0.85,), "84.96%"),
        (0.8504, (0.85,), "85.04%"),
        (0.85, (0.85,), "85.0%"),
        (0.29, (0.29,), "29.0%"),
        (0.0004, (0.0004,), "0.04%"),
        (0.8491, (0.85,), "84.9%"),
        (0.8496, (), "85.0%"),
        (1 / 3, (1 / 3,), "33.33333333%"),
    ],
)
def test_a_share_is_rounded_neither_onto_nor_over_a_bar(share, bars, said):
    assert percent(share, *bars) == said


@pytest.mark.parametrize("over", [0.0001, 0.0004, 0.003])
def test_what_is_surely_below_a_bar_reads_as_below_it(over):
    bar = round(wilson(760, 1000, 0.95).high + over, 5)
    window = Tally((LabelTally("양호", 1000, 760),), NOW)
    policy = LiveAccuracyPolicy(rollback_accuracy=bar, alert_accuracy=bar, matured_minutes=0)
    reading = policy.judge(Observation("v2.0.0", window, window, Tally()), NOW)
    high, said = re.search(r"-([\d.]+)%: below ([\d.]+)%", reading.reason).groups()
    assert reading.failing and float(high) < float(said) == pytest.approx(bar * 100)
