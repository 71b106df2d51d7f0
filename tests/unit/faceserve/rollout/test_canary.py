"""Which requests a candidate gets, and what is said of it."""

import itertools
import random
import uuid

import pytest

from faceserve.rollout.canary import Limits, Share, Trial

ROLLOUTS, REQUESTS = 200, 3000
SIDES = {"task-": [1, 14, 22, 35, 48, 56], "": [2, 15, 23, 28, 36, 49, 57]}


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


# The same to the digit: replicas of different ages must agree, and a limit is where it says


def test_requests_without_an_id_are_counted_by_the_golden_ratio():
    share = Share(10, "v1.1.0")
    assert [n for n in range(1, 56) if share.has("")] == [5, 13, 26, 34, 47]


def test_consecutive_ids_are_chosen_at_the_three_distances_of_the_golden_ratio():
    share = Share(10, "v1.1.0")
    chosen = [n for n in range(2000) if share.has(f"task-{n}")]
    assert {after - before for before, after in itertools.pairwise(chosen)} == {5, 8, 13}


def test_ids_with_more_digits_than_a_float_holds_are_split_as_evenly():
    ids = [str(10**19 + n) for n in range(10_000)]
    assert share_of(Share(10, "v1.1.0"), ids) == pytest.approx(10, abs=0.5)


def test_the_side_of_an_id_is_the_same_for_ever():
    """Written down: a version that computed it otherwise would move tasks from side to side during an update."""
    assert [n for n in range(60) if Share(10, "v1.1.0").has(f"task-{n}")] == SIDES["task-"]
    assert [n for n in range(60) if Share(10, "v1.2.0").has(f"{n}")] == SIDES[""]


def observed(stable=(0, 0), canary=(0, 0), **limits):
    """After so many answered and failed requests of each side."""
    found = trial(**{"errors_in_a_row": 10**6, **limits})
    for side, (answered, failed) in (("stable", stable), ("canary", canary)):
        for _ in range(failed):
            found.observe(side, 0.0, failed=True)
        for _ in range(answered):
            found.observe(side, 0.01, failed=False)
    return found


@pytest.mark.parametrize(
    ("canary", "verdict"),
    [
        ((19, 1), "inconclusive"),
        ((181, 2), "roll back"),
        ((182, 2), "inconclusive"),
        ((381, 0), "inconclusive"),
        ((382, 0), "promote"),
        ((636, 1), "inconclusive"),
        ((637, 1), "promote"),
    ],
)
def test_walds_bounds_for_one_error_in_a_thousand_against_one_in_a_hundred(canary, verdict):
    assert observed(canary=canary).opinion().verdict == verdict


@pytest.mark.parametrize(("failed", "verdict"), [(4, "roll back"), (5, "promote")])
def test_from_five_errors_on_the_stable_rate_excuses_the_candidate(failed, verdict):
    assert observed(stable=(100 - failed, failed), canary=(100, 2)).opinion().verdict == verdict


def test_a_stable_version_that_fails_most_of_the_time_does_not_excuse_everything():
    found = observed(stable=(10, 90), canary=(0, 6)).opinion()
    assert (found.verdict, found.reason) == ("roll back", "6 errors in 6 requests: more like 90.0% than 50.0%")


@pytest.mark.parametrize(("answered", "verdict"), [(19, "inconclusive"), (20, "promote")])
def test_fewer_than_twenty_requests_promote_nobody(answered, verdict):
    assert observed(stable=(10, 90), canary=(answered, 0)).opinion().verdict == verdict


def test_the_reason_names_the_figures():
    assert observed(canary=(98, 2)).opinion().reason == "2 errors in 100 requests: more like 1.0% than 0.1%"
    assert observed(canary=(400, 0)).opinion().reason == "0 errors in 400 requests: more like 0.1% than 1.0%"
    assert observed(canary=(9, 1)).opinion().reason == "1 errors in 10 requests do not decide yet"


@pytest.mark.parametrize(("failures", "reason"), [([1, 1, 0, 1, 1], None), ([1, 1, 1], "3 errors in a row")])
def test_only_errors_in_a_row_end_a_trial_at_once(failures, reason):
    found = trial(errors_in_a_row=3, error_rate=0.4)
    for failed in failures:
        found.observe("canary", 0.01, failed=bool(failed))
        found.observe("stable", 0.01, failed=True)
    assert (found.opinion().reason == "3 errors in a row") is (reason is not None)


def paced(stable_seconds, canary_seconds, requests=(20, 20), limit=2.0):
    found = trial(latency_ratio=limit)
    for side, seconds, count in zip(("stable", "canary"), (stable_seconds, canary_seconds), requests, strict=True):
        for _ in range(count):
            found.observe(side, seconds, failed=False)
    return found.opinion().verdict


def test_a_candidate_may_be_as_slow_as_the_limit_says_but_not_slower():
    assert paced(0.25, 0.5) == "inconclusive"
    assert paced(0.25, 0.51) == "roll back"


@pytest.mark.parametrize("requests", [(19, 400), (400, 19), (19, 19)])
def test_pace_needs_twenty_requests_on_both_sides(requests):
    assert paced(0.25, 5.0, requests) != "roll back"


def test_without_measured_time_pace_says_nothing():
    assert paced(0.0, 5.0) == "inconclusive"


def test_failed_requests_do_not_count_for_the_pace():
    found = trial()
    for failed in (False, True, False):
        found.observe("canary", 0.5, failed=failed)
    counts = found.counts("canary")
    assert (counts.requests, counts.errors, counts.seconds, counts.mean_seconds) == (3, 1, 1.0, 0.5)
    assert (found.counts("stable").requests, found.counts("stable").mean_seconds) == (0, 0.0)


def test_compared_answers_are_counted_and_how_many_agreed():
    found = trial()
    assert found.agreement == (0, 0)
    for agreed in (True, False, True):
        found.compare(agreed=agreed)
    assert found.agreement == (3, 2)


def test_all_digits_of_a_long_id_matter():
    share = Share(50, "v1.1.0")
    assert {share.has(f"{n}000000000000001") for n in range(1, 30)} == {True, False}


@pytest.mark.parametrize(("failed", "verdict"), [(1, "inconclusive"), (2, "inconclusive"), (3, "roll back")])
def test_three_errors_in_a_row_are_too_many_unless_told_otherwise(failed, verdict):
    found = trial(error_rate=0.4)
    for _ in range(failed):
        found.observe("canary", 0.0, failed=True)
    assert found.opinion().verdict == verdict
