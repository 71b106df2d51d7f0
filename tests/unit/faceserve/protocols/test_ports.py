"""What is held of messages on their way, when memory runs short."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from faceserve.protocols.health import HealthServicer
from faceserve.protocols.places import Patience
from faceserve.protocols.ports import Limits, Port
from tests.replica.idle import saying_nothing
from tests.waiting import until

CHECK = "/grpc.health.v1.Health/Check"
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
def address(memory):
    patience = Patience(message_seconds=600, silence_seconds=600)
    port = Port({}, Limits(patience, MESSAGE_BYTES, 100, SPARE_BYTES, memory.left_bytes), HealthServicer(), [])
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
