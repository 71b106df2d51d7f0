"""Calls of candidates: in threads and places of their own, and given up when they do not come back."""

import threading
import time

import pytest

from faceserve.errors import InferenceFailed, ModelHangs, Overloaded, TooLate
from faceserve.inference import apart
from faceserve.inference.apart import Apart, GivenUp
from tests.unit.faceserve.inference.test_batching import Engine, image, spoil
from tests.waiting import until


@pytest.fixture
def engine():
    made = Engine()
    yield made
    made.open.set()


def test_an_answer_comes_with_the_time_for_each_image(engine):
    plain = engine.infer
    engine.infer = lambda images: (time.sleep(0.2), plain(images))[1]
    began = time.monotonic()
    found = Apart(1, 60).infer(engine, image(7, 20))
    assert found.features[:, 0].tolist() == [7.0] * 20
    assert 0.01 <= found.engine_seconds <= (time.monotonic() - began) / 20


class Late:
    """Threads that run some time after they were started, as on a busy machine; `runs` is when the last one did."""

    def __init__(self, monkeypatch, seconds):
        self.runs = None
        plain = apart.aside

        def aside(name, work, *about):
            def later():
                time.sleep(seconds)
                self.runs = time.monotonic()
                work(*about)

            plain(name, later)

        monkeypatch.setattr(apart, "aside", aside)


@pytest.mark.parametrize("images", [1, 4])
def test_waiting_for_a_thread_to_run_is_not_the_models_time(engine, monkeypatch, images):
    late = Late(monkeypatch, 0.3)
    found = Apart(1, 60).infer(engine, image(1, images))
    assert found.engine_seconds * images <= time.monotonic() - late.runs
    assert found.queue_seconds >= 0.3


def test_a_call_whose_thread_does_not_run_yet_does_not_hang(engine, monkeypatch):
    Late(monkeypatch, 1.0)
    assert Apart(1, 0.2).infer(engine, image(1)).features[0, 0] == 1


def test_a_call_that_does_not_come_back_is_given_up_and_so_are_later_ones_at_once(engine):
    apart = Apart(2, 0.2)
    engine.open.clear()
    with pytest.raises(ModelHangs, match="did not come back from a call within 0.2 s"):
        apart.infer(engine, image(1))
    time.sleep(0.3)
    with pytest.raises(ModelHangs, match="has not come back from an earlier call"):
        apart.infer(engine, image(2))
    assert engine.calls == [1]
    assert apart.infer(Engine(), image(3)).features[0, 0] == 3


def test_a_model_that_came_back_after_all_is_asked_again(engine):
    apart = Apart(1, 0.2)
    engine.open.clear()
    with pytest.raises(ModelHangs):
        apart.infer(engine, image(1))
    engine.open.set()
    found = []

    def answered():
        try:
            found.append(apart.infer(engine, image(2)))
        except ModelHangs:
            return False
        return True

    until(answered, "the model to be asked again")
    assert found[0].features[0, 0] == 2


def test_a_deadline_that_passes_says_nothing_of_the_model(engine):
    apart = Apart(1, 60)
    engine.open.clear()
    for _ in range(2):
        with pytest.raises(TooLate):
            apart.infer(engine, image(1), time.monotonic() + 0.1)
    assert engine.calls == [1]


@pytest.mark.parametrize("raises", [None, RuntimeError])
@pytest.mark.parametrize("gone", [True, False])
def test_what_becomes_of_a_call_is_known_although_nobody_waited_for_it(engine, gone, raises):
    engine.open.clear()
    engine.raises = raises
    with pytest.raises(GivenUp) as caught:
        deadline = float("inf") if gone else time.monotonic() + 0.1
        Apart(1, 60).infer(engine, image(1), deadline, lambda: not (gone and engine.calls))
    outcome = caught.value.outcome
    assert not outcome.done()
    engine.open.set()
    if raises:
        assert isinstance(outcome.exception(60), InferenceFailed)
    else:
        assert outcome.result(60).engine_seconds > 0


def test_where_no_thread_starts_a_request_is_refused_and_its_place_is_free_again(engine, monkeypatch):
    apart = Apart(1, 0.2)
    with monkeypatch.context() as shortage:
        shortage.setattr(threading.Thread, "start", no_thread)
        for _ in range(3):
            with pytest.raises(Overloaded, match="no thread could start"):
                apart.infer(engine, image(1))
    time.sleep(0.5)
    assert apart.infer(engine, image(2)).features[0, 0] == 2


def no_thread(thread):
    raise RuntimeError("can't start new thread")


def test_who_waits_for_a_place_of_a_hanging_model_is_told_so(engine):
    apart, found = Apart(1, 0.3), []
    engine.open.clear()

    def ask():
        try:
            apart.infer(engine, image(1))
        except ModelHangs as error:
            found.append(error)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(60)
    assert (len(found), engine.calls) == (3, [1])


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, SystemExit])
def test_whatever_an_engine_raises_is_its_answer(engine, error):
    apart = Apart(1, 5)
    engine.raises = error
    with pytest.raises(InferenceFailed, match=error.__name__):
        apart.infer(engine, image(1))
    engine.raises = None
    assert apart.infer(engine, image(2)).features[0, 0] == 2


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["probabilities", "features"])
def test_numbers_that_are_not_finite_are_no_answer(engine, field, odd):
    spoil(engine, 1, field, odd)
    apart = Apart(1, 5)
    with pytest.raises(InferenceFailed, match="not finite"):
        apart.infer(engine, image(1))
    assert apart.infer(engine, image(2)).features[0, 0] == 2


def test_nothing_is_worked_out_for_a_caller_that_went(engine):
    apart = Apart(1, 5)
    for _ in range(2):
        with pytest.raises(TooLate):
            apart.infer(engine, image(1), wanted=lambda: False)
    assert engine.calls == []
    assert apart.infer(engine, image(2)).features[0, 0] == 2


def test_who_goes_waits_no_longer_for_a_place_or_for_the_model(engine):
    """What the caller holds is for others, although the model may never come back."""
    apart, gone, went = Apart(1, 60), threading.Event(), []
    engine.open.clear()

    def ask():
        try:
            apart.infer(engine, image(1), wanted=lambda: not gone.is_set())
        except TooLate as error:
            went.append(str(error))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    assert engine.entered.acquire(timeout=60)
    gone.set()
    for asker in askers:
        asker.join(60)
    assert (went, engine.calls) == (["nobody waits for the answer any more"] * 2, [1])
    engine.open.set()
    assert apart.infer(engine, image(2)).features[0, 0] == 2
