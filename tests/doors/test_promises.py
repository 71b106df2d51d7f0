"""HTTP doors answer as they say in their OpenAPI, whatever they are asked: never by accident or without a word."""

import json
from dataclasses import replace

import pytest
import requests
import yaml
from airflow.api_fastapi.app import init_auth_manager
from hypothesis import core, given
from hypothesis.internal.conjecture import engine

from include.contract.photo import BadPhotoAddress, PhotoAddress
from include.stack.layout import REPOSITORY
from include.stack.postgres import query
from include.stand_in.photos import NoPhoto
from pipeline.domain.events import parse_task_confirmed
from pipeline.domain.faces.confirmations import parse_confirmation
from tests.browser.airflow_stand_in import AirflowStandIn, listening
from tests.builders import BUCKETS, NOW
from tests.doors.promises import DRAWN, RIGHT, WRONG, bodies, hold
from tests.fakes.access import FakeFaces, access_app
from tests.replica.world import replica
from tests.reviewing import GOOD, a_photo, helper_app, outbox, serving, upload
from tests.unit.pipeline.steps.live_world import World

MODEL_SERVER = REPOSITORY / "include/contract/open_inference.yaml"
MODES = pytest.mark.parametrize("mode", [RIGHT, WRONG], ids=["right", "wrong"])


@pytest.fixture(scope="module", autouse=True)
def _others_are_told_their_examples():
    """Schemathesis has Hypothesis print none any more, in the whole process."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((core, "RepresentationPrinter"), (core, "BUFFER_SIZE"), (engine, "BUFFER_SIZE")):
            patch.setattr(module, name, getattr(module, name))
        yield


@pytest.fixture(scope="module")
def pages():
    world = World().live("first", "second", "third")
    world.candidate("better")
    init_auth_manager()
    airflow = AirflowStandIn(world)
    with listening(airflow.app) as url:
        yield airflow, url


@MODES
def test_the_dashboard_answers_as_it_says(pages, mode):
    airflow, url = pages
    answered = hold(airflow.pages.openapi(), f"{url}/model-dashboard", mode, {})
    assert answered[200 if mode is RIGHT else 422]


@pytest.fixture(scope="module")
def model_server(tmp_path_factory):
    with replica(tmp_path_factory.mktemp("state"), http_port=0) as made:
        made.serve("v1.0.0")
        yield f"http://127.0.0.1:{made.server.http_port}"


@MODES
def test_the_model_server_answers_as_it_says(model_server, mode):
    known = {"model": "laundry", "version": "v1.0.0"}
    answered = hold(yaml.safe_load(MODEL_SERVER.read_text()), model_server, mode, known)
    assert answered[200 if mode is RIGHT else 400]


@pytest.fixture(scope="module")
def helper(running_services):
    """With three tasks, and a photo of the first."""
    running_services.empty()
    upload(running_services, "T-1", a_photo())
    app = helper_app(running_services)
    with serving(app) as url:
        for name in ("T-1", "T-2", "T-3"):
            photo = {"taskId": name, "helperId": "H-1", "photoUrl": f"s3://tasks/{name}.jpg"}
            assert requests.post(f"{url}/helper/tasks", json=photo).status_code == 201
        yield app, url


@MODES
def test_the_helper_service_answers_as_it_says(helper, mode):
    app, url = helper
    answered = hold(app.openapi(), url, mode, {"task_id": "T-1"})
    assert answered[200 if mode is RIGHT else 422]


def test_what_the_helper_service_takes_makes_events_that_the_pipeline_takes(helper, running_services):
    app, url = helper

    @DRAWN
    @given(task=bodies(app.openapi(), "/helper/tasks"), said=bodies(app.openapi(), "/helper/tasks/{task_id}/confirm"))
    def taken(task, said):
        task["photoUrl"] = "s3://tasks/" + task["photoUrl"].removeprefix("s3://").partition("/")[2]
        requests.post(f"{url}/helper/tasks", json=task)
        consistent = {"aiResult": GOOD, "corrected": said["finalResult"] != GOOD}
        requests.post(f"{url}/helper/tasks/{task['taskId']}/confirm", json=said | consistent)

    taken()
    events = [json.dumps(event).encode() for event in outbox(running_services)]
    assert events
    for event in events:
        parse_task_confirmed(event, now=NOW.replace(year=2099), photo_buckets=BUCKETS)


class Believing(FakeFaces):
    """Whoever somebody claims to be, they are; photos lie where photos may be."""

    def answer(self, asked):
        try:
            PhotoAddress.parse(asked.photo_url, BUCKETS)
        except BadPhotoAddress as error:
            raise NoPhoto(str(error)) from None
        return replace(self.says, identity=asked.claimed_identity or self.says.identity)


@pytest.fixture(scope="module")
def access(running_services):
    running_services.truncate("access")
    app = access_app(running_services, Believing())
    with serving(app) as url:
        asked = {"checkId": "C-1", "doorId": "DOOR-1", "photoUrl": "s3://tasks/C-1.jpg", "claimedIdentity": "kim"}
        assert requests.post(f"{url}/access/checks", json=asked).status_code == 201
        yield app, url


@MODES
def test_the_access_service_answers_as_it_says(access, mode):
    app, url = access
    answered = hold(app.openapi(), url, mode, {"check_id": "C-1", "identity": "kim"})
    assert answered[200 if mode is RIGHT else 422]


def test_what_the_access_service_takes_makes_events_that_the_pipeline_takes(access, running_services):
    app, url = access

    @DRAWN
    @given(
        check=bodies(app.openapi(), "/access/checks"), said=bodies(app.openapi(), "/access/checks/{check_id}/confirm")
    )
    def taken(check, said):
        check["photoUrl"] = "s3://tasks/" + check["photoUrl"].removeprefix("s3://").partition("/")[2]
        requests.post(f"{url}/access/checks", json=check)
        requests.post(f"{url}/access/checks/{check['checkId']}/confirm", json=said)

    taken()
    said = query(running_services.stack.dsn("access", "access"), "SELECT payload FROM outbox")
    assert said
    for (event,) in said:
        parse_confirmation(json.dumps(event).encode(), now=NOW.replace(year=2099), photo_buckets=BUCKETS)
