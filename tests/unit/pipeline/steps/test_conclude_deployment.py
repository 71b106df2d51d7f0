"""How a run's deployment ended, and what is said of one that did not go live."""

import pytest

from pipeline.domain.errors import ModelRefused, Unconfirmed
from pipeline.domain.retraining import RunOutcome
from pipeline.steps.conclude_deployment import announce_failed_swap, conclude_deployment
from tests.unit.pipeline.steps.live_world import LAUNDRY, World, by


def conclude(world, run="second"):
    return conclude_deployment(world.deployment(), run)


def candidate():
    world = World().live("first")
    world.candidate("second")
    return world


def test_a_run_without_a_version_failed():
    assert conclude(World(), "unknown") is RunOutcome.FAILED


def test_a_version_that_never_was_asked_for_failed_and_one_that_served_is_deployed_whatever_serves_now():
    world = candidate()
    assert conclude(world) is RunOutcome.FAILED
    world.hot_swap("v1.1.0")
    assert conclude(world) is RunOutcome.DEPLOYED
    world.roll_back()
    assert conclude(world) is RunOutcome.DEPLOYED


def test_a_trial_ends_with_its_run_and_says_so():
    world = candidate()
    world.start("v1.1.0", request="second, trial 2")
    assert conclude(world) is RunOutcome.CANARY_ABORTED
    assert world.trial() is None
    abort = world.ledger.entries[-1].act
    told = ("run second", "the run ended without a promotion", "second")
    assert (abort.by.actor, abort.by.reason, abort.by.request_id) == told
    assert conclude(world) is RunOutcome.CANARY_ABORTED


def test_the_trial_of_another_run_goes_on():
    world = candidate()
    world.start("v1.1.0")
    world.candidate("third")
    assert conclude(world, "third") is RunOutcome.FAILED
    assert world.trial() == "v1.1.0"


def test_a_trial_that_somebody_gave_the_runs_version_goes_on_however_often_the_run_ends():
    world = candidate()
    for _ in range(2):
        assert conclude(world) is RunOutcome.FAILED
        world.start("v1.1.0", request="a promotion by kim")
        assert world.trial() == "v1.1.0"


def test_a_run_knows_its_requests_whose_ids_tables_spell_otherwise():
    world = candidate()
    world.accept("night-04T02-00-00-00-00", against="v1.0.0")
    version = world.register("night-04T02-00-00-00-00")
    world.start(version, request="night-04T02:00:00+00:00, trial 3")
    assert conclude(world, "night-04T02-00-00-00-00") is RunOutcome.CANARY_ABORTED


def test_the_champion_that_is_tried_again_beside_another_stays_deployed_and_its_trial_goes_on():
    world = World().live("first", "second")
    world.roll_back()
    world.accept("second", against="v1.0.0")
    world.start("v1.1.0")
    assert conclude(world) is RunOutcome.DEPLOYED
    assert world.trial() == "v1.1.0"


def unconfirmed():
    """Both replicas went when they had switched."""
    world = candidate()
    activate = world.fleet.activate

    def gone(model_type, prepared):
        swap = activate(model_type, prepared)
        world.fleet.down = {"replica-1", "replica-2"}
        return swap

    world.fleet.activate = gone
    with pytest.raises(Unconfirmed):
        world.hot_swap("v1.1.0", request="run-2")
    world.fleet.activate = activate
    return world


def test_what_nobody_could_be_asked_about_is_settled_as_soon_as_replicas_answer():
    world = unconfirmed()
    assert conclude(world) is RunOutcome.UNCONFIRMED
    world.fleet.down = set()
    assert conclude(world) is RunOutcome.DEPLOYED
    assert (world.champion(), set(world.serving().values())) == ("v1.1.0", {"v1.1.0"})


def test_what_other_runs_left_open_is_not_this_runs_to_settle():
    world = unconfirmed()
    world.fleet.down = set()
    assert conclude(world, "first") is RunOutcome.DEPLOYED
    assert world.ledger.unsettled


# What is told of it


def announced(world, version="v1.1.0", request="run-2"):
    announce_failed_swap(world.deployment(), LAUNDRY, version, by(request, reason="golden predictions differ"))
    return [event for event in world.outbox.pending() if event.type.startswith("HotSwap")]


def refused():
    world = candidate()
    world.fleet.refuses.add("v1.1.0")
    with pytest.raises(ModelRefused):
        world.hot_swap("v1.1.0", request="run-2")
    return world


def test_a_refused_swap_names_the_version_the_reason_and_who_goes_on_serving():
    world = refused()
    (event,) = announced(world)
    assert event.id == f"hot-swap-failed:LAUNDRY:v1.1.0:run-2:{world.ledger.position}"
    assert {name: value for name, value in event.payload.items() if name != "at"} == {
        "eventType": "HotSwapFailedEvent",
        "modelType": "LAUNDRY",
        "modelVersion": "v1.1.0",
        "champion": "v1.0.0",
        "reason": "golden predictions differ",
    }


def test_what_goes_on_being_tried_is_named_with_what_to_do():
    world = refused()
    world.start(world.candidate("third"))
    (event,) = announced(world)
    assert event.payload["reason"] == (
        "golden predictions differ; v1.2.0 still gets its share of the requests: promote it, or "
        "`python -m pipeline abort-canary v1.2.0 --model-type LAUNDRY --actor YOU --reason WHY`"
    )


def test_what_nobody_knows_is_not_called_failed():
    assert [event.type for event in announced(unconfirmed())] == ["HotSwapUnconfirmedEvent"]


def test_what_serves_or_served_in_this_request_or_was_aborted_is_no_news():
    world = World().live("first", "second")
    assert announced(world) == []
    world.roll_back()
    assert announced(world, request="second") == []
    world.start(world.candidate("third"))
    world.abort("v1.2.0")
    assert announced(world, "v1.2.0", request="run-1") == []


def test_another_run_tells_that_it_failed_although_an_earlier_trial_of_its_version_was_aborted():
    world = candidate()
    world.start("v1.1.0", request="run-1")
    world.abort("v1.1.0")
    assert len(announced(world, request="run-2")) == 1
    world.fleet.refuses.add("v1.1.0")
    with pytest.raises(ModelRefused):
        world.start("v1.1.0", request="run-1, trial 2")
    assert len(announced(world, request="run-1")) == 2


def test_what_served_in_another_request_may_fail_in_this_one():
    world = World().live("first", "second")
    world.roll_back()
    assert len(announced(world, request="another")) == 1
