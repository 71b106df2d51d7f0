"""What is held of messages on their way when memory runs short, and what the surplus of a crowd is told."""

import asyncio
import socket
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from faceserve.protocols.health import NOT_SERVING, SERVING, HealthServicer
from faceserve.protocols.places import Patience
from faceserve.protocols.ports import Limits, Port
from faceserve.protocols.refusing import Counted, Shares
from tests.replica.idle import saying_nothing
from tests.waiting import until

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MESSAGE_BYTES, SPARE_BYTES = 1 << 20, 16 << 20


class Memory:
    """So much is `left`; `looks` counts how often somebody wanted to know."""

    def __init__(self):
        self.left, self.looks = float("inf"), 0

    def left_bytes(self):
        self.looks += 1
        return self.left

    def looked_at(self, times):
        before = self.looks
        until(lambda: self.looks >= before + times, "it to be looked at")


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def health():
    return HealthServicer()


@pytest.fixture
def news_seconds():
    return 600


@pytest.fixture
def address(memory, health, news_seconds, monkeypatch):
    # Nobody is helped by a silent connection's being given up.
    monkeypatch.setattr("faceserve.protocols.ports._KEEPALIVE_MS", 3_600_000)
    patience = Patience(600, 600, news_seconds)
    port = Port({}, Limits(patience, MESSAGE_BYTES, 100, SPARE_BYTES, 600, memory.left_bytes), health, [])
    number = port.bind(("127.0.0.1", 0))
    port.server.start()
    yield f"127.0.0.1:{number}"
    port.stop(0).wait(30)


def ended(calls):
    return [number for number, call in enumerate(calls) if call.done()]


def test_while_memory_is_not_short_whoever_sends_slowly_goes_on(memory, address):
    memory.left = SPARE_BYTES
    with saying_nothing(address, CHECK, 12) as calls:
        memory.looked_at(3)
        assert ended(calls) == []


@pytest.mark.parametrize("go_on", [0, 3])
def test_when_memory_is_short_only_so_many_go_on_sending_as_there_is_room_for(memory, address, go_on):
    with saying_nothing(address, CHECK, 8) as calls:
        memory.looked_at(2)
        memory.left = go_on * MESSAGE_BYTES + 1
        until(lambda: len(ended(calls)) >= len(calls) - go_on, "the others to be ended")
        if go_on:
            memory.looked_at(3)
        assert len(ended(calls)) == len(calls) - go_on


def test_who_asks_at_once_is_answered_however_short_memory_is(memory, address):
    memory.left = 0
    with saying_nothing(address, CHECK, 8), grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=30)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def crowd(address, connections, callers, rounds):
    """So many callers over each connection, each of which asks again as soon as it has its answer."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(connections)]

    async def ask(channel):
        told = []
        for _ in range(rounds):
            try:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=120)
                told.append(("OK", "", {}))
            except grpc.aio.AioRpcError as error:
                told.append((error.code().name, error.details(), dict(error.trailing_metadata())))
        return told

    told = await asyncio.gather(*(ask(channel) for channel in channels for _ in range(callers)))
    for channel in channels:
        await channel.close()
    return [one for caller in told for one in caller]


def surplus(told, *also):
    """What those were told who got no answer, once each."""
    assert {code for code, _, _ in told} <= {"OK", "NOT_FOUND", "RESOURCE_EXHAUSTED", *also}
    refused = [(sentence, metadata) for code, sentence, metadata in told if code == "RESOURCE_EXHAUSTED"]
    assert {metadata["grpc-retry-pushback-ms"] for _, metadata in refused} <= {"500"}
    return {sentence for sentence, _ in refused}


@pytest.mark.parametrize(("connections", "callers", "rounds"), [(1, 300, 3), (2, 800, 1)])
def test_of_a_crowd_whoever_gets_no_answer_is_told_to_come_later(address, connections, callers, rounds):
    """Beyond its own limit for a connection gRPC refuses a call without a word; what was just answered counts there."""
    told = asyncio.run(crowd(address, connections, callers, rounds))
    assert len(told) == connections * callers * rounds
    assert all(sentence.endswith(" run already: ask another replica or later") for sentence in surplus(told))


def test_of_more_than_a_connection_takes_some_may_be_refused_without_a_sentence_and_none_is_left_waiting(address):
    told = asyncio.run(crowd(address, 1, 1100, 1))
    assert len(told) == 1100
    assert all(
        sentence.endswith(" run already: ask another replica or later") for sentence in surplus(told, "UNAVAILABLE")
    )


def test_when_all_places_are_taken_the_surplus_is_refused_while_nothing_moves(memory, address):
    refused = ("RESOURCE_EXHAUSTED", "16 such calls run already: ask another replica or later")

    def everybody_was_refused():
        with saying_nothing(address, CHECK, 16) as calls:
            # A call that is later here than the crowd is itself one too many.
            memory.looked_at(2)
            told = asyncio.run(crowd(address, 2, 100, 1))
            assert surplus(told) <= {refused[1]}
            return not ended(calls) and [(code, sentence) for code, sentence, _ in told] == [refused] * 200

    until(everybody_was_refused, "sixteen silent calls to take all places")


def test_one_connection_leaves_places_of_each_kind_to_the_others(address):
    """Some hundred of those that watch."""
    asked = health_pb2.HealthCheckRequest(service="nobody")

    def watched(channel):
        call = health_pb2_grpc.HealthStub(channel).Watch(asked, timeout=60)
        try:
            return next(call).status
        except grpc.RpcError as error:
            return error.details()
        finally:
            call.cancel()

    with grpc.insecure_channel(address) as channel, grpc.insecure_channel(address, [("another", 1)]) as other:
        watching = []
        while len(watching) < 1000:
            watching.append(health_pb2_grpc.HealthStub(channel).Watch(asked, timeout=600))
            try:
                assert next(watching[-1]).status == UNKNOWN
            except grpc.RpcError:
                break
        refused = watching.pop().details()
        assert len(watching) >= 500
        assert refused == f"{len(watching)} such calls of this connection run already: ask another replica or later"
        assert watched(other) == UNKNOWN
        with pytest.raises(grpc.RpcError, match="no service 'nobody'"):
            health_pb2_grpc.HealthStub(channel).Check(asked, timeout=60)
        watching[0].cancel()
        until(lambda: watched(channel) == UNKNOWN, "its place to be free")


def threads():
    return {one.ident for one in threading.enumerate() if one.name.startswith("call")}


def test_the_surplus_of_one_connection_is_refused_without_a_thread(memory, address):
    """Handed on to threads it would wait for the interpreter's turn as often as it is many."""
    told = "12 such calls of this connection run already: ask another replica or later"
    with saying_nothing(address, CHECK, 12, connections=1) as calls:
        memory.looked_at(2)
        before = threads()
        with grpc.insecure_channel(address, [("number", 0)]) as same:
            check = health_pb2_grpc.HealthStub(same).Check
            surplus = [check.future(health_pb2.HealthCheckRequest(), timeout=240) for _ in range(500)]
            assert {(one.code(), one.details()) for one in surplus} == {(grpc.StatusCode.RESOURCE_EXHAUSTED, told)}
        assert not ended(calls)
        # Those of servers of other tests may end meanwhile.
        assert threads() <= before


def watching(channel, count):
    """What as many calls that begin at once are told first."""
    asked = health_pb2.HealthCheckRequest(service="nobody")
    calls = [health_pb2_grpc.HealthStub(channel).Watch(asked, timeout=240) for _ in range(count)]
    return [next(one).status for one in calls]


def test_behind_a_proxy_however_many_begin_to_watch_at_once_each_is_told_also_beside_some_that_say_nothing(address):
    with saying_nothing(address, WATCH, 12, connections=1), grpc.insecure_channel(address, [("number", 0)]) as same:
        assert watching(same, 300) == [UNKNOWN] * 300


@pytest.mark.parametrize("news_seconds", [0.5])
def test_whoever_begins_to_watch_and_says_nothing_makes_its_neighbours_wait_for_seconds_and_nobody_else(address):
    with (
        saying_nothing(address, WATCH, 200, connections=1) as silent,
        grpc.insecure_channel(address) as other,
        grpc.insecure_channel(address, [("number", 0)]) as same,
    ):
        assert watching(other, 1) == [UNKNOWN]
        assert len(ended(silent)) < 200
        assert watching(same, 1) == [UNKNOWN]
        until(lambda: len(ended(silent)) == 200, "them to be sent away")
        assert {one.code() for one in silent} == {grpc.StatusCode.CANCELLED}


def test_a_watch_that_is_no_message_is_refused_with_a_sentence_whoever_reads_it(address):
    with saying_nothing(address, WATCH, 2, connections=1), grpc.insecure_channel(address, [("number", 0)]) as same:
        calls = [same.unary_stream(WATCH)(b"\xff", timeout=240) for _ in range(40)]
        assert {(one.code(), one.details()) for one in calls} == {
            (grpc.StatusCode.INVALID_ARGUMENT, "the bytes are no message of this call")
        }


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([True] * 5 + [False])), min_size=60, max_size=120))
def test_whoever_comes_each_connection_has_its_own_places_and_of_the_common_ones_never_more_than_it_leaves(steps):
    own, common, shares = 2, 16, Shares(6 * 2 + 16, 2, 16)
    running = Counter()
    for connection, comes in steps:
        if not comes and running[connection]:
            shares.given_back(str(connection))
            running[connection] -= 1
        elif comes:
            beyond = {one: max(0, count - own) for one, count in running.items()}
            left = common - sum(beyond.values())
            let_in = running[connection] < own or beyond[connection] < left
            sentence = shares.taken(str(connection))
            assert sentence == "" if let_in else sentence.startswith(f"{running[connection]} such calls of this")
            running[connection] += let_in


class Held(grpc.ServerInterceptor):
    """Calls are looked at one after the other, none before `go`; `looked_at` counts them."""

    def __init__(self):
        self.go, self.looked_at = threading.Event(), 0

    def intercept_service(self, continuation, details):
        self.looked_at += 1
        self.go.wait(240)
        return continuation(details)


@pytest.fixture
def held(memory):
    interceptor = Held()
    limits = Limits(Patience(), MESSAGE_BYTES, 100, SPARE_BYTES, 600, memory.left_bytes)
    port = Port({}, limits, HealthServicer(), [interceptor])
    interceptor.address = ("127.0.0.1", port.bind(("127.0.0.1", 0)))
    port.server.start()
    yield interceptor
    interceptor.go.set()
    port.stop(0).wait(30)


def frame(kind, flags, stream, body=b""):
    """Of HTTP/2."""
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def rst_streams(said):
    """How many calls are called off in these bytes, and what is left of them after the last whole frame."""
    count = 0
    while len(said) >= 9 + (size := int.from_bytes(said[:3], "big")):
        count += said[3] == _RST_STREAM
        said = said[9 + size :]
    return count, said


def headers(path):
    """Of a gRPC call without any compression."""
    fields = {b":path": path.encode(), b":authority": b"a", b"content-type": b"application/grpc", b"te": b"trailers"}
    # POST and http stand in the static table; nothing is put into the dynamic one.
    return b"\x83\x86" + b"".join(b"\0%c%b%c%b" % (len(k), k, len(v), v) for k, v in fields.items())


_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _END_HEADERS, _END_STREAM, _ACK = 0, 1, 3, 4, 4, 1, 1
_INITIAL_WINDOW_SIZE = (4).to_bytes(2, "big")
OPENED, RUNNING = 9000, 1024


def opened_and_reset(address, count):
    """Over one connection so many calls are begun, and each is taken back at once; how many were refused."""
    head, cancelled, refused, rest = headers(CHECK), (8).to_bytes(4, "big"), 0, b""
    calls = b"".join(
        frame(_HEADERS, _END_HEADERS, number, head) + frame(_RST_STREAM, 0, number, cancelled)
        for number in range(1, 2 * count, 2)
    )
    with socket.create_connection(address, timeout=240) as caller:
        settings = frame(_SETTINGS, 0, 0) + frame(_SETTINGS, _ACK, 0)
        sending = threading.Thread(target=caller.sendall, args=(PREFACE + settings + calls,))
        sending.start()
        while refused < count - 2 * RUNNING and (more := caller.recv(1 << 16)):
            found, rest = rst_streams(rest + more)
            refused += found
        sending.join()
    return refused


def test_who_begins_calls_and_takes_them_back_without_end_has_no_more_of_them_here_than_anybody_else(held):
    """As many at once as nobody may have looked at would be dropped, and everybody's with them (CVE-2023-44487)."""
    assert opened_and_reset(held.address, OPENED) >= OPENED - 2 * RUNNING
    with grpc.insecure_channel("{}:{}".format(*held.address)) as channel:
        asked = health_pb2.HealthCheckRequest(service="nobody")
        victim = health_pb2_grpc.HealthStub(channel).Check.future(asked, timeout=240)
        held.go.set()
        told = [victim.code()]

        def answered():
            """While what was taken back is not dealt with it may be one too many."""
            if told[-1] is not grpc.StatusCode.NOT_FOUND:
                told.append(health_pb2_grpc.HealthStub(channel).Check.future(asked, timeout=240).code())
            return told[-1] is grpc.StatusCode.NOT_FOUND

        until(answered, "an answer to somebody else")
    assert held.looked_at <= 2 * RUNNING + len(told)


@contextmanager
def reading_nothing(address, watches):
    """A connection over which so many calls watch `laundry`, and to which not a byte of an answer may be sent."""
    host, _, port = address.rpartition(":")
    message = health_pb2.HealthCheckRequest(service="laundry").SerializeToString()
    body, head = b"\0" + len(message).to_bytes(4, "big") + message, headers(WATCH)
    settings = frame(_SETTINGS, 0, 0, _INITIAL_WINDOW_SIZE + bytes(4)) + frame(_SETTINGS, _ACK, 0)
    calls = b"".join(
        frame(_HEADERS, _END_HEADERS, number, head) + frame(_DATA, _END_STREAM, number, body)
        for number in range(1, 2 * watches, 2)
    )
    with socket.create_connection((host, int(port)), timeout=240) as caller:
        caller.sendall(PREFACE + settings + calls)
        yield caller


@pytest.mark.parametrize(("connections", "watches"), [(1, 60), (30, 4)])
def test_whoever_watches_and_reads_nothing_keeps_the_news_from_nobody_else(health, address, connections, watches):
    asked = health_pb2.HealthCheckRequest(service="laundry")
    with ExitStack() as stack, grpc.insecure_channel(address) as channel:
        for _ in range(connections):
            stack.enter_context(reading_nothing(address, watches))
        until(lambda: len(health._watchers) == connections * watches, "them to watch")
        call = health_pb2_grpc.HealthStub(channel).Watch(asked, timeout=240)
        assert next(call).status == UNKNOWN
        for status in (SERVING, NOT_SERVING, SERVING):
            health.set("laundry", status)
            assert next(call).status == status


@pytest.mark.parametrize("news_seconds", [0.3])
def test_whoever_leaves_news_unread_is_sent_away(health, address):
    with reading_nothing(address, 4) as caller:
        until(lambda: len(health._watchers) == 4, "it to watch")
        ended, rest = 0, b""
        while ended < 4 and (more := caller.recv(1 << 16)):
            found, rest = rst_streams(rest + more)
            ended += found
        assert ended == 4
    until(lambda: not health._watchers, "it to be forgotten")


@pytest.fixture
def no_threads(monkeypatch):
    """The machine starts no thread for calls until `over`; `refused` counts those it was asked for."""

    class Machine:
        refused, over = 0, monkeypatch.undo

    plain = threading.Thread.start

    def start(thread):
        if thread.name.startswith("call"):
            Machine.refused += 1
            raise RuntimeError("can't start new thread")
        plain(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    return Machine


def test_a_port_outlives_a_moment_in_which_no_thread_can_be_started(address, no_threads):
    with grpc.insecure_channel(address) as channel:
        asked = health_pb2.HealthCheckRequest(service="nobody")
        calls = [health_pb2_grpc.HealthStub(channel).Check.future(asked, timeout=240)]
        until(lambda: no_threads.refused, "its thread to be refused")
        no_threads.over()
        calls.append(health_pb2_grpc.HealthStub(channel).Check.future(asked, timeout=240))
        assert [one.code() for one in calls] == [grpc.StatusCode.NOT_FOUND] * 2


def test_work_for_which_no_thread_could_be_started_counts_until_it_is_done(no_threads):
    pool = Counted(2)
    first = pool.submit(str, 1)
    assert (no_threads.refused, pool.busy) == (1, 1)
    no_threads.over()
    assert [one.result(60) for one in (pool.submit(str, 2), first)] == ["2", "1"]
    until(lambda: pool.busy == 0, "both to be counted out")
