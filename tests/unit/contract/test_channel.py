"""A call whose answer was lost is made again by itself, unless that could undo what somebody asked for meanwhile."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.channel import FaceserveError
from include.contract.lifecycle_client import LifecycleClient


class Losing(pb_grpc.LifecycleServicer):
    """Does what it is asked, and the answer is lost."""

    def __init__(self):
        self.asked = Counter()

    def Enroll(self, request, context):
        self._lose("enroll", context)

    def Withdraw(self, request, context):
        self._lose("withdraw", context)

    def _lose(self, name, context):
        self.asked[name] += 1
        context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost")


def test_nobody_is_enrolled_twice_by_one_request_and_whoever_withdraws_is_asked_for_again():
    losing, server = Losing(), grpc.server(ThreadPoolExecutor(2))
    pb_grpc.add_LifecycleServicer_to_server(losing, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with LifecycleClient(f"127.0.0.1:{port}") as client:
            for ask in (lambda: client.enroll("face", "kim", b"photo"), lambda: client.withdraw("face", "kim")):
                with pytest.raises(FaceserveError, match="the answer is lost"):
                    ask()
    finally:
        server.stop(None).wait()
    assert losing.asked["enroll"] == 1 < losing.asked["withdraw"]
