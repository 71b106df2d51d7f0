"""The Open Inference Protocol over HTTP, asked as curl would: the same answers and sentences as over gRPC."""

import base64
import gzip
import json
import socket
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from faceserve.protocols.places import Patience
from tests.replica.world import replica
from tests.tiny_model import grey_photo
from tests.waiting import until

DARK = np.full((1, 224, 224, 3), 20, np.uint8)
PHOTO = grey_photo(20)
INFER = "/v2/models/laundry/infer"
IMAGES = {"name": "images", "datatype": "UINT8", "shape": [1, 224, 224, 3]}
JSON_BYTES = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with replica(tmp_path_factory.mktemp("state"), http_port=0, max_message_bytes=12 << 20) as made:
        made.serve("v1.0.0")
        made.serve("v1.1.0")
        yield made


@pytest.fixture(scope="module")
def http(world):
    with httpx.Client(base_url=f"http://127.0.0.1:{world.server.http_port}", timeout=60) as made:
        yield made


def binary(tensor, body, **said):
    """A request whose only tensor stands behind its JSON; the body and its headers."""
    head = {"inputs": [{**tensor, "parameters": {"binary_data_size": len(body)}}], **said}
    text = json.dumps(head).encode()
    return {"content": text + body, "headers": {JSON_BYTES: str(len(text))}}


def photos(*bodies):
    data = [base64.b64encode(body).decode() for body in bodies]
    return {"inputs": [{"name": "photos", "datatype": "BYTES", "shape": [len(bodies)], "data": data}]}


def probabilities(answer):
    (found,) = [one for one in answer.json()["outputs"] if one["name"] == "probabilities"]
    return np.reshape(found["data"], found["shape"])


# What is there


def test_probes_say_whether_the_replica_and_its_models_serve(http):
    found = {path: http.get(f"/v2/{path}").status_code for path in (
        "health/live", "health/ready", "models/laundry/ready", "models/laundry/versions/v1.0.0/ready",
        "models/face/ready", "models/laundry/versions/v9.0.0/ready", "models/nobody/ready",
    )}  # fmt: skip
    assert list(found.values()) == [200, 200, 200, 200, 400, 400, 400]


def test_metadata_and_configuration_are_those_of_grpc(http):
    assert http.get("/v2").json()["name"] == "faceserve replica-1"
    metadata = http.get("/v2/models/laundry").json()
    assert metadata["versions"] == ["v1.1.0", "v1.0.0"]
    assert metadata["inputs"] == [
        {"name": "images", "datatype": "UINT8", "shape": [-1, 224, 224, 3]},
        {"name": "photos", "datatype": "BYTES", "shape": [-1]},
    ]
    config = http.get("/v2/models/laundry/versions/v1.0.0/config").json()
    assert [(one["name"], one["data_type"]) for one in config["input"]] == [
        ("images", "TYPE_UINT8"),
        ("photos", "TYPE_STRING"),
    ]
    assert config["parameters"]["labels"] == {"string_value": "양호,불량"}
    assert config["parameters"]["model_version"] == {"string_value": "v1.0.0"}


def test_the_repository_names_every_version_that_may_be_asked_for(http):
    found = http.post("/v2/repository/index").json()
    assert [(one["name"], one["version"], one["state"]) for one in found] == [
        ("laundry", "v1.1.0", "READY"),
        ("laundry", "v1.0.0", "READY"),
        ("face", "", "UNAVAILABLE"),
    ]
    ready = http.post("/v2/repository/index", json={"ready": True}).json()
    assert {one["name"] for one in ready} == {"laundry"}


@pytest.mark.parametrize("act", ["load", "unload"])
def test_nothing_is_loaded_or_unloaded_and_the_answer_says_who_decides(http, act):
    answer = http.post(f"/v2/repository/models/laundry/{act}")
    assert answer.status_code == 403
    assert "decided through the lifecycle service" in answer.json()["error"]
    assert http.post(f"/v2/repository/models/nobody/{act}").status_code == 404


CONFIG = {"name": "both", "ensemble_scheduling": {"step": [{"model_name": "laundry"}]}}


@pytest.mark.parametrize("act", ["load", "unload"])
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (json.dumps({"parameters": {"config": json.dumps(CONFIG)}}), 501, "ensembles are not offered"),
        (json.dumps({"parameters": {"config": CONFIG}}), 501, "ensembles are not offered"),
        (json.dumps({"parameters": {"config": "{}"}}), 404, "no model 'both'"),
        (json.dumps({"parameters": {"unload_dependents": True}}), 404, "no model 'both'"),
        (json.dumps({"parameters": []}), 404, "no model 'both'"),
        ("{}", 404, "no model 'both'"),
        ("", 404, "no model 'both'"),
        ("[]", 400, "the body must be a JSON object, or empty"),
        ("[" * 10_000, 400, "the body must be a JSON object, or empty"),
        (" " * 100_000, 413, "larger than 65536 bytes"),
    ],
)
def test_what_a_change_asks_for_is_read_before_it_is_refused(http, act, body, status, said):
    answer = http.post(f"/v2/repository/models/both/{act}", content=body)
    assert answer.status_code == status
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/v2/systemsharedmemory/status", "shared memory"),
        ("POST", "/v2/systemsharedmemory/region/one/register", "shared memory"),
        ("POST", "/v2/cudasharedmemory/region/one/unregister", "shared memory"),
        ("GET", "/v2/trace/setting", "FACESERVE_"),
        ("POST", "/v2/logging", "FACESERVE_"),
    ],
)
def test_what_is_not_offered_says_so(http, method, path, said):
    answer = http.request(method, path)
    assert answer.status_code == 501 and said in answer.json()["error"]


def test_paths_and_methods_that_there_are_not_are_refused_in_json(http):
    assert http.get("/v3/models").json() == {"error": "there is nothing at this path"}
    answer = http.get(INFER)
    assert answer.status_code == 405 and answer.json() == {"error": "this path does not take this method"}


# Asking


def test_images_in_json_nested_or_flat(http):
    for data in (DARK.tolist(), DARK.ravel().tolist()):
        answer = http.post(INFER, json={"id": "r-7", "inputs": [{**IMAGES, "data": data}]})
        assert answer.status_code == 200, answer.text
        assert probabilities(answer).argmax(1).tolist() == [1]
        assert (answer.json()["model_version"], answer.json()["id"]) == ("v1.1.0", "r-7")
        assert answer.json()["parameters"]["replica"] == "replica-1"


def test_photos_in_base64(http):
    answer = http.post(INFER, json=photos(PHOTO, grey_photo(235)))
    assert probabilities(answer).argmax(1).tolist() == [1, 0]


def test_a_photo_as_it_is(http):
    """`curl --data-binary @photo.jpg -H 'Inference-Header-Content-Length: 0'`, as Triton has it."""
    answer = http.post(INFER, content=PHOTO, headers={JSON_BYTES: "0"})
    assert probabilities(answer).argmax(1).tolist() == [1]


def test_tensors_behind_the_json_are_answered_alike_if_that_is_asked_for(http):
    answer = http.post(INFER, **binary(IMAGES, DARK.tobytes(), parameters={"binary_data_output": True}))
    head = int(answer.headers[JSON_BYTES])
    said = json.loads(answer.content[:head])
    sizes = [one["parameters"]["binary_data_size"] for one in said["outputs"]]
    assert sum(sizes) == len(answer.content) - head
    found = np.frombuffer(answer.content[head : head + sizes[0]], "<f4")
    plain = probabilities(http.post(INFER, **binary(IMAGES, DARK.tobytes())))
    assert found == pytest.approx(plain[0])


def test_a_version_by_name(http):
    answer = http.post("/v2/models/laundry/versions/v1.0.0/infer", **binary(IMAGES, DARK.tobytes()))
    assert answer.json()["model_version"] == "v1.0.0"


def test_the_best_classes_as_triton_writes_them(http, world):
    wanted = [{"name": "probabilities", "parameters": {"classification": 1}}]
    answer = http.post(INFER, json={**photos(PHOTO, grey_photo(235)), "outputs": wanted})
    (found,) = answer.json()["outputs"]
    assert (found["datatype"], found["shape"]) == ("BYTES", [2, 1])
    assert [text.split(":")[1:] for text in found["data"]] == [["1", "불량"], ["0", "양호"]]
    with triton.InferenceServerClient(world.address) as client:
        outputs = [triton.InferRequestedOutput("probabilities", class_count=2)]
        rows = client.infer("laundry", grpc_images(), outputs=outputs).as_numpy("probabilities")
    assert [text.decode().split(":")[2] for text in rows[0]] == ["불량", "양호"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_requests_and_answers_may_be_compressed(http, encoding):
    request = binary(IMAGES, DARK.tobytes())
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding](request["content"])
    headers = {**request["headers"], "Content-Encoding": encoding, "Accept-Encoding": "gzip"}
    many = {"outputs": [{"name": "features"}]}
    answer = http.post(INFER, content=packed, headers=headers)
    assert probabilities(answer).argmax(1).tolist() == [1]
    large = http.post(INFER, json={**photos(*[PHOTO] * 64), **many}, headers={"Accept-Encoding": "gzip"})
    assert large.headers["content-encoding"] == "gzip" and large.json()["outputs"][0]["shape"] == [64, 3]


# Refusals


def grpc_images(array=DARK, name="images", datatype="UINT8"):
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return [tensor]


@pytest.mark.parametrize(
    ("model", "tensor", "options"),
    [
        ("laundri", DARK, {}),
        ("face", DARK, {}),
        ("laundry", DARK[:, :100], {}),
        ("laundry", np.repeat(DARK, 65, 0), {}),
        ("laundry", DARK, {"priority": 3}),
        ("laundry", DARK, {"sequence_id": 9}),
        ("laundry", DARK, {"timeout": 1}),
        ("laundry", DARK, {"outputs": [triton.InferRequestedOutput("logits")]}),
        ("laundry", DARK, {"outputs": [triton.InferRequestedOutput("features", class_count=-1)]}),
    ],
)
def test_what_grpc_refuses_http_refuses_with_the_same_sentence(world, http, model, tensor, options):
    with triton.InferenceServerClient(world.address) as client, pytest.raises(InferenceServerException) as caught:
        client.infer(model, grpc_images(tensor), **options)
    said = {"parameters": {key: value for key, value in options.items() if key != "outputs"}}
    said["outputs"] = [
        {"name": one.name(), "parameters": {"classification": -1} if one.name() == "features" else {}}
        for one in options.get("outputs", [])
    ]
    shape = {**IMAGES, "shape": list(tensor.shape)}
    answer = http.post(f"/v2/models/{model}/infer", **binary(shape, tensor.tobytes(), **said))
    assert answer.json()["error"] == caught.value.message()
    by_status = {
        "INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
    }  # fmt: skip
    assert answer.status_code == by_status[caught.value.status().removeprefix("StatusCode.")]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "no inference request in JSON"),
        (b"{", "no inference request in JSON"),
        (b"[]", "no inference request in JSON"),
        (b"{}", "inputs: Field required"),
        (b'{"inputs": [{"name": "images"}]}', "inputs.0.datatype"),
        (b'{"inputs": ' + b"[" * 100_000, "no inference request in JSON"),
        (json.dumps({"inputs": [IMAGES]}).encode(), "has 0 bytes, its shape needs 150528"),
        (json.dumps({"inputs": [{**IMAGES, "data": [[1, 2], [3]]}]}).encode(), "rows of the same length"),
        (json.dumps({"inputs": [{**IMAGES, "data": [1, 256]}]}).encode(), "whole numbers from 0 to 255"),
        (json.dumps({"inputs": [{**IMAGES, "data": [0.5]}]}).encode(), "whole numbers from 0 to 255"),
        (json.dumps({"inputs": [{**IMAGES, "data": [2**70]}]}).encode(), "whole numbers from 0 to 255"),
        (json.dumps({"inputs": [{**IMAGES, "data": [0] * 600_000}]}).encode(), "more than 500000 values"),
        (json.dumps({"inputs": [{**IMAGES, "parameters": {"binary_data_size": 9}}]}).encode(), "0 are left"),
        (
            json.dumps({"inputs": [{**IMAGES, "parameters": {"shared_memory_region": "one"}}]}).encode(),
            "shared memory are not offered",
        ),
        (
            json.dumps({"inputs": [{"name": "photos", "datatype": "BYTES", "shape": [1], "data": ["§"]}]}).encode(),
            "base64",
        ),
        (json.dumps({**photos(PHOTO), "parameters": {"timeout": "soon"}}).encode(), "`timeout` must be"),
        (json.dumps({**photos(PHOTO), "parameters": {"task_id": 7}}).encode(), "`task_id` must be"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(http, body, complaint):
    answer = http.post(INFER, content=body)
    assert answer.status_code in {400, 501} and complaint in answer.json()["error"]


def test_a_photo_that_is_none_is_named_by_its_place_and_a_bomb_called_too_large(http):
    bomb = (
        grey_photo(20)[:2] + b"\xff\xc0\x00\x11\x08" + (60_000).to_bytes(2, "big") * 2 + b"\x03" + b"\x01\x11\x00" * 3
    )
    for bad, said in ((b"no photo", "no readable JPEG"), (bomb, "limit")):
        answer = http.post(INFER, json=photos(PHOTO, bad, PHOTO))
        assert answer.status_code == 400
        assert "photo 1 of 3" in answer.json()["error"] and said in answer.json()["error"]


def test_what_is_too_large_is_refused_also_when_it_only_becomes_so(http):
    answer = http.post(INFER, content=bytes(13 << 20))
    assert answer.status_code == 413 and "larger than" in answer.json()["error"]
    packed = http.post(INFER, content=gzip.compress(bytes(100 << 20)), headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 400 and "when it is unpacked" in packed.json()["error"]
    twice = http.post(INFER, content=gzip.compress(b"{}")[:-9], headers={"Content-Encoding": "gzip"})
    assert twice.status_code == 400 and "in the middle" in twice.json()["error"]
    strange = http.post(INFER, content=b"{}", headers={"Content-Encoding": "br"})
    assert strange.status_code == 400 and "content encoding 'br'" in strange.json()["error"]


def test_statistics_count_what_was_answered_and_how_long_it_waited(http):
    http.post(INFER, **binary(IMAGES, DARK.tobytes()))
    (found,) = http.get("/v2/models/laundry/versions/v1.1.0/stats").json()["model_stats"]
    parts = found["inference_stats"]
    assert found["inference_count"] > 0
    assert parts["queue"]["count"] == parts["compute_infer"]["count"] == parts["success"]["count"]
    assert 0 < parts["compute_infer"]["ns"] + parts["queue"]["ns"] <= parts["success"]["ns"]


def test_requests_that_share_a_call_of_the_model_are_one_execution(tmp_path):
    """As Triton counts, whose tools make batch sizes of both figures."""
    with replica(tmp_path, http_port=0, batch_images=4) as world, ThreadPoolExecutor(5) as pool:
        world.serve("v1.0.0")
        engine, begun, go, calls = world.generation("v1.0.0").engine, threading.Event(), threading.Event(), []
        plain = engine.infer
        engine.infer = lambda images: (calls.append(len(images)), begun.set(), go.wait(60), plain(images))[3]
        url = f"http://127.0.0.1:{world.server.http_port}"
        asking = [pool.submit(httpx.post, url + INFER, **binary(IMAGES, DARK.tobytes()), timeout=60)]
        assert begun.wait(60)
        asking += [pool.submit(httpx.post, url + INFER, **binary(IMAGES, DARK.tobytes()), timeout=60) for _ in range(4)]
        until(lambda: world.lifecycle.status("laundry").requests_waiting == 4, "them to wait")
        go.set()
        assert {one.result(60).status_code for one in asking} == {200}
        (found,) = httpx.get(f"{url}/v2/models/laundry/versions/v1.0.0/stats", timeout=60).json()["model_stats"]
    assert calls == [1, 4]
    assert (found["inference_count"], found["execution_count"]) == (5, 2)
    assert found["inference_stats"]["success"]["count"] == 5


# Whoever misbehaves


def test_too_many_at_once_are_told_so_and_nobody_pays_who_is_within(tmp_path):
    with replica(tmp_path, http_port=0, max_queued=0) as small, ThreadPoolExecutor(1) as pool:
        small.serve("v1.0.0")
        engine, begun, go = small.generation("v1.0.0").engine, threading.Event(), threading.Event()
        plain = engine.infer
        engine.infer = lambda images: (begun.set(), go.wait(60), plain(images))[2]
        url = f"http://127.0.0.1:{small.server.http_port}"
        running = pool.submit(httpx.post, url + INFER, **binary(IMAGES, DARK.tobytes()), timeout=60)
        assert begun.wait(60)
        with httpx.Client(base_url=url, timeout=60) as client:
            assert {asked(client) for _ in range(20)} == {429}
            assert client.get("/v2/health/ready").status_code == 200
            go.set()
            assert running.result().status_code == 200
            until(lambda: asked(client) == 200, "room")


def asked(client):
    return client.post(INFER, **binary(IMAGES, DARK.tobytes())).status_code


# What arrives


@pytest.fixture
def narrow(tmp_path):
    """A replica that may hold 2 MB of requests."""
    with replica(tmp_path, http_port=0, max_queued_mb=2, max_message_bytes=2 << 20) as made:
        made.serve("v1.0.0")
        yield made


@contextmanager
def arriving(world, head, body=b"", count=1):
    """Requests with this head, of whose body so much is sent and no more."""
    with ExitStack() as open_ones:
        for _ in range(count):
            address = ("127.0.0.1", world.server.http_port)
            one = open_ones.enter_context(socket.create_connection(address, timeout=60))
            one.sendall(f"POST {INFER} HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode() + body)
        yield


@pytest.mark.parametrize(
    "head",
    [
        f"Content-Length: {2 << 20}",
        "Transfer-Encoding: chunked",
        "Content-Encoding: gzip\r\nContent-Length: 99",
        f"Expect: 100-continue\r\nContent-Length: {2 << 20}",
    ],
)
def test_what_is_only_announced_takes_nothing_from_anybody(narrow, head):
    url = f"http://127.0.0.1:{narrow.server.http_port}"
    with httpx.Client(base_url=url, timeout=60) as client, arriving(narrow, head, count=100):
        assert {asked(client) for _ in range(10)} == {200}


def test_what_came_counts_until_its_caller_goes_away(narrow):
    url = f"http://127.0.0.1:{narrow.server.http_port}"
    with httpx.Client(base_url=url, timeout=60) as client:

        def refused_beside():
            with arriving(narrow, f"Content-Length: {2 << 20}", bytes(2_000_000)):
                # Asked too soon, the other one would be refused.
                time.sleep(0.2)
                return asked(client) == 429

        until(refused_beside, "so much to have come")
        until(lambda: asked(client) == 200, "room")


def test_what_unpacking_makes_of_a_body_counts_too_and_is_given_back(narrow):
    url = f"http://127.0.0.1:{narrow.server.http_port}"
    another = arriving(narrow, f"Content-Length: {2 << 20}", bytes(1_000_000))
    with another, httpx.Client(base_url=url, headers={"Content-Encoding": "gzip"}, timeout=60) as client:
        large = gzip.compress(bytes(1_500_000))
        until(lambda: client.post(INFER, content=large).status_code == 429, "the other one to have come")
        for size, status in ((1_500_000, 429), (900_000, 400)) * 3:
            for packed in (gzip.compress(bytes(size)), gzip.compress(gzip.compress(bytes(size)))):
                said = "gzip" if len(packed) > 1000 else "gzip, gzip"
                answer = client.post(INFER, content=packed, headers={"Content-Encoding": said})
                assert answer.status_code == status
    with httpx.Client(base_url=url, timeout=60) as client:
        assert asked(client) == 200


# Whoever is slow


def test_whoever_says_nothing_or_never_ends_is_sent_away(tmp_path, monkeypatch):
    monkeypatch.setattr("faceserve.server.PATIENCE", Patience(message_seconds=0.5))
    with replica(tmp_path, http_port=0) as hurried:
        address = ("127.0.0.1", hurried.server.http_port)
        for said in (b"", b"POST /v2 HT", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000):
            with socket.create_connection(address, timeout=60) as silent:
                silent.sendall(said)
                answer = b"".join(pieces(silent))
                assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
        with socket.create_connection(address, timeout=60) as slow:
            slow.sendall(f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{{".encode())
            assert b" 408 " in slow.recv(4096).splitlines()[0]


def pieces(connection):
    """What it says until it ends."""
    try:
        while piece := connection.recv(1 << 16):
            yield piece
    except ConnectionResetError:
        return


def test_what_runs_when_the_replica_shuts_down_is_answered_and_nothing_after(tmp_path):
    with replica(tmp_path, http_port=0, drain_seconds=60) as ending:
        ending.serve("v1.0.0")
        engine, begun, go = ending.generation("v1.0.0").engine, threading.Event(), threading.Event()
        plain = engine.infer
        engine.infer = lambda images: (begun.set(), go.wait(60), plain(images))[2]
        url = f"http://127.0.0.1:{ending.server.http_port}{INFER}"
        with ThreadPoolExecutor(2) as pool:
            running = pool.submit(httpx.post, url, **binary(IMAGES, DARK.tobytes()), timeout=60)
            assert begun.wait(60)
            stopping = pool.submit(ending.server.stop)
            until(lambda: refused(url), "new requests to be refused")
            go.set()
            assert running.result(60).status_code == 200
            stopping.result(60)


def refused(url):
    try:
        return httpx.post(url, content=PHOTO, headers={JSON_BYTES: "0"}, timeout=60).status_code == 503
    except httpx.TransportError:
        return True


def test_a_caller_that_went_away_costs_no_inference(tmp_path):
    with replica(tmp_path, http_port=0) as busy:
        busy.serve("v1.0.0")
        engine, begun, go, asked = busy.generation("v1.0.0").engine, threading.Event(), threading.Event(), []
        plain = engine.infer
        engine.infer = lambda images: (begun.set(), go.wait(60), asked.append(1), plain(images))[3]
        request = binary(IMAGES, DARK.tobytes())
        head = "".join(f"{name}: {value}\r\n" for name, value in request["headers"].items())
        head = f"POST {INFER} HTTP/1.1\r\nHost: a\r\n{head}Content-Length: {len(request['content'])}\r\n\r\n"
        for before in range(10):
            with socket.create_connection(("127.0.0.1", busy.server.http_port)) as gone:
                gone.sendall(head.encode() + request["content"])
                assert begun.wait(60)
                # Who leaves before the request was read is no caller at all.
                until(lambda: busy.lifecycle.status("laundry").requests_waiting == before, "it to wait for its turn")  # noqa: B023
        go.set()
        until(lambda: not busy.lifecycle.status("laundry").requests_waiting, "the queue to be empty")
        assert len(asked) == 1
