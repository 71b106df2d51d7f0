"""A replica over real gRPC, with objects in memory."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from faceserve.server import LIVE, Server
from faceserve.settings import Settings
from include.contract.client import FaceserveClient, FaceserveError
from include.contract.lifecycle_client import LifecycleClient
from tests.tiny_model import FolderSource, grey_photo, tiny_artifact

TOKEN = "only-the-pipeline-knows"


@pytest.fixture(scope="module")
def source():
    made = FolderSource()
    for number, version in enumerate(("v1.0.0", "v1.1.0")):
        made.put(f"s3://models/{version}/", tiny_artifact(sharpness=8 + number))
    made.objects["s3://tasks/dark.jpg"] = grey_photo(10)
    made.objects["s3://secrets/dark.jpg"] = grey_photo(10)
    return made


@pytest.fixture
def server(tmp_path, source):
    settings = Settings(
        grpc_port=0,
        lifecycle_port=0,
        metrics_port=0,
        vet_seconds=0,
        state_dir=tmp_path,
        lifecycle_token=TOKEN,
        engine_threads=1,
        drain_seconds=2,
    )
    running = Server(settings, source)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(server):
    with FaceserveClient([f"127.0.0.1:{server.port}"], timeout_seconds=60) as made:
        yield made


@pytest.fixture
def lifecycle(server):
    with LifecycleClient(f"127.0.0.1:{server.lifecycle_port}", token=TOKEN, timeout_seconds=60) as made:
        yield made


def serve(lifecycle, source, version):
    sha256 = source.put(
        f"s3://models/{version}/",
        {
            path.removeprefix(f"s3://models/{version}/"): body
            for path, body in source.objects.items()
            if path.startswith(f"s3://models/{version}/")
        },
    )
    prepared = lifecycle.prepare("laundry", version, f"s3://models/{version}/", sha256, timeout_seconds=60)
    return lifecycle.activate("laundry", version, prepared.epoch, timeout_seconds=60)


def code(call):
    with pytest.raises(FaceserveError) as caught:
        call()
    return caught.value.code


def health(server, service):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=60)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def test_every_answer_names_the_version_and_replica_that_gave_it(client, lifecycle, source):
    serve(lifecycle, source, "v1.0.0")
    found = client.classify("laundry", grey_photo(20))
    assert (found.label, found.model_version, found.replica) == ("불량", "v1.0.0", "replica-1")
    assert sum(found.probabilities.values()) == pytest.approx(1)


def test_a_photo_in_an_allowed_bucket_is_read_from_there(client, lifecycle, source):
    serve(lifecycle, source, "v1.0.0")
    assert client.classify("laundry", "s3://tasks/dark.jpg").label == "불량"


@pytest.mark.parametrize("uri", ["s3://secrets/dark.jpg", "file:///etc/passwd", "http://tasks/x", "s3://tasks/../x"])
def test_a_photo_anywhere_else_is_never_fetched(client, lifecycle, source, uri):
    serve(lifecycle, source, "v1.0.0")
    assert code(lambda: client.classify("laundry", uri)) == "INVALID_ARGUMENT"


@pytest.mark.parametrize("photo", [b"", b"GIF89a", b"not a photo", grey_photo(10)[:200], grey_photo(10, 8, 8)])
def test_an_unusable_photo_is_refused_with_the_reason(client, lifecycle, source, photo):
    serve(lifecycle, source, "v1.0.0")
    with pytest.raises(FaceserveError, match="photo") as caught:
        client.classify("laundry", photo)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_without_a_model_the_answer_is_that_none_serves_yet(server, source):
    with FaceserveClient([f"127.0.0.1:{server.port}"], timeout_seconds=60) as client:
        assert code(lambda: client.classify("laundry", grey_photo(1))) == "UNAVAILABLE"


@pytest.mark.parametrize("model", ["", "laundri", "../laundry", "9" * 10_000])
def test_an_unknown_model_is_not_found(client, model):
    assert code(lambda: client.classify(model, grey_photo(1))) == "NOT_FOUND"


def test_an_unknown_version_is_not_found(client, lifecycle, source):
    serve(lifecycle, source, "v1.0.0")
    assert code(lambda: client.classify("laundry", grey_photo(1), version="v9.0.0")) == "NOT_FOUND"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x"])
def test_lifecycle_calls_need_the_token(server, token):
    with LifecycleClient(f"127.0.0.1:{server.lifecycle_port}", token=token, timeout_seconds=60) as stranger:
        assert code(lambda: stranger.status("laundry")) == "UNAUTHENTICATED"


def test_without_a_token_set_nobody_may_change_models(tmp_path, source):
    server = Server(Settings(grpc_port=0, lifecycle_port=0, metrics_port=0, vet_seconds=0, state_dir=tmp_path), source)
    server.start()
    with LifecycleClient(f"127.0.0.1:{server.lifecycle_port}", timeout_seconds=60) as stranger:
        assert code(lambda: stranger.status("laundry")) == "UNAUTHENTICATED"
    server.stop()


def test_the_server_is_ready_at_once_and_each_model_when_it_serves(server, lifecycle, source):
    assert health(server, LIVE) == "SERVING"
    assert health(server, "laundry") == "NOT_SERVING"
    serve(lifecycle, source, "v1.0.0")
    assert health(server, "laundry") == "SERVING"
    assert health(server, "face") == "NOT_SERVING"


def test_loading_a_candidate_leaves_readiness_alone(server, lifecycle, source):
    serve(lifecycle, source, "v1.0.0")
    before = lifecycle.status("laundry")
    serve(lifecycle, source, "v1.1.0")
    after = lifecycle.status("laundry")
    assert (before.version, after.version, after.previous) == ("v1.0.0", "v1.1.0", "v1.0.0")
    assert health(server, "laundry") == "SERVING"


def test_embeddings_have_length_one(client, lifecycle, source):
    serve(lifecycle, source, "v1.0.0")
    assert sum(x * x for x in client.features("laundry", grey_photo(120))) == pytest.approx(1, abs=1e-3)
