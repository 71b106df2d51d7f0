"""A face champion is watched as any other: unknown, told once, taken down once, and never back to a bad one."""

import pytest

from pipeline.domain.errors import PromotionFrozen
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.faces.watching import FaceState, FaceWatchPolicy
from pipeline.domain.models import ModelType
from pipeline.domain.notices import notice_of
from pipeline.domain.transitions import Kind
from pipeline.ports.face_watching import FaceMonitoring
from pipeline.steps.faces.watch import watch_faces
from tests.builders import a_face_confirmation
from tests.fakes.faces import FakeFaceConfirmations, FakeFaceLooks
from tests.fakes.faults import Fault, Killed, every_fault
from tests.unit.pipeline.steps.live_world import World

POLICY = FaceWatchPolicy(matured_minutes=0)


class FaceWorld(World):
    def __init__(self):
        super().__init__(ModelType.FACE)
        self.said, self.looks = FakeFaceConfirmations(), FakeFaceLooks()

    def watch(self, fault=None, policy=POLICY):
        ports = (self.transitions, self.said, self.looks, self.readings, self.outbox, self.clock)
        return watch_faces((fault or Fault()).on_ports(FaceMonitoring(*ports), but=("clock",)), policy)

    def at_the_doors(self, people, *, refused=0, let_in=0, version=None):
        """Two checks of each: of so many people one is refused wrongly, of so many somebody else is let in."""
        self.later(minutes=1)
        for number in range(people):
            wrong = {"ai_result": "different", "score": 0.1} if number < refused else {}
            self._check(f"person-{number}", version, **wrong)
            self._check(f"person-{number}", version, final_result="different" if number < let_in else "same")

    def told(self):
        return [event for event in self.outbox.pending() if event.type.startswith("FaceRates")]

    def _check(self, name, version, **changes):
        key, about = str(len(self.said.stored)), {"person": person_key(name), "confirmed_at": self.clock.now()}
        said = a_face_confirmation(key, model_version=version or self.champion(), **{**about, **changes})
        self.said.store([said])


def test_before_any_deployment_there_is_nothing_to_watch():
    assert FaceWorld().watch() is None


def test_without_words_or_with_those_of_few_the_state_is_unknown_and_nobody_is_told():
    world = FaceWorld().live("first", "second")
    states = [world.watch().reading.state]
    world.at_the_doors(29, refused=29)
    states.append(world.watch().reading.state)
    assert states == [FaceState.UNKNOWN, FaceState.UNKNOWN]
    assert not world.told() and world.champion() == "v1.1.0"


@pytest.mark.parametrize("wrong", [{"refused": 150}, {"let_in": 60}], ids=["refuses", "lets in"])
def test_a_failing_champion_is_taken_down_once_and_promotions_freeze(wrong):
    world = FaceWorld().live("first", "second")
    world.at_the_doors(200, **wrong)
    for _ in range(2):
        world.watch()
    world.automatic()
    world.demand_one_story("v1.0.0")
    assert world.ledger.changes[-1].kind is Kind.ROLLBACK_AUTO
    with pytest.raises(PromotionFrozen, match=r"v1\.1\.0"):
        world.hot_swap(world.candidate("third"))
    world.clear_freeze()
    world.hot_swap("v1.2.0")
    world.demand_one_story("v1.2.0")


def test_that_people_begin_to_say_who_stood_there_takes_no_version_down():
    world = FaceWorld().live("first")
    world.at_the_doors(200, refused=16)
    world.hot_swap(world.candidate("second"))
    world.at_the_doors(200, refused=16)
    for number in range(60):
        nobody = {"ai_result": "different", "score": 0.1, "final_result": "different", "claimed": False}
        world._check("unlike", None, **nobody, shown=person_key(f"person-{number + 100}"))
    reading = world.watch().reading
    assert (reading.state, reading.refused.failed, reading.unnamed.failed) == (FaceState.OK, 16, 60)
    assert world.champion() == "v1.1.0"


def test_it_goes_back_to_no_version_that_was_taken_down():
    world = FaceWorld().live("first", "second")
    world.at_the_doors(200, refused=150)
    world.automatic()
    world.clear_freeze()
    world.live("third")
    world.at_the_doors(200, refused=150)
    assert world.watch().decision.target == "v1.0.0"


def test_two_bad_versions_do_not_play_ping_pong():
    world = FaceWorld().live("first", "second")
    for _ in range(2):
        world.at_the_doors(200, refused=150)
        seen = world.watch()
        if seen.decision.act:
            world.automatic()
    assert not seen.decision.act and "a person has to look" in seen.problem
    world.demand_one_story("v1.0.0")


def test_a_warning_is_told_once_an_episode_and_its_end_once():
    world = FaceWorld().live("first")
    world.at_the_doors(100, refused=33)
    for _ in range(3):
        assert world.watch().reading.state is FaceState.WARN
    world.at_the_doors(100)
    world.at_the_doors(100)
    for _ in range(3):
        assert world.watch().reading.recovered
    assert [event.type for event in world.told()] == ["FaceRatesHighEvent", "FaceRatesRecoveredEvent"]
    high, recovered = map(notice_of, world.told())
    assert high.subject == "FACE v1.0.0: people are wrongly refused or let in" and not high.urgent
    assert "refused wrongly 33 of 200 checks of 100 people (16.5%" in high.body
    assert recovered.subject == "FACE v1.0.0: people are rightly known again"
    assert world.told()[0].payload["wronglyRefused"] == 0.165
    assert "accuracy" not in str([event.payload for event in world.told()])


def test_what_fails_and_nobody_can_help_but_a_person_is_urgent():
    world = FaceWorld().live("first")
    world.at_the_doors(200, refused=150)
    for _ in range(3):
        world.watch()
    (told,) = world.told()
    assert notice_of(told).urgent and "no sound version served before it" in notice_of(told).body


def test_a_version_is_held_against_what_the_one_before_did_in_its_own_time():
    world = FaceWorld().live("first")
    world.at_the_doors(300, refused=3)
    world.live("second")
    world.at_the_doors(300, refused=54)
    reading = world.watch().reading
    assert reading.state is FaceState.WARN
    assert "v1.0.0 0.5%: more by over 5.0 pp" in reading.reason


def test_what_is_said_of_another_version_condemns_nobody():
    world = FaceWorld().live("first", "second")
    world.at_the_doors(200, refused=200, version="v1.0.0")
    assert world.watch().reading.state is FaceState.UNKNOWN


@pytest.mark.parametrize("people", [0, 40])
@pytest.mark.parametrize("window_hours", [24, 72, 168])
def test_that_nobody_confirms_any_more_is_told_once(people, window_hours):
    """However soon the window has slid past the last word."""
    world, policy = FaceWorld().live("first"), FaceWatchPolicy(matured_minutes=0, window_hours=window_hours)
    world.at_the_doors(people)
    for _ in range(20):
        world.later(days=1)
        world.watch(policy=policy)
    stopped = [event for event in world.outbox.pending() if event.type == "ConfirmationsStoppedEvent"]
    assert len(stopped) == 1 and stopped[0].payload["modelType"] == "FACE"


def bad_champion():
    world = FaceWorld().live("first", "second")
    world.at_the_doors(200, refused=150)
    return world


@pytest.mark.parametrize("fault", every_fault(lambda fault: bad_champion().watch(fault)), ids=str)
def test_a_look_killed_at_any_call_and_repeated_tells_once(fault):
    world = bad_champion()
    with pytest.raises(Killed):
        world.watch(fault)
    assert world.watch().decision.act
    assert len(world.told()) == 1
