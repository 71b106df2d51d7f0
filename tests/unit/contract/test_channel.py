"""A call whose answer was lost is made again by itself, unless that could undo what somebody asked for meanwhile."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.channel import ClientTls, FaceserveError
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


@pytest.mark.parametrize("half", [{"certificate": Path("tls.crt")}, {"key": Path("tls.key")}])
def test_half_of_a_certificate_and_its_key_is_refused_whoever_asks(half):
    for made in (ClientTls, ClientTls.of):
        with pytest.raises(ValueError, match="a certificate needs its key"):
            made(Path("ca.crt"), **{"certificate": None, "key": None, **half})
    with pytest.raises(ValueError, match="needs its key, and the authority"):
        ClientTls.of(None, Path("tls.crt"), Path("tls.key"))
