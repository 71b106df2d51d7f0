"""Whoever watches is told what is news, once and in order, and nobody waits for whoever does not read it."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2 as pb

from faceserve.protocols.health import NOT_SERVING, SERVING, HealthServicer
from tests.waiting import until

UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN


class Call:
    """What its caller was told; nothing is read of it before `reads`."""

    def __init__(self, *, alive=True, connection="a"):
        self.connection = connection
        self.told, self.reads, self.alive, self.gone = [], threading.Event(), alive, []
        self.reads.set()

    def add_callback(self, callback):
        self.gone.append(callback)
        return self.alive

    def peer(self):
        return self.connection

    def send(self, answer):
        assert self.reads.wait(60)
        self.told.append(answer and answer.status)

    def hang_up(self):
        for callback in self.gone:
            callback()


@pytest.fixture
def servicer():
    made = HealthServicer()
    made.set("laundry", NOT_SERVING)
    return made


def watched(servicer, service="laundry", call=None):
    call = call or Call()
    servicer.Watch(pb.HealthCheckRequest(service=service), call, call.send)
    return call


def is_told(call, *said):
    until(lambda: call.told == list(said), f"{said}")


def test_each_change_of_its_service_is_told_once(servicer):
    call, other = watched(servicer), watched(servicer, "face")
    is_told(call, NOT_SERVING)
    for status in (SERVING, SERVING, NOT_SERVING):
        servicer.set("laundry", status)
        until(lambda status=status: call.told[-1] == status, "the news")
    servicer.set("face", SERVING)
    is_told(other, UNKNOWN, SERVING)
    is_told(call, NOT_SERVING, SERVING, NOT_SERVING)


def test_at_the_end_each_is_told_that_nothing_serves_and_let_go_once(servicer):
    servicer.set("laundry", SERVING)
    call, other = watched(servicer), watched(servicer, "nobody")
    is_told(call, SERVING)
    is_told(other, UNKNOWN)
    servicer.end()
    servicer.end()
    servicer.set("laundry", SERVING)
    is_told(call, SERVING, NOT_SERVING, None)
    is_told(other, UNKNOWN, None)
    is_told(watched(servicer), NOT_SERVING, None)


def test_who_hung_up_is_told_nothing_more(servicer):
    call = watched(servicer)
    is_told(call, NOT_SERVING)
    call.hang_up()
    stays = watched(servicer)
    servicer.set("laundry", SERVING)
    until(lambda: stays.told[-1:] == [SERVING], "the news")
    assert call.told == [NOT_SERVING]


def test_a_call_that_is_over_before_it_is_watched_is_not_kept(servicer):
    call = watched(servicer, call=Call(alive=False))
    stays = watched(servicer)
    servicer.set("laundry", SERVING)
    until(lambda: stays.told[-1:] == [SERVING], "the news")
    assert call.told == []


@pytest.mark.parametrize(("connections", "each"), [(1, 400), (100, 4)])
def test_nobody_at_another_connection_waits_for_those_that_do_not_read(servicer, connections, each):
    stuck = [Call(connection=f"stuck {number}") for number in range(connections) for _ in range(each)]
    for call in stuck:
        watched(servicer, call=call)
        is_told(call, NOT_SERVING)
    for call in stuck:
        call.reads.clear()
    others = [watched(servicer) for _ in range(100)]
    for status in itertools.islice(itertools.cycle([SERVING, NOT_SERVING]), 9):
        servicer.set("laundry", status)
        until(lambda status=status: all(one.told[-1:] == [status] for one in others), "all others to be told")
    for call in stuck:
        call.reads.set()
    until(lambda: all(one.told[-1] == SERVING for one in stuck), "them to be told, too")
    # What was news meanwhile and is no more is not said.
    assert all(one.told == [NOT_SERVING, SERVING] for one in stuck)


def test_behind_a_proxy_those_that_do_not_read_keep_no_news_from_their_neighbours(servicer):
    """All of them share one connection."""
    stuck, others = [watched(servicer) for _ in range(40)], [watched(servicer) for _ in range(100)]
    for call in (*stuck, *others):
        is_told(call, NOT_SERVING)
    for call in stuck:
        call.reads.clear()
    for status in (SERVING, NOT_SERVING, SERVING):
        servicer.set("laundry", status)
        until(lambda status=status: all(one.told[-1:] == [status] for one in others), "their neighbours to be told")
    for call in stuck:
        call.reads.set()
    for call in stuck:
        is_told(call, NOT_SERVING, SERVING)


def test_one_that_cannot_be_told_keeps_the_news_from_nobody(servicer):
    class Broken(Call):
        def send(self, answer):
            raise ValueError("of a library that changed")

    watched(servicer, call=Broken())
    for status in (SERVING, NOT_SERVING):
        servicer.set("laundry", status)
        is_told(watched(servicer), status)


def test_whatever_comes_at_once_each_watcher_ends_with_what_is_true(servicer):
    def change(number):
        for status in itertools.islice(itertools.cycle([SERVING, NOT_SERVING]), number, number + 200):
            servicer.set("laundry", status)

    def come(_):
        return [watched(servicer) for _ in range(50)]

    with ThreadPoolExecutor(8) as pool:
        changing = [pool.submit(change, number) for number in range(4)]
        calls = [call for found in pool.map(come, range(4)) for call in found]
        for one in changing:
            one.result(60)
    now = servicer.Check(pb.HealthCheckRequest(service="laundry"), grpc.ServicerContext).status
    until(lambda: all(call.told[-1:] == [now] for call in calls), "each to be told what is true")
    servicer.end()
    until(lambda: all(call.told[-1:] == [None] for call in calls), "all to be let go")
    for call in calls:
        assert call.told[-2:] == [NOT_SERVING, None]
        assert all(one != another for one, another in itertools.pairwise(call.told))
