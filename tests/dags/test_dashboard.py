"""The dashboard as Airflow mounts it: nothing without a login, nothing that runs but its own scripts."""

import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile

import pytest
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from include.stack.layout import REPOSITORY
from pipeline.bootstrap import ALWAYS_ON
from pipeline.domain.errors import ServiceUnavailable
from plugins.model_dashboard.app import make_app
from plugins.model_dashboard.dashboard_plugin import PREFIX, OnFirstRequest
from plugins.model_dashboard.files import Files
from tests.builders import a_dataset
from tests.unit.pipeline.dashboard_world import Overlooked

_ABOUT_ONE = ("overview", "sightings", "judged", "replicas", "canary", "voices", "worth")
ASKED = {f"/api/{name}": "?model_type=LAUNDRY" for name in _ABOUT_ONE}


@pytest.fixture(scope="module", autouse=True)
def _airflow():
    init_auth_manager()


@pytest.fixture
def seen():
    seen = Overlooked()
    seen.world.live("first", "second")
    return seen


def client(dashboard, role=None):
    app = make_app(dashboard)
    if role:
        app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="eng", role=role)
    return TestClient(app, raise_server_exceptions=False)


def test_no_route_answers_anybody_who_is_not_logged_in(seen):
    app = make_app(lambda: seen.dashboard)
    routes = [route for route in app.routes if isinstance(route, Route)]
    # A mount inherits no dependency of the app: everything has to be a route.
    assert len(routes) == len(app.routes) and not any(isinstance(route, Mount) for route in app.routes)
    asked = TestClient(app, raise_server_exceptions=False)
    for route in routes:
        path = route.path.replace("{name}", "icon").replace("{version}", "x") + ASKED.get(route.path, "")
        for method in route.methods:
            assert asked.request(method, path).status_code == 401, f"{method} {path}"
            forged = {"Authorization": "Bearer forged"}
            assert asked.request(method, path, headers=forged).status_code in {401, 403}, f"{method} {path}"


def test_nothing_is_changed_through_the_dashboard():
    methods = {method for route in make_app().routes for method in route.methods}
    assert methods <= {"GET", "HEAD"}


def test_whoever_may_look_is_told_what_they_may_do(seen):
    viewer, operator = (client(lambda: seen.dashboard, role).get("/api/person").json() for role in ("viewer", "op"))
    assert viewer["may_trigger"] == dict.fromkeys(ALWAYS_ON, False)
    assert operator["may_trigger"] == dict.fromkeys(ALWAYS_ON, True)
    assert (viewer["name"], viewer["model_types"]) == ("eng", ["LAUNDRY", "FACE"])


@pytest.mark.parametrize("path", ASKED)
def test_a_viewer_sees_what_is_so(seen, path):
    answer = client(lambda: seen.dashboard, "viewer").get(path + ASKED[path])
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"


def test_whoever_has_to_vouch_for_a_version_downloads_its_proof(seen):
    seen.datasets.completed["dataset-of-first"] = a_dataset(id="dataset-of-first", run_id="first")
    asked = client(lambda: seen.dashboard, "viewer")
    answer = asked.get("/api/proof?model_type=LAUNDRY&version=v1.0.0")
    assert answer.headers["content-disposition"] == 'attachment; filename="proof-LAUNDRY-v1.0.0.zip"'
    assert "verdict.json" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    unknown = asked.get("/api/proof?model_type=LAUNDRY&version=v9.0.0")
    assert (unknown.status_code, "v9.0.0" in unknown.json()["detail"]) == (404, True)
    for forged in ('v1.0.0"', "v1.0.0%0A", "..", ""):
        assert asked.get(f"/api/proof?model_type=LAUNDRY&version={forged}").status_code == 422


@pytest.mark.parametrize(
    "query",
    ["", "?model_type=SHOES", "?model_type=LAUNDRY%0A", "?model_type=LAUNDRY&days=91", "?model_type=LAUNDRY&days=0"],
)
def test_a_question_about_nothing_there_is_refused(seen, query):
    assert client(lambda: seen.dashboard, "viewer").get(f"/api/sightings{query}").status_code == 422


def test_a_database_that_is_away_is_a_sentence(seen):
    def away():
        raise ServiceUnavailable("the mlops database", "connection refused")

    answer = client(away, "viewer").get("/api/overview?model_type=LAUNDRY")
    assert answer.status_code == 503
    assert answer.json() == {"detail": "the mlops database is unavailable: connection refused"}


def test_every_answer_forbids_scripts_that_are_not_the_pages_own(seen):
    asked = client(lambda: seen.dashboard, "viewer")
    for path in ("/", "/icon.svg", "/api/person", "/api/overview?model_type=SHOES"):
        headers = asked.get(path).headers
        rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
        assert rules["default-src"] == "'none'" and rules["script-src"] == rules["style-src"] == "'self'"
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_names_only_files_that_are_shipped_and_keeps_them_by_their_content(seen):
    asked = client(lambda: seen.dashboard, "viewer")
    page = asked.get("/").text
    named = [part.split('"')[0] for part in page.split('="')[1:] if part.startswith("files/")]
    assert len(named) == 4
    for name in named:
        answer = asked.get(f"/{name}")
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
    assert "<script>" not in page and "style=" not in page and "http" not in page


@pytest.mark.parametrize("name", ["index.html", "..%2Fapp.py", "app.py", "%2Fetc%2Fpasswd", ""])
def test_no_other_file_is_given_out(seen, name):
    assert client(lambda: seen.dashboard, "viewer").get(f"/files/x/{name}").status_code == 404


def test_a_dashboard_that_cannot_be_built_takes_nothing_else_of_airflow_with_it(monkeypatch):
    airflow = FastAPI()
    airflow.mount(PREFIX, OnFirstRequest())
    airflow.get("/health")(lambda: "well")
    asked = TestClient(airflow, raise_server_exceptions=False)
    with monkeypatch.context() as broken:
        broken.setattr("plugins.model_dashboard.app.make_app", lambda: 1 / 0)
        answers = [asked.get(path) for path in (f"{PREFIX}/", "/health")]
    assert [answer.status_code for answer in answers] == [500, 200] and "Division" not in answers[0].text
    # Whoever asks next has it as soon as it can be built.
    assert asked.get(f"{PREFIX}/").status_code == 401


def test_every_module_of_the_page_imports_files_that_are_there():
    files = Files.read()
    scripts = {
        name: body.decode()
        for name, body in files.others.items()
        if name.endswith(".js") and name != "uPlot.iife.min.js"
    }
    imported = {part.split('"')[0] for source in scripts.values() for part in source.split('from "./')[1:]}
    # Those two are asked for by the page, and by Airflow's home.
    assert imported == set(scripts) - {"main.js", "strip.js"}
    assert not [name for name, source in scripts.items() if "innerHTML =" in source or "insertAdjacentHTML" in source]


def test_airflow_finds_the_dashboard_and_no_other_file_of_ours(tmp_path):
    """In a process of its own: Airflow reads its plugins once."""
    code = """
from airflow import plugins_manager as p
plugins, errors = p._get_plugins()
print([one.name for one in plugins if one.name == "model_dashboard"], errors)
import sys
print([name for name in ("every_dag", "app", "files", "access", "fastapi") if name in sys.modules])
apps, _ = p.get_fastapi_plugins()
views, _ = p._get_ui_plugins()
strips = [strip for one in plugins for strip in one.react_apps]
print([one["url_prefix"] for one in apps], [one["href"] for one in views], [one["bundle_url"] for one in strips])
"""
    variables = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__API__BASE_URL": "https://example.org/airflow",
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-3:] == [
        "['model_dashboard'] {}",
        "[]",
        "['/model-dashboard'] ['/airflow/model-dashboard/'] ['/airflow/model-dashboard/files/newest/strip.js']",
    ]


def test_what_is_not_ours_is_what_its_makers_published():
    for place in ("plugins/model_dashboard/page", "tests/browser/axe"):
        folder = REPOSITORY / place
        named = dict(re.findall(r"`(\S+)` \|.*`([0-9a-f]{64})`", (folder / "VENDORED.md").read_text()))
        assert named == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.min.*")}
    assert "MIT" in (REPOSITORY / "plugins/model_dashboard/page/uPlot.LICENSE").read_text()
    assert "Mozilla Public License" in (REPOSITORY / "tests/browser/axe/LICENSE").read_text()
