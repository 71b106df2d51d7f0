"""Which requests a candidate gets, and what is said of it."""

import random
import uuid

import pytest

from faceserve.rollout.canary import Limits, Share, Trial

ROLLOUTS, REQUESTS = 200, 3000


def share_of(share, task_ids):
    ids = list(task_ids)
    return 100 * sum(share.has(one) for one in ids) / len(ids)


@pytest.mark.parametrize("percent", [1, 5, 10, 25, 50, 99])
@pytest.mark.parametrize(
    "task_ids",
    [
        [f"task-{n}" for n in range(10_000)],
        [f"TASK-2025-{n:06d}" for n in range(123_456, 133_456)],
        [str(7 * n) for n in range(10_000)],
        [""] * 10_000,
    ],
    ids=["numbered", "padded", "sevens", "without an id"],
)
def test_the_share_is_exact_to_half_a_point_over_ten_thousand_requests(percent, task_ids):
    assert share_of(Share(percent, "v1.1.0"), task_ids) == pytest.approx(percent, abs=0.5)


def test_random_ids_fall_like_coins():
    random.seed(3)
    ids = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(10_000)]
    # Three standard deviations of a fair draw.
    assert share_of(Share(10, "v1.1.0"), ids) == pytest.approx(10, abs=0.9)


def test_a_task_stays_on_its_side_on_every_replica_and_when_the_share_grows():
    small, same, large = Share(10, "v1.1.0"), Share(10, "v1.1.0"), Share(50, "v1.1.0")
    ids = [f"task-{n}" for n in range(2000)]
    assert [small.has(one) for one in ids] == [same.has(one) for one in ids]
    assert all(large.has(one) for one in ids if small.has(one))


def test_the_next_candidates_are_tried_on_other_tasks():
    ids = [f"task-{n}" for n in range(1000)]
    tried = {one for n in range(20) for one in ids if Share(10, f"v1.{n}.0").has(one)}
    assert len(tried) > 500


@pytest.mark.parametrize("task_id", ["9" * 4000, "작업-1", "\x00", "a" * 100_000, " ", "-1", "0"])
def test_odd_ids_have_a_side_too(task_id):
    share = Share(50, "v1.1.0")
    assert share.has(task_id) == share.has(task_id)


def trial(**limits):
    return Trial(Limits(**limits))


def test_a_new_trial_is_inconclusive():
    assert trial().opinion().verdict == "inconclusive"


def test_errors_in_a_row_end_it_at_once():
    found = trial(errors_in_a_row=3)
    for _ in range(3):
        found.observe("canary", 0.0, failed=True)
    assert found.opinion().verdict == "roll back"
    assert found.opinion().reason == "3 errors in a row"


def test_a_candidate_several_times_slower_is_rolled_back():
    found = trial(latency_ratio=3.0)
    for _ in range(20):
        found.observe("stable", 0.010, failed=False)
        found.observe("canary", 0.031, failed=False)
    assert found.opinion() == found.opinion()
    assert (found.opinion().verdict, found.opinion().reason) == ("roll back", "3.1 times as slow, 3 is allowed")


def test_a_few_slow_requests_do_not_decide():
    found = trial()
    for _ in range(19):
        found.observe("stable", 0.010, failed=False)
        found.observe("canary", 1.0, failed=False)
    assert found.opinion().verdict == "inconclusive"


def test_a_candidate_without_errors_is_promoted_in_the_end():
    found = trial()
    for _ in range(400):
        found.observe("canary", 0.01, failed=False)
    assert found.opinion().verdict == "promote"


def test_a_stable_version_that_fails_as_often_excuses_the_candidate():
    found = trial()
    for number in range(3000):
        found.observe("stable", 0.01, failed=number % 20 == 0)
        found.observe("canary", 0.01, failed=number % 20 == 0)
    assert found.opinion().verdict == "promote"


def verdicts(error_rate):
    """What 200 rollouts end with when looked at after every request."""
    rng = random.Random(11)
    ended = []
    for _ in range(ROLLOUTS):
        found = trial()
        for _ in range(REQUESTS):
            found.observe("stable", 0.01, failed=rng.random() < 0.001)
            found.observe("canary", 0.01, failed=rng.random() < error_rate)
            verdict = found.opinion().verdict
            if verdict != "inconclusive":
                break
        ended.append(verdict)
    return ended


def test_a_sound_candidate_is_rolled_back_in_at_most_one_of_twenty_rollouts():
    assert verdicts(0.001).count("roll back") <= ROLLOUTS * 0.05


def test_a_candidate_failing_ten_times_as_often_is_promoted_in_at_most_one_of_twenty_rollouts():
    assert verdicts(0.01).count("promote") <= ROLLOUTS * 0.05
