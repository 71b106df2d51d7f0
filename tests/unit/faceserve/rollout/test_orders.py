"""A change that has a name is made once, and none is made for a caller that has gone."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from faceserve.errors import NameTaken, StaleEpoch, TooLate
from tests.unit.faceserve.rollout.world import MODEL, Replica


@pytest.fixture
def replica(tmp_path):
    """v2 serves, v1 did before, v3 is prepared."""
    made = Replica(tmp_path)
    made.serve("v0", "v1", "v2")
    made.prepare("v3")
    return made


ASKED = {
    "activate": lambda replica, **order: replica.activate("v3", **order),
    "roll back": lambda replica, **order: replica.rollback(**order),
    "roll back by name": lambda replica, **order: replica.rollback("v1", **order),
    "promote": lambda replica, **order: replica.promote("v3", **order),
    "try": lambda replica, **order: replica.try_out("v3", 50, **order),
    "abort": lambda replica, **order: replica.abort("v3", **order),
    "discard": lambda replica, **order: replica.discard("v3", **order),
}
every = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)


def ready(replica, ask):
    """What some of them need before."""
    if ask in {ASKED["promote"], ASKED["abort"]}:
        replica.try_out("v3")
    return replica


def seen(replica):
    now = replica.now
    return (replica.serving, replica.previous, replica.trial, replica.prepared, now.epoch, replica.history)


@every
def test_asked_again_after_others_came_between_nothing_happens(replica, ask):
    ask(ready(replica, ask), request="r1")
    replica.settle()
    replica.serve("v7", "v8")
    replica.prepare("v3")
    replica.settle()
    before = seen(replica)
    ask(replica, request="r1")
    assert seen(replica) == before


@every
def test_asked_again_after_a_restart_nothing_happens(replica, ask):
    ask(ready(replica, ask), request="r1")
    replica.serve("v7")
    again = replica.restarted()
    again.prepare("v3")
    again.settle()
    before = seen(again)
    ask(again, request="r1")
    assert seen(again) == before


@pytest.mark.parametrize("act", ["activate", "roll back", "roll back by name"])
def test_asked_again_the_answer_is_the_same(replica, act):
    done = ASKED[act](replica, request="r1")
    replica.serve("v7")
    again = ASKED[act](replica, request="r1")
    assert (again.version, again.previous, again.epoch) == (done.version, done.previous, done.epoch)


@pytest.mark.parametrize("restarted", [False, True])
def test_an_update_asked_again_after_others_came_between_loads_nothing(replica, restarted):
    done = replica.update("v4", request="r1")
    replica.serve("v7", "v8")
    replica.settle()
    replica = replica.restarted() if restarted else replica
    replica.settle()
    before = (seen(replica), replica.loader.versions)
    again = replica.update("v4", request="r1")
    assert (again.version, again.previous, again.epoch) == (done.version, done.previous, done.epoch)
    assert (seen(replica), replica.loader.versions) == before


def test_what_had_nothing_to_do_has_nothing_to_do_later_either(replica):
    assert replica.activate("v2", request="r1").epoch == 3
    replica.activate("v3")
    assert replica.activate("v2", request="r1").version == "v2"
    assert replica.serving == "v3"


def test_a_rollback_repeated_many_times_goes_one_step_back(replica):
    with ThreadPoolExecutor(12) as pool:
        found = set(pool.map(lambda _: replica.rollback(request="r1").version, range(12)))
    assert (found, replica.serving, replica.now.epoch) == ({"v1"}, "v1", 4)


CHANGES = {
    **{what: ask for what, ask in ASKED.items() if what not in {"roll back", "roll back by name"}},
    "roll back": lambda replica, **order: replica.rollback(**order),
    "activate another": lambda replica, **order: replica.activate("v1", **order),
    "roll back to v1": lambda replica, **order: replica.rollback("v1", **order),
    "roll back to v0": lambda replica, **order: replica.rollback("v0", **order),
    "roll back to what never was": lambda replica, **order: replica.rollback("v9.9.9", **order),
    "promote another": lambda replica, **order: replica.promote("v1", **order),
    "give it more": lambda replica, **order: replica.try_out("v3", 60, **order),
    "give it what is no share": lambda replica, **order: replica.try_out("v3", float("nan"), **order),
    "try it in shadow": lambda replica, **order: replica.try_out("v3", 50, shadow=True, **order),
    "abort another": lambda replica, **order: replica.abort("v1", **order),
    "discard another": lambda replica, **order: replica.discard("v1", **order),
    "discard a long one": lambda replica, **order: replica.discard("v" * 1000 + "1", **order),
    "discard another long one": lambda replica, **order: replica.discard("v" * 1000 + "2", **order),
    "update": lambda replica, **order: replica.update("v4", **order),
    "update another": lambda replica, **order: replica.update("v5", **order),
}
MADE = [what for what in CHANGES if what not in {"roll back to what never was", "give it what is no share"}]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("first", MADE)
def test_the_name_of_a_change_that_was_made_makes_no_other_one_succeed(replica, first, restarted):
    made = CHANGES[first]
    if first == "promote another":
        replica.try_out("v1")
    made(ready(replica, made), request="r1")
    replica = replica.restarted() if restarted else replica
    replica.settle()
    before = (seen(replica), replica.loader.versions)
    for what, ask in CHANGES.items():
        if what != first:
            with pytest.raises(NameTaken, match="request_id 'r1' names another change"):
                ask(replica, request="r1")
    made(replica, request="r1")
    assert (seen(replica), replica.loader.versions) == before


def test_what_an_earlier_program_noted_is_not_made_again_whatever_it_was(replica):
    """It wrote down the names alone."""
    replica.activate("v3", request="r1")
    file = replica.folder / f"{MODEL}.json"
    fields = json.loads(file.read_text())
    del fields["asked"], fields["sha256"]
    file.write_text(json.dumps(fields))
    again = replica.restarted()
    again.activate("v2")
    assert (again.activate("v3", request="r1").version, again.serving) == ("v3", "v2")


def test_another_name_is_another_change(replica):
    replica.activate("v3", request="r1")
    replica.activate("v2", request="r2")
    assert replica.activate("v3", request="r3").version == replica.serving == "v3"


@every
def test_what_was_refused_may_be_asked_for_again_under_the_same_name(replica, ask):
    before = seen(ready(replica, ask))
    with pytest.raises(StaleEpoch):
        order = {"request": "r1", "expected_epoch": 99} if ask in LAX else {"request": "r1", "epoch": 99}
        ask(replica, **order)
    assert seen(replica) == before
    ask(replica, request="r1")
    assert seen(replica) != before


LAX = {ASKED["try"], ASKED["abort"], ASKED["discard"]}


@every
def test_nothing_is_changed_for_a_caller_that_has_gone(replica, ask):
    before = seen(ready(replica, ask))
    with pytest.raises(TooLate, match="nobody waits"):
        ask(replica, wanted=lambda: False)
    assert seen(replica) == before


class Loading:
    """A rollback to v0, which is not in memory, up to the moment before its load ends."""

    def __init__(self, replica, **order):
        begun, finish = threading.Event(), threading.Event()
        replica.loader.before = lambda version: version == "v0" and (begun.set(), finish.wait(60))
        self._finish, self._pool = finish, ThreadPoolExecutor(1)
        self.done = self._pool.submit(replica.rollback, "v0", **order)
        assert begun.wait(60)

    def finish(self):
        self._finish.set()
        return self.done.result(60)


def test_a_rollback_whose_caller_went_while_it_loaded_does_not_finish(replica):
    replica.settle()
    here = threading.Event()
    here.set()
    loading = Loading(replica, wanted=here.is_set)
    here.clear()
    with pytest.raises(TooLate):
        loading.finish()
    assert replica.serving == "v2"


def test_a_rollback_that_loads_undoes_nothing_that_was_activated_meanwhile(replica):
    replica.settle()
    loading = Loading(replica)
    replica.activate("v3")
    with pytest.raises(StaleEpoch):
        loading.finish()
    assert replica.serving == "v3"


def test_a_caller_that_goes_while_it_waits_for_its_turn_to_load_is_let_go(replica):
    replica.settle()
    loading = Loading(replica)
    with ThreadPoolExecutor(1) as pool, pytest.raises(TooLate):
        pool.submit(replica.rollback, "v0", wanted=lambda: False).result(60)
    assert loading.finish().version == "v0"


def test_only_the_newest_names_are_remembered(replica):
    for number in range(100):
        replica.activate("v3" if number % 2 else "v2", request=f"r{number}")
    assert [one.request for one in replica.now.done] == [f"r{number}" for number in range(68, 100)]


def test_a_prepared_version_that_nobody_uses_is_dropped_in_the_end(replica):
    replica.prepare("v4")
    replica.try_out("v4")
    replica.manager.expire(3600)
    assert replica.prepared == ["v3"]
    replica.manager.expire(0)
    replica.settle()
    assert (replica.prepared, replica.trial, replica.engine("v3").closed) == ([], "v4", 1)
    assert replica.manager.snapshot(MODEL).active.version == "v2"
