"""Any Open Inference Protocol client, here NVIDIA's, unmodified and over real gRPC."""

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from faceserve.models.generation import Origin
from faceserve.server import Server
from faceserve.settings import Settings
from tests.tiny_model import FolderSource, grey_photo, tiny_artifact

DARK = np.full((1, 224, 224, 3), 20, np.uint8)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    source = FolderSource()
    settings = Settings(
        grpc_port=0,
        lifecycle_port=0,
        metrics_port=0,
        vet_seconds=0,
        state_dir=tmp_path_factory.mktemp("state"),
        engine_threads=1,
        drain_seconds=1,
    )
    running = Server(settings, source)
    running.start()
    for version, sharpness in (("v1.0.0", 8.0), ("v1.1.0", 9.0)):
        uri = f"s3://models/{version}/"
        sha256 = source.put(uri, tiny_artifact(sharpness=sharpness))
        running.manager.prepare("laundry", Origin(version, uri, sha256))
        running.manager.activate("laundry", version)
    yield running
    running.stop()


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as made:
        yield made


def images(array=DARK, name="images", datatype="UINT8"):
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return [tensor]


def photos(*bodies):
    tensor = triton.InferInput("photos", [len(bodies)], "BYTES")
    tensor.set_data_from_numpy(np.array(bodies, object))
    return [tensor]


def test_a_batch_of_images_gets_probabilities_and_features_and_the_version_that_answered(client):
    found = client.infer("laundry", images(np.concatenate([DARK, 255 - DARK])), request_id="r-7")
    assert found.as_numpy("probabilities").shape == (2, 2)
    assert found.as_numpy("probabilities").argmax(1).tolist() == [1, 0]
    assert found.as_numpy("features").shape == (2, 3)
    response = found.get_response()
    assert (response.model_version, response.id) == ("v1.1.0", "r-7")
    assert response.parameters["replica"].string_param == "replica-1"


def test_encoded_photos_are_decoded_here(client):
    found = client.infer("laundry", photos(grey_photo(20), grey_photo(235)))
    assert found.as_numpy("probabilities").argmax(1).tolist() == [1, 0]


def test_only_the_outputs_asked_for_are_sent(client):
    found = client.infer("laundry", images(), outputs=[triton.InferRequestedOutput("features")])
    assert found.as_numpy("features") is not None
    assert found.as_numpy("probabilities") is None


def test_a_version_that_is_still_warm_can_be_asked_for(client):
    assert client.infer("laundry", images(), model_version="v1.0.0").get_response().model_version == "v1.0.0"


def test_readiness_follows_the_models(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("laundry") and client.is_model_ready("laundry", "v1.0.0")
    assert not client.is_model_ready("face")
    assert not client.is_model_ready("laundry", "v9.0.0")


def test_metadata_and_configuration_describe_the_model(client):
    metadata = client.get_model_metadata("laundry", as_json=True)
    assert metadata["versions"] == ["v1.1.0", "v1.0.0"]
    assert metadata["inputs"][0] == {"name": "images", "datatype": "UINT8", "shape": ["-1", "224", "224", "3"]}
    config = client.get_model_config("laundry").config
    assert config.parameters["labels"].string_value == "양호,불량"
    assert client.get_server_metadata().name == "faceserve replica-1"


def test_statistics_count_what_was_answered(client):
    def answered():
        stats = client.get_inference_statistics("laundry", "v1.1.0").model_stats
        return stats[0].inference_count if stats else 0

    before = answered()
    client.infer("laundry", images(np.concatenate([DARK, DARK, DARK])))
    assert answered() == before + 3


def test_a_stream_answers_each_request_in_order_and_outlives_an_error(client):
    answers = []
    client.start_stream(lambda result, error: answers.append((result, error)))
    client.async_stream_infer("laundry", images(), request_id="one")
    client.async_stream_infer("laundry", images(name="pictures"), request_id="bad")
    client.async_stream_infer("laundry", images(), request_id="two")
    client.stop_stream()
    assert [result.get_response().id if result else "error" for result, _ in answers] == ["one", "error", "two"]
    assert "unknown input 'pictures'" in str(answers[1][1])


@pytest.mark.parametrize(
    ("model", "inputs", "status", "complaint"),
    [
        ("laundri", images(), "NOT_FOUND", "no model 'laundri'"),
        ("face", images(), "UNAVAILABLE", "no version of face serves"),
        ("laundry", images(name="pixels"), "INVALID_ARGUMENT", "unknown input 'pixels'"),
        ("laundry", images(DARK.astype(np.float32), datatype="FP32"), "INVALID_ARGUMENT", "UINT8 is needed"),
        ("laundry", images(DARK[:, :100]), "INVALID_ARGUMENT", "[N, 224, 224, 3] is needed"),
        ("laundry", images(DARK[0]), "INVALID_ARGUMENT", "[N, 224, 224, 3] is needed"),
        ("laundry", images(DARK[:0]), "INVALID_ARGUMENT", "batch of 0"),
        ("laundry", images(np.repeat(DARK, 65, 0)), "INVALID_ARGUMENT", "batch of 65"),
        ("laundry", images() + images(), "INVALID_ARGUMENT", "2 inputs given"),
        ("laundry", photos(b"no photo"), "INVALID_ARGUMENT", "photo"),
        ("laundry", photos(grey_photo(10)[:99]), "INVALID_ARGUMENT", "photo"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_a_sentence(client, model, inputs, status, complaint):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs)
    assert caught.value.status() == f"StatusCode.{status}"
    assert complaint in caught.value.message()


def test_an_unknown_output_or_version_is_refused(client):
    with pytest.raises(InferenceServerException, match="unknown output 'logits'"):
        client.infer("laundry", images(), outputs=[triton.InferRequestedOutput("logits")])
    with pytest.raises(InferenceServerException, match="v9.0.0"):
        client.infer("laundry", images(), model_version="v9.0.0")


def test_models_come_and_go_by_the_lifecycle_alone(client):
    with pytest.raises(InferenceServerException) as caught:
        client.unload_model("laundry")
    assert caught.value.status() == "StatusCode.PERMISSION_DENIED"
    assert "decided through the lifecycle service" in caught.value.message()


def test_an_ensemble_of_models_is_refused_as_what_there_is_not(client):
    config = '{"name": "both", "platform": "ensemble", "ensemble_scheduling": {"step": [{"model_name": "laundry"}]}}'
    with pytest.raises(InferenceServerException, match="ensembles are not offered") as caught:
        client.load_model("both", config=config)
    assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


def test_the_repository_names_every_version_that_may_be_asked_for(client):
    found = client.get_model_repository_index().models
    assert [(one.name, one.version, one.state) for one in found] == [
        ("laundry", "v1.1.0", "READY"),
        ("laundry", "v1.0.0", "READY"),
        ("face", "", "UNAVAILABLE"),
    ]


def test_what_is_not_offered_says_so(client):
    region = triton.InferInput("images", [1, 224, 224, 3], "UINT8")
    region.set_shared_memory("region", 150_528)
    for ask in (client.get_system_shared_memory_status, lambda: client.infer("laundry", [region])):
        with pytest.raises(InferenceServerException, match="shared memory are not offered") as caught:
            ask()
        assert caught.value.status() == "StatusCode.UNIMPLEMENTED"
