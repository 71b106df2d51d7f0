"""Requests share engine calls, wait in turn, and are told when there is no room or no time."""

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from faceserve.engines.base import Output
from faceserve.errors import InferenceFailed, ModelHangs, TooLate
from faceserve.inference import apart as apart_module
from faceserve.inference import batching as batching_module
from faceserve.inference.batching import Batcher
from faceserve.inference.sizes import batch_sizes
from tests.waiting import until


class Engine:
    """Answers each image with its own first pixel; can be held up, and remembers the size of each call."""

    def __init__(self):
        self.calls = []
        self.prepared = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Semaphore(0)
        self.broken = False
        self.raises = None

    def prepare(self, sizes):
        self.prepared = sizes

    def infer(self, images):
        self.calls.append(len(images))
        self.entered.release()
        self.open.wait(60)
        if self.raises:
            raise self.raises
        if self.broken:
            raise RuntimeError("no")
        values = images[:, 0, 0, 0].astype(np.float32)
        return Output(np.stack([values, values], 1), values[:, None])


def image(value, count=1):
    return np.full((count, 2, 2, 3), value, np.uint8)


def spoil(engine, value, field="probabilities", odd=float("nan")):
    """From now on the engine's answer to images of this value has an odd number in it."""
    plain = engine.infer

    def infer(images):
        found = plain(images)
        getattr(found, field)[images[:, 0, 0, 0] == value, 0] = odd
        return found

    engine.infer = infer


def entered(*engines):
    """The first pixel of each call, in the order in which the engines began them."""
    order = []
    for engine in engines:
        engine.infer = lambda images, plain=engine.infer: (order.append(images[0, 0, 0, 0]), plain(images))[1]
    return order


def asked(pool, batcher, engine, *values):
    """Ask for each value once the one before waits in the queue; the futures."""
    found = []
    for value in values:
        before = batcher.waiting
        found.append(pool.submit(batcher.infer, engine, image(value)))
        until(lambda before=before: batcher.waiting == before + 1, "the request to wait")
    return found


@pytest.fixture
def pool():
    with ThreadPoolExecutor(64) as made:
        yield made


@pytest.fixture
def busy(pool):
    """An engine whose only slot is taken, with what to do to free it."""

    def busy(batcher, engine):
        engine.open.clear()
        first = pool.submit(batcher.infer, engine, image(99))
        engine.entered.acquire(timeout=60)
        return first

    return busy


def test_a_request_to_an_idle_server_is_answered_at_once_and_alone():
    engine, batcher = Engine(), Batcher(slots=1, max_batch=8, wait_seconds=60)
    assert batcher.infer(engine, image(7)).features.tolist() == [[7.0]]
    assert engine.calls == [1]


def test_requests_that_wait_share_one_call_and_each_gets_its_own_answer(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=4)
    busy(batcher, engine)
    waiting = asked(pool, batcher, engine, 1, 2, 3, 4)
    engine.open.set()
    assert [future.result(60).features[0, 0] for future in waiting] == [1, 2, 3, 4]
    assert engine.calls == [1, 4]


@pytest.mark.parametrize("field", ["probabilities", "features"])
def test_numbers_that_are_not_finite_fail_who_would_get_them_and_nobody_else(pool, busy, field):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=4)
    spoil(engine, 2, field)
    busy(batcher, engine)
    first, odd, *others = asked(pool, batcher, engine, 1, 2, 3, 4)
    engine.open.set()
    assert [future.result(60).features[0, 0] for future in (first, *others)] == [1, 3, 4]
    with pytest.raises(InferenceFailed, match="not finite"):
        odd.result(60)
    assert engine.calls == [1, 4]


@pytest.mark.parametrize("sizes", [(1,), (1, 1, 1, 1), (2, 1, 1), (7,), (3, 1, 1, 1), (8, 1)])
def test_each_call_of_an_engine_is_counted_once_however_many_share_it_or_one_needs(pool, busy, sizes):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=4)
    first, waiting = busy(batcher, engine), []
    for number, size in enumerate(sizes):
        waiting.append(pool.submit(batcher.infer, engine, image(number, size)))
        until(lambda number=number: batcher.waiting == number + 1, "the request to wait")
    engine.open.set()
    assert sum(future.result(60).engine_calls for future in (first, *waiting)) == len(engine.calls)
    assert sum(engine.calls) == 1 + sum(sizes)


def test_a_call_that_gave_its_first_request_no_answer_is_counted_for_the_next(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=4)
    spoil(engine, 1)
    busy(batcher, engine)
    odd, *others = asked(pool, batcher, engine, 1, 2, 3, 4)
    engine.open.set()
    assert [future.result(60).engine_calls for future in others] == [1, 0, 0]
    assert isinstance(odd.exception(60), InferenceFailed)


def test_no_call_is_of_a_size_that_the_engine_was_not_prepared_for(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=4)
    busy(batcher, engine)
    waiting = asked(pool, batcher, engine, 1, 2, 3)
    engine.open.set()
    assert [future.result(60).features[0, 0] for future in waiting] == [1, 2, 3]
    assert set(engine.calls) <= set(batch_sizes(4)) == {1, 2, 4}


def test_a_large_request_is_cut_into_calls_and_put_together_again():
    engine, batcher = Engine(), Batcher(slots=1, max_batch=4)
    found = batcher.infer(engine, np.concatenate([image(n) for n in range(11)]))
    assert found.features[:, 0].tolist() == list(range(11))
    assert engine.calls == [4, 4, 2, 1]


def test_a_waiting_request_waits_a_little_for_company(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=2, wait_seconds=60)
    busy(batcher, engine)
    (alone,) = asked(pool, batcher, engine, 1)
    engine.open.set()
    company = pool.submit(batcher.infer, engine, image(2))
    assert (alone.result(60).features[0, 0], company.result(60).features[0, 0]) == (1, 2)
    assert engine.calls == [1, 2]


def test_two_models_are_served_in_turn_however_long_one_queue_is(pool, busy):
    popular, rare, batcher = Engine(), Engine(), Batcher(slots=1)
    order = entered(popular, rare)
    busy(batcher, popular)
    crowd = asked(pool, batcher, popular, 1, 2, 3, 4)
    (single,) = asked(pool, batcher, rare, 9)
    popular.open.set()
    assert {one.result(60).features[0, 0] for one in (*crowd, single)} == {1, 2, 3, 4, 9}
    assert order[0] == 99 and order.index(9) <= 2


def test_a_request_whose_deadline_passes_in_the_queue_is_told_so_and_never_run(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1)
    first = busy(batcher, engine)
    with pytest.raises(TooLate):
        batcher.infer(engine, image(1), deadline=time.monotonic() + 0.05)
    engine.open.set()
    first.result(60)
    assert engine.calls == [1]
    assert batcher.infer(engine, image(2)).features[0, 0] == 2


def test_an_engine_that_fails_fails_only_the_requests_of_that_call(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=2)
    engine.broken = True
    with pytest.raises(InferenceFailed, match="RuntimeError no"):
        batcher.infer(engine, image(1))
    engine.broken = False
    assert batcher.infer(engine, image(2)).features[0, 0] == 2


def test_work_for_idle_times_waits_until_no_request_does(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1)
    order = entered(engine)
    busy(batcher, engine)
    idle = pool.submit(batcher.infer_when_idle, engine, image(50), 60)
    time.sleep(0.05)
    requests = asked(pool, batcher, engine, 1, 2)
    engine.open.set()
    assert [one.result(60).features[0, 0] for one in (*requests, idle)] == [1, 2, 50]
    assert order == [99, 1, 2, 50]


def test_work_for_idle_times_does_not_wait_for_ever_while_requests_come_without_a_pause(pool, busy):
    crowded, loading, batcher = Engine(), Engine(), Batcher(slots=1)
    busy(batcher, crowded)
    asked(pool, batcher, crowded, 1, 2, 3)
    assert batcher.infer_when_idle(loading, image(50), 0.05).features[0, 0] == 50
    assert crowded.calls == [1]
    crowded.open.set()


def test_a_model_that_does_not_come_back_takes_its_slot_from_nobody_else(pool, busy):
    hanging, sound, batcher = Engine(), Engine(), Batcher(slots=1, call_seconds=0.3)
    first = busy(batcher, hanging)
    also = pool.submit(batcher.infer, hanging, image(1))
    assert batcher.infer(sound, image(2)).features[0, 0] == 2
    with pytest.raises(ModelHangs):
        also.result(60)
    with pytest.raises(ModelHangs, match="ask another replica"):
        batcher.infer(hanging, image(3))
    hanging.open.set()
    assert first.result(60).features[0, 0] == 99
    assert batcher.infer(hanging, image(4)).features[0, 0] == 4
    assert hanging.calls == [1, 1]


@pytest.mark.parametrize("apart", [True, False])
def test_after_the_process_was_stopped_a_call_that_comes_back_a_moment_later_is_an_answer(pool, monkeypatch, apart):
    for module in (apart_module, batching_module):
        monkeypatch.setattr(module, "GRACE_SECONDS", 30)
    engine, batcher = Engine(), Batcher(slots=1, max_batch=2, call_seconds=50)
    engine.open.clear()
    asks = batcher.apart.infer if apart else batcher.infer
    waiting = [pool.submit(asks, engine, image(n)) for n in range(5)]
    until(lambda: engine.calls and (apart or batcher.waiting == 4), "all to wait")
    plain = time.monotonic

    def much_later():
        # The first look at the clock and the engine's return are at the same moment.
        engine.open.set()
        return plain() + 1000

    monkeypatch.setattr(time, "monotonic", much_later)
    assert sorted(one.result(60).features[0, 0] for one in waiting) == [0, 1, 2, 3, 4]


def test_companions_of_a_call_that_does_not_come_back_are_told_so(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=2, call_seconds=3)
    engine.open.clear()
    first = busy(batcher, engine)
    pair = asked(pool, batcher, engine, 1, 2)
    # The first call comes back in time; the two that waited go in together and stay there.
    once, engine.open = engine.open, threading.Event()
    once.set()
    first.result(60)
    until(lambda: engine.calls == [1, 2], "the batch to begin")
    with pytest.raises(ModelHangs):
        pair[1].result(60)
    engine.open.set()
    assert pair[0].result(60).features[0, 0] == 1


@pytest.mark.parametrize("error", [RuntimeError, ValueError, MemoryError, SystemExit, KeyboardInterrupt])
def test_whatever_an_engine_raises_is_told_to_everybody_in_the_batch(pool, busy, error):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=2)
    first = busy(batcher, engine)
    pair = asked(pool, batcher, engine, 1, 2)
    engine.raises = error
    engine.open.set()
    for future in (first, *pair):
        with pytest.raises(InferenceFailed, match=error.__name__):
            future.result(60)
    engine.raises = None
    assert batcher.infer(engine, image(5)).features[0, 0] == 5


def test_nothing_is_worked_out_for_callers_that_went(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1)
    first, here = busy(batcher, engine), threading.Event()
    here.set()
    gone = [pool.submit(batcher.infer, engine, image(n), float("inf"), here.is_set) for n in range(20)]
    until(lambda: batcher.waiting == 20, "all to wait")
    here.clear()
    engine.open.set()
    first.result(60)
    for future in gone:
        with pytest.raises(TooLate):
            future.result(60)
    with pytest.raises(TooLate):
        batcher.infer(engine, image(1), wanted=here.is_set)
    assert engine.calls == [1]


def test_a_large_request_stops_between_two_calls_when_its_caller_went():
    engine, batcher = Engine(), Batcher(slots=1)
    with pytest.raises(TooLate):
        batcher.infer(engine, image(1, 5), wanted=lambda: len(engine.calls) < 2)
    assert engine.calls == [1, 1]


def test_a_large_request_may_take_longer_than_one_call_may(pool):
    engine, batcher = Engine(), Batcher(slots=1, call_seconds=0.9)
    plain = engine.infer
    engine.infer = lambda images: (time.sleep(0.2), plain(images))[1]
    large = pool.submit(batcher.infer, engine, image(1, 5))
    until(lambda: engine.calls, "it to begin")
    assert batcher.infer(Engine(), image(2)).features[0, 0] == 2
    assert len(large.result(60).features) == 5


def test_the_time_of_an_answer_is_the_engines_without_the_wait_for_it(pool, busy):
    engine, batcher = Engine(), Batcher(slots=1)
    first = busy(batcher, engine)
    (waiting,) = asked(pool, batcher, engine, 1)
    time.sleep(0.5)
    opened = time.monotonic()
    engine.open.set()
    assert first.result(60).engine_seconds >= 0.5
    # Its call began after that of the first one ended.
    assert waiting.result(60).engine_seconds <= time.monotonic() - opened


def test_warming_up_prepares_and_runs_every_batch_size_on_every_slot():
    engine, batcher = Engine(), Batcher(slots=2, max_batch=4)
    batcher.warm_up(engine, image(0)[0])
    assert engine.prepared == [1, 2, 4]
    assert engine.calls == [1, 1, 2, 2, 4, 4]


def test_under_a_crowd_everybody_gets_the_right_answer_and_slots_are_never_exceeded(pool):
    engine, batcher = Engine(), Batcher(slots=2, max_batch=4)
    inside, most, lock = 0, 0, threading.Lock()
    plain = engine.infer

    def counted(images):
        nonlocal inside, most
        with lock:
            inside, most = inside + 1, max(most, inside + 1)
        try:
            return plain(images)
        finally:
            with lock:
                inside -= 1

    engine.infer = counted
    values = [n % 200 for n in range(2000)]
    found = list(pool.map(lambda value: batcher.infer(engine, image(value)).features[0, 0], values))
    assert found == values
    assert most <= 2


@pytest.fixture
def no_collector():
    """Nobody looks for objects that hold each other: after a crowd has gone that may take hours."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_of_a_batch_that_hung_and_then_failed_nothing_holds_the_photos_any_longer(pool, busy, no_collector):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=4, call_seconds=3)
    first = busy(batcher, engine)

    def asked_and_gone(number):
        images = image(number)
        with suppress(InferenceFailed, TooLate):
            batcher.infer(engine, images)
        return weakref.ref(images)

    callers = [pool.submit(asked_and_gone, number) for number in range(4)]
    until(lambda: batcher.waiting == len(callers), "all of them to wait")
    once, engine.open = engine.open, threading.Event()
    once.set()
    first.exception(60)
    until(lambda: len(engine.calls) == 2, "the batch to begin")
    until(lambda: sum(one.done() for one in callers) == 3, "its companions to be told so")
    engine.broken = True
    engine.open.set()
    held = [one.result(60) for one in callers]
    until(lambda: [photo for photo in held if photo() is not None] == [], "photos to be let go")


@pytest.mark.parametrize("outcome", ["answered", "broken", "too late", "hangs"])
def test_whatever_comes_of_requests_nothing_holds_their_photos_any_longer(pool, busy, no_collector, outcome):
    engine, batcher = Engine(), Batcher(slots=1, max_batch=4, call_seconds=0.3 if outcome == "hangs" else 60)

    def asked_and_gone(number):
        images = image(number)
        seconds = 0.3 if outcome == "too late" else 60
        try:
            batcher.infer(engine, images, time.monotonic() + seconds)
        except (InferenceFailed, TooLate):
            assert outcome != "answered"
        return weakref.ref(images)

    first = busy(batcher, engine)
    engine.broken = outcome == "broken"
    callers = [pool.submit(asked_and_gone, number) for number in range(6)]
    if outcome in {"answered", "broken"}:
        until(lambda: batcher.waiting == len(callers), "all of them to wait")
        engine.open.set()
    held = [one.result(60) for one in callers]
    engine.open.set()
    first.exception(60)
    until(lambda: [photo for photo in held if photo() is not None] == [], "photos to be let go")
