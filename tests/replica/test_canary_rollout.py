"""A candidate on trial in a running replica: shared out, watched, promoted or taken off."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import numpy as np
import pytest
from openvino import opset13 as ops

from faceserve.errors import InferenceFailed
from faceserve.inference import apart
from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import FaceserveError
from tests.replica.world import replica
from tests.tiny_model import grey_photo, network
from tests.waiting import until

DARK, BRIGHT = grey_photo(20), grey_photo(255)
# What a caller waits in all. Half of it is the candidate's, and the stable version has to answer in what is left.
HURRIED_SECONDS, IMPATIENT_SECONDS = 4.0, 0.5


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path) as made:
        made.serve("v1.0.0")
        made.prepare("v1.1.0")
        yield made


def answers(world, count=100):
    return [world.client.classify("laundry", DARK, task_id=f"task-{n}") for n in range(count)]


def canary(world):
    return world.lifecycle.status("laundry").canary


def test_waiting_for_a_turn_on_a_busy_machine_is_the_time_of_neither_side(world, monkeypatch):
    """A candidate's calls run in threads of their own, which come late there: a sound one was aborted for that."""
    late, plain, ran = 0.03, apart.aside, []

    def aside(name, work, *about):
        def later():
            time.sleep(late)
            began = time.monotonic()
            work(*about)
            ran.append(time.monotonic() - began)

        plain(name, later)

    monkeypatch.setattr(apart, "aside", aside)
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    answers(world, 60)
    counts = world.server.manager.snapshot("laundry").canary.trial.counts("canary")
    until(lambda: len(ran) >= counts.requests, "all calls to be over")
    assert 20 <= counts.requests <= len(ran)
    assert counts.seconds <= sum(ran)


class Failing:
    """Stands for an engine that fails at what it is asked."""

    def infer(self, images):
        raise RuntimeError("illegal instruction")

    def close(self):
        """Nothing is held."""


def no_number_above(level):
    """A model that answers as it should, but for photos that are brighter than any that it was tried out with."""

    def detour(features):
        beyond = ops.log(ops.subtract(np.float32(level), features))
        return ops.add(features, ops.multiply(beyond, np.float32(0)))

    return network(5.0, detour=detour)


def test_a_candidate_whose_numbers_are_none_fails_on_trial_and_the_stable_version_answers(world):
    world.prepare("v1.1.1", sharpness=5.0, served=no_number_above(0.97))
    world.lifecycle.set_canary("laundry", "v1.1.1", 100)
    found = world.client.classify("laundry", BRIGHT)
    assert (found.side, found.label) == ("stable", "양호")
    assert canary(world).canary.errors == 1


def test_whoever_asks_and_however_numbers_that_are_none_are_no_answer(tmp_path):
    with replica(tmp_path, http_port=0) as made:
        made.serve("v1.0.0", sharpness=5.0, served=no_number_above(0.97))
        infer = f"http://127.0.0.1:{made.server.http_port}/v2/models/laundry/infer"
        headers = {"Inference-Header-Content-Length": "0"}
        bad, good = (httpx.post(infer, content=photo, headers=headers, timeout=60) for photo in (BRIGHT, DARK))
        assert (bad.status_code, bad.json()) == (500, {"error": "the model gave numbers that are not finite"})
        assert good.json()["outputs"][0]["data"]
        for ask in (made.client.classify, made.client.features):
            with pytest.raises(FaceserveError, match="not finite"):
                ask("laundry", BRIGHT)
            assert ask("laundry", DARK)


def test_a_tenth_of_the_tasks_is_answered_by_the_candidate_and_says_so(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 10)
    found = answers(world)
    sides = {(a.side, a.model_version) for a in found}
    assert sides == {("stable", "v1.0.0"), ("canary", "v1.1.0")}
    assert sum(a.side == "canary" for a in found) == pytest.approx(10, abs=2)
    assert [a.side for a in found] == [a.side for a in answers(world)]


def test_both_sides_are_counted_apart(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    answers(world, 40)
    status = canary(world)
    assert status.stable.requests + status.canary.requests == 40
    assert status.canary.requests == pytest.approx(20, abs=2)
    assert status.canary.mean_seconds > 0


def test_the_same_trial_twice_is_one_trial(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    epoch = world.lifecycle.status("laundry").epoch
    answers(world, 10)
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    assert world.lifecycle.status("laundry").epoch == epoch
    assert canary(world).stable.requests > 0


def test_a_promoted_candidate_answers_everybody_and_the_old_version_stays_warm(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 10)
    world.lifecycle.promote_canary("laundry", "v1.1.0")
    assert {a.model_version for a in answers(world, 10)} == {"v1.1.0"}
    status = world.lifecycle.status("laundry")
    assert (status.version, status.previous, status.canary.verdict) == ("v1.1.0", "v1.0.0", "promoted")
    assert world.lifecycle.promote_canary("laundry", "v1.1.0").epoch == status.epoch


def test_an_aborted_candidate_answers_nobody_and_the_reason_stays(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 100)
    world.lifecycle.abort_canary("laundry", "v1.1.0", "a branch complained")
    assert {a.model_version for a in answers(world, 10)} == {"v1.0.0"}
    assert (canary(world).verdict, canary(world).reason) == ("aborted", "a branch complained")
    world.lifecycle.abort_canary("laundry", "v1.1.0", "again")
    assert canary(world).reason == "a branch complained"


def test_a_candidate_that_fails_is_taken_off_by_itself_and_no_request_fails(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    world.generation("v1.1.0").engine = Failing()
    found = answers(world, 60)
    assert {a.model_version for a in found} == {"v1.0.0"}
    status = canary(world)
    assert (status.version, status.verdict) == ("v1.1.0", "aborted")
    assert "errors in 2 requests" in status.reason


class Slow:
    """In place of an engine: it comes back, but later than half of what its callers wait."""

    def __init__(self, plain):
        self.infer = lambda images: (time.sleep(0.3), plain.infer(images))[1]
        self.close = plain.close


def test_a_candidate_that_answers_after_the_deadline_is_judged_by_how_long_it_takes(tmp_path):
    with (
        replica(tmp_path, engine_threads=8) as world,
        FaceserveClient([world.address], timeout_seconds=IMPATIENT_SECONDS) as hurried,
    ):
        world.serve("v1.0.0")
        world.prepare("v1.1.0")
        world.lifecycle.set_canary("laundry", "v1.1.0", 50)
        generation = world.generation("v1.1.0")
        generation.engine = Slow(generation.engine)

        def ended():
            with suppress(FaceserveError), ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: hurried.classify("laundry", DARK, task_id=f"task-{n}"), range(16)))
            return canary(world).verdict == "aborted"

        until(ended, "the trial to end")
        assert "times as slow" in canary(world).reason


def test_a_candidate_that_fails_after_the_deadline_has_failed(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 100)
    generation, deadline = world.generation("v1.1.0"), threading.Event()
    generation.engine = Failing()
    generation.engine.infer = lambda images: (deadline.wait(120), Failing().infer(images))[1]
    with FaceserveClient([world.address], timeout_seconds=HURRIED_SECONDS) as hurried:
        assert hurried.classify("laundry", DARK).side == "stable"
    assert canary(world).canary.requests == 0
    deadline.set()
    until(lambda: canary(world).canary.errors == 1, "the failure to be counted")


def test_a_stable_version_that_fails_says_so(world):
    world.generation("v1.0.0").engine = Failing()
    with pytest.raises(FaceserveError, match="illegal instruction") as caught:
        world.client.classify("laundry", DARK)
    assert caught.value.code == InferenceFailed.status == "INTERNAL"


def test_in_shadow_users_get_the_stable_version_and_answers_are_compared(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 100, shadow=True)
    assert {(a.model_version, a.side) for a in answers(world, 20)} == {("v1.0.0", "stable")}
    until(lambda: canary(world).compared > 0, "copies to be answered")
    # Asked once: the last copies are still being compared, and two looks would be at two moments.
    seen = canary(world)
    assert seen.agreed == seen.compared


def test_from_shadow_to_live_the_figures_begin_anew(world):
    world.lifecycle.set_canary("laundry", "v1.1.0", 100, shadow=True)
    answers(world, 5)
    world.lifecycle.set_canary("laundry", "v1.1.0", 20)
    assert (canary(world).shadow, canary(world).stable.requests) == (False, 0)


def test_a_rollback_during_a_trial_ends_it(world):
    world.serve("v1.2.0")
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    world.lifecycle.rollback("laundry")
    assert {a.model_version for a in answers(world, 10)} == {"v1.0.0"}
    assert (canary(world).verdict, canary(world).reason) == ("replaced", "v1.0.0 was activated")


@pytest.mark.parametrize(
    ("version", "percent", "code"),
    [
        ("v1.1.0", 0, "INVALID_ARGUMENT"),
        ("v1.1.0", -5, "INVALID_ARGUMENT"),
        ("v1.1.0", 101, "INVALID_ARGUMENT"),
        ("v1.1.0", float("nan"), "INVALID_ARGUMENT"),
        ("v9.0.0", 10, "NOT_FOUND"),
        ("v1.0.0", 10, "NOT_FOUND"),
        ("../v1.0.0", 10, "NOT_FOUND"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(world, version, percent, code):
    with pytest.raises(FaceserveError) as caught:
        world.lifecycle.set_canary("laundry", version, percent)
    assert caught.value.code == code
    assert canary(world) is None


def test_only_one_candidate_is_on_trial(world):
    world.prepare("v1.2.0")
    world.lifecycle.set_canary("laundry", "v1.1.0", 10)
    with pytest.raises(FaceserveError, match=r"v1\.1\.0 is on trial already"):
        world.lifecycle.set_canary("laundry", "v1.2.0", 10)


def test_what_is_not_on_trial_cannot_be_promoted(world):
    with pytest.raises(FaceserveError, match="not on trial"):
        world.lifecycle.promote_canary("laundry", "v1.1.0")


def test_a_restarted_replica_serves_the_stable_version_alone(world, tmp_path):
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    with replica(tmp_path, world.source) as restarted:
        assert {a.model_version for a in answers(restarted, 20)} == {"v1.0.0"}
