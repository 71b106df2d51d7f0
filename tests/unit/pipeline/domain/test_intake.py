"""When a run of the intake is worth it."""

import pytest

from pipeline.domain.intake import IntakePolicy, Stay

POLICY = IntakePolicy(enough_messages=10, longest_wait_seconds=30)


@pytest.mark.parametrize(
    ("waiting", "waited_seconds", "worth_it"),
    [(10, 0, True), (9, 29.9, False), (9, 30, True), (1, 30, True), (0, 1e9, False)],
)
def test_enough_messages_are_or_a_few_that_waited_long_enough(waiting, waited_seconds, worth_it):
    assert POLICY.worth_a_run(waiting, waited_seconds) is worth_it


def test_a_run_stays_as_long_as_the_settings_say():
    assert IntakePolicy(silence_seconds=7, longest_drain_seconds=70).stay == Stay(7, 70)
