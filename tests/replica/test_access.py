"""Who may call what: tokens and certificates, each exchanged while the replica runs."""

import ssl
from contextlib import contextmanager

import grpc
import httpx
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc

from include.contract.channel import ClientTls
from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import FaceserveError, LifecycleClient
from pipeline.adapters.serving_fleet import GrpcServingFleet, Replicas, client_tls
from pipeline.domain.errors import GiveUp
from pipeline.domain.models import Artifact, ModelType
from tests.replica.certificates import Authority
from tests.replica.world import TOKEN, replica
from tests.tiny_model import coloured_photo, grey_photo
from tests.waiting import until

PHOTO = grey_photo(20)
FACE = coloured_photo(250, 20, 20)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def code(call):
    try:
        call()
    except FaceserveError as error:
        return error.code
    return "OK"


# Tokens


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    tokens = {"inference_token": "asks", "enrolment_token": "enrols"}
    settings = {"gallery_uri": "s3://faces/", "http_port": 0}
    with replica(tmp_path_factory.mktemp("state"), **tokens, **settings) as made:
        made.serve("v1.0.0")
        made.serve("v1.0.0", "face")
        yield made


@pytest.mark.parametrize("token", ["", "asks", "enrols", TOKEN, "guess"])
def test_each_token_opens_its_own_calls_and_no_others(world, token):
    with (
        LifecycleClient(world.lifecycle_address, token=token, timeout_seconds=60) as lifecycle,
        FaceserveClient([world.address], token=token, timeout_seconds=60) as client,
    ):
        found = {
            "changes": code(lambda: lifecycle.status("laundry")),
            "enrolling": code(lambda: lifecycle.enroll("face", "kim", FACE)),
            "withdrawing": code(lambda: lifecycle.withdraw("face", "kim")),
            "requests": code(lambda: client.classify("laundry", PHOTO)),
        }
    # The pipeline erases people: withdrawing opens no door to anybody.
    opened = {TOKEN: {"changes", "withdrawing"}, "enrols": {"enrolling", "withdrawing"}, "asks": {"requests"}}
    assert found == {what: "OK" if what in opened.get(token, ()) else "UNAUTHENTICATED" for what in found}


@pytest.mark.parametrize(("token", "status"), [("", 401), ("enrols", 401), ("asks", 200)])
def test_over_http_it_is_the_same_token_and_probes_need_none(world, token, status):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"http://127.0.0.1:{world.server.http_port}"
    with httpx.Client(base_url=url, headers=headers, timeout=60) as http:
        assert http.get("/v2/health/ready").status_code == 200
        assert http.get("/v2/models/laundry").status_code == status
        photo = {"content": PHOTO, "headers": {"Inference-Header-Content-Length": "0"}}
        assert http.post("/v2/models/laundry/infer", **photo).status_code == status
    headers = {"authorization": f"Bearer {token}"}
    with triton.InferenceServerClient(world.address) as client:
        assert client.is_server_ready(headers=headers)


def test_without_a_token_for_enrolment_the_lifecycles_opens_it(tmp_path):
    with replica(tmp_path, gallery_uri="s3://faces/") as plain:
        plain.serve("v1.0.0", "face")
        assert plain.lifecycle.enroll("face", "kim", FACE) == 1


def test_tokens_of_a_file_are_exchanged_while_it_runs(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("old\n")
    with replica(tmp_path / "state", lifecycle_token="", lifecycle_token_file=file) as made:

        def opens(token):
            with LifecycleClient(made.lifecycle_address, token=token, timeout_seconds=60) as client:
                return code(lambda: client.status("laundry")) == "OK"

        assert opens("old") and not opens("new") and not opens("")
        file.write_text("old\nnew\n")
        until(lambda: opens("new"), "the new token to count")
        assert opens("old")
        file.write_text("new\n")
        until(lambda: not opens("old"), "the old token to be forgotten")
        file.unlink()
        assert opens("new") and not opens("old") and not opens("")


@pytest.mark.parametrize("body", [None, "", "\n  \n"])
def test_a_file_without_a_token_keeps_the_server_from_starting(tmp_path, body):
    file = tmp_path / "tokens"
    if body is not None:
        file.write_text(body)
    with (
        pytest.raises(ValueError, match="a token on each line"),
        replica(tmp_path / "state", inference_token_file=file),
    ):
        pytest.fail("it started")


# Certificates


def mutual(authority, **settings):
    return {
        "tls_certificate": authority.server.certificate,
        "tls_key": authority.server.key,
        "tls_client_ca": authority.certificate,
        "lifecycle_identities": ("client",),
        **settings,
    }


def test_with_mutual_tls_only_callers_certified_in_an_allowed_name_may_change_models(tmp_path, authority):
    settings = mutual(authority, lifecycle_token="", enrolment_token="enrols", gallery_uri="s3://faces/")
    with replica(tmp_path / "state", **settings) as world:
        with LifecycleClient(world.lifecycle_address, tls=authority.client_tls()) as certified:
            assert certified.withdraw("face", "kim") == 0
            assert code(lambda: certified.enroll("face", "kim", FACE)) == "UNAUTHENTICATED"
            assert certified.status("laundry").version is None
            assert next(iter(certified.watch("laundry", timeout_seconds=60))).version is None
        with LifecycleClient(world.lifecycle_address, tls=authority.client_tls("somebody else")) as other:
            with pytest.raises(FaceserveError, match="somebody else.* may not call this service") as caught:
                other.status("laundry")
            assert caught.value.code == "PERMISSION_DENIED"
            with pytest.raises(FaceserveError, match="may not call this service"):
                list(other.watch("laundry", timeout_seconds=60))
        for stranger in (
            LifecycleClient(world.lifecycle_address),
            LifecycleClient(world.lifecycle_address, tls=authority.stranger_tls()),
        ):
            with stranger:
                found = code(lambda stranger=stranger: stranger.status("laundry", timeout_seconds=60))
            assert found in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}


def test_an_alternative_name_counts_as_well_and_a_token_is_needed_besides_where_there_is_one(tmp_path, authority):
    settings = mutual(authority, lifecycle_identities=("localhost",))
    with replica(tmp_path / "state", **settings) as world:
        for token, found in (("", "UNAUTHENTICATED"), (TOKEN, "OK")):
            with LifecycleClient(world.lifecycle_address, token=token, tls=authority.client_tls()) as client:
                assert code(lambda client=client: client.status("laundry")) == found


def test_the_pipelines_fleet_speaks_it(tmp_path, authority):
    tls = client_tls(authority.certificate, authority.client.certificate, authority.client.key)
    with replica(tmp_path / "state", lifecycle_token="", **mutual(authority)) as world:
        fleet = GrpcServingFleet(Replicas([world.lifecycle_address], "", 20, 5, tls=tls))
        laundry, artifact = ModelType.LAUNDRY, Artifact(*world.put("v1.0.0"))
        fleet.activate(laundry, fleet.prepare(laundry, "v1.0.0", artifact))
        assert [one.version for one in fleet.serving(laundry)] == ["v1.0.0"]


def test_whoever_watches_is_told_until_when_the_certificates_count_and_that_of_who_calls(tmp_path, authority):
    with replica(tmp_path / "state", lifecycle_token="", **mutual(authority)) as world:

        def told():
            samples = (s for family in world.server.metrics.registry.collect() for s in family.samples)
            return {
                (s.labels["certificate"], s.labels["caller"])
                for s in samples
                if s.name == "faceserve_certificate_expiry_timestamp_seconds"
            }

        own = {("server", ""), ("client_ca", "")}
        with LifecycleClient(world.lifecycle_address, tls=authority.client_tls("somebody else")) as refused:
            assert code(lambda: refused.status("laundry")) == "PERMISSION_DENIED"
        assert told() == own
        with LifecycleClient(world.lifecycle_address, tls=authority.client_tls()) as client:
            client.status("laundry")
        assert told() == own | {("caller", "client")}


def test_half_of_what_the_pipeline_needs_is_refused(tmp_path):
    assert client_tls(None, None, None) is None
    for half in ((None, tmp_path, tmp_path), (tmp_path, tmp_path, None), (tmp_path, None, tmp_path)):
        with pytest.raises(GiveUp, match="needs RETRAIN_FACESERVE_TLS_KEY"):
            client_tls(*half)


@contextmanager
def encrypted(tmp_path, authority, **settings):
    tls = {"tls_certificate": authority.server.certificate, "tls_key": authority.server.key}
    ports = ("inference", "http", "lifecycle")
    with replica(tmp_path / "state", http_port=0, tls_ports=ports, **tls, **settings) as made:
        yield made


def ways(world, authority):
    """Whether each port answers a caller who trusts this authority alone."""
    trusted = ClientTls(authority.certificate)
    context = ssl.create_default_context(cafile=authority.certificate)

    def grpc_way():
        with FaceserveClient([world.address], tls=trusted, timeout_seconds=60) as client:
            return code(lambda: client.classify("laundry", PHOTO))

    def lifecycle_way():
        with LifecycleClient(world.lifecycle_address, token=TOKEN, tls=trusted, timeout_seconds=60) as client:
            return code(lambda: client.status("laundry"))

    def http_way():
        try:
            httpx.get(f"https://127.0.0.1:{world.server.http_port}/v2/health/live", verify=context, timeout=60)
        except httpx.TransportError:
            return "UNAVAILABLE"
        return "OK"

    return {"inference": grpc_way(), "lifecycle": lifecycle_way(), "http": http_way()}


def test_inference_and_http_have_tls_and_a_new_certificate_counts_without_a_restart(tmp_path, authority):
    (tmp_path / "next").mkdir()
    later = Authority(tmp_path / "next")
    with encrypted(tmp_path, authority) as world:
        with LifecycleClient(world.lifecycle_address, token=TOKEN, tls=authority.stranger_tls()) as client:
            client.prepare("laundry", "v1.0.0", *world.put("v1.0.0"), timeout_seconds=60)
            client.activate("laundry", "v1.0.0")
        assert set(ways(world, authority).values()) == {"OK"}
        # Half of a new pair is none: what was there goes on.
        later.server.certificate.replace(authority.server.certificate)
        assert set(ways(world, authority).values()) == {"OK"}
        later.server.key.replace(authority.server.key)
        assert set(ways(world, later).values()) == {"OK"}
        assert "OK" not in ways(world, authority).values()


HEALTH = health_pb2.HealthCheckRequest(service="laundry")


def test_a_port_of_its_own_tells_probes_without_tls_whether_a_model_serves_and_nothing_else(tmp_path, authority):
    with encrypted(tmp_path, authority, health_port=0) as world:
        with grpc.insecure_channel(f"127.0.0.1:{world.server.health_port}") as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            assert check(HEALTH, timeout=60).status == health_pb2.HealthCheckResponse.NOT_SERVING
            with LifecycleClient(world.lifecycle_address, token=TOKEN, tls=authority.stranger_tls()) as client:
                client.prepare("laundry", "v1.0.0", *world.put("v1.0.0"), timeout_seconds=60)
                client.activate("laundry", "v1.0.0")
            assert check(HEALTH, timeout=60).status == health_pb2.HealthCheckResponse.SERVING
        plain = f"127.0.0.1:{world.server.health_port}"
        with FaceserveClient([plain], timeout_seconds=60) as asks, LifecycleClient(plain, token=TOKEN) as changes:
            assert code(lambda: asks.classify("laundry", PHOTO)) == "UNIMPLEMENTED"
            assert code(lambda: changes.status("laundry")) == "UNIMPLEMENTED"
        assert set(ways(world, authority).values()) == {"OK"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("tls_key",), "needs both"),
        (("tls_client_ca",), "needs both"),
        (("tls_certificate", "tls_key", "tls_client_ca"), "FACESERVE_LIFECYCLE_IDENTITIES need each other"),
        (("lifecycle_identities",), "FACESERVE_LIFECYCLE_IDENTITIES need each other"),
    ],
)
def test_half_a_tls_setting_is_refused_at_start(tmp_path, authority, given, said):
    settings = {name: value for name, value in mutual(authority).items() if name in given}
    with pytest.raises(ValueError, match=said), replica(tmp_path / "state", **settings):
        pytest.fail("it started")


def test_a_key_that_is_not_the_certificates_is_refused_at_start(tmp_path, authority):
    settings = {"tls_certificate": authority.server.certificate, "tls_key": authority.client.key}
    with pytest.raises(ValueError, match="no certificate and its key"), replica(tmp_path / "state", **settings):
        pytest.fail("it started")
