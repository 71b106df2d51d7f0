"""No connection of an HTTP port is held for ever by half of a message, by going on after an answer, or unread."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceserve.protocols.places import Patience
from include.stack.ports import free_ports
from tests.replica.world import replica
from tests.waiting import until

INFER = "/v2/models/laundry/infer"
ASKED = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"
WITH_A_BODY = b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
PIECES = st.sampled_from([
    ASKED, WITH_A_BODY, b"a", b"\r\n", b"1\r\na\r\n", b"0\r\n\r\n", b"0\r\na: b\r\n", b"GET /v2 HT", bytes(100_000),
    f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".encode(),
    f"POST {INFER} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode(),
    b"POST /v2 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
])  # fmt: skip
CALLERS = 60
CONNECTIONS = 512
FUZZ = settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    (metrics,) = free_ports(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("faceserve.server.PATIENCE", Patience(message_seconds=0.3, silence_seconds=0.3))
        with replica(tmp_path_factory.mktemp("state"), http_port=0, metrics_port=metrics) as made:
            made.metrics_port = metrics
            yield made


@pytest.fixture(params=["http", "metrics"])
def port(world, request):
    return {"http": world.server.http_port, "metrics": world.metrics_port}[request.param]


def held(port, connection):
    """Whether the server's end is open, or still waits for what was sent to be read."""
    ours = connection.getsockname()[1]
    lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    ends = {(int(one[1].split(":")[1], 16), int(one[2].split(":")[1], 16)) for one in lines if one[3] != "06"}
    return (port, ours) in ends


def pieces(connection):
    """What it says until it ends."""
    try:
        while piece := connection.recv(1 << 16):
            yield piece
    except ConnectionResetError:
        """It was not even said."""


def ended(connection):
    """Everything was read, and there is nobody at the other end."""
    return all(pieces(connection))


def say(connection, said):
    try:
        connection.sendall(said)
    except OSError:
        """The other end has heard enough."""


@FUZZ
@given(said=st.lists(st.lists(PIECES, max_size=3), min_size=CALLERS, max_size=CALLERS))
def test_whatever_a_caller_says_before_it_falls_silent_it_is_sent_away(port, said):
    callers = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in said]
    for turn in range(3):
        for caller, pieces in zip(callers, said, strict=True):
            if turn < len(pieces):
                say(caller, pieces[turn])
        # So that most pieces come after the answer to those before.
        time.sleep(0.1)
    assert all(ended(caller) for caller in callers)
    for caller in callers:
        caller.close()


@pytest.mark.parametrize("head", [WITH_A_BODY, WITH_A_BODY.replace(b"/v2", b"/nowhere")])
def test_a_byte_after_the_answer_keeps_no_connection(world, head):
    def keeps_none():
        with socket.create_connection(("127.0.0.1", world.server.http_port), timeout=60) as caller:
            say(caller, head)
            answered = next(pieces(caller), b"")
            say(caller, b"a")
            assert ended(caller)
        return answered.startswith(b"HTTP/1.1 ")

    # On a busy machine the caller may seem to say nothing, and gets no answer.
    until(keeps_none, "an answer")


def test_answers_that_nobody_reads_keep_no_connection(port, world):
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect(("127.0.0.1", port))
        caller.settimeout(0.1)
        until(lambda: held(port, caller), "the connection")

        def ask():
            say(caller, ASKED * 8)
            return not held(port, caller)

        until(ask, "the server to give the connection up")


@pytest.mark.parametrize("said", [b"", ASKED, WITH_A_BODY + b"a"])
def test_whoever_asks_for_nothing_gives_way_when_there_are_too_many(tmp_path, said):
    with replica(tmp_path, http_port=0) as patient, ExitStack() as callers:
        for _ in range(CONNECTIONS):
            address = ("127.0.0.1", patient.server.http_port)
            caller = callers.enter_context(socket.create_connection(address, timeout=60))
            say(caller, said)
        with httpx.Client(base_url=f"http://127.0.0.1:{patient.server.http_port}", timeout=60) as client:
            assert {client.get("/v2").status_code for _ in range(3)} == {200}


def test_metrics_are_read_over_a_connection_that_is_used_again(world):
    def both_answered():
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{world.metrics_port}", timeout=60) as client:
                answers = [client.get(path) for path in ("/metrics", "/")]
        except httpx.TransportError:
            # On a busy machine the caller may seem to say nothing, and is sent away.
            return False
        for answer in answers:
            assert answer.status_code == 200 and "faceserve_cores" in answer.text
            assert answer.headers["content-type"].startswith("text/plain")
        return True

    until(both_answered, "two answers over one connection")


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_address_of_ipv6_may_stand_in_brackets(tmp_path, host):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    (metrics,) = free_ports(1)
    with replica(tmp_path, host=host, http_port=0, metrics_port=metrics) as made:
        assert httpx.get(f"http://[::1]:{made.server.http_port}/v2/health/live", timeout=60).status_code == 200
        assert "faceserve_cores" in httpx.get(f"http://[::1]:{metrics}/metrics", timeout=60).text
        for port in (made.server.port, made.server.lifecycle_port):
            with socket.create_connection(("::1", port), timeout=60):
                """It listens there, too."""
