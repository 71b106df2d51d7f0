"""Whoever asks over TLS goes on with whole certificates while files are damaged, and says so where there are none.

gRPC ends the process over some of these files, so a process of its own asks.
"""

import logging
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import grpc
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from faceserve.__main__ import main as faceserve_commands
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.certificate_files import CertificateFiles, Watched
from include.contract.channel import ClientTls, FaceserveError
from include.contract.lifecycle_client import LifecycleClient
from tests.replica.certificates import Authority

AUTHORITY, CERTIFICATE, KEY = "ca.pem", "client.pem", "client.key"


def cut(body):
    return body[: len(body) // 2]


def of_another(body):
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))


def with_half_of_another(body):
    return body + cut(body)


DAMAGES = {
    **{f"{name}, empty": (name, lambda body: b"") for name in (AUTHORITY, CERTIFICATE, KEY)},
    **{f"{name}, cut off": (name, cut) for name in (AUTHORITY, CERTIFICATE, KEY)},
    **{f"{name}, no PEM": (name, lambda body: b"\0\xff") for name in (AUTHORITY, CERTIFICATE, KEY)},
    **{f"{name}, a list that is cut off": (name, with_half_of_another) for name in (AUTHORITY, CERTIFICATE)},
    "a key behind a password": (KEY, of_another),
}


class Telling(pb_grpc.LifecycleServicer):
    """`shown` are certificates of whoever asked, in order."""

    def __init__(self):
        self.shown = []

    def GetStatus(self, request, context):
        self.shown += context.auth_context()["x509_pem_cert"]
        return pb.GetStatusResponse(version="v1.0.0")


class Asked:
    """A server of the lifecycle service that lets in who shows a certificate of the authority of `folder`."""

    def __init__(self, folder):
        self.authority = Authority(folder)
        self.telling, self._server = Telling(), grpc.server(ThreadPoolExecutor(4))
        pb_grpc.add_LifecycleServicer_to_server(self.telling, self._server)
        own = self.authority.server
        pair = (own.key.read_bytes(), own.certificate.read_bytes())
        credentials = grpc.ssl_server_credentials([pair], self.authority.certificate.read_bytes(), True)
        self.address = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', credentials)}"
        self._server.start()

    def client(self):
        return LifecycleClient(self.address, tls=self.authority.client_tls(), timeout_seconds=30)

    def stop(self):
        self._server.stop(None).wait()


def answer(client):
    try:
        return client.status("laundry").version
    except FaceserveError as error:
        return f"{error.code}: {error.detail}"


def while_damaged(folder):
    """What somebody is answered who runs on, by damage."""
    asked = Asked(folder)
    found = {}
    with asked.client() as client:
        found["none"] = answer(client)
        for what, (name, damage) in DAMAGES.items():
            whole = (folder / name).read_bytes()
            (folder / name).write_bytes(damage(whole))
            found[what] = answer(client)
            (folder / name).write_bytes(whole)
        key = (folder / KEY).read_bytes()
        (folder / KEY).write_bytes(asked.authority.server.key.read_bytes())
        found["another's key"] = answer(client)
        (folder / KEY).unlink()
        found["no key"] = answer(client)
        (folder / KEY).write_bytes(key)
        renewed = asked.authority.pair("client").certificate.read_bytes()
        found["renewed"] = answer(client)
    asked.stop()
    return found, asked.telling.shown[-1].split() == renewed.split()


def from_the_start(folder):
    """What somebody is answered who begins with damaged files, by damage, and whether he is answered once they are
    whole.
    """
    asked = Asked(folder)
    found, mended = {}, set()
    for what, (name, damage) in DAMAGES.items():
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(damage(whole))
        with LifecycleClient(asked.address, tls=asked.authority.client_tls(), timeout_seconds=30) as client:
            found[what] = answer(client)
            (folder / name).write_bytes(whole)
            mended.add(answer(client))
    asked.stop()
    return found, mended


@pytest.fixture
def elsewhere():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda *asked: pool.submit(*asked).result(timeout=300)


def test_who_runs_on_while_files_are_damaged_is_answered_as_before_and_with_a_new_pair_once_it_is_whole(
    tmp_path, elsewhere
):
    answers, shows_the_new_one = elsewhere(while_damaged, tmp_path)
    assert set(answers) == {"none", *DAMAGES, "another's key", "no key", "renewed"}
    assert set(answers.values()) == {"v1.0.0"}, answers
    assert shows_the_new_one


def test_who_begins_with_damaged_files_is_told_which_and_answered_once_they_are_whole(tmp_path, elsewhere):
    answers, mended = elsewhere(from_the_start, tmp_path)
    for what, (name, _) in DAMAGES.items():
        assert answers[what].startswith(f"UNAVAILABLE: {tmp_path / name} is "), what
    assert mended == {"v1.0.0"}


def test_damage_is_told_once_and_again_when_it_is_another(tmp_path, caplog):
    tls = Authority(tmp_path).client_tls()
    watched = Watched(CertificateFiles(tls.server_ca, tls.certificate, tls.key))
    assert watched.newer() and watched.newer() is None
    with caplog.at_level(logging.WARNING):
        for body in (b"", b"\0"):
            tls.key.write_bytes(body)
            assert watched.newer() is watched.newer() is None
        assert len(caplog.records) == 1
        tls.server_ca.unlink()
        assert watched.newer() is watched.newer() is None
    assert len(caplog.records) == 2


def test_no_replica_is_asked_by_who_trusts_nobody_yet(tmp_path):
    (tmp_path / AUTHORITY).touch()
    client = LifecycleClient("127.0.0.1:1", tls=ClientTls(tmp_path / AUTHORITY))
    with client, pytest.raises(FaceserveError, match="is no certificate") as told:
        next(client.watch("laundry", timeout_seconds=30))
    assert told.value.may_pass


@pytest.mark.parametrize("command", ["status", "load-test"])
def test_the_command_line_says_which_file_is_damaged(tmp_path, command):
    damaged = tmp_path / AUTHORITY
    damaged.touch()
    said = CliRunner().invoke(faceserve_commands, [command, "127.0.0.1:1", "--ca", str(damaged)])
    assert (said.exit_code, isinstance(said.exception, SystemExit)) == (1, True)
    assert f"{damaged} is no certificate" in said.output
