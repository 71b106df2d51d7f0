"""Who goes away while it waits holds nothing any more, however long the model takes for those before it."""

import socket
import subprocess
import sys
import threading

import grpc
import pytest

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from tests.replica.world import replica
from tests.tiny_model import grey_photo
from tests.waiting import until

DARK = grey_photo(20)
CALLS = 60
_CALLER = """
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
ask = channel.unary_unary("/faceserve.v1.Inference/Classify")
body = bytes.fromhex(sys.stdin.readline())
calls = [ask.future(body) for _ in range(int(sys.argv[2]))]
calls[0].exception()
"""


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path, http_port=0, call_seconds=600) as made:
        made.serve("v1.0.0")
        made.serve("v1.1.0")
        yield made


@pytest.fixture
def stuck(world):
    """Makes a version's engine take its time until `finish`; what it was asked."""
    finish, asked = threading.Event(), []

    def stuck(version):
        engine = world.generation(version).engine
        plain = engine.infer

        def infer(images):
            asked.append(len(images))
            finish.wait(120)
            return plain(images)

        engine.infer = infer
        return asked

    stuck.finish = finish
    yield stuck
    finish.set()


def cancels(world, version):
    channel = grpc.insecure_channel(world.address)
    request = pb.ClassifyRequest(model="laundry", version=version, image=DARK)
    calls = [pb_grpc.InferenceStub(channel).Classify.future(request) for _ in range(CALLS)]
    return lambda: [*(call.cancel() for call in calls), channel.close()]


def is_killed(world, version):
    request = pb.ClassifyRequest(model="laundry", version=version, image=DARK).SerializeToString()
    process = subprocess.Popen([sys.executable, "-c", _CALLER, world.address, str(CALLS)], stdin=subprocess.PIPE)
    process.stdin.write(f"{request.hex()}\n".encode())
    process.stdin.flush()
    return lambda: (process.kill(), process.communicate())


def hangs_up_http(world, version):
    path = f"/v2/models/laundry{f'/versions/{version}' if version else ''}/infer"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nInference-Header-Content-Length: 0\r\nContent-Length: {len(DARK)}\r\n\r\n"
    )
    callers = [socket.create_connection(("127.0.0.1", world.server.http_port)) for _ in range(CALLS)]
    for caller in callers:
        caller.sendall(head.encode() + DARK)
    return lambda: [caller.close() for caller in callers]


@pytest.mark.parametrize("begins", [cancels, is_killed, hangs_up_http])
@pytest.mark.parametrize("named", ["", "v1.0.0"], ids=["what serves", "a version by name"])
def test_who_goes_away_frees_what_it_held_although_the_model_is_busy(world, stuck, begins, named):
    version = named or "v1.1.0"
    generation, asked = world.generation(version), stuck(version)
    with grpc.insecure_channel(world.address) as channel:
        request = pb.ClassifyRequest(model="laundry", version=named, image=DARK)
        stays = pb_grpc.InferenceStub(channel).Classify.future(request)
        until(lambda: asked, "the model to be asked")
        goes = begins(world, named)
        until(lambda: generation.held == 1 + CALLS, "everybody to wait")
        goes()
        until(lambda: generation.held == 1, "those that went to hold nothing")
        assert not stays.done()
        stuck.finish.set()
        assert stays.result().model_version == version
    until(lambda: generation.held == 0, "nobody to hold anything")
    assert asked == [1]
