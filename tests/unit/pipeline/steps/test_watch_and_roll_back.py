"""Unknown, told once, taken down once; and nothing promoted until a person looked."""

import pytest

from pipeline.domain.errors import (
    GiveUp,
    ModelRefused,
    PromotionFrozen,
    ServiceRefused,
    ServiceTooSlow,
    ServiceUnavailable,
    StaleTransition,
)
from pipeline.domain.live_accuracy import LiveAccuracyPolicy, State
from pipeline.domain.transitions import Kind
from tests.fakes.faults import Killed, every_fault
from tests.fakes.live import FakeLiveMetrics
from tests.unit.pipeline.steps.live_world import LAUNDRY, World


def test_before_any_deployment_there_is_nothing_to_watch():
    assert World().watch() is None


def test_without_confirmations_the_state_is_unknown_never_ok():
    world = World().live("first")
    assert world.watch().reading.state is State.UNKNOWN
    assert world.outbox.types() == ["ModelDeployedEvent"]


def test_an_alert_is_told_once_an_episode_and_its_end_once():
    world = World().live("first")
    world.confirm(80, 20)
    for _ in range(3):
        assert world.watch().reading.state is State.LOW
    world.confirm(900, 0)
    for _ in range(3):
        assert world.watch().reading.recovered
    told = [t for t in world.outbox.types() if t.startswith("LiveAccuracy")]
    assert told == ["LiveAccuracyLowEvent", "LiveAccuracyRecoveredEvent"]


def test_a_confirmation_without_a_version_counts_for_whoever_served_then():
    world = World().live("first", "second")
    world.confirm(0, 150, version=None)
    assert (world.watch().reading.version, world.watch().reading.confirmed) == ("v1.1.0", 150)


def test_a_verdict_of_the_version_before_does_not_count_against_the_champion():
    world = World().live("first", "second")
    world.confirm(0, 150, version="v1.0.0")
    assert world.watch().reading.state is State.UNKNOWN


def test_confirmations_that_come_months_late_are_not_todays():
    world = World().live("first")
    world.later(days=90)
    world.confirm(0, 200)
    world.later(days=30)
    assert world.watch().reading.state is State.UNKNOWN


def test_a_clock_that_jumped_back_leads_to_nothing():
    world = World().live("first")
    world.confirm(0, 200)
    world.later(days=-2)
    assert world.watch().reading.state is State.UNKNOWN


@pytest.mark.parametrize("look", ["once", "twice"])
def test_a_failing_champion_is_taken_down_once_and_promotions_freeze(look):
    world = World().live("first", "second")
    world.confirm(20, 130)
    for _ in ("x",) if look == "once" else ("x", "y"):
        world.watch()
    world.automatic()
    world.demand_one_story("v1.0.0")
    assert world.ledger.changes[-1].kind is Kind.ROLLBACK_AUTO
    with pytest.raises(PromotionFrozen, match="v1.1.0"):
        world.hot_swap(world.candidate("third"))
    with pytest.raises(PromotionFrozen):
        world.start("v1.2.0")
    world.demand_one_story("v1.0.0")


def test_two_bad_versions_do_not_play_ping_pong():
    world = World().live("first", "second")
    world.confirm(20, 130)
    world.automatic()
    world.confirm(20, 130)
    decision = world.watch().decision
    assert not decision.act
    world.demand_one_story("v1.0.0")


def test_after_a_person_cleared_the_freeze_promotions_go_on():
    world = World().live("first", "second")
    world.confirm(20, 130)
    world.automatic()
    world.clear_freeze()
    world.hot_swap(world.candidate("third"))
    world.demand_one_story("v1.2.0")


@pytest.mark.parametrize(("actor", "reason"), [("", "why"), ("kim", "  "), ("kim", "why")])
def test_a_freeze_is_cleared_by_somebody_for_a_reason_and_only_when_there_is_one(actor, reason):
    world = World().live("first")
    with pytest.raises(GiveUp):
        world.clear_freeze(actor, reason)


def test_an_automatic_rollback_of_a_version_that_serves_no_more_is_stale():
    world = World().live("first", "second")
    world.roll_back(request="kims")
    with pytest.raises(StaleTransition, match=r"about v1\.1\.0"):
        world.roll_back("v1.0.0", request="late", judged="v1.1.0")


def test_two_people_who_ask_at_once_take_one_step_back():
    world = World().live("first", "second", "third")
    asked_at = world.clock.now()
    world.roll_back(request="kims", asked_at=asked_at)
    with pytest.raises(StaleTransition, match="after this rollback was asked for"):
        world.roll_back(request="lees", asked_at=asked_at)
    world.demand_one_story("v1.1.0")


def test_a_rollback_that_failed_stays_a_problem_until_one_succeeds():
    world = World().live("first", "second")
    world.fleet.refuses.add("v1.0.0")
    for _ in range(2):
        with pytest.raises(ModelRefused):
            world.roll_back(request="kims")
    assert "RollbackFailedEvent" not in world.outbox.types(), "Airflow tries again"
    problem = world.watch().problem
    assert problem.startswith("the rollback to v1.0.0 failed and was not repeated: replica-1 refused v1.0.0: golden")
    world.fleet.refuses.clear()
    world.roll_back(request="again")
    assert world.watch().problem is None
    world.demand_one_story("v1.0.0")


@pytest.mark.parametrize("fault", [ServiceUnavailable, ServiceRefused])
def test_a_registry_that_is_away_or_refuses_does_not_keep_a_bad_model_live(fault):
    world = World().live("first", "second")

    def away(*args, **named):
        raise fault("MLflow", "connection refused")

    mirror, world.registry.mirror = world.registry.mirror, away
    world.fleet.out.add("replica-2")
    done = world.roll_back()
    assert done.registry_is_behind and done.serves_now == "v1.0.0" and done.skipped == ("replica-2",)
    assert "the registry was not seen to name v1.0.0" in world.watch().problem
    (left,) = (e.payload["missing"] for e in world.outbox.pending() if e.type == "RollbackIncompleteEvent")
    assert "empty disk" in left[0] and "connection refused" in left[0]
    world.fleet.out.clear()
    world.registry.mirror = mirror
    world.reconcile()
    assert world.watch().problem is None
    world.demand_one_story("v1.0.0")


def test_a_registry_that_lost_the_champion_is_behind_until_it_is_registered_again():
    world = World().live("first", "second")
    world.registry.registered.clear()
    assert world.roll_back().registry_is_behind
    world.reconcile()
    assert not world.ledger.registry_is_behind
    world.demand_one_story("v1.0.0")


def test_low_that_becomes_failing_with_nothing_to_go_back_to_is_told_once_more():
    world = World().live("first")
    world.confirm(80, 20)
    assert world.watch().reading.state is State.LOW
    world.confirm(0, 100)
    for _ in range(3):
        seen = world.watch()
        assert seen.reading.state is State.FAILING
        assert "no sound version" in seen.problem
    told = [e.payload["consequence"] for e in world.outbox.pending() if e.type == "LiveAccuracyLowEvent"]
    assert len(told) == 2 and "no sound version" in told[1]


def test_a_canary_that_nobody_judges_is_a_problem():
    world = World().live("first")
    world.start(world.candidate("second"))
    assert world.watch().problem is None
    world.later(hours=47)
    assert world.watch().problem is None
    world.later(hours=2)
    assert world.watch().problem == "v1.1.0 is on trial since 2026-05-04 12:00 UTC and nobody judges it: abort it"


def half_promoted():
    """One replica of two has switched when the process that promoted was killed."""
    world = World().live("first", "second")
    version, activate = world.candidate("third"), world.fleet.activate

    def half(model_type, prepared):
        now = world.clock.now().timestamp()
        world.fleet.replicas["replica-1"].activate(version, prepared.epochs["replica-1"], now)
        raise Killed

    world.fleet.activate = half
    with pytest.raises(Killed):
        world.hot_swap(version)
    world.fleet.activate = activate
    return world


def test_whoever_sees_half_a_promotion_serve_may_take_it_down():
    world = half_promoted()
    world.later(minutes=5)
    world.roll_back(asked_at=world.clock.now())
    world.demand_one_story("v1.1.0")
    assert world.outbox.types()[-1] == "ModelRolledBackEvent"
    assert world.outbox.types().count("ModelDeployedEvent") == 2


def bad_champion():
    world = World().live("first", "second")
    world.confirm(20, 130)
    return world


@pytest.mark.parametrize("fault", every_fault(lambda fault: bad_champion().watch(fault)), ids=str)
def test_a_look_killed_at_any_call_and_repeated_tells_once(fault):
    world = bad_champion()
    with pytest.raises(Killed):
        world.watch(fault)
    assert world.watch().decision.act
    assert world.outbox.types().count("LiveAccuracyLowEvent") == 1


def test_a_bad_champion_is_taken_down_although_nobody_can_say_how_right_the_others_were(caplog):
    """As reported: the list of all versions took more than a minute, and every look ended there."""

    class Slow(FakeLiveMetrics):
        def by_version(self, history, period):
            raise ServiceTooSlow("the database", "canceling statement due to statement timeout")

    world = bad_champion()
    world.metrics = Slow(world.confirmations)
    assert world.watch().decision.act
    assert world.readings.looks[-1].versions == {}
    assert "how right each version was is not known: the database" in caplog.text


def test_what_somebody_has_to_mend_is_said_in_sentences():
    world = World().live("first", "second")
    world.fleet.down = {"replica-2"}
    world.roll_back()
    missing = "replica-2 does not answer (UNAVAILABLE)"
    assert world.watch().problem == f"not every replica came back to v1.0.0: {missing}"
    world.fleet.down = {"replica-1", "replica-2"}
    with pytest.raises(ServiceUnavailable):
        world.roll_back("v1.1.0", request="another")
    assert world.watch().problem == (
        f"not every replica came back to v1.0.0: {missing}; "
        "nobody knows yet what came of v1.1.0, asked for by kim (too strict)"
    )


def test_an_episode_ends_with_the_version_it_was_about():
    world = World().live("first", "second")
    world.confirm(80, 20)
    low = world.watch()
    assert (low.reading.version, low.reading.state) == ("v1.1.0", State.LOW)
    world.roll_back()
    assert world.watch().reading.version == "v1.0.0"
    assert world.readings.open_episode(LAUNDRY) is None
    assert [ended for _, _, ended in world.readings.episodes.values()] == ["v1.0.0 serves now"]


def test_what_is_told_of_an_episode_names_it_and_what_happens_next():
    world = World().live("first")
    world.confirm(80, 20)
    world.watch()
    episode = world.readings.open_episode(LAUNDRY)
    world.confirm(900, 0)
    world.watch()
    low, recovered = world.outbox.pending()[-2:]
    assert low.id == f"live-accuracy-low:{episode.id}" and recovered.id == f"live-accuracy-recovered:{episode.id}"
    assert episode.version == low.payload["modelVersion"] == recovered.payload["modelVersion"] == "v1.0.0"
    assert [ended for _, _, ended in world.readings.episodes.values()] == ["recovered"]


def test_every_look_is_kept_with_what_was_decided():
    world = World().live("first", "second")
    world.confirm(20, 130)
    seen = world.watch()
    (look,) = world.readings.looks
    assert (look.model_type, look.reading, look.decision) == (LAUNDRY, seen.reading, seen.decision.reason)
    assert (look.seen.version, look.seen.blind, look.versions) == (
        "v1.1.0",
        seen.blind,
        {"v1.1.0": look.seen.window.labels},
    )
    assert world.outbox.pending()[-1].payload["consequence"] == "The monitor rolls it back to v1.0.0"


@pytest.mark.parametrize(("days", "times"), [(2, 0), (4, 1), (20, 1)])
@pytest.mark.parametrize("window_hours", [24, 72, 168])
def test_confirmations_that_stop_coming_are_told_once(days, times, window_hours):
    """However soon the window has slid past the last one."""
    world, policy = World().live("first"), LiveAccuracyPolicy(matured_minutes=0, window_hours=window_hours)
    world.confirm(200, 4)
    world.later(hours=2)
    world.watch(policy=policy)
    for _ in range(days):
        world.later(days=1)
        world.watch(policy=policy)
    assert world.outbox.types().count("ConfirmationsStoppedEvent") == times


def test_a_champion_that_nobody_ever_confirmed_is_told():
    world = World().live("first")
    world.later(days=4)
    for _ in range(2):
        world.watch()
    assert world.outbox.types().count("ConfirmationsStoppedEvent") == 1
