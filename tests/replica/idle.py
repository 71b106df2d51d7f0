"""Callers that begin a call and then say nothing, and callers that watch and are killed."""

import subprocess
import sys
import threading
from contextlib import contextmanager

import grpc

TOKEN_KEY = "authorization"
_WATCHER = """
import sys, grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
channels = [grpc.insecure_channel(sys.argv[1], [("n", n)]) for n in range(int(sys.argv[2]))]
calls = [health_pb2_grpc.HealthStub(c).Watch(health_pb2.HealthCheckRequest(service="laundry")) for c in channels]
for call in calls:
    next(call)
print("watching", flush=True)
for answer in calls[0]:
    pass
"""


@contextmanager
def saying_nothing(address, method, count, token="", connections=6):
    """So many calls of `method`, over a few connections, of which only the headers are sent; the calls."""
    over = threading.Event()
    metadata = ((TOKEN_KEY, f"Bearer {token}"),) if token else ()

    class Never:
        def __iter__(self):
            return self

        def __next__(self):
            over.wait(600)
            raise StopIteration

    channels = [grpc.insecure_channel(address, [("number", n)]) for n in range(connections)]
    try:
        for channel in channels:
            grpc.channel_ready_future(channel).result(60)
        yield [channels[n % len(channels)].stream_stream(method)(Never(), metadata=metadata) for n in range(count)]
    finally:
        over.set()
        for channel in channels:
            channel.close()


class Watcher:
    """A process that watches the health of `laundry` over so many connections until it is killed."""

    def __init__(self, address, connections=4):
        command = [sys.executable, "-c", _WATCHER, address, str(connections)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def watches(self):
        return self.process.stdout.readline() == "watching\n"

    def kill(self):
        self.process.kill()
        self.process.communicate()
