"""Other people's clients, unmodified, each in a process of its own where nothing of ours is loaded."""

import subprocess
import sys
import textwrap

import pytest

from include.bench.environments import environment
from tests.replica.world import replica
from tests.tiny_model import grey_photo

KSERVE, TRITON_HTTP = "0.21.0", "2.73.0"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with replica(tmp_path_factory.mktemp("state"), http_port=0) as made:
        made.serve("v1.0.0")
        made.serve("v1.1.0")
        yield made


def says(script, *arguments, python=sys.executable):
    """What a script prints in an interpreter of its own, away from this repository."""
    command = [python, "-I", "-c", textwrap.dedent(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


TRITON = """
    import sys, numpy as np, tritonclient.grpc as triton
    client = triton.InferenceServerClient(sys.argv[1])
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("laundry") and not client.is_model_ready("face")
    metadata = client.get_model_metadata("laundry")
    config = client.get_model_config("laundry").config
    tensor = triton.InferInput("images", [2, 224, 224, 3], "UINT8")
    tensor.set_data_from_numpy(np.zeros((2, 224, 224, 3), np.uint8))
    found = client.infer("laundry", [tensor], model_version="v1.0.0", timeout=10_000_000)
    statistics = client.get_inference_statistics("laundry", "v1.0.0").model_stats[0]
    print(client.get_server_metadata().name.split()[0], list(metadata.versions)[0], config.max_batch_size,
          found.get_response().model_version, found.as_numpy("probabilities").shape[0], statistics.inference_count)
"""

TRITONS_HTTP = """
    import sys, numpy as np, tritonclient.http as triton
    from tritonclient.utils import InferenceServerException
    client = triton.InferenceServerClient(sys.argv[1])
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("laundry") and not client.is_model_ready("face")
    metadata, config = client.get_model_metadata("laundry"), client.get_model_config("laundry")
    def images(binary):
        tensor = triton.InferInput("images", [2, 224, 224, 3], "UINT8")
        tensor.set_data_from_numpy(np.zeros((2, 224, 224, 3), np.uint8), binary_data=binary)
        return [tensor]
    found = []
    for binary in (True, False):
        outputs = [triton.InferRequestedOutput("probabilities", binary_data=binary)]
        for packed in (None, "gzip", "deflate"):
            answer = client.infer("laundry", images(binary), "v1.0.0", outputs=outputs, timeout=10_000_000,
                                  request_compression_algorithm=packed, response_compression_algorithm=packed)
            found.append(answer.as_numpy("probabilities"))
    assert all((one == found[0]).all() for one in found)
    photo = triton.InferInput("photos", [1], "BYTES")
    photo.set_data_from_numpy(np.array([bytes.fromhex(sys.argv[2])], object))
    best = client.infer("laundry", [photo], outputs=[triton.InferRequestedOutput("probabilities", class_count=1)])
    for refused in (lambda: client.load_model("laundry"), lambda: client.unload_model("laundry"),
                    client.get_system_shared_memory_status, lambda: client.infer("laundry", images(True), priority=1)):
        try:
            refused()
            raise SystemExit("was not refused")
        except InferenceServerException as error:
            print(error.status())
    statistics = client.get_inference_statistics("laundry", "v1.0.0")["model_stats"][0]
    print(client.get_server_metadata()["name"].split()[0], metadata["versions"][0], config["max_batch_size"],
          found[0].shape[0], best.as_numpy("probabilities")[0][0].decode(), best.get_response()["model_version"],
          statistics["inference_count"], *[one["state"] for one in client.get_model_repository_index()])
"""

KSERVES_REST = """
    import asyncio, sys, numpy as np
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
    async def ask():
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        url = f"http://{sys.argv[1]}"
        assert await client.is_server_live(url) and await client.is_server_ready(url)
        assert await client.is_model_ready(url, "laundry")
        for binary in (True, False):
            images = InferInput("images", [2, 224, 224, 3], "UINT8")
            images.set_data_from_numpy(np.zeros((2, 224, 224, 3), np.uint8), binary_data=binary)
            asked = InferRequest(model_name="laundry", infer_inputs=[images])
            found = await client.infer(url, asked, model_name="laundry")
            print(found.model_name, *found.outputs[0].shape)
    asyncio.run(ask())
"""

KSERVES = """
    import asyncio, sys, numpy as np
    from kserve import InferenceGRPCClient, InferInput, InferRequest
    async def ask():
        client = InferenceGRPCClient(sys.argv[1])
        assert await client.is_server_live() and await client.is_server_ready()
        assert await client.is_model_ready("laundry") and not await client.is_model_ready("face")
        images = InferInput("images", [2, 224, 224, 3], "UINT8")
        images.set_data_from_numpy(np.zeros((2, 224, 224, 3), np.uint8), binary_data=True)
        found = await client.infer(InferRequest(model_name="laundry", infer_inputs=[images]))
        print(found.model_version, *found.outputs[0].shape, *[output.name for output in found.outputs])
    asyncio.run(ask())
"""

HEALTH = """
    import sys, grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    with grpc.insecure_channel(sys.argv[1]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", "laundry", "face"):
            print(stub.Check(health_pb2.HealthCheckRequest(service=service)).status)
        print(next(iter(stub.Watch(health_pb2.HealthCheckRequest(service="laundry")))).status)
"""

REFLECTION = """
    import sys, grpc
    from google.protobuf.descriptor_pool import DescriptorPool
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
    with grpc.insecure_channel(sys.argv[1]) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = sorted(database.get_services())
        pool = DescriptorPool(database)
        for name in services:
            print(name, len(pool.FindServiceByName(name).methods))
"""


def test_nvidia_tritons_client(world):
    assert says(TRITON, world.address) == ["faceserve", "v1.1.0", "64", "v1.0.0", "2", "2"]


def test_kserves_client(world):
    python = environment(f"kserve-{KSERVE}", f"kserve=={KSERVE}")
    assert says(KSERVES, world.address, python=python) == ["v1.1.0", "2", "2", "probabilities", "features"]


def test_nvidia_tritons_http_client(world):
    python = environment(f"tritonclient-http-{TRITON_HTTP}", f"tritonclient[http]=={TRITON_HTTP}")
    found = says(TRITONS_HTTP, http(world), grey_photo(20).hex(), python=python)
    assert found[:4] == ["403", "403", "501", "501"]
    assert found[4:8] == ["faceserve", "v1.1.0", "64", "2"]
    assert found[8].endswith(":1:불량") and found[9] == "v1.1.0" and int(found[10]) >= 12
    assert found[11:] == ["READY", "READY", "UNAVAILABLE"]


def test_kserves_rest_client(world):
    python = environment(f"kserve-{KSERVE}", f"kserve=={KSERVE}")
    assert says(KSERVES_REST, http(world), python=python) == ["laundry", "2", "2"] * 2


def http(world):
    return f"127.0.0.1:{world.server.http_port}"


def test_a_health_client_that_checks_and_watches(world):
    serving, not_serving = "1", "2"
    assert says(HEALTH, world.address) == [serving, serving, not_serving, serving]
    assert says(HEALTH, world.lifecycle_address) == [serving, serving, not_serving, serving]


def test_a_reflection_client_finds_every_service_and_its_methods(world):
    found = says(REFLECTION, world.address)
    services = dict(zip(found[::2], map(int, found[1::2]), strict=True))
    assert services["faceserve.v1.Inference"] == 3
    assert services["inference.GRPCInferenceService"] >= 9
    assert {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= services.keys()
    assert "faceserve.v1.Lifecycle" in says(REFLECTION, world.lifecycle_address)
