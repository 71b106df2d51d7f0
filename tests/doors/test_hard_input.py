"""Every entry of the corpus comes to its end at the door that it is for, and the next good one is answered as ever.

Messages go through the broker, see `tests/integration/test_odd_messages.py`.
"""

import re

import boto3
import grpc
import httpx
import psycopg2
import pytest

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.channel import FaceserveError
from pipeline.adapters.helper_db import HelperDatabase
from pipeline.adapters.s3 import S3PhotoStore
from pipeline.domain.errors import PhotoRefused
from pipeline.domain.rows import oddity
from pipeline.learning.photos import PillowPhotoInspector
from tests.builders import BUCKETS, NOW
from tests.corpus.artifacts import artifacts
from tests.corpus.forms import access_forms, helper_forms
from tests.corpus.grpc_bytes import grpc_bytes
from tests.corpus.http_bodies import http_bodies
from tests.corpus.messages import messages
from tests.corpus.photos import ODD_KEYS, PHOTOS, ROWS
from tests.fakes.access import access_app
from tests.replica.world import TOKEN, replica
from tests.reviewing import helper_app, rows, serving
from tests.tiny_model import grey_photo

DARK = grey_photo(20)
AUTHORIZED = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with replica(tmp_path_factory.mktemp("state"), http_port=0, gallery_uri="s3://faces/") as made:
        made.serve("v1.0.0")
        made.serve("v1.0.0", "face")
        yield made


@pytest.fixture(autouse=True)
def _serves_on(world):
    yield
    assert world.client.classify("laundry", DARK).label == "불량"
    assert world.lifecycle.status("laundry").version == "v1.0.0"


def test_bodies_of_inference_requests(world):
    url = f"http://127.0.0.1:{world.server.http_port}/v2/models/laundry/infer"
    found = {}
    with httpx.Client(timeout=60) as client:
        for name, body in http_bodies():
            answer = client.post(url, content=body.content, headers=dict(body.headers))
            said = answer.json().get("error", "") if answer.status_code != 200 else ""
            if answer.status_code != body.status or body.because not in said:
                found[name] = (answer.status_code, said[:200])
    assert found == {}


def test_bytes_of_grpc_messages(world):
    found = {}
    with grpc.insecure_channel(world.address) as inference, grpc.insecure_channel(world.lifecycle_address) as lifecycle:
        for name, call in grpc_bytes():
            said = _ended(lifecycle if ".Lifecycle/" in call.method else inference, call)
            if said[0] != call.status or call.because not in said[1]:
                found[name] = said
    assert found == {}


def _ended(channel, call):
    """Status and detail; None of what was answered."""
    path = f"/{call.method}"
    try:
        if call.method.endswith("/WatchStatus"):
            next(iter(channel.unary_stream(path)(call.body, timeout=60, metadata=AUTHORIZED)))
        else:
            channel.unary_unary(path)(call.body, timeout=60, metadata=AUTHORIZED)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return None, ""


def test_artifacts_of_models(world):
    found = {}
    for number, (name, files, because) in enumerate(artifacts()):
        version = f"v9.0.{number}"
        uri = f"s3://models/laundry/{version}/"
        sha256 = world.source.put(uri, files)
        try:
            world.lifecycle.prepare("laundry", version, uri, sha256, timeout_seconds=60)
            found[name] = "taken"
        except FaceserveError as error:
            if error.code != "FAILED_PRECONDITION" or because not in error.detail:
                found[name] = f"{error.code} {error.detail[:200]}"
    assert found == {}
    assert world.lifecycle.status("laundry").prepared == ()


def test_photos(world):
    """Named by their place, for one is larger than a message may be."""
    found = {}
    for number, (name, (photo, because)) in enumerate(PHOTOS.items()):
        world.source.objects[f"s3://tasks/{number}"] = photo
        said = _said_of(world, uri=f"s3://tasks/{number}")
        if (said is None) != (because is None) or (because and not re.search(because, said)):
            found[name] = said
    assert found == {}


@pytest.mark.parametrize("key", ODD_KEYS)
def test_photos_of_odd_names(world, key):
    world.source.objects[f"s3://tasks/{key}"] = DARK
    assert _said_of(world, uri=f"s3://tasks/{key}") is None


@pytest.fixture(scope="module")
def helper(running_services):
    running_services.empty()
    with serving(helper_app(running_services)) as url:
        for name in ("T-1", "T-2"):
            task = {"taskId": name, "helperId": "H-1", "photoUrl": f"s3://tasks/{name}.jpg"}
            assert httpx.post(f"{url}/helper/tasks", json=task, timeout=60).status_code == 201
        yield url


@pytest.fixture(scope="module")
def access(running_services):
    running_services.truncate("access")
    with serving(access_app(running_services)) as url:
        asked = {"checkId": "C-1", "doorId": "DOOR-1", "photoUrl": "s3://tasks/C-1.jpg", "claimedIdentity": "kim"}
        assert httpx.post(f"{url}/access/checks", json=asked, timeout=60).status_code == 201
        yield url


def test_forms_of_the_helper_service(helper):
    assert _surprises(helper, helper_forms()) == {}
    task = {"taskId": "T-3", "helperId": "H-1", "photoUrl": "s3://tasks/T-3.jpg"}
    assert httpx.post(f"{helper}/helper/tasks", json=task, timeout=60).status_code == 201


def test_forms_of_the_access_service(access):
    assert _surprises(access, access_forms()) == {}
    assert httpx.get(f"{access}/access/checks/C-1", timeout=60).json()["identity"] == "kim"


def _surprises(url, forms):
    """By name, what came instead of what should."""
    found = {}
    with httpx.Client(timeout=60) as client:
        for name, form in forms:
            method, _, path = form.request.partition(" ")
            headers = {"Content-Type": "application/json", **form.headers}
            answer = client.request(method, url + path, content=form.body, headers=headers)
            if answer.status_code != form.status or form.because not in answer.text:
                found[name] = (answer.status_code, answer.text[:200])
    return found


def _said_of(world, **photo):
    """None of one that is judged."""
    with grpc.insecure_channel(world.address) as channel:
        try:
            pb_grpc.InferenceStub(channel).Classify(pb.ClassifyRequest(model="laundry", **photo), timeout=60)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
            return error.details()
    return None


@pytest.fixture(scope="module")
def stored(helper, running_services):
    """Where each photo of the corpus lies in S3, by its name."""
    s3 = boto3.client("s3", endpoint_url=running_services.stack.s3_endpoint)
    places = {name: f"corpus/{number}.jpg" for number, name in enumerate(PHOTOS)}
    for name, (photo, _) in PHOTOS.items():
        s3.put_object(Bucket="tasks", Key=places[name], Body=photo)
    return {name: f"s3://tasks/{key}" for name, key in places.items()}


def test_photos_for_the_pipeline(stored, running_services):
    photos = S3PhotoStore(endpoint=running_services.stack.s3_endpoint, buckets=BUCKETS)
    found = {}
    for name, (_, because) in PHOTOS.items():
        try:
            said = PillowPhotoInspector().fingerprint(photos.read(stored[name])).fault
        except PhotoRefused as error:
            said = str(error)
        # One that is too large is not even fetched.
        if not re.search(f"{because}|are allowed" if because else "^$", said):
            found[name] = said
    assert found == {}


def test_photos_for_people_to_look_at(helper, stored, running_services):
    found = {}
    sql = (
        "INSERT INTO tasks (task_id, helper_id, photo_url, ai_result)"
        " SELECT 'P-' || place - 1, 'H-1', url, '양호' FROM unnest(%s) WITH ORDINALITY AS given(url, place)"
    )
    rows(running_services, sql, list(stored.values()))
    for number, (name, (_, because)) in enumerate(PHOTOS.items()):
        answer = httpx.get(f"{helper}/helper/tasks/P-{number}/photo", timeout=60)
        said = answer.json()["detail"] if answer.status_code == 422 else answer.headers["content-type"]
        if not re.search(because or "^image/jpeg$", said):
            found[name] = (answer.status_code, said)
    assert found == {}


def test_rows_of_the_helper_database(running_services):
    connection = psycopg2.connect(running_services.stack.dsn("helper", "helper"))
    expected = {}
    with connection, connection.cursor() as cursor:
        for number, (name, (changes, because)) in enumerate(ROWS.items()):
            row = {**_ROW, "task_id": f"row-{number}", "photo_url": f"s3://tasks/{number}.jpg", **changes}
            if row.pop("fault", None):
                row["confirmed_at"] = "infinity"
            cursor.execute(f"INSERT INTO tasks ({', '.join(row)}) VALUES %s", (tuple(row.values()),))
            expected[row["task_id"]] = (name, because)
    connection.close()
    read = HelperDatabase(running_services.stack.dsn("mlops_reader", "helper")).confirmed(limit=1000)
    odd = {task.task_id: oddity(task, ("양호", "불량"), NOW) for task in read if task.task_id in expected}
    assert odd.keys() == expected.keys()
    found = {
        name: odd[task_id]
        for task_id, (name, because) in expected.items()
        # That there is no photo at no address is found out later.
        if not re.search(because if because and because != "no photo at" else "^$", odd[task_id])
    }
    assert found == {}


_ROW = {"helper_id": "H-1", "ai_result": "양호", "final_result": "불량", "corrected": True, "confirmed_at": NOW}


def test_the_corpus_has_three_hundred_entries_with_their_ends():
    families = (messages(), http_bodies(), grpc_bytes(), helper_forms(), access_forms(), artifacts())
    names = [[name for name, *_ in family] for family in families] + [list(PHOTOS), list(ODD_KEYS), list(ROWS)]
    assert all(len(set(of_one)) == len(of_one) for of_one in names)
    assert sum(len(of_one) for of_one in names) >= 300
