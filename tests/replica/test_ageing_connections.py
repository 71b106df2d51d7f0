"""Callers connect anew now and then, lose nothing by it, and so find replicas that came after them."""

import socket
import threading
from contextlib import ExitStack, closing, contextmanager

import dns.message
import dns.rrset
import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from faceserve.load_test import Plan, run
from faceserve.protocols.health import NOT_SERVING, SERVING, HealthServicer
from faceserve.protocols.places import Patience, Room
from faceserve.protocols.ports import Limits, Port
from faceserve.settings import Settings
from tests.replica.world import replica
from tests.tiny_model import grey_photo
from tests.waiting import until

DARK = grey_photo(20)
LIMITS = Limits(Patience(), 1 << 20, 100, 1 << 20, age_seconds=0.1)


class Names:
    """A server of names; `addresses` is what every name stands for."""

    def __init__(self, *addresses):
        self.addresses = list(addresses)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self):
        while asked := self._socket.recvfrom(1 << 12):
            query = dns.message.from_wire(asked[0])
            if not query.question:
                return
            name, kind = query.question[0].name, query.question[0].rdtype
            answer = dns.message.make_response(query)
            if kind == dns.rdatatype.A:
                answer.answer = [dns.rrset.from_text(name, 5, "IN", "A", *self.addresses)]
            self._socket.sendto(answer.to_wire(), asked[1])

    def close(self):
        self._socket.sendto(dns.message.Message().to_wire(), ("127.0.0.1", self.port))


@contextmanager
def saying(status, host, number):
    """A port whose health says that."""
    health = HealthServicer()
    health.set("", status)
    port = Port({}, LIMITS, health, [])
    bound = port.bind((host, number))
    port.server.start()
    yield bound
    port.stop(0).wait(30)


def test_a_replica_that_joins_a_name_is_asked_by_whoever_was_there_before():
    options = [
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.dns_min_time_between_resolutions_ms", 50),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with ExitStack() as stack:
        number = stack.enter_context(saying(SERVING, "127.0.0.1", 0))
        names = stack.enter_context(closing(Names("127.0.0.1")))
        channel = stack.enter_context(
            grpc.insecure_channel(f"dns://127.0.0.1:{names.port}/faceserve.example:{number}", options)
        )
        ask = health_pb2_grpc.HealthStub(channel).Check

        def told():
            return ask(health_pb2.HealthCheckRequest(), timeout=60, wait_for_ready=True).status

        assert told() == SERVING
        stack.enter_context(saying(NOT_SERVING, "127.0.0.2", number))
        names.addresses.append("127.0.0.2")
        until(lambda: told() == NOT_SERVING, "the replica that came later to be asked")


def test_no_request_fails_however_often_callers_connect_anew(tmp_path):
    with replica(tmp_path, connection_age_seconds=0.05) as world:
        world.serve("v1.0.0")
        requests = run(Plan([world.address], "laundry", [DARK], seconds=2.0, round_robin=True))
    assert requests
    assert {one.code for one in requests} == {"OK"}


def test_a_call_that_takes_longer_than_its_connection_is_answered():
    finish = threading.Event()

    def peer(request, context):
        if request:
            finish.wait(600)
        return context.peer().encode()

    handlers = {"Peer": grpc.unary_unary_rpc_method_handler(peer)}
    port = Port({"/t.T/": Room(8)}, LIMITS, HealthServicer(), [])
    port.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", handlers),))
    number = port.bind(("127.0.0.1", 0))
    port.server.start()
    with grpc.insecure_channel(f"127.0.0.1:{number}") as channel:
        ask = channel.unary_unary("/t.T/Peer")
        first, slow = ask(b"", timeout=60), ask.future(b"slow", timeout=600)
        # Others of the same caller go over connections that are younger.
        until(lambda: ask(b"", timeout=60) != first, "the connection to age")
        assert not slow.done()
        finish.set()
        assert slow.result(60) == first
    port.stop(0).wait(30)


def test_whoever_watches_goes_on_when_the_stream_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr("faceserve.protocols.ports._LAST_CALLS_MS", 3000)
    with replica(tmp_path, connection_age_seconds=0.3) as world:
        # Nothing changes: what is told again is what another stream begins with.
        watched = world.lifecycle.watch("laundry", timeout_seconds=600)
        assert [next(watched).version for _ in range(2)] == [None] * 2
        watched.close()


@pytest.mark.parametrize("age_seconds", [0.2, 600])
def test_over_http_the_first_answer_after_its_age_says_that_it_is_the_last(tmp_path, age_seconds):
    with replica(tmp_path, http_port=0, connection_age_seconds=age_seconds) as world, ExitStack() as stack:
        address = f"http://127.0.0.1:{world.server.http_port}"
        client = stack.enter_context(httpx.Client(base_url=address, timeout=60))

        def last():
            return client.get("/v2").raise_for_status().headers.get("connection") == "close"

        if age_seconds == 600:
            assert not any(last() for _ in range(20))
        else:
            until(last, "the connection to age")
            until(last, "the one after it to age")


def test_unless_it_is_set_callers_connect_anew_every_five_minutes():
    assert Settings.model_fields["connection_age_seconds"].default == 300
