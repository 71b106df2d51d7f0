"""Whoever only connects takes neither the way back nor the last descriptor."""

import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import LifecycleClient
from tests.replica.world import TOKEN
from tests.tiny_model import grey_photo
from tests.waiting import until

DESCRIPTORS = 512
_SERVER = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[2])))
from tests.replica.world import replica
with replica(Path(sys.argv[1]), http_port=0) as made:
    made.serve("v1.0.0")
    made.serve("v1.1.0")
    made.prepare("v1.2.0")
    print(made.server.port, made.server.lifecycle_port, made.server.http_port, flush=True)
    sys.stdin.read()
"""


class Server:
    """A replica in a process of its own that may have few descriptors, and begins with fewer still."""

    def __init__(self, folder):
        command = [sys.executable, "-c", _SERVER, folder, str(DESCRIPTORS)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port, self.lifecycle_port, self.http_port = map(int, self.process.stdout.readline().split())

    def open_files(self):
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("state"))
    yield made
    made.process.communicate("")


@contextmanager
def silent(server, port):
    """More connections than the server has descriptors, over which nothing is said."""
    before = server.open_files()
    with ExitStack() as held:
        for _ in range(DESCRIPTORS + 50):
            held.enter_context(socket.create_connection(("127.0.0.1", port)))
        until(lambda: server.open_files() > before + 30, "as many to be taken as may be")
        yield


def test_who_only_connects_to_inference_leaves_the_way_back_and_the_other_port(server):
    with FaceserveClient([f"127.0.0.1:{server.port}"], timeout_seconds=30) as client:
        client.classify("laundry", grey_photo(20))
        with silent(server, server.port):
            with LifecycleClient(f"127.0.0.1:{server.lifecycle_port}", token=TOKEN, timeout_seconds=30) as lifecycle:
                assert lifecycle.activate("laundry", "v1.2.0").version == "v1.2.0"
                assert lifecycle.rollback("laundry").version == "v1.1.0"
            assert httpx.get(f"http://127.0.0.1:{server.http_port}/v2/health/ready", timeout=30).status_code == 200
            assert client.classify("laundry", grey_photo(20)).model_version == "v1.1.0"
            assert server.open_files() < DESCRIPTORS - 100


@pytest.mark.parametrize("name", ["port", "lifecycle_port", "http_port"])
def test_no_port_takes_the_last_descriptor_and_each_is_open_again_once_they_went(server, name):
    port = getattr(server, name)
    with silent(server, port):
        assert server.open_files() < DESCRIPTORS - 100
    if name == "http_port":
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/v2/health/live", timeout=30).status_code == 200, "it")
    else:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(60)
